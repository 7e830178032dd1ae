"""What a dataset hands to a system: a batch of pairs on common orbits."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """n pairs (x1, x2, g): x2 shows what x1 shows, moved by g.

    Attributes:
        x1: images (n, C, H, W) in [0, 1].
        x2: images (n, C, H, W) in [0, 1].
        g: group elements (n, d, d) with x2 = g·x1 on the orbit.
    """

    x1: Tensor
    x2: Tensor
    g: Tensor

    def split(self, size: int) -> Iterator["Pairs"]:
        """The same pairs in order, at most `size` at a time."""
        for parts in zip(self.x1.split(size), self.x2.split(size), self.g.split(size), strict=True):
            yield Pairs(*parts)

    def __len__(self) -> int:
        return len(self.x1)
