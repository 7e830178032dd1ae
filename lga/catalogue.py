"""What there is: datasets × systems × profiles, the grid they span, and what a machine lacks."""

import importlib.util
import platform
from pathlib import Path
from typing import Any

import torch

from lga.datasets import DATASETS
from lga.lookup import check_name, choose
from lga.metrics import lpips_weights
from lga.paths import DATA
from lga.precision import faster_in_bf16
from lga.profiles import MNISTS as DIGITS
from lga.profiles import PROFILES, settings_for
from lga.records import read_records
from lga.runs import configure, loadable, parameter_count
from lga.systems import SYSTEMS
from lga.tables import CONTROLS

SEEDS = {"quick": "0", "standard": "0", "paper": "0,1,2"}


def catalogue() -> dict[str, Any]:
    """Everything by name, as `lga list --json` prints it; parameters as in the paper profile."""
    return {
        "datasets": [
            {
                "name": name,
                "group": repr(dataset.group),
                "image_shape": list(dataset.image_shape),
                "sources": list(dataset.sources),
            }
            for name, dataset in DATASETS.items()
        ],
        "systems": [describe_system(name) for name in SYSTEMS],
        "profiles": list(PROFILES),
        "trained": {profile: loadable(profile) for profile in PROFILES},
    }


def describe_system(name: str) -> dict[str, Any]:
    """Where a system runs, with its parameter count there, and why not elsewhere."""
    system = SYSTEMS[name]
    refuses = refusals(name)
    served = [dataset for dataset in DATASETS if dataset not in refuses]
    with torch.device("meta"):
        parameters = {
            dataset: parameter_count(
                system.for_dataset(
                    DATASETS[dataset], **configure(dataset, name, "paper").system_options
                )
            )
            for dataset in served
        }
    return {"name": name, "datasets": served, "parameters": parameters, "refuses": refuses}


def refusals(system: str) -> dict[str, str]:
    """The datasets that a system cannot run on, with the reason."""
    reasons = {name: SYSTEMS[system].refusal(dataset) for name, dataset in DATASETS.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def grid(
    profile: str, datasets: str = "all", systems: str = "all", seeds: str | None = None
) -> list[tuple[str, str, int]]:
    """The cells (dataset, system, seed) of a grid, without those a system refuses.

    Args:
        profile: decides the default seeds.
        datasets, systems: names separated by commas, or "all".
        seeds: whole numbers separated by commas.

    Raises:
        ValueError: for an unknown name or a seed that is no whole number.
    """
    check_name("profile", profile, PROFILES)
    numbers = seed_numbers(seeds or SEEDS[profile])
    return [
        (dataset, system, seed)
        for dataset in choose("dataset", datasets, DATASETS)
        for system in choose("system", systems, SYSTEMS)
        if dataset not in refusals(system)
        for seed in numbers
    ]


WORTH = ("lga_matched", "lga", "jin2024")
GPU_SHARES = 6


def in_order(cells: list[tuple[str, str, int]], profile: str) -> list[tuple[str, str, int]]:
    """The cells of a grid in the order in which they start.

    The longest first, so that none is waited for at the end. In the paper profile, which may be cut
    off, by worth first: `WORTH` on digits, then elsewhere, then the baselines.
    """
    speeds = recorded_speeds()

    def place(cell: tuple[str, str, int]) -> tuple[tuple[int, ...], float]:
        dataset, system, _ = cell
        seconds = expected_seconds(dataset, system, profile, speeds)
        return order_of_worth(dataset, system) if profile == "paper" else (), -seconds

    return sorted(cells, key=place)


def order_of_worth(dataset: str, system: str) -> tuple[int, ...]:
    """Where a run stands by worth; what comes first is least."""
    if system not in WORTH:
        return (2,)
    return (dataset not in DIGITS, WORTH.index(system))


def recorded_speeds() -> dict[tuple[str, str], float]:
    """Pairs per second of one core by dataset and system, as the committed records have them."""
    return {
        (record["dataset"], record["system"]): record["pairs_per_second"]
        for record in read_records("standard")
        if record.get("pairs_per_second")
    }


def expected_seconds(
    dataset: str, system: str, profile: str, speeds: dict[tuple[str, str], float]
) -> float:
    """How long a run may take on one core; as slow as its dataset's slowest, or any, if unknown."""
    if system in CONTROLS:
        return 0.0
    pairs = settings_for(profile, dataset, system).train_pairs
    same = [speed for (d, _), speed in speeds.items() if d == dataset] or list(speeds.values())
    return pairs / speeds.get((dataset, system), min(same, default=1.0))


def gpu_shares(dataset: str) -> int:
    """How many of a GPU's `GPU_SHARES` a run takes: networks for digits leave room for others."""
    return 1 if dataset in DIGITS else GPU_SHARES // 2


def seed_numbers(text: str) -> list[int]:
    """ "0,1,2" as numbers; raises ValueError for anything else."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ValueError(f"seeds are whole numbers with commas, got {text!r}") from None


def diagnose(data_root: Path | None = None) -> list[dict[str, Any]]:
    """What this machine has, as rows of name, ok, found, mend."""
    root = Path(data_root or DATA)
    install = "uv pip install -e '.[{}]'"
    cuda = torch.cuda.is_available()
    bf16 = faster_in_bf16("cuda" if cuda else "cpu")
    checks = [
        ("python", True, platform.python_version(), ""),
        ("torch", True, torch.__version__, ""),
        ("device", True, torch.cuda.get_device_name() if cuda else "cpu (no GPU needed)", ""),
        ("bf16", True, "where asked for" if bf16 else "no faster here; float32 in its place", ""),
    ]
    extras = {
        "torchvision": "",
        "papermill": "notebooks",
        "snakemake": "grid",
        "trimesh": "render",
        "nibabel": "brain",
    }
    for module, extra in extras.items():
        there = importlib.util.find_spec(module) is not None
        mend = install.format(extra) if extra else "uv pip install -r requirements.lock"
        checks.append((module, there, "installed" if there else "not installed", mend))
    for name, dataset in DATASETS.items():
        there = dataset.has_real(root)
        found = f"real data in {root}" if there else f"no real data in {root}; stand-in works"
        checks.append((f"data: {name}", there, found, dataset.how_to_prepare(root)))
    there = lpips_weights().is_file()
    found = "in torch's cache" if there else "not in torch's cache; LPIPS is left out"
    fetch = 'python -c "from lga.metrics import lpips_network; lpips_network()"'
    checks.append(("LPIPS weights (VGG)", there, found, f"with a network: {fetch}"))
    return [
        {"name": name, "ok": ok, "found": found, "mend": None if ok else mend}
        for name, ok, found, mend in checks
    ]
