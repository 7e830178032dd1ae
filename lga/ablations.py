"""Ablations: one question each, a few variants of a run, one table.

results/ablations/<name>/<variant>/<profile>/<dataset>/<system>/seed-<n>/     their runs
results/<profile>/ablation_<name>.csv                                         built from the records
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga.lookup import check_name
from lga.paths import RESULTS
from lga.records import read_record, write_whole
from lga.runs import configure, execute
from lga.tables import mean_and_deviation


@dataclass(frozen=True)
class Variant:
    """One row of an ablation.

    Attributes:
        label: what it is, for people.
        system: by name.
        overrides: what it changes, as for `--set`.
    """

    label: str
    system: str
    overrides: str = ""

    @property
    def folder(self) -> str:
        """The label as a folder's name."""
        words = "".join(c if c.isalnum() else " " for c in self.label.lower()).split()
        return "-".join(words)


@dataclass(frozen=True)
class Ablation:
    """A question and the runs that answer it.

    Attributes:
        question: in words.
        dataset: by name.
        budget: what all variants share, as for `--set`.
        variants: the rows, in order.
    """

    question: str
    dataset: str
    budget: str
    variants: tuple[Variant, ...]


ABLATIONS = {
    "ingredients": Ablation(
        "What is each ingredient of lga worth on rotated MNIST?",
        "rotated_mnist",
        "train_pairs=25600 validations=4 test_pairs=2000",
        (
            Variant("jin2024", "jin2024"),
            Variant("+ Muon", "jin2024", "optimizer=muon learning_rate=2e-3"),
            Variant("+ irreps", "lga_generic", "batch_size=128 loss_form=mse"),
            Variant("+ log loss", "lga_generic", "batch_size=128"),
            Variant("+ batches of 32", "lga_generic"),
            Variant("+ polar network", "lga_matched"),
            Variant("+ free latent", "lga", "batch_size=32"),
        ),
    ),
    "still": Ablation(
        "What is it worth on blocked MNIST to tell what stays from what moves?",
        "blocked_mnist",
        "train_pairs=25600 validations=4 test_pairs=2000",
        (
            Variant("24 numbers, all move or rest", "lga_matched", "still=0"),
            Variant("20 numbers move, 4 paint a mask", "lga_matched"),
            Variant("free latent, nothing stays", "lga", "still=False"),
            Variant("free latent, mask and picture", "lga"),
        ),
    ),
}


def variant_root(results: Path | str | None, name: str, variant: Variant) -> Path:
    """The root under which a variant's runs lie."""
    return Path(results or RESULTS) / "ablations" / name / variant.folder


def ablate(
    name: str,
    profile: str = "standard",
    seeds: Sequence[int] = (0, 1, 2),
    source: str = "auto",
    data_root: str | Path | None = None,
    results: Path | str | None = None,
) -> Path:
    """Trains what an ablation still lacks, seed by seed, and writes its table.

    Raises:
        ValueError: for an unknown ablation.
    """
    ablation = ABLATIONS[check_name("ablation", name, ABLATIONS)]
    for seed in seeds:
        for variant in ablation.variants:
            root = variant_root(results, name, variant)
            overrides = f"{ablation.budget} {variant.overrides}"
            run = configure(
                ablation.dataset, variant.system, profile, seed, source, data_root, root, overrides
            )
            if not (run.folder.path / "metrics.json").is_file():
                print(f"{name}: {variant.label}, seed {seed}", flush=True)
                execute(run)
    path = Path(results or RESULTS) / profile / f"ablation_{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table(name, profile, results).to_csv(index=False).encode())
    return path


def table(name: str, profile: str = "standard", results: Path | str | None = None):
    """An ablation's rows: test PSNR in dB, mean and deviation over seeds.

    Returns:
        A pandas DataFrame with variant, dataset, system, overrides, psnr_db_mean, psnr_db_sd,
        seeds, parameters, latent_numbers, train_pairs and source.
    """
    import pandas

    ablation = ABLATIONS[check_name("ablation", name, ABLATIONS)]
    rows: list[dict[str, Any]] = []
    for variant in ablation.variants:
        root = variant_root(results, name, variant) / profile / ablation.dataset / variant.system
        records = [read_record(path) for path in sorted(root.glob("seed-*/metrics.json"))]
        mean, deviation = mean_and_deviation([r["psnr_db"] for r in records])
        same = records[0] if records else {}
        rows.append({
            "variant": variant.label, "dataset": ablation.dataset, "system": variant.system,
            "overrides": variant.overrides, "psnr_db_mean": mean, "psnr_db_sd": deviation,
            "seeds": len(records), "parameters": same.get("parameters"),
            "latent_numbers": same.get("latent_numbers"), "train_pairs": same.get("train_pairs"),
            "source": "; ".join(sorted({r["source"] for r in records})),
        })  # fmt: skip
    return pandas.DataFrame(rows)
