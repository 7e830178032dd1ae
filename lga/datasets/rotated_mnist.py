"""Rotated MNIST: digits turned about the image centre; g is the relative angle.

Each image of a pair is the upright digit turned once, by θ1 and θ2 ~ U[0, 2π), with bilinear
interpolation; g = R(θ2 − θ1), counter-clockwise as seen (`jin2024`, section 6.1). Grey values are
ink in [0, 1] on black.
"""

from pathlib import Path
from typing import Self

from lga.datasets.turned import TurnedOriginals
from lga.groups import SO2, Cyclic
from lga.pictures.digits import (
    MNIST,
    SMALL_DIGITS,
    download_mnist,
    has_mnist,
    read_mnist,
    read_small_digits,
)
from lga.pictures.originals import Originals


class RotatedMNIST(TurnedOriginals):
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
    sources = (MNIST, SMALL_DIGITS)

    def __init__(
        self, digits: Originals, *, turns: int | None = None, upright: bool = False
    ) -> None:
        super().__init__(digits, upright=upright)
        if turns is not None:
            self.group = Cyclic(turns)

    @classmethod
    def for_options(cls, *, turns: int | None = None, **options) -> type[Self]:
        if turns is None:
            return cls
        return type(cls.__name__, (cls,), {"group": Cyclic(turns)})

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
