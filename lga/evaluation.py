"""`evaluate`: the only evaluation loop, the same protocol for every system.

x̂2 = D(g·E(x1)) against x2 on the test split, pairs from a fixed seed, images clipped to [0, 1],
PSNR and SSIM per image and then averaged.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch

from lga.datasets.base import OrbitDataset
from lga.laws import law_report
from lga.metrics import lpips, lpips_network, lpips_weights, psnr_db, ssim
from lga.pairs import Pairs
from lga.profiles import Settings
from lga.systems.base import System

LAW_IMAGES = 500
SWAPS = 2_000
BATCH = 100
PSNR_CEILING_DB = 100.0  # what equal images count, whose ratio is infinite
DEFAULTS = Settings()
LPIPS_MIN_SIDE = 64  # VGG halves an image four times before its last LPIPS layer.


@torch.no_grad()
def evaluate(
    system: System, dataset: OrbitDataset, settings: Settings = DEFAULTS
) -> dict[str, Any]:
    """The test figures of a trained system.

    Args:
        system: on any device; moved to the dataset's.
        dataset: its test pairs are the same for every system, seed and machine.
        settings: `test_pairs`, how many of them.

    Returns:
        psnr_db, psnr_of_mean_mse_db (the papers do not say which of the two they mean), ssim,
        ssim_range255, lpips (None with lpips_reason), test_pairs, the group-law report, what
        the system's `diagnose` adds, mask_fraction where there is a mask, and swap_psnr_db where
        there is a truth for what moves of one image with what stays of another.
    """
    system.to(dataset.device).eval()
    reason = lpips_reason(dataset, settings.fetch_weights)
    scores: dict[str, list[torch.Tensor]] = defaultdict(list)
    for pairs in in_parts(dataset, settings.test_pairs):
        painted = system.predict(pairs).clamp(0, 1)
        scores["psnr_db"].append(psnr_db(painted, pairs.x2).clamp(max=PSNR_CEILING_DB))
        scores["mse"].append((painted - pairs.x2).square().flatten(1).mean(1))
        pair = pairs.x2.double(), painted.double()
        scores["ssim"].append(ssim(*pair))
        scores["ssim_range255"].append(ssim(*pair, data_range=255))
        if reason is None:
            scores["lpips"].append(lpips(painted, pairs.x2))
        for name, values in system.diagnose(pairs).items():
            scores[name].append(values)
    figures: dict[str, Any] = {
        name: float(torch.cat(values).double().mean()) for name, values in scores.items()
    }
    mean_mse_db = -10 * math.log10(max(figures.pop("mse"), 10 ** (-PSNR_CEILING_DB / 10)))
    figures["psnr_of_mean_mse_db"] = mean_mse_db
    figures.setdefault("lpips", None)
    figures |= {"lpips_net": "vgg", "lpips_reason": reason, "test_pairs": settings.test_pairs}
    figures |= laws_on_test(system, dataset, settings.test_pairs)
    if hasattr(system, "mask_fraction"):
        figures["mask_fraction"] = system.mask_fraction()
    swapped = swap_psnr_db(system, dataset, min(SWAPS, settings.test_pairs))
    if swapped is not None:
        figures["swap_psnr_db"] = swapped
    return figures


def swap_psnr_db(system: System, dataset: OrbitDataset, n: int) -> float | None:
    """Mean PSNR of n test swaps; None where the dataset or the system cannot make them."""
    images = dataset.swapped("test", n)
    if images is None:
        return None
    scores = []
    for x1, x2, truth in zip(*(image.split(BATCH) for image in images), strict=True):
        painted = system.mixed(x1, x2)
        if painted is None:
            return None
        scores.append(psnr_db(painted.clamp(0, 1), truth).clamp(max=PSNR_CEILING_DB))
    return float(torch.cat(scores).double().mean())


def laws_on_test(system: System, dataset: OrbitDataset, n: int = LAW_IMAGES) -> dict[str, float]:
    """The group-law report on the first n test images at most; g2 is g1 of the pair before."""
    reports = []
    for pairs in in_parts(dataset, min(n, LAW_IMAGES, dataset.size("test"))):
        g = system.element(pairs)
        reports.append(law_report(system, pairs.x1, g, g.roll(1, 0)))
    return {law: statistics.fmean(report[law] for report in reports) for law in reports[0]}


def in_parts(dataset: OrbitDataset, n: int) -> Iterator[Pairs]:
    """The first n test pairs, in batches that every network can take at once."""
    for batch in dataset.fixed_pairs("test", n):
        yield from batch.split(BATCH)


def lpips_reason(dataset: OrbitDataset, fetch_weights: bool = True) -> str | None:
    """Why LPIPS is left out for a dataset, or None where it can be measured.

    Args:
        dataset: its images may be too small.
        fetch_weights: whether missing weights may be downloaded.
    """
    side = min(dataset.image_shape[1:])
    if side < LPIPS_MIN_SIDE:
        return f"not part of the protocol for {side}-pixel images"
    if not fetch_weights and not lpips_weights().is_file():
        return "the weights of LPIPS are not on this machine, and this profile fetches none"
    try:
        lpips_network()
    except (OSError, ImportError) as error:
        return str(error)
    return None
