"""The systems that paint x̂2 from x1 and g, by name."""

import torch

from lga.lookup import check_name
from lga.options import check_numbers, keyword_options
from lga.systems.base import LatentSystem, System
from lga.systems.controls import ActOnImage, CopyInput, MeanImage, OrbitMean
from lga.systems.dupont2020 import Dupont2020
from lga.systems.hwang2023 import Hwang2023
from lga.systems.jin2024 import Jin2024
from lga.systems.lga import LGA, LGAGeneric, LGAMatched
from lga.systems.sajjadi2022 import Sajjadi2022
from lga.systems.swarnali2025 import Swarnali2025
from lga.systems.winter2022 import Winter2022

SYSTEMS: dict[str, type[System]] = {
    "copy_input": CopyInput,
    "mean_image": MeanImage,
    "orbit_mean": OrbitMean,
    "act_on_image": ActOnImage,
    "winter2022": Winter2022,
    "hwang2023": Hwang2023,
    "dupont2020": Dupont2020,
    "sajjadi2022": Sajjadi2022,
    "jin2024": Jin2024,
    "swarnali2025": Swarnali2025,
    "lga_generic": LGAGeneric,
    "lga_matched": LGAMatched,
    "lga": LGA,
}

__all__ = ["SYSTEMS", "LatentSystem", "System", "build_system", "check_serves"]


def check_serves(name: str, dataset) -> None:
    """Raises ValueError for an unknown system or one that cannot serve a dataset (or its class)."""
    if reason := SYSTEMS[check_name("system", name, SYSTEMS)].refusal(dataset):
        raise ValueError(f"{name} cannot run on {dataset.name}: it {reason}")


def build_system(name: str, dataset, seed: int = 0, **options) -> System:
    """A freshly initialised system for a dataset's images and group.

    Args:
        name: one of `SYSTEMS`.
        dataset: an `OrbitDataset`.
        seed: seed of the initial weights; the caller's random state is left alone.
        options: the system's own options, as in its constructor.

    Raises:
        ValueError: for an unknown name, a dataset that the system cannot serve, or an option that
            is out of range.
    """
    check_serves(name, dataset)
    check_numbers(options, keyword_options(SYSTEMS[name]))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SYSTEMS[name].for_dataset(dataset, **options)
