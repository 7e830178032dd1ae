"""Brains in space: T1 volumes turned by SO(3) (`swarnali2025`).

A subject's T1 volume is resampled in world coordinates to a cube around the brain, 220 mm and 32
voxels a side, and turned about its centre by uniform random rotations, trilinearly, once.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lga.datasets.brain_mri import BrainMRI
from lga.datasets.turned import TurnedOriginals
from lga.devices import sent
from lga.groups import SO3
from lga.pictures.files import cached
from lga.pictures.originals import Originals
from lga.splits import SPLITS, Split, split_objects

STAND_IN = "the ICBM152 template bent in space (stand-in for T1 volumes of subjects)"
SIDE = 32
TEST_SHARE = 0.2


class Brain3D(TurnedOriginals):
    """Pairs of turned brains; a fifth of the subjects is for test.

    Args:
        originals: volumes uint8 (n, 1, S, S, S).
        warped: whether volumes that train are mirrored, stretched and sheared at random (see
            `warps`): a few subjects are soon known by heart.
    """

    name = "brain_3d"
    group = SO3()
    demonstrates = False
    chunk = 50
    image_shape = (1, SIDE, SIDE, SIDE)
    sources = ("a folder of T1 and brain mask NIfTI pairs", STAND_IN)

    def __init__(self, originals: Originals, *, warped: bool = False) -> None:
        super().__init__(originals)
        self.warped = warped
        if warped:
            self.remarks = {"protocol": "training volumes warped"}

    def pull_back(self, split: Split, absolute: Tensor, generator: torch.Generator) -> Tensor:
        turned_back = super().pull_back(split, absolute, generator)
        if not (self.warped and split == "train"):
            return turned_back
        of_pairs = sent(warps(len(absolute) // 2, generator), self.device)
        return of_pairs.repeat(2, 1, 1) @ turned_back

    @classmethod
    def for_options(cls, *, side: int = SIDE, **options) -> type[Self]:
        if side == SIDE:
            return cls
        return type(cls.__name__, (cls,), {"image_shape": (1, side, side, side)})

    @classmethod
    def real(cls, data_root: Path, *, side: int = SIDE, **options) -> Self:
        """Every subject's folder below `data_root/brain` (see `heads.read_cube`).

        Raises:
            FileNotFoundError: without any subject.
            ValueError, FileNotFoundError: for a subject that cannot be read, naming the file.
        """
        from lga.pictures.heads import read_cube

        folders, named = BrainMRI.subjects(data_root)
        cubes = np.stack([read_cube(folder, side) for folder in folders])[:, None]
        return cls(in_splits(torch.from_numpy(cubes), named), **options)

    @classmethod
    def stand_in(cls, *, side: int = SIDE, subjects: int = 400, **options) -> Self:
        """Synthetic subjects (see `phantoms.synthesize_cubes`)."""

        def make() -> dict[str, np.ndarray]:
            from lga.pictures.phantoms import synthesize_cubes

            print(f"bending the template into {subjects} brains", flush=True)
            return {"cubes": synthesize_cubes(subjects, side).half().numpy()}

        cubes = torch.from_numpy(cached(f"brain_3d-{subjects}-{side}", make)["cubes"]).float()
        return cls(in_splits(cubes, STAND_IN), **options)

    has_real = staticmethod(BrainMRI.has_real)
    how_to_prepare = staticmethod(BrainMRI.how_to_prepare)
    prepare = staticmethod(BrainMRI.prepare)


def warps(n: int, generator: torch.Generator) -> Tensor:
    """Where places of n warped heads take their values from in the head, (n, 3, 3).

    About as far as heads differ: half are mirrored, each axis is stretched by up to 1.13 and the
    later ones sheared along the earlier by up to 0.15. Hardly anything leaves the ball in the cube.
    """

    def within(reach: float) -> Tensor:
        return reach * (2 * torch.rand(n, 3, generator=generator) - 1)

    mirror = torch.where(within(1.0)[:, 0] < 0, -1.0, 1.0)
    stretch = within(0.12).exp()
    stretch[:, 0] *= mirror
    rows, columns = torch.triu_indices(3, 3, offset=1)
    shear = torch.eye(3).repeat(n, 1, 1)
    shear[:, rows, columns] = within(0.15)
    return torch.diag_embed(stretch) @ shear


def in_splits(cubes: Tensor, source: str) -> Originals:
    """Cubes (n, 1, S, S, S) in [0, 1], a random fifth of them for test.

    Raises:
        ValueError: when a split would be empty.
    """
    splits = split_objects(len(cubes), TEST_SHARE)
    if not len(splits["train"]):
        raise ValueError(f"{len(cubes)} subjects are too few for train, validation and test")
    packed = (255 * cubes).round().to(torch.uint8)
    images = {split: packed[splits[split]] for split in SPLITS}
    return Originals(images, {}, source)
