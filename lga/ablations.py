"""Ablations: one question each, a few variants of a run, one table.

results/ablations/<name>/<variant>/<profile>/<dataset>/<system>/seed-<n>/     their runs
results/<profile>/ablation_<name>.csv                                         built from the records
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lga.lookup import check_name
from lga.metrics import lpips_weights
from lga.paths import RESULTS
from lga.records import read_record
from lga.runs import Run, configure, execute, say_if_made_otherwise
from lga.tables import DECIMALS, mean_and_deviation, with_spread, write_csv


@dataclass(frozen=True)
class Variant:
    """One row of an ablation.

    Attributes:
        label: what it is, for people.
        system: by name.
        overrides: what it changes, as for `--set`.
        dataset, source: its pictures, where they are not the others'.
    """

    label: str
    system: str
    overrides: str = ""
    dataset: str = ""
    source: str = ""

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
        dataset: of all variants that name no other.
        budget: what all variants share, as for `--set`.
        variants: the rows, in order.
        figures: which fields of the records the table holds.
    """

    question: str
    dataset: str
    budget: str
    variants: tuple[Variant, ...]
    figures: tuple[str, ...] = ("psnr_db",)


# Under Adam jin2024 is still near 13 dB after so few pairs, whatever its options; under Muon not.
SMALL_BUDGET = "train_pairs=25600 batch_size=32 optimizer=muon validations=4 test_pairs=2000"
NO_LPIPS = "perceptual_weight=0 perceptual_images=0 perceptual_after=0 selection=psnr"

ABLATIONS = {
    "ingredients": Ablation(
        "What is each ingredient of lga worth on rotated MNIST?",
        "rotated_mnist",
        "train_pairs=25600 validations=4 test_pairs=2000",
        (
            Variant("jin2024", "jin2024", "batch_size=128"),
            Variant("+ Muon", "jin2024", "batch_size=128 optimizer=muon learning_rate=2e-3"),
            Variant("+ irreps", "lga_generic",
                    "batch_size=128 loss_form=mse muon_learning_rate=0.02 multiplicities=auto"),
            Variant("+ log loss", "lga_generic",
                    "batch_size=128 muon_learning_rate=0.02 multiplicities=auto"),
            Variant("+ batches of 16", "lga_generic",
                    "muon_learning_rate=0.01 multiplicities=auto"),
            Variant("+ orders up to 5", "lga_generic", "muon_learning_rate=0.01"),
            Variant("+ polar network", "lga_matched"),
            Variant("+ free latent", "lga", "batch_size=32"),
        ),
    ),
    "budget": Ablation(
        "How soon does lga_matched pass the published 26.07 and 23.55 dB?",
        "rotated_mnist",
        "validations=20 test_pairs=2000",
        (
            Variant("80,000 pairs", "lga_matched", "train_pairs=80000"),
            Variant("180,000 pairs, blocked", "lga_matched", "train_pairs=180000",
                    dataset="blocked_mnist"),
        ),
    ),
    "published_rate": Ablation(
        "How far does jin2024 get at its published rate, which does not decay? For a GPU.",
        "rotated_mnist",
        "optimizer=adam learning_rate=1e-4 schedule=constant batch_size=256",
        (
            Variant("4,096,000 pairs", "jin2024", "train_pairs=4096000 validations=16"),
            Variant("6,912,000 pairs, blocked", "jin2024", "train_pairs=6912000 validations=27",
                    dataset="blocked_mnist"),
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
    "layers": Ablation(
        "Is what stays found, and that nothing does where all turns?",
        "blocked_mnist",
        "train_pairs=25600 validations=4 test_pairs=2000",
        tuple(
            Variant(f"{dataset.removesuffix('_mnist')}, {system}{price}", system, still, dataset)
            for dataset in ("blocked_mnist", "rotated_mnist")
            for system, price, still in (
                ("swarnali2025", "", ""),
                ("lga_matched", "", "still=4"),
                ("lga", "", "still=True"),
                ("lga", ", what stays has a price", "still=True still_price=0.1"),
            )
        ),
        ("psnr_db", "swap_psnr_db", "mask_fraction", "still_share"),
    ),
    "skip": Ablation(
        "What are the skip and the perceptual loss worth on the turntable (jin2024, table 3)?",
        "nmr",
        "train_pairs=8000 validations=4 test_pairs=1000",
        tuple(
            Variant(
                f"{'skip' if skip else 'no skip'}, {'LPIPS' if weight else 'no LPIPS'}",
                "jin2024",
                f"skip={skip} perceptual_weight={weight:g}",
            )
            for skip in (False, True)
            for weight in (0, 5e-4)
        ),
        ("psnr_db", "ssim", "lpips"),
    ),
    "perceptual": Ablation(
        "What does LPIPS in the loss of lga bring on the turntable, and what does it cost?",
        "nmr",
        "train_pairs=6400 validations=4 test_pairs=500",
        (
            Variant("no LPIPS", "lga", NO_LPIPS),
            Variant("LPIPS of two images a step", "lga",
                    "perceptual_weight=0.4 perceptual_images=2 perceptual_after=0 selection=psnr"),
            Variant("LPIPS of two, in the last quarter", "lga",
                    "perceptual_weight=0.4 perceptual_images=2 perceptual_after=4800 "
                    "selection=last"),
        ),
        ("psnr_db", "ssim", "lpips"),
    ),
    # The copies are those of the data, which `--copies 2` makes; the table's sources say how many.
    "equal_pairs": Ablation(
        "What is lga worth on as many pairs, of as many copies of a mesh, as jin2024 has?",
        "nmr",
        "train_pairs=20000",
        tuple(
            Variant(f"{name}, {label}", "lga", overrides, dataset)
            for dataset, name in (("nmr", "turntable"), ("plane_in_the_sky", "planes"))
            for label, overrides in (
                ("no LPIPS", NO_LPIPS),
                ("LPIPS in the last tenth", "perceptual_after=18000"),
            )
        ),
        ("psnr_db", "ssim", "lpips"),
    ),
    "varying": Ablation(
        "Which share of jin2024's latent should move?",
        "rotated_mnist",
        SMALL_BUDGET,
        tuple(
            Variant(f"{twelfths} of 12 pairs move", "jin2024", f"varying={twelfths / 12:.4f}")
            for twelfths in (2, 4, 6, 8, 10, 12)
        ),
    ),
    "latent_size": Ablation(
        "How many numbers should jin2024's latent have?",
        "rotated_mnist",
        SMALL_BUDGET,
        tuple(
            Variant(f"{numbers} numbers", "jin2024", f"latent_dim={numbers}")
            for numbers in (12, 24, 48, 96)
        ),
    ),
    "contrast": Ablation(
        "What do latents of maps, patches and pixels make of contrast, and what are warps worth?",
        "brain_mri",
        "train_pairs=3200 validations=4 test_pairs=500",
        (
            Variant("jin2024", "jin2024"),
            Variant("its network, Muon, log loss", "lga_generic"),
            Variant("four numbers for every patch", "lga_matched"),
            Variant("vectors at every pixel", "lga"),
            Variant("the same, slices as they are", "lga", "warped=False"),
            Variant("the same, given the logit", "lga", "logit=True"),
            Variant("the same, 16,000 pairs of template brains", "lga",
                    "train_pairs=16000 test_pairs=2000", source="stand-in"),
        ),
    ),
    "demonstration": Ablation(
        "What is a contrast worth that is shown on another head, beside one that is told?",
        "brain_mri",
        "train_pairs=8000",
        (
            Variant("a copy of x1", "copy_input", source="stand-in"),
            Variant("told the contrast", "jin2024", source="stand-in"),
            Variant("shown it on another head", "hwang2023", source="stand-in"),
        ),
        ("psnr_db", "ssim", "psnr_own_element_db", "demonstration_cosine"),
    ),
    "heads": Ablation(
        "Which 96 numbers say a turned head, of two that train, and what are warps worth?",
        "brain_3d",
        "train_pairs=3200 validations=4 test_pairs=200",
        tuple(
            Variant(f"{label}{', heads warped' if warped else ''}", system, f"warped={warped}")
            for label, system in (
                ("jin2024", "jin2024"),
                ("its network, irreps, Muon, log loss", "lga_generic"),
                ("networks on spheres", "lga_matched"),
            )
            for warped in (False, True)
        ),
        ("psnr_db", "ssim"),
    ),
    "fields": Ablation(
        "What does a volume need beside it at every voxel to be turned, and how is it learned?",
        "brain_3d",
        "train_pairs=1600 validations=4 test_pairs=200",
        (
            Variant("seven scalars, Adam", "lga", "fields=7 optimizer=adam"),
            Variant("seven scalars, Muon", "lga", "fields=7"),
            Variant("a scalar and two vectors, Adam", "lga", "optimizer=adam"),
            Variant("a scalar and two vectors, Muon", "lga"),
        ),
        ("psnr_db", "ssim"),
    ),
    "selection": Ablation(
        "What does it change to keep the weights of the least validation loss, as jin2024 does?",
        "rotated_mnist",
        f"{SMALL_BUDGET} validations=20",
        (
            Variant("highest validation PSNR", "jin2024"),
            Variant("least validation loss", "jin2024", "selection=loss"),
        ),
        ("psnr_db", "psnr_of_mean_mse_db"),
    ),
    "latent_inverse": Ablation(
        "Does the latent-inverse term make x ↦ D(g·E(x)) an action, and what does it cost?",
        "rotated_mnist",
        SMALL_BUDGET,
        tuple(
            Variant(f"weight {weight:g}", "jin2024", f"latent_inverse_weight={weight:g}")
            for weight in (0, 1e-4, 1e-3)
        ),
        ("psnr_db", "latent_inverse_error", "latent_deviation", "law_compatibility_db"),
    ),
    "mask": Ablation(
        "What does swarnali2025's mask find, and what do its terms and settings do to it?",
        "blocked_mnist",
        "train_pairs=51200 validations=4 test_pairs=2000",
        (
            Variant("as published", "swarnali2025"),
            Variant("no invariance term", "swarnali2025", "invariance_weight=0"),
            Variant("no equivariance term", "swarnali2025", "equivariance_weight=0"),
            Variant(
                "neither term", "swarnali2025", "invariance_weight=0 equivariance_weight=0"
            ),
            Variant("terms ten times as loud", "swarnali2025",
                    "invariance_weight=10 equivariance_weight=10"),
            Variant("threshold 0.3", "swarnali2025", "threshold=0.3"),
            Variant("threshold 0.7", "swarnali2025", "threshold=0.7"),
            Variant("all logits begin above", "swarnali2025", "initial_logit=1"),
            Variant("all logits begin below", "swarnali2025", "initial_logit=-1"),
            Variant("half moves, fixed", "swarnali2025", "mask=fixed"),
            Variant("all moves", "swarnali2025", "mask=all"),
        ),
        ("psnr_db", "mask_fraction"),
    ),
}  # fmt: skip


def variant_root(results: Path | str | None, name: str, variant: Variant) -> Path:
    """The root under which a variant's runs lie."""
    return Path(results or RESULTS) / "ablations" / name / variant.folder


def variant_run(
    name: str,
    variant: Variant,
    profile: str = "standard",
    seed: int = 0,
    source: str = "auto",
    data_root: str | Path | None = None,
    results: Path | str | None = None,
) -> Run:
    """A variant's run, resolved."""
    ablation = ABLATIONS[name]
    return configure(
        variant.dataset or ablation.dataset, variant.system, profile, seed,
        variant.source or source, data_root, variant_root(results, name, variant),
        f"{ablation.budget} {variant.overrides}",
    )  # fmt: skip


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
            run = variant_run(name, variant, profile, seed, source, data_root, results)
            if (run.folder.path / "metrics.json").is_file():
                say_if_made_otherwise(run)
            elif run.system_options.get("perceptual_weight") and not lpips_weights().is_file():
                print(f"{name}: {variant.label} left out, LPIPS' weights are not here", flush=True)
            else:
                print(f"{name}: {variant.label}, seed {seed}", flush=True)
                execute(run)
    return write_csv(table(name, profile, results), f"ablation_{name}", profile, results)


def table(name: str, profile: str = "standard", results: Path | str | None = None):
    """An ablation's rows, one for each variant and figure, such as the test PSNR in dB.

    Returns:
        A pandas DataFrame with variant, dataset, system, overrides, figure, seeds, mean and sd over
        them, parameters, latent_numbers, train_pairs and source; without seeds, what was not run.
    """
    import pandas

    ablation = ABLATIONS[check_name("ablation", name, ABLATIONS)]
    rows: list[dict[str, Any]] = []
    for variant in ablation.variants:
        dataset = variant.dataset or ablation.dataset
        root = variant_root(results, name, variant) / profile / dataset / variant.system
        records = [read_record(path) for path in sorted(root.glob("seed-*/metrics.json"))]
        same = records[0] if records else {}
        for figure in ablation.figures:
            values = [r[figure] for r in records if r.get(figure) is not None]
            mean, deviation = mean_and_deviation(values)
            rows.append({
                "variant": variant.label, "dataset": dataset, "system": variant.system,
                "overrides": variant.overrides, "figure": figure, "seeds": len(values),
                "mean": mean, "sd": deviation, "parameters": same.get("parameters"),
                "latent_numbers": same.get("latent_numbers"),
                "train_pairs": same.get("train_pairs"),
                "source": "; ".join(sorted({r["source"] for r in records})),
            })  # fmt: skip
    return pandas.DataFrame(rows)


def overview(name: str, profile: str = "standard", results: Path | str | None = None):
    """The same for people.

    Returns:
        A pandas DataFrame by variant: seeds, then each figure as "mean ± sd" over them.
    """
    frame = table(name, profile, results)
    frame["said"] = [
        with_spread(mean, deviation, DECIMALS.get(figure, 2))
        for figure, mean, deviation in frame[["figure", "mean", "sd"]].itertuples(index=False)
    ]
    wide = frame.pivot(index="variant", columns="figure", values="said")
    wide = wide.loc[frame["variant"].unique(), list(ABLATIONS[name].figures)]
    wide.insert(0, "seeds", frame.groupby("variant")["seeds"].max())
    return wide.rename_axis(index=None, columns=None)
