"""The datasets, by name, each with a real source and a labelled stand-in."""

from pathlib import Path
from typing import Literal

from lga.datasets.base import SPLITS, OrbitDataset, Split
from lga.datasets.rotated_mnist import RotatedMNIST
from lga.lookup import check_name
from lga.paths import DATA

DATASETS: dict[str, type[OrbitDataset]] = {
    "rotated_mnist": RotatedMNIST,
}
SOURCES = ("auto", "real", "stand-in")

Source = Literal["auto", "real", "stand-in"]

__all__ = ["DATASETS", "SOURCES", "SPLITS", "OrbitDataset", "Source", "Split", "load_dataset"]


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
        ValueError: for an unknown name or source, or a damaged file.
        FileNotFoundError: when the real data are asked for and not there.
    """
    dataset = DATASETS[check_name("dataset", name, DATASETS)]
    check_name("source", source, SOURCES)
    root = Path(data_root or DATA)
    looks_for_real = data_root is not None or profile != "quick"
    if source == "real" or (source == "auto" and looks_for_real and dataset.has_real(root)):
        return dataset.real(root, **options)
    return dataset.stand_in(**options)
