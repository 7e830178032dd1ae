"""What bf16 makes of the steps of those that train in it: `lga bench precision`.

Forward, backward and optimiser step on one batch of a stand-in, settings as in the standard
profile, in bf16 over float32; the two take turns, so that what else the machine does weighs on
both.
"""

import statistics
from collections.abc import Callable
from functools import partial

import torch

import lga
from lga.benchmarks import machine, training_step
from lga.optimizers import build_optimizers
from lga.precision import faster_in_bf16
from lga.runs import configure

CELLS = {
    "rotated_mnist": ("winter2022", "lga_generic", "lga_matched", "lga"),
    "brain_mri": ("lga_generic", "lga_matched", "lga"),
    "nmr": ("lga_generic", "lga"),
    "brain_3d": ("lga_generic", "lga_matched", "lga"),
}
SMALL = {"brain_mri": {"subjects": 16}, "nmr": {"objects": 12}, "brain_3d": {"subjects": 10}}
ROUNDS = 5


def both_steps(
    dataset: lga.OrbitDataset, name: str, device: str
) -> tuple[Callable[[], float], Callable[[], float]]:
    """A system's training step in bf16, and in float32."""
    run = configure(dataset.name, name, "standard")
    settings = run.settings
    system = lga.build_system(name, dataset, **run.system_options).to(device)
    pairs = dataset.pairs("train", settings.batch_size, torch.Generator()).to(device)
    optimizers = build_optimizers(
        system, settings.optimizer, settings.learning_rate, settings.muon_learning_rate
    )

    def loss_in_bf16() -> dict[str, torch.Tensor]:
        with torch.autocast(device, torch.bfloat16):
            return system.loss(pairs)

    return (
        training_step(loss_in_bf16, optimizers),
        training_step(partial(system.loss, pairs), optimizers),
    )


def measure() -> dict[str, float | str | bool]:
    """`<dataset>_<system>_bf16_over_float32`, medians, and what runs here decide for."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    measured: dict[str, float | str | bool] = {"trains_in_bf16": faster_in_bf16(device)}
    for name, systems in CELLS.items():
        dataset = lga.load_dataset(name, "stand-in", **SMALL.get(name, {}))
        for label in systems:
            in_bf16, in_float32 = both_steps(dataset, label, device)
            rounds = [(in_bf16(), in_float32()) for _ in range(1 + ROUNDS)][1:]
            bf16, float32 = (statistics.median(taken) for taken in zip(*rounds, strict=True))
            measured[f"{name}_{label}_bf16_over_float32"] = round(bf16 / float32, 2)
    measured["machine"] = machine()
    return measured
