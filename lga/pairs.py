"""What a dataset hands to a system: a batch of pairs on common orbits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """n pairs (x1, x2, g): x2 shows what x1 shows, moved by g.

    Attributes:
        x1: images (n, C, H, W) in [0, 1].
        x2: images (n, C, H, W) in [0, 1].
        g: group elements (n, d, d) with x2 = g·x1 on the orbit.
        x3, x4: another object at the points of its orbit where x1 and x2 are on theirs, so that
            x4 = g·x3: the demonstration for a system that cannot be told g. None where the dataset
            gives none.
        views: how many pairs in a row share their x1: several second images of one first.
    """

    x1: Tensor
    x2: Tensor
    g: Tensor
    x3: Tensor | None = None
    x4: Tensor | None = None
    views: int = 1

    def split(self, size: int) -> Iterator["Pairs"]:
        """The same pairs in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            part = self._each(lambda tensor, start=start: tensor[start : start + size])
            yield replace(part, views=1)

    def to(self, device: torch.device | str) -> "Pairs":
        """The same pairs on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def clone(self) -> "Pairs":
        """A copy in memory of its own."""
        return self._each(Tensor.clone)

    def copy_(self, other: "Pairs") -> None:
        """Overwrites the tensors with those of other pairs of the same shapes."""
        for mine, theirs in zip(self._tensors().values(), other._tensors().values(), strict=True):
            mine.copy_(theirs)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if torch.is_tensor(value)}

    def _each(self, change) -> "Pairs":
        return replace(self, **{name: change(tensor) for name, tensor in self._tensors().items()})

    def __len__(self) -> int:
        return len(self.x1)
