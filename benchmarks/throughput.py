"""How much of a bare network step's speed `fit` keeps, and of the machine's in matrix products.

Ratios of medians measured in one run on one machine, alternating, so that what else the machine
does weighs on both: `lga bench throughput`.
"""

import statistics
import time
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

import lga
from lga.benchmarks import machine

STEPS, ROUNDS = {"cpu": 40, "cuda": 400}, 5


def seconds(work, device: torch.device) -> float:
    """Wall-clock seconds of a call, the device's queue included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure() -> dict[str, float | str]:
    """`fit_over_bare_step`: 1 where drawing pairs, logging and Fabric cost nothing.

    On a GPU, where `fit` replays a graph that it first records, more.
    """
    dataset = lga.load_dataset("rotated_mnist", "stand-in")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = STEPS[device.type]
    settings = lga.settings_for("paper", train_pairs=256 * steps, validations=1, validation_pairs=1)
    system = lga.build_system("jin2024", dataset, latent_inverse_weight=1e-4).to(device)
    batch = dataset.to(device).pairs("train", settings.batch_size, torch.Generator())
    optimizer = torch.optim.Adam(system.parameters(), lr=1e-4)

    def bare() -> None:
        for _ in range(steps):
            sum(system.loss(batch).values()).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def fit() -> None:
        lga.fit(system, dataset, replace(settings, device=device.type))

    bare_s, fit_s = [], []
    bare()
    for _ in range(ROUNDS):
        bare_s.append(seconds(bare, device))
        fit_s.append(seconds(fit, device))
    pairs = steps * settings.batch_size
    with FlopCounterMode(display=False) as counter:
        sum(system.loss(batch).values()).backward()
    achieved = counter.get_total_flops() * steps / statistics.median(fit_s)
    n = 2_048
    matrix = torch.rand(n, n, device=device)
    product_s = statistics.median(seconds(lambda: matrix @ matrix, device) for _ in range(ROUNDS))
    return {
        "fit_over_bare_step": round(statistics.median(bare_s) / statistics.median(fit_s), 3),
        "bare_pairs_per_second": round(pairs / statistics.median(bare_s)),
        "fit_pairs_per_second": round(pairs / statistics.median(fit_s)),
        "achieved_gflops": round(achieved / 1e9, 1),
        "achieved_over_matrix_product": round(achieved / (2 * n**3 / product_s), 3),
        "machine": machine(),
    }
