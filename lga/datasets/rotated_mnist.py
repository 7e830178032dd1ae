"""Rotated MNIST: digits turned about the image centre; g is the relative angle.

Each image of a pair is the upright digit turned once, by θ1 and θ2 ~ U[0, 2π), with bilinear
interpolation; g = R(θ2 − θ1), counter-clockwise as seen (`jin2024`, section 6.1). Grey values are
ink in [0, 1] on black.
"""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from lga.datasets.base import OrbitDataset
from lga.groups import SO2, Cyclic, rotate_maps
from lga.pairs import Pairs
from lga.pictures.digits import (
    MNIST,
    SMALL_DIGITS,
    Digits,
    download_mnist,
    has_mnist,
    read_mnist,
    read_small_digits,
)
from lga.splits import Split


class RotatedMNIST(OrbitDataset):
    """Pairs of turned digits.

    Args:
        digits: the upright digits.
        turns: None for any angle, SO(2); k for multiples of 2π/k, C_k.
        upright: whether x1 is left upright. With `turns=4` this is the protocol of
            `swarnali2025`'s public script.
    """

    name = "rotated_mnist"
    group = SO2()
    image_shape = (1, 28, 28)
    demonstrates = True
    sources = (MNIST, SMALL_DIGITS)

    def __init__(self, digits: Digits, *, turns: int | None = None, upright: bool = False) -> None:
        self.digits, self.upright = digits, upright
        self.source, self.is_stand_in = digits.source, digits.is_stand_in
        if turns is not None:
            self.group = Cyclic(turns)

    @classmethod
    def for_options(cls, *, turns: int | None = None, **options) -> type[Self]:
        if turns is None:
            return cls
        return type(cls.__name__, (cls,), {"group": Cyclic(turns)})

    def to(self, device: torch.device | str) -> Self:
        self.device = torch.device(device)
        self.digits = self.digits.to(self.device)
        return self

    def size(self, split: Split) -> int:
        return len(self.digits.images[split])

    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        absolute = self.group.sample(2 * len(objects), generator).to(self.device)
        if self.upright:
            absolute[: len(objects)] = self.group.identity(1).to(absolute)
        upright = self.digits.images[split][objects.to(self.device)].float() / 255
        x1, x2 = rotate_maps(absolute, upright.repeat(2, 1, 1, 1)).chunk(2)
        R1, R2 = absolute.chunk(2)
        return Pairs(x1, x2, self.group.compose(R2, self.group.inverse(R1)))

    def view(self, split: Split, index: int, g: Tensor) -> Tensor:
        """The upright digit turned by g."""
        upright = self.digits.images[split][index][None].float() / 255
        return rotate_maps(g.to(self.device), upright)

    @classmethod
    def real(cls, data_root: Path, **options) -> Self:
        """MNIST, read from `data_root` (see `read_mnist`)."""
        return cls(read_mnist(data_root), **options)

    @classmethod
    def stand_in(cls, **options) -> Self:
        """scikit-learn's digits, no download needed (see `read_small_digits`)."""
        return cls(read_small_digits(), **options)

    has_real = staticmethod(has_mnist)
    prepare = staticmethod(download_mnist)
