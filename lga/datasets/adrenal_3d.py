"""Adrenal glands in space: small volumes turned by SO(3) (`swarnali2025`).

Volumes 1×28×28×28 are turned about their centre by uniform random rotations, trilinearly, once from
the original. Two classes, which serve classification from the latents. The real data are
AdrenalMNIST3D of MedMNIST v2 (Yang et al. 2023; CC BY 4.0), binary shapes in the original split.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from lga.datasets.turned import TurnedOriginals
from lga.groups import SO3
from lga.pictures.files import read_npz
from lga.pictures.originals import Originals
from lga.splits import SPLITS, Split, split_objects

ADRENAL = "AdrenalMNIST3D"
STAND_IN = "procedural smooth bodies of two classes (stand-in for AdrenalMNIST3D)"
FILE = "adrenalmnist3d.npz"
URL = f"https://zenodo.org/records/10519652/files/{FILE}?download=1"
MD5 = "bbd3c5a5576322bc4cdfea780653b1ce"
FILE_SPLITS: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}


class Adrenal3D(TurnedOriginals):
    """Pairs of turned glands.

    Args:
        originals: volumes uint8 (n, 1, 28, 28, 28) with their classes.
    """

    name = "adrenal_3d"
    group = SO3()
    demonstrates = False
    chunk = 50
    image_shape = (1, 28, 28, 28)
    sources = (ADRENAL, STAND_IN)

    def __init__(self, originals: Originals) -> None:
        super().__init__(originals)

    @classmethod
    def real(cls, data_root: Path, **options) -> Self:
        """MedMNIST's file in `data_root/adrenal_3d`.

        Raises:
            FileNotFoundError, ValueError: for a missing or damaged file, with the mending command.
        """
        expected = {}
        for name, count in zip(FILE_SPLITS.values(), "nvt", strict=True):
            expected[f"{name}_images"] = f"uint8 {count} 28 28 28"
            expected[f"{name}_labels"] = f"uint8 {count} 1"
        arrays = read_npz(packed_file(data_root), cls.how_to_prepare(data_root), **expected)
        images = {
            split: torch.from_numpy(as_grey(arrays[f"{name}_images"]))[:, None]
            for split, name in FILE_SPLITS.items()
        }
        labels = {
            split: torch.from_numpy(arrays[f"{name}_labels"][:, 0].astype(np.int64))
            for split, name in FILE_SPLITS.items()
        }
        return cls(Originals(images, labels, ADRENAL), **options)

    @classmethod
    def stand_in(cls, *, bodies: int = 1584, **options) -> Self:
        """Procedural bodies (see `bodies.synthesize`)."""
        from lga.pictures.bodies import synthesize

        volumes, labels = synthesize(bodies)
        splits = split_objects(bodies, test_share=0.2)
        images = {split: volumes[splits[split]] for split in SPLITS}
        classes = {split: labels[splits[split]] for split in SPLITS}
        return cls(Originals(images, classes, STAND_IN), **options)

    @staticmethod
    def has_real(data_root: Path) -> bool:
        """Whether the file is there."""
        return packed_file(data_root).is_file()

    @classmethod
    def prepare(cls, data_root: Path) -> None:
        """Downloads the file, with its checksum compared.

        Raises:
            OSError: when it cannot be fetched.
        """
        import pooch

        path = packed_file(data_root)
        pooch.retrieve(URL, f"md5:{MD5}", path.name, path.parent, progressbar=True)


def packed_file(data_root: Path) -> Path:
    return Path(data_root) / "adrenal_3d" / FILE


def as_grey(shapes: np.ndarray) -> np.ndarray:
    """Binary shapes, kept as {0, 1} or {0, 255}, as {0, 255}."""
    return shapes * np.uint8(255) if shapes.max() <= 1 else shapes
