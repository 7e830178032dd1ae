"""Tables from records, published figures beside reproduced ones.

results/<profile>/table_1.csv, .md, .tex, …     built from the records
"""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lga.metrics import WITHOUT_LPIPS
from lga.paths import RESULTS
from lga.records import main_records, read_history, read_record, read_records, write_whole
from lga.sources import stretched_copies, tested_on

Cell = Mapping[str, float]  # metric → published figure

TABLES: dict[str, dict[str, dict[str, Cell]]] = {
    "table_1": {
        "rotated_mnist": {
            "winter2022": {"psnr_db": 21.97, "ssim": 0.874},
            "hwang2023": {"psnr_db": 15.29, "ssim": 0.992},
            "jin2024": {"psnr_db": 26.07, "ssim": 1.000},
        },
        "blocked_mnist": {
            "winter2022": {"psnr_db": 14.05, "ssim": 0.586},
            "hwang2023": {"psnr_db": 10.19, "ssim": 0.990},
            "jin2024": {"psnr_db": 23.55, "ssim": 1.000},
        },
        "brain_mri": {
            "hwang2023": {"psnr_db": 27.43, "ssim": 1.000},
            "jin2024": {"psnr_db": 35.99, "ssim": 1.000},
        },
    },
    "table_2": {
        "nmr": {
            "dupont2020": {"psnr_db": 26.91, "ssim": 0.899, "lpips": 0.091},
            "sajjadi2022": {"psnr_db": 27.87, "ssim": 0.912, "lpips": 0.066},
            "jin2024": {"psnr_db": 28.91, "ssim": 0.947, "lpips": 0.050},
        },
        "plane_in_the_sky": {
            "dupont2020": {"psnr_db": 24.25, "ssim": 0.773, "lpips": 0.239},
            "sajjadi2022": {"psnr_db": 23.53, "ssim": 0.489, "lpips": 0.280},
            "jin2024": {"psnr_db": 25.24, "ssim": 0.821, "lpips": 0.112},
        },
    },
    # The volumes of swarnali2025, whose paper gives no figures of this kind.
    "table_3": {
        "adrenal_3d": {"jin2024": {}, "swarnali2025": {}},
        "brain_3d": {"jin2024": {}, "swarnali2025": {}},
    },
}  # fmt: skip
PUBLISHED = {dataset: cells for table in TABLES.values() for dataset, cells in table.items()}
METRICS = {
    "table_1": ("psnr_db", "ssim", "ssim_range255"),
    "table_2": ("psnr_db", "ssim", "ssim_range255", "lpips"),
    "table_3": ("psnr_db", "ssim", "ssim_range255"),
}
DECIMALS = {"psnr_db": 2, "ssim": 3, "ssim_range255": 3, "lpips": 3}
HEADINGS = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "ssim_range255": "SSIM₂₅₅", "lpips": "LPIPS"}

PUBLISHED_METRICS = ("psnr_db", "ssim", "lpips")
CONTROLS = ("copy_input", "mean_image", "orbit_mean", "act_on_image")

NOTE = """\
Mean ± standard deviation over seeds, beside the published figures; without a deviation, one seed.
SSIM is measured with data range 1; SSIM₂₅₅ repeats it with data range 255 on images in [0, 1],
which the published SSIM of hwang2023 and jin2024 fits and which reads near 1 for almost any copy:
compare it only with itself. copy_input paints x1 again, mean_image one picture for all, orbit_mean
the mean of x1 in all its turns, whatever g is: a system must beat them; act_on_image turns the
pixels of x1. Pairs are those that a run was trained on. An empty cell was not run. hwang2023 needs
two brains in every split, of which one shows the contrast of the other. The published figures of
sajjadi2022 took millions of steps.
"""


def table(name: str, profile: str, results: Path | str | None = None):
    """A published table beside the reproduced one: one row per system.

    Columns are `<dataset>_<metric>_published`, `…_mean`, `…_sd` and, for each dataset,
    `<dataset>_seeds`, their count, `<dataset>_train_pairs`, `<dataset>_optimizer`,
    `<dataset>_source` and, where LPIPS is measured, `<dataset>_perceptual_loss`. Runs with
    overrides are rows of their own.

    Returns:
        A pandas DataFrame indexed by system.
    """
    import pandas

    published = TABLES[name]
    records = [r for r in read_records(profile, results) if r["dataset"] in published]
    systems = dict.fromkeys(s for cells in published.values() for s in cells)
    asked: dict[str, set[str]] = {}  # what the systems of a dataset are tested on
    learned: dict[tuple[str, str], set[str]] = {}  # and what each of them learned from, besides
    for record in records:
        dataset, source = record["dataset"], record["source"]
        asked.setdefault(dataset, set()).add(tested_on(source))
        learned.setdefault((dataset, record["system"]), set()).add(source)

    def row_label(record: Mapping[str, Any]) -> str:
        """The system, with its preset, what was overridden and, where they differ, the source."""
        dataset, system = record["dataset"], record["system"]
        changes = [record[key] for key in ("preset", "overrides") if record.get(key)]
        overrides = f" ({'; '.join(changes)})" if changes else ""
        differ = len(asked[dataset]) > 1 or len(learned[dataset, system]) > 1
        return f"{system}{overrides}" + (f" on {record['source']}" if differ else "")

    labels = {row_label(record) for record in records}
    rows = {}
    controls = [control for control in CONTROLS if control in labels]
    for label in [*controls, *systems, *sorted(labels - {*controls, *systems})]:
        row: dict[str, Any] = {}
        for dataset, cells in published.items():
            runs = [r for r in records if r["dataset"] == dataset and row_label(r) == label]
            for metric in METRICS[name]:
                values = [r[metric] for r in runs if r.get(metric) is not None]
                mean, deviation = mean_and_deviation(values)
                if metric in PUBLISHED_METRICS:
                    row[f"{dataset}_{metric}_published"] = cells.get(label, {}).get(metric)
                row[f"{dataset}_{metric}_mean"] = mean
                row[f"{dataset}_{metric}_sd"] = deviation
            row[f"{dataset}_seeds"] = len(runs)
            row[f"{dataset}_train_pairs"] = max(
                (r.get("train_pairs") or 0 for r in runs), default=0
            )
            optimizers = {r.get("optimizer", "") for r in runs}
            row[f"{dataset}_optimizer"] = "; ".join(sorted(optimizers))
            row[f"{dataset}_source"] = "; ".join(sorted({r["source"] for r in runs}))
            if "lpips" in METRICS[name]:
                losses = {r.get("perceptual_loss", "") for r in runs}
                row[f"{dataset}_perceptual_loss"] = "; ".join(sorted(losses - {""}))
        rows[label] = row
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("system")


def mean_and_deviation(values: list[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; None where there are no, or not two, values."""
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def table_markdown(name: str, profile: str, results: Path | str | None = None) -> str:
    """The table for people: a block per dataset, under its name and the source of its data."""
    from tabulate import tabulate

    frame = table(name, profile, results)
    blocks = []
    for dataset in TABLES[name]:
        title, header, rows, notes = dataset_block(frame, name, dataset)
        grid = tabulate(rows, header, tablefmt="pipe", disable_numparse=True)
        blocks += [f"## {title}", grid, *notes]
    number = name.removeprefix("table_")
    return "\n\n".join([f"# Table {number}, {profile} profile", *blocks, NOTE])


def table_latex(name: str, profile: str, results: Path | str | None = None) -> str:
    """The table for a paper: a `tabular` with booktabs' rules per dataset, titles as comments."""
    from tabulate import tabulate

    frame = table(name, profile, results)
    blocks = []
    for dataset in TABLES[name]:
        title, header, rows, notes = dataset_block(frame, name, dataset)
        grid = tabulate(rows, header, tablefmt="latex_booktabs", disable_numparse=True)
        for sign, command in (("±", r"$\pm$"), ("₂₅₅", r"$_{255}$")):
            grid = grid.replace(sign, command)
        blocks += ["\n".join(f"% {line}" for line in [title, *notes]), grid]
    return "\n\n".join(blocks) + "\n"


def dataset_block(
    frame, name: str, dataset: str
) -> tuple[str, list[str], list[list[str]], list[str]]:
    """A dataset's title, header, rows (reproduced beside published, and seeds), and notes.

    Notes say what a run overrides, behind the letter of its row, and what `remarks` has.
    """
    metrics = METRICS[name]
    header = ["system"]
    for metric in metrics:
        header.append(HEADINGS[metric])
        if metric in PUBLISHED_METRICS:
            header.append("published")
    rows, notes, shown = [], [], {}
    for label, row in frame.iterrows():
        system, _, changes = label.partition(" (")
        mark = "abcdefghijklmnopqrstuvwxyz"[len(notes) % 26]
        cells = [f"{system} ({mark})" if changes else system]
        for metric in metrics:
            mean, sd = (row[f"{dataset}_{metric}_{part}"] for part in ("mean", "sd"))
            cells.append(with_spread(mean, sd, DECIMALS[metric]))
            if metric in PUBLISHED_METRICS:
                published = row[f"{dataset}_{metric}_published"]
                cells.append("" if missing(published) else f"{published:.{DECIMALS[metric]}f}")
        if any(cells[1:]):
            pairs = int(row[f"{dataset}_train_pairs"])
            rows.append([*cells, f"{pairs:,}" if pairs else "", row[f"{dataset}_seeds"] or ""])
            notes += [f"({mark}) {changes.replace(')', '')}"] if changes else []
            shown[cells[0]] = row
    sources = set(frame[f"{dataset}_source"]) - {""}
    asked = {tested_on(source) for source in sources}
    copies_differ = len(sources) > len(asked)
    title = f"{dataset}: {'; '.join(sorted(asked if copies_differ else sources)) or 'not run'}"
    notes += remarks(shown, name, dataset, copies_differ)
    return title, [*header, "pairs", "seeds"], rows, notes


def remarks(shown: Mapping[str, Any], name: str, dataset: str, copies_differ: bool) -> list[str]:
    """What to know when comparing a dataset's rows.

    Who trained on how many copies where that differs, who without the perceptual loss that it
    should have, who by another optimiser than published, and the order of the systems.

    Args:
        shown: rows of `table` by the names under which they are shown.
        name, dataset: of the table and the dataset.
        copies_differ: whether they trained on different stretched copies.
    """
    cells = TABLES[name][dataset]
    copies: dict[tuple[int, bool], list[str]] = {}
    lacking, by_muon, reached = [], [], {}
    for label, row in shown.items():
        system = label.partition(" (")[0]
        seen = stretched_copies(row[f"{dataset}_source"])
        if seen[0] and row[f"{dataset}_train_pairs"]:
            copies.setdefault(seen, []).append(label)
        if WITHOUT_LPIPS in row.get(f"{dataset}_perceptual_loss", ""):
            lacking.append(label)
        if cells.get(system) and "muon" in row[f"{dataset}_optimizer"]:
            by_muon.append(label)
        if system in cells and not missing(row[f"{dataset}_psnr_db_mean"]):
            reached[label] = row[f"{dataset}_psnr_db_mean"]
    notes = []
    if copies_differ:
        each = [
            f"{n:,}{' upright' if upright else ''} for {', '.join(labels)}"
            for (n, upright), labels in sorted(copies.items())
        ]
        notes.append(f"Stretched copies to train on: {'; '.join(each)}.")
    if lacking:
        notes.append(f"Without its perceptual loss: {', '.join(lacking)}.")
    if by_muon:
        notes.append(f"By Muon, published by Adam: {', '.join(by_muon)}.")
    if len(reached) > 1 and all(cells.values()):
        published = {system: cell["psnr_db"] for system, cell in cells.items()}
        orders = [" > ".join(sorted(by, key=by.get, reverse=True)) for by in (published, reached)]
        notes.append(
            "By PSNR, published: {}. Here, with the settings of each row: {}.".format(*orders)
        )
    return notes


def with_spread(mean: float | None, deviation: float | None, decimals: int = 2) -> str:
    """ "26.08 ± 0.01"; without a deviation for a single value, empty for none."""
    spread = "" if missing(deviation) else f" ± {deviation:.{decimals}f}"
    return "" if missing(mean) else f"{mean:.{decimals}f}{spread}"


def missing(value: float | None) -> bool:
    return value is None or value != value


def curves(
    dataset: str, systems: Iterable[str], profile: str, results: Path | str | None = None
) -> list[tuple[dict[str, Any], list[dict[str, float]]]]:
    """The learning curves of some systems' runs on a dataset: records, with rows of histories."""
    folder = Path(results or RESULTS) / profile / dataset
    return [
        (read_record(path.with_name("metrics.json")), read_history(path))
        for system in systems
        for path in sorted((folder / system).glob("seed-*/history.csv"))
    ]


def digits(profile: str, results: Path | str | None = None):
    """Both digit sets on one page, systems in the order of their PSNR on the rotated one.

    Returns:
        A pandas DataFrame by system: for each set PSNR as "mean ± sd", the published figure, seeds
        and training pairs.
    """
    import pandas

    published = TABLES["table_1"]
    records = main_records(profile, results)
    rows: dict[str, dict[str, str]] = {}
    order: dict[str, float] = {}
    for dataset in ("rotated_mnist", "blocked_mnist"):
        name = dataset.removesuffix("_mnist")
        for system in dict.fromkeys(r["system"] for r in records if r["dataset"] == dataset):
            runs = [r for r in records if (r["dataset"], r["system"]) == (dataset, system)]
            mean, deviation = mean_and_deviation([r["psnr_db"] for r in runs])
            known = published[dataset].get(system, {}).get("psnr_db", "")
            rows.setdefault(system, {}).update({
                f"{name} PSNR (dB)": with_spread(mean, deviation),
                f"{name} published": str(known),
                f"{name} seeds": str(len(runs)),
                f"{name} pairs": f"{runs[0].get('train_pairs', 0):,}",
            })  # fmt: skip
            order.setdefault(system, mean)
    frame = pandas.DataFrame.from_dict(rows, orient="index").fillna("")
    return frame.loc[sorted(rows, key=order.get)].rename_axis("system")


def write_csv(frame, name: str, profile: str, results: Path | str | None = None) -> Path:
    """Writes a profile's `<name>.csv`, whole."""
    path = Path(results or RESULTS) / profile / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, frame.to_csv(index=False, float_format="%.6g").encode())
    return path


def update_csv(
    frame, name: str, keys: list[str], profile: str, results: Path | str | None = None
) -> Path:
    """Puts rows into a profile's `<name>.csv`, in place of those that have the same `keys`.

    They stand where their predecessors stood, rows of new keys after those that share the first.

    Raises:
        ValueError: when the file is damaged.
    """
    import pandas

    if (Path(results or RESULTS) / profile / f"{name}.csv").is_file():
        known = read_csv(name, profile, results)
        places = pandas.concat([known, frame])[keys].drop_duplicates()
        places = places.sort_values(keys[0], kind="stable", key=lambda c: pandas.factorize(c)[0])
        replaced = known.set_index(keys).index.isin(frame.set_index(keys).index)
        frame = places.merge(pandas.concat([known[~replaced], frame]), on=keys)
    return write_csv(frame, name, profile, results)


def read_csv(name: str, profile: str, results: Path | str | None = None):
    """A profile's `<name>.csv` ("swaps", "probes", "laws", "ablation_…") as a pandas DataFrame.

    Raises:
        FileNotFoundError: when it was not made.
        ValueError: when it is damaged.
    """
    import pandas

    path = Path(results or RESULTS) / profile / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: `lga tables`, `lga probes` or `lga ablate` makes it"
        )
    try:
        return pandas.read_csv(path)
    except ValueError as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{path} is damaged ({error}); remove it and make it again") from error


def with_all_labels(probes):
    """The rows of `probes.csv` that most is learned from, tested on moved objects."""
    most = probes.groupby(["dataset", "system", "probe"])["labels"].transform("max")
    return probes[(probes["labels"] == most) & (probes["tested_on"] == "moved")]


LAWS = (
    "law_identity", "law_inverse", "law_compatibility", "law_identity_db", "law_inverse_db",
    "law_compatibility_db", "latent_inverse_error", "latent_deviation",
)  # fmt: skip


def laws(profile: str, results: Path | str | None = None):
    """The group-law report of every run without overrides, mean and deviation over seeds.

    Returns:
        A pandas DataFrame with dataset, system, law, seeds, mean, sd and source.
    """
    return over_seeds(LAWS, profile, results).rename(columns={"figure": "law"})


def swaps(profile: str, results: Path | str | None = None):
    """What moves of one picture with what stays of another: PSNR in dB of the runs' test swaps.

    Returns:
        A pandas DataFrame with dataset, system, seeds, mean, sd and source; `copy_input` is a copy
        of what lends what moves.
    """
    return over_seeds(("swap_psnr_db",), profile, results).drop(columns="figure")


def over_seeds(figures: Iterable[str], profile: str, results: Path | str | None):
    """Figures of the runs without overrides, mean and deviation, by dataset and system."""
    import pandas

    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in main_records(profile, results):
        runs.setdefault((record["dataset"], record["system"]), []).append(record)
    rows = []
    for (dataset, system), records in runs.items():
        sources = "; ".join(sorted({record["source"] for record in records}))
        for figure in figures:
            values = [record[figure] for record in records if record.get(figure) is not None]
            if values:
                mean, sd = mean_and_deviation(values)
                rows.append((dataset, system, figure, len(values), mean, sd, sources))
    columns = ["dataset", "system", "figure", "seeds", "mean", "sd", "source"]
    return pandas.DataFrame(rows, columns=columns)


def write_tables(profile: str, results: Path | str | None = None) -> list[Path]:
    """Writes the tables of a profile as CSV, Markdown and LaTeX, `laws.csv` and `swaps.csv`.

    Returns:
        The Markdown files.
    """
    folder = Path(results or RESULTS) / profile
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in TABLES:
        frame = table(name, profile, results)
        write_whole(folder / f"{name}.csv", frame.to_csv(float_format="%.6g").encode())
        write_whole(folder / f"{name}.tex", table_latex(name, profile, results).encode())
        path = folder / f"{name}.md"
        write_whole(path, table_markdown(name, profile, results).encode())
        written.append(path)
    write_csv(laws(profile, results), "laws", profile, results)
    write_csv(swaps(profile, results), "swaps", profile, results)
    return written


def few(figures: Mapping[str, Any], *beginnings: str):
    """The entries whose names begin so, as a small pandas DataFrame; numbers to four digits.

    Args:
        figures: a record, or what `evaluate` gives.
        beginnings: of the names to show, in this order.
    """
    import pandas

    begun = (n for beginning in beginnings for n in figures if n.startswith(beginning))
    chosen = {name: figures[name] for name in begun}
    shown = {n: f"{v:.4g}" if isinstance(v, float) else str(v) for n, v in chosen.items()}
    return pandas.DataFrame({"": shown})


def compare(record: Mapping[str, Any], psnr_db: Mapping[str, float], tolerance: float) -> str:
    """One fixed line that says whether a run agrees with what it gave before.

    Args:
        record: the run's record.
        psnr_db: the expected test PSNR of each system, for the quick profile with seed 0 on the
            stand-in; nothing is expected of other runs.
        tolerance: how far it may be off, in dB: processors round differently.
    """
    expected = psnr_db.get(record["system"])
    is_default = record["profile"] == "quick" and record["seed"] == 0 and not record["overrides"]
    if expected is None or not is_default or "stand-in" not in record["source"]:
        return "no figure is expected of these parameters"
    agrees = abs(record["psnr_db"] - expected) <= tolerance
    verdict = "as expected" if agrees else f"NOT as expected: {record['psnr_db']:.2f} dB"
    return f"test PSNR {expected} ± {tolerance} dB: {verdict}"
