"""Swaps: what moves of one picture with what stays of another, D([z_v(x1); z_i(x2)]).

`jin2024` shows them (figure 7). Where a dataset can make the true picture, they also get a number.
results/<profile>/swaps.csv    PSNR of the swap, by dataset and system
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga.datasets import OrbitDataset
from lga.evaluation import PSNR_CEILING_DB
from lga.metrics import psnr_db
from lga.runs import trained_datasets, trained_latents
from lga.systems import LatentSystem
from lga.tables import mean_and_deviation

BATCH = 100


@torch.no_grad()
def swap(system: LatentSystem, x1: Tensor, x2: Tensor) -> Tensor:
    """D([z_v(x1); z_i(x2)]) of images (N, C, …), in [0, 1]."""
    painted = system.decode(system.swap(system.encode(x1), system.encode(x2)))
    return painted.clamp(0, 1)


def swap_psnr_db(system: LatentSystem, x1: Tensor, x2: Tensor, truth: Tensor) -> float:
    """Mean PSNR in dB of swaps of images (N, C, …) whose true pictures are known."""
    parts = zip(x1.split(BATCH), x2.split(BATCH), strict=True)
    return mean_psnr_db(torch.cat([swap(system, *part) for part in parts]), truth)


def mean_psnr_db(painted: Tensor, truth: Tensor) -> float:
    """Mean PSNR in dB; equal images count as `evaluate` counts them."""
    return float(psnr_db(painted, truth).clamp(max=PSNR_CEILING_DB).mean())


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
    for dataset in trained_datasets(profile, source, data_root, results):
        images = dataset.swapped("test", n)
        if images is None:
            continue
        x1, x2, truth = images
        for control, copy in (("copy of x1", x1), ("copy of x2", x2)):
            rows.append(row(dataset, control, [mean_psnr_db(copy, truth)]))
        for name, systems in trained_latents(dataset.name, profile, results).items():
            rows.append(row(dataset, name, [swap_psnr_db(s, x1, x2, truth) for s in systems]))
    columns = ["dataset", "system", "seeds", "mean", "sd", "source"]
    return pandas.DataFrame(rows, columns=columns)


def row(dataset: OrbitDataset, system: str, scores: list[float]) -> dict[str, Any]:
    """One row of the table."""
    mean, deviation = mean_and_deviation(scores)
    return {"dataset": dataset.name, "system": system, "seeds": len(scores), "mean": mean,
            "sd": deviation, "source": dataset.source}  # fmt: skip
