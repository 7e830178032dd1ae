"""Charts from records, ready for a paper: one function per chart, one style, PNG and PDF.

results/<profile>/charts/<name>.png, .pdf
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from torch import Tensor

from lga.figures import INK, PAIR_ROWS, Chart, ImageGrid, cut_pairs, image_grid, style
from lga.paths import RESULTS
from lga.records import main_records, run_folder
from lga.tables import CONTROLS, PUBLISHED, curves, read_csv, with_all_labels

PALETTE = "colorblind"
PANELS_A_ROW = 4
QUIET_GREY = (0.62, 0.62, 0.62)
ORDER = ("lga", "lga_matched", "lga_generic", "jin2024", "swarnali2025", "winter2022", "hwang2023",
         "dupont2020", "sajjadi2022", *CONTROLS)  # fmt: skip


def in_order(systems: Iterable[str]) -> list[str]:
    """The systems among these, in the order of the charts."""
    found = set(systems)
    return [name for name in ORDER if name in found]


def system_colors() -> dict[str, tuple[float, float, float]]:
    """One colour per system, the same in every chart, safe for the colour-blind; controls grey."""
    import seaborn

    systems = [name for name in ORDER if name not in CONTROLS]
    bright = [color for color in seaborn.color_palette(PALETTE) if np.ptp(color) > 0]
    colors = dict(zip(systems, bright, strict=True))
    return colors | dict.fromkeys(CONTROLS, QUIET_GREY)


def psnr(profile: str, results: Path | str | None = None) -> Chart:
    """Test PSNR by system, a panel per dataset, seeds as their deviation, published as marks."""
    import pandas
    import seaborn

    records = main_records(profile, results)
    frame = pandas.DataFrame(records, columns=["dataset", "system", "seed", "psnr_db"])
    colors = system_colors()
    datasets = [name for name in PUBLISHED if name in set(frame["dataset"])]
    columns = min(PANELS_A_ROW, max(1, len(datasets)))
    rows = max(1, math.ceil(len(datasets) / columns))
    figure = Chart(figsize=(3.3 * columns, 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in panels[len(datasets) :]:
        axis.axis("off")
    most = frame.groupby("dataset")["system"].nunique().max()
    for axis, dataset in zip(panels, datasets, strict=False):
        own = frame[frame["dataset"] == dataset]
        systems = in_order(own["system"])
        seaborn.barplot(own, x="psnr_db", y="system", order=systems, hue="system", palette=colors,
                        errorbar="sd", legend=False, ax=axis)  # fmt: skip
        for place, name in enumerate(systems):
            known = PUBLISHED[dataset].get(name, {}).get("psnr_db")
            if known is not None:
                axis.plot([known, known], [place - 0.42, place + 0.42], color=INK, linewidth=2.2)
        style(axis, dataset)
        axis.set_ylim(most - 0.5, -0.5)  # bars of one height in every panel
        axis.set_xlabel("test PSNR (dB); black: published", fontsize=9)
        axis.set_ylabel("")
    return figure


def learning(
    dataset: str,
    profile: str,
    results: Path | str | None = None,
    systems: Sequence[str] = ORDER,
) -> Chart:
    """Best validation PSNR so far against pairs and against seconds, a line per run.

    What `jin2024` published is marked. Runs on several devices say theirs.
    """
    figure = Chart(figsize=(9.6, 3.6), layout="constrained")
    panels = dict(zip(("pairs", "seconds"), figure.subplots(1, 2, sharey=True), strict=True))
    colors = system_colors()
    runs = curves(dataset, systems, profile, results)
    learned = [(record, history) for record, history in runs if len(history) > 1]
    one_device = len({record.get("device") for record, _ in learned}) == 1
    lines = {}
    for record, history in learned:
        name = record["system"]
        label = name if one_device else f"{name}, {record.get('device')}"
        best = np.maximum.accumulate([row["validation_psnr_db"] for row in history])
        for key, axis in panels.items():
            (line,) = axis.plot(
                [row[key] for row in history], best, color=colors[name], linewidth=1.4
            )
            lines.setdefault(label, line)
    published = PUBLISHED[dataset].get("jin2024", {}).get("psnr_db")
    for key, axis in panels.items():
        if published is not None:
            lines["published"] = axis.axhline(published, color=INK, linewidth=1, linestyle=":")
        axis.set_xscale("log")
        style(axis, f"{dataset}: best validation PSNR (dB)" if key == "pairs" else "")
        axis.set_xlabel(key, fontsize=9)
    if lines:
        figure.legend(lines.values(), lines.keys(), loc="outside right upper", fontsize=9,
                      frameon=False)  # fmt: skip
    return figure


def law_errors(profile: str, results: Path | str | None = None) -> Chart:
    """Compatibility in image space against ‖z − E(D(z))‖, one dot a run.

    `jin2024`, section 4: the better E undoes D, the closer x ↦ D(g·E(x)) comes to an action.
    """
    import pandas
    import seaborn

    names = ["latent_inverse_error", "latent_deviation", "law_compatibility_db"]
    runs = pandas.DataFrame(main_records(profile, results), columns=["dataset", "system", *names])
    runs = runs.dropna(subset=names)
    figure = Chart(figsize=(6.8, 3.8), layout="constrained")
    axis = figure.subplots()
    if len(runs):
        runs["relative error"] = runs["latent_inverse_error"] / runs["latent_deviation"]
        seaborn.scatterplot(
            runs, x="relative error", y="law_compatibility_db", hue="system", style="dataset",
            hue_order=in_order(runs["system"]), palette=system_colors(), s=60, alpha=0.75, ax=axis,
        )  # fmt: skip
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.legend(fontsize=8, frameon=False, bbox_to_anchor=(1.01, 1), loc="upper left")
    style(axis, "is x ↦ D(g·E(x)) an action?")
    axis.set_xlabel("mean ‖z − E(D(z))‖ over the deviation of z", fontsize=9)
    axis.set_ylabel("compatibility in image space (dB)", fontsize=9)
    return figure


def probes(profile: str, results: Path | str | None = None) -> Chart:
    """What the parts of latents know: accuracy of the class on moved objects, R² of the pose."""
    import seaborn

    frame = with_all_labels(read_csv("probes", profile, results))
    ways = frame.groupby("dataset", sort=False)["system"].nunique()
    figure = Chart(figsize=(10, 0.4 * ways.sum() + 0.8 * len(ways)), layout="constrained")
    axes = figure.subplots(len(ways), 2, squeeze=False, sharey="row", height_ratios=ways + 1)
    titles = {"logistic": "class, moved objects: accuracy", "pose": "pose: R²"}
    parts = ["pixels", "z", "z_v", "z_i"]
    for row, dataset in zip(axes, ways.index, strict=True):
        for axis, (probe, title) in zip(row, titles.items(), strict=True):
            own = frame[(frame["dataset"] == dataset) & (frame["probe"] == probe)]
            seaborn.barplot(own, x="mean", y="system", hue="part", hue_order=parts,
                            palette=PALETTE, legend=axis is axes[0, 1], ax=axis)  # fmt: skip
            style(axis, f"{dataset}, {title}")
            axis.set_xlabel("")
            axis.set_ylabel("")
            axis.set_xlim(0, 1)
    axes[0, 1].legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def labels(dataset: str, profile: str, results: Path | str | None = None) -> Chart:
    """How many labels a class takes: accuracy on moved objects, a panel for each part of latents.

    Logistic regression on upright objects; pixels stand in every panel.
    """
    import seaborn

    frame = read_csv("probes", profile, results)
    frame = frame[(frame["probe"] == "logistic") & (frame["tested_on"] == "moved")]
    frame = frame[(frame["dataset"] == dataset) & ~frame["system"].str.contains("untrained")]
    colors = system_colors() | {"pixels": QUIET_GREY}
    figure = Chart(figsize=(10, 2.9), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axis, part in zip(panels, ("z", "z_v", "z_i"), strict=True):
        seaborn.lineplot(
            frame[frame["part"].isin((part, "pixels"))], x="labels", y="mean", hue="system",
            hue_order=[*in_order(frame["system"]), "pixels"], palette=colors, marker="o",
            markersize=4, markeredgewidth=0, legend=part == "z_i", ax=axis,
        )  # fmt: skip
        style(axis, f"{dataset}: class from {part}")
        axis.set(xscale="log", xlabel="labels", ylabel="accuracy on moved objects")
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    panels[0].set_ylim(bottom=0)
    panels[-1].legend(fontsize=8, frameon=False, bbox_to_anchor=(1.01, 1), loc="upper left")
    return figure


def page(
    dataset: str, profile: str, results: Path | str | None = None, pairs: int = 4
) -> ImageGrid:
    """All systems on one page (`jin2024`, figures 4 and 5): x1, x2, then each one's x̂2.

    Cut out of the pictures that runs keep of their first test pairs, so that it takes neither data
    nor weights: of each system's first seed, and of volumes the slice seen from the front. What was
    asked other pairs, on other data, is left out.

    Raises:
        FileNotFoundError: without any picture.
        ValueError: for a damaged one, naming the file.
    """
    shown = {}
    for system, path in pictures(profile, results).get(dataset, {}).items():
        *asked, painted, _ = (row[:pairs, :, : row.shape[3]] for row in kept_pairs(path))
        first = [shown.setdefault(*pair) for pair in zip(PAIR_ROWS[:2], asked, strict=True)]
        if all(map(torch.equal, asked, first)):
            shown[system] = painted
    if not shown:
        raise FileNotFoundError(f"no run of {dataset} in the {profile} profile keeps a picture")
    return image_grid(list(shown.values()), list(shown))


def pages(
    profile: str, results: Path | str | None = None, datasets: Iterable[str] = tuple(PUBLISHED)
) -> dict[str, ImageGrid]:
    """`page` of those datasets of which a run keeps a picture, by dataset."""
    kept = pictures(profile, results)
    return {dataset: page(dataset, profile, results) for dataset in datasets if dataset in kept}


def pictures(profile: str, results: Path | str | None) -> dict[str, dict[str, Path]]:
    """The pictures of test pairs that runs without overrides keep, by dataset and system.

    Of each system's first seed; systems in the order of the charts.
    """
    found: dict[str, dict[str, Path]] = {}
    for record in main_records(profile, results):
        dataset, system = record["dataset"], record["system"]
        path = run_folder(results, profile, dataset, system, record["seed"]).path / "pairs.png"
        if path.is_file():
            found.setdefault(dataset, {}).setdefault(system, path)
    return {d: {s: paths[s] for s in in_order(paths)} for d, paths in found.items()}


def kept_pairs(path: Path) -> list[Tensor]:
    """The rows of a run's `pairs.png` (see `cut_pairs`).

    Raises:
        ValueError: for a damaged file, naming it.
    """
    from PIL import Image

    try:
        Image.open(path).verify()  # the checksums, which decoding does not look at
        return cut_pairs(np.asarray(Image.open(path).convert("RGB")))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); start the run again") from error


def write_charts(profile: str, results: Path | str | None = None) -> list[Path]:
    """Writes every chart of a profile that its records have the figures for, as PNG and PDF.

    Returns:
        The PNG files.
    """
    root = Path(results or RESULTS) / profile
    charts = {"psnr": psnr(profile, results), "laws": law_errors(profile, results)}
    for dataset in PUBLISHED:
        if any((root / dataset).glob("*/seed-*/history.csv")):
            charts[f"learning_{dataset}"] = learning(dataset, profile, results)
    charts |= {f"page_{dataset}": grid for dataset, grid in pages(profile, results).items()}
    if (root / "probes.csv").is_file():
        charts["probes"] = probes(profile, results)
        for dataset in read_csv("probes", profile, results)["dataset"].unique():
            charts[f"labels_{dataset}"] = labels(dataset, profile, results)
    (root / "charts").mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in charts.items():
        path = root / "charts" / f"{name}.png"
        chart.savefig(path, dpi=150)
        # Without a date, so that equal charts are equal files.
        chart.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
        written.append(path)
    return written
