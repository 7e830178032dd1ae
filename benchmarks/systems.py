"""What a training pair costs each system, at its published size, beside one of `jin2024`.

Forward, backward and optimiser step on one batch of a stand-in, without drawing pairs; the systems
take turns, so that what else the machine does weighs on all: `lga bench systems`.
"""

import statistics
from functools import partial

import torch

import lga
from lga.benchmarks import machine, training_step
from lga.tables import CONTROLS

BATCHES = {"rotated_mnist": 64, "brain_mri": 4, "nmr": 4}
SMALL = {"brain_mri": {"subjects": 16}, "nmr": {"objects": 8}}
ROUNDS = 3


def measure() -> dict[str, float | str]:
    """`<dataset>_<system>_over_jin2024`: seconds a pair over those of `jin2024`, medians."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measured: dict[str, float | str] = {}
    for name, batch_size in BATCHES.items():
        dataset = lga.load_dataset(name, "stand-in", **SMALL.get(name, {}))
        pairs = dataset.pairs("train", batch_size, torch.Generator()).to(device)
        systems = {
            label: lga.build_system(label, dataset).to(device)
            for label, system in lga.SYSTEMS.items()
            if system.refusal(dataset) is None and label not in CONTROLS
        }
        steps = {
            label: training_step(
                partial(system.loss, pairs), [torch.optim.Adam(system.parameters(), lr=1e-4)]
            )
            for label, system in systems.items()
        }
        seconds: dict[str, list[float]] = {label: [] for label in steps}
        for _ in range(1 + ROUNDS):
            for label, step in steps.items():
                seconds[label].append(step())
        medians = {label: statistics.median(taken[1:]) for label, taken in seconds.items()}
        measured[f"{name}_jin2024_pairs_per_second"] = round(batch_size / medians["jin2024"], 1)
        for label, median in medians.items():
            if label != "jin2024":
                measured[f"{name}_{label}_over_jin2024"] = round(median / medians["jin2024"], 2)
    measured["machine"] = machine()
    return measured
