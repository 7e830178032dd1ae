"""The datasets, by name, each with a real source and a labelled stand-in."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lga.datasets.adrenal_3d import Adrenal3D
from lga.datasets.base import Labelled, OrbitDataset
from lga.datasets.blocked_mnist import BlockedMNIST
from lga.datasets.brain_3d import Brain3D
from lga.datasets.brain_mri import BrainMRI
from lga.datasets.nmr import NMR
from lga.datasets.own import OwnPictures
from lga.datasets.plane_in_the_sky import PlaneInTheSky
from lga.datasets.rotated_mnist import RotatedMNIST
from lga.lookup import check_name
from lga.options import check_numbers, keyword_options
from lga.paths import DATA
from lga.splits import SPLITS, Split

DATASETS: dict[str, type[OrbitDataset]] = {
    "rotated_mnist": RotatedMNIST,
    "blocked_mnist": BlockedMNIST,
    "brain_mri": BrainMRI,
    "nmr": NMR,
    "plane_in_the_sky": PlaneInTheSky,
    "adrenal_3d": Adrenal3D,
    "brain_3d": Brain3D,
}
SOURCES = ("auto", "real", "stand-in")

Source = Literal["auto", "real", "stand-in"]

__all__ = [
    "DATASETS",
    "SOURCES",
    "SPLITS",
    "Labelled",
    "OrbitDataset",
    "OwnPictures",
    "Source",
    "Split",
    "dataset_options",
    "load_dataset",
    "prepare_dataset",
]


def load_dataset(
    name: str,
    source: Source = "auto",
    data_root: Path | str | None = None,
    profile: str = "quick",
    **options,
) -> OrbitDataset:
    """A dataset by name.

    Args:
        name: one of `DATASETS`.
        source: "real" reads data_root; "stand-in" needs no data; "auto" takes the real data where
            data_root holds them, else the stand-in. Without a data_root the quick profile takes
            the stand-in and the others look into `data/`.
        data_root: folder of the real data.
        profile: "quick", "standard" or "paper".
        options: the dataset's own options, as in its constructor.

    Raises:
        ValueError: for an unknown name or source, an option that is out of range, or a damaged
            file.
        FileNotFoundError: when the real data are asked for and not there.
    """
    dataset = DATASETS[check_name("dataset", name, DATASETS)]
    check_name("source", source, SOURCES)
    root = Path(data_root or DATA)
    looks_for_real = data_root is not None or profile != "quick"
    if source == "real" or (source == "auto" and looks_for_real and dataset.has_real(root)):
        return dataset.real(root, **chosen(options, dataset, dataset.real))
    return dataset.stand_in(**chosen(options, dataset, dataset.stand_in))


def prepare_dataset(name: str, data_root: Path | str | None = None, **inputs: Any) -> None:
    """Fetches, renders or checks the real data of a dataset.

    Args:
        name: one of `DATASETS`.
        data_root: folder of the real data; `data/` by default.
        inputs: what the dataset's `prepare` takes; None is left out.

    Raises:
        ValueError: for an unknown dataset, or an input that it does not take.
    """
    dataset = DATASETS[check_name("dataset", name, DATASETS)]
    given = {key: value for key, value in inputs.items() if value is not None}
    for key in given:
        check_name(f"input of {name}", key, keyword_options(dataset.prepare))
    dataset.prepare(Path(data_root or DATA), **given)


def dataset_options(dataset: type[OrbitDataset]) -> dict[str, Any]:
    """Every option of a dataset: of its constructor, its real source and its stand-in."""
    sources = (dataset, dataset.real, dataset.stand_in)
    return {k: v for source in sources for k, v in keyword_options(source).items()}


def chosen(
    options: Mapping[str, Any], dataset: type[OrbitDataset], source: Callable
) -> dict[str, Any]:
    """The options that one source takes; those of the other source are left out.

    Raises:
        ValueError: for an option that neither knows, or a number that it cannot be.
    """
    known = dataset_options(dataset)
    for name in options:
        check_name(f"option of {dataset.name}", name, known)
    check_numbers(options, known)
    mine = keyword_options(dataset) | keyword_options(source)
    return {name: value for name, value in options.items() if name in mine}
