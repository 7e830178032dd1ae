"""The command line, `lga`.

Exit status 0 means that the command did what it says; an error is one line and status 1.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Group actions on latent image representations: train, evaluate and compare systems.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
data = typer.Typer(help="Real data sets.", no_args_is_help=True)
app.add_typer(data, name="data")

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Results = Annotated[Path | None, typer.Option("--results", help="Root of results [results/].")]
DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Folder of real data [data/].")]
System = Annotated[str, typer.Option(help="Which system (see `lga list`).")]
Profile = Annotated[str, typer.Option(help="quick, standard or paper.")]


class Source(StrEnum):
    auto = "auto"
    real = "real"
    stand_in = "stand-in"


SourceOption = Annotated[
    Source, typer.Option(help="auto: real data where --data-root holds them, else the stand-in.")
]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE …", help="Change a setting or an option.")
]


@app.command("list")
def list_command(as_json: AsJSON = False) -> None:
    """Datasets, systems and profiles; a system's parameters on each dataset, or why not there.

    Example: `lga list --json`
    """
    from lga.catalogue import catalogue
    from lga.profiles import PROFILES

    found = catalogue()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for dataset in found["datasets"]:
        shape = "×".join(map(str, dataset["image_shape"]))
        print(f"{dataset['name']:<18} group {dataset['group']}, images {shape}")
        for kind, words in zip(("real", "stand-in"), dataset["sources"], strict=True):
            print(f"    {kind:<14} {words}")
    print()
    for system in found["systems"]:
        print(f"{system['name']}")
        for dataset, count in system["parameters"].items():
            print(f"    {dataset:<18} {count:>12,} parameters")
        for dataset, reason in system["refuses"].items():
            print(f"    {dataset:<18} – it {reason}")
    print()
    for profile, about in PROFILES.items():
        print(f"{profile:<18} {about}")
        if trained := [name.split("/") for name in found["trained"][profile]]:
            print(f'    trained, for lga.load("DATASET/SYSTEM", "{profile}"):')
        for dataset, runs in groupby(trained, key=itemgetter(0)):
            print(f"        {dataset:<18} {', '.join(system for _, system in runs)}")


@app.command()
def doctor(as_json: AsJSON = False, data_root: DataRoot = None) -> None:
    """What is installed, which data and weights are there, and the command that mends each gap.

    Examples: `lga doctor` · `lga doctor --data-root ~/data --json`
    """
    from lga.catalogue import diagnose

    checks = diagnose(data_root)
    if as_json:
        print(json.dumps(checks, indent=2))
        return
    for check in checks:
        print(f"{'ok  ' if check['ok'] else 'miss'}  {check['name']:<22} {check['found']}")
        if not check["ok"]:
            print(f"{'':<30}mend: {check['mend']}")


@app.command()
def run(
    dataset: str,
    system: System = "lga",
    profile: Profile = "quick",
    seed: int = 0,
    source: SourceOption = Source.auto,
    data_root: DataRoot = None,
    results: Results = None,
    overrides: Overrides = [],  # noqa: B006
    once: Annotated[
        bool, typer.Option("--once", help="Wait for who does this run already; do it if none did.")
    ] = False,
) -> None:
    """One run through its notebook: trains, evaluates, records.

    Examples: `lga run rotated_mnist --system swarnali2025` ·
    `lga run rotated_mnist --profile standard --data-root data --set depth=2 width=32`
    """
    from lga.notebooks import run_notebook
    from lga.paths import shown
    from lga.runs import configure

    parameters = {
        "system": system, "profile": profile, "seed": seed, "source": source.value,
        "data_root": str(data_root) if data_root else None,
        "results_dir": str(results) if results else None, "overrides": " ".join(overrides),
    }  # fmt: skip
    run = configure(dataset, **parameters)
    with interruptible(), run.folder.turn() if once else nullcontext():
        if not (once and run.folder.finished):
            run_notebook(run, parameters)
    print(f"notebook, record and weights are in {shown(run.folder.path)}")


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a folder of pictures.")],
    system: System = "lga",
    profile: Profile = "quick",
    seed: int = 0,
    source: SourceOption = Source.auto,
    data_root: DataRoot = None,
    results: Results = None,
    overrides: Overrides = [],  # noqa: B006
    table: Annotated[
        Path | None, typer.Option(help="One's own pictures: file, object, angle_deg or g11 ….")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Of one's own: SO2, SO3, Affine, Cyclic(k), Translation(d), or a product of "
            "them, as 'Product(SO2, Affine)' [SO2]."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="One's own hold out objects or images [objects].")
    ] = None,
    side: Annotated[int | None, typer.Option(help="One's own are made so many pixels.")] = None,
) -> None:
    """The same run without a notebook, for clusters and `torchrun`, and for one's own pictures.

    Examples: `lga train rotated_mnist --profile quick` ·
    `torchrun --nproc-per-node 2 -m lga.cli train rotated_mnist --profile paper` ·
    `lga train pictures --table turns.csv --group SO2 --side 32`
    """
    from lga.datasets import DATASETS, OwnPictures
    from lga.runs import configure, execute

    told = {"group": group, "split": split, "side": side}
    told = {name: value for name, value in told.items() if value is not None}
    if table is None and told:
        raise ValueError(f"--{min(told)} is for one's own pictures, with --table")
    if table is None and dataset not in DATASETS and Path(dataset).is_dir():
        raise ValueError(f"{dataset} is a folder: --table FILE says what its pictures show")
    own = OwnPictures(dataset, str(table), **{"group": "SO2"} | told) if table else None
    run = configure(
        own or dataset, system, profile, seed, source.value, data_root, results, " ".join(overrides)
    )
    with interruptible():
        record = execute(run)
    if record is not None:
        print(f"PSNR {record['psnr_db']:.2f} dB, SSIM {record['ssim']:.3f}")


@app.command()
def reproduce(
    profile: Profile = "quick",
    datasets: Annotated[str, typer.Option(help="Names with commas, or all.")] = "all",
    systems: Annotated[str, typer.Option(help="Names with commas, or all.")] = "all",
    seeds: Annotated[str | None, typer.Option(help="Numbers with commas [paper: 0,1,2]")] = None,
    source: SourceOption = Source.auto,
    data_root: DataRoot = None,
    results: Results = None,
    cores: Annotated[int | None, typer.Option(help="Runs at a time [all cores].")] = None,
    executor: Annotated[str, typer.Option(help="A Snakemake executor: local, slurm …")] = "local",
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """The grid of runs through Snakemake, then the tables. Run again, it does what is missing.

    The longest runs start first (in the paper profile, those worth most). Runs side by side get one
    core each, few runs share all; on a GPU, several small runs share the device: by turns, or at
    once after `nvidia-cuda-mps-control -d`.

    Examples: `lga reproduce` · `lga reproduce --profile paper --systems jin2024 --cores 3` ·
    `lga reproduce --profile standard --data-root data --executor slurm`
    """
    import torch

    from lga.catalogue import GPU_SHARES, gpu_shares, grid, in_order
    from lga.paths import RESULTS, SNAKEFILE, require_clone
    from lga.runs import configure, say_if_made_otherwise

    require_clone("the grid")
    cells = in_order(grid(profile, datasets, systems, seeds), profile)
    cores = cores or os.cpu_count() or 1
    threads = max(1, cores // max(1, len(cells)))
    devices = torch.cuda.device_count()
    config = {
        "python": sys.executable, "results": str(results or RESULTS), "profile": profile,
        "runs": [f"{d}/{s}/seed-{seed}" for d, s, seed in cells], "source": source.value,
        "data_root": str(data_root) if data_root else "", "set": list(overrides),
        "threads": threads, "gpu_shares": [gpu_shares(d) for d, _, _ in cells], "devices": devices,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--nolock",
        "--cores", str(cores), "--executor", executor, "--keep-going",
        "--rerun-triggers", "mtime", "--rerun-incomplete", "--quiet", "host", "reason", "rules",
    ]  # fmt: skip
    if devices:
        command += ["--resources", f"gpu={GPU_SHARES * devices}"]
    command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in config.items())]
    beside = min(cores // threads, len(cells))
    print(f"runs: {len(cells)}, side by side: {beside}, threads for each: {threads}", flush=True)
    changes = " ".join(overrides)
    for dataset, system, seed in cells:
        say_if_made_otherwise(
            configure(dataset, system, profile, seed, source.value, data_root, results, changes)
        )
    with interruptible():
        failed = call(command)
    print_tables(profile, results)
    if failed:
        raise RuntimeError("some runs failed; the same command does them again")


@app.command()
def ablate(
    name: Annotated[str, typer.Argument(help="Which; a wrong name lists them.")],
    profile: Profile = "standard",
    seeds: Annotated[str, typer.Option(help="Numbers with commas.")] = "0,1,2",
    source: SourceOption = Source.auto,
    data_root: DataRoot = None,
    results: Results = None,
) -> None:
    """Trains the variants of an ablation that are still missing and writes its table.

    Example: `lga ablate ingredients --source real --data-root data`
    """
    from lga.ablations import ablate as run_ablation
    from lga.catalogue import seed_numbers
    from lga.paths import shown

    with interruptible():
        path = run_ablation(name, profile, seed_numbers(seeds), source.value, data_root, results)
    print(f"{path.read_text()}\n({shown(path)})")


@app.command()
def probes(
    profile: Profile = "standard",
    datasets: Annotated[str, typer.Option(help="Names with commas, or all.")] = "all",
    systems: Annotated[str, typer.Option(help="Names with commas, or all.")] = "all",
    source: SourceOption = Source.auto,
    data_root: DataRoot = None,
    results: Results = None,
) -> None:
    """What the parts of trained latents know of class and pose, by simple classifiers.

    Rows of what is probed are replaced, others stay.

    Examples: `lga probes --data-root data` · `lga probes --datasets nmr --data-root data`
    """
    from lga.paths import shown
    from lga.probes import measure, summary
    from lga.tables import read_csv

    path = measure(profile, datasets, systems, source.value, data_root, results)
    print(f"{summary(read_csv('probes', profile, results)).to_string()}\n({shown(path)})")


@app.command()
def tables(profile: Profile = "quick", results: Results = None) -> None:
    """Builds tables (CSV, Markdown, LaTeX) and charts (PNG, PDF) of a profile from its records.

    Example: `lga tables --profile standard`
    """
    from lga.charts import write_charts
    from lga.lookup import check_name
    from lga.paths import shown
    from lga.profiles import PROFILES

    check_name("profile", profile, PROFILES)
    print_tables(profile, results)
    charts = write_charts(profile, results)
    print(f"charts, as PNG and PDF: {shown(charts[0].parent)}")


def print_tables(profile: str, results: Path | None) -> None:
    from lga.paths import shown
    from lga.tables import write_tables

    for path in write_tables(profile, results):
        print(f"\n{path.read_text()}\n({shown(path)}, and .csv and .tex beside it)")


@app.command()
def evaluate(
    run: Path,
    data_root: DataRoot = None,
    halve: Annotated[
        bool, typer.Option("--halve", help="Keep the weights in half precision instead.")
    ] = False,
) -> None:
    """Evaluates a finished run again and fills in what its record lacks.

    Example: `lga evaluate results/paper/nmr/jin2024/seed-0 --data-root data`
    """
    from lga.runs import evaluate_run, halve_weights

    if halve:
        print(f"half the size, {halve_weights(run, data_root):+.4f} dB on the test pairs")
        return
    filled = evaluate_run(run, data_root)
    print(f"filled in: {', '.join(filled)}" if filled else "the record lacked nothing measurable")


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which of them [all].")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the figures in benchmarks/NAME.json.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """The benchmarks, as ratios measured in one run.

    Examples: `lga bench --json` · `lga bench time_to_published --write`
    """
    from lga.benchmarks import benchmark_names, keep, measure
    from lga.lookup import check_name

    known = benchmark_names()
    chosen = [check_name("benchmark", name, known) for name in names or known]
    measured: dict[str, Any] = {}
    for name in chosen:
        with redirect_stdout(sys.stderr):  # what trainings print is not the answer
            measured[name] = measure(name)
        if write:
            keep(name, measured[name])
    if as_json:
        print(json.dumps(measured, indent=2))
        return
    for name, figures in measured.items():
        print(name)
        width = max(map(len, figures), default=0)
        for key, value in figures.items():
            print(f"    {key:<{width}} {value}")


@data.command()
def prepare(
    dataset: str,
    data_root: DataRoot = None,
    meshes: Annotated[Path | None, typer.Option(help="Folder of meshes to render.")] = None,
    sky: Annotated[Path | None, typer.Option(help="Folder of sky photographs.")] = None,
    only: Annotated[str | None, typer.Option(help="Which mesh names, as a pattern.")] = None,
    title: Annotated[str | None, typer.Option(help="What it is, for the tables.")] = None,
    copies: Annotated[
        int | None, typer.Option(help="Stretched copies of each mesh that trains.", min=0)
    ] = None,
) -> None:
    """Fetches real data comparing checksums, renders them from meshes, or checks them.

    Examples: `lga data prepare rotated_mnist --data-root data` ·
    `lga data prepare nmr --meshes DIR --title "My meshes"` ·
    `lga data prepare plane_in_the_sky --meshes DIR --sky DIR --copies 14`
    """
    from lga.datasets import prepare_dataset
    from lga.paths import DATA

    prepare_dataset(
        dataset, data_root, meshes=meshes, sky=sky, only=only, title=title, copies=copies
    )
    print(f"{dataset}: ready in {data_root or DATA}")


def main() -> None:
    """The entry point: warnings, foreseeable errors and Ctrl-C become one line."""
    warnings.formatwarning = lambda message, *_, **__: f"lga: {message}\n"
    try:
        app(one_set_each(sys.argv[1:]))
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        print(f"lga: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def one_set_each(words: list[str]) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`, the only way in which Click takes several."""
    spread: list[str] = []
    setting = False
    for word in words:
        setting = word == "--set" or (setting and "=" in word and not word.startswith("-"))
        if setting and word != "--set" and spread[-1] != "--set":
            spread.append("--set")
        spread.append(word)
    return spread


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends runs with one line that says how to go on, and status 130."""
    try:
        yield
    except KeyboardInterrupt:
        print("lga: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise typer.Exit(130) from None


def call(command: list[str]) -> int:
    """Runs a command in a session of its own, so that Ctrl-C is ours to pass on; its status."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        raise


if __name__ == "__main__":
    main()
