"""Swaps: what moves of one picture with what stays of another, D([z_v(x1); z_i(x2)]).

`jin2024` shows them (figure 7). Where a dataset can make the true picture, they also get a number.
results/<profile>/swaps.csv    PSNR of the swap, by dataset and system
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga.datasets import DATASETS, OrbitDataset, load_dataset
from lga.metrics import psnr_db
from lga.runs import load, trained_seeds
from lga.systems import LatentSystem
from lga.tables import mean_and_deviation

BATCH = 100


@torch.no_grad()
def swap(system: LatentSystem, x1: Tensor, x2: Tensor) -> Tensor:
    """D([z_v(x1); z_i(x2)]) of images (N, C, …), in [0, 1]."""
    painted = system.decode(system.swap(system.encode(x1), system.encode(x2)))
    return painted.clamp(0, 1)


def swap_psnr_db(system: LatentSystem, dataset: OrbitDataset, n: int = 2_000) -> float | None:
    """Mean PSNR of n test swaps; None where the dataset cannot make the true picture."""
    images = dataset.swapped("test", n)
    if images is None:
        return None
    parts = zip(*(image.split(BATCH) for image in images), strict=True)
    painted = torch.cat([swap(system, x1, x2) for x1, x2, _ in parts])
    return mean_psnr_db(painted, images[2])


def mean_psnr_db(painted: Tensor, truth: Tensor) -> float:
    """Mean PSNR in dB; equal images, whose ratio is infinite, count 100 dB."""
    return float(psnr_db(painted, truth).clamp(max=100.0).mean())


def table(
    profile: str = "standard",
    data_root: str | Path | None = None,
    results: Path | str | None = None,
    source: str = "auto",
    n: int = 2_000,
):
    """The swaps of every system whose weights are there, beside copies of x1 and of x2.

    Returns:
        A pandas DataFrame with dataset, system, seeds, mean and sd of the PSNR in dB, and source.
    """
    import pandas

    rows: list[dict[str, Any]] = []
    for name in DATASETS:
        trained = trained_seeds(name, profile, results)
        dataset = load_dataset(name, source, data_root, profile) if trained else None
        images = dataset.swapped("test", n) if dataset is not None else None
        if images is None:
            continue
        x1, x2, truth = images
        for control, copy in (("copy of x1", x1), ("copy of x2", x2)):
            rows.append(row(name, control, [mean_psnr_db(copy, truth)], dataset))
        for system_name, seeds in trained.items():
            systems = [load(f"{name}/{system_name}", profile, seed, results) for seed in seeds]
            if isinstance(systems[0], LatentSystem):
                scores = [swap_psnr_db(system, dataset, n) for system in systems]
                rows.append(row(name, system_name, scores, dataset))
    columns = ["dataset", "system", "seeds", "mean", "sd", "source"]
    return pandas.DataFrame(rows, columns=columns)


def row(name: str, system: str, scores: list[float], dataset: OrbitDataset) -> dict[str, Any]:
    """One row of the table."""
    mean, deviation = mean_and_deviation(scores)
    return {"dataset": name, "system": system, "seeds": len(scores), "mean": mean,
            "sd": deviation, "source": dataset.source}  # fmt: skip
