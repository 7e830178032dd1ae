"""Blocked MNIST: rotated MNIST with a white square that does not turn.

With probability 0.8 one white 7×7 square lies at a random place, the same in both images of a pair
(or in neither): the digit turns under it (`jin2024`, section 6.1). It is drawn after the turn.
"""

from dataclasses import replace

import torch
from torch import Tensor

from lga.datasets.base import Labelled
from lga.datasets.rotated_mnist import RotatedMNIST
from lga.devices import sent
from lga.pairs import Pairs
from lga.pictures.originals import Originals
from lga.splits import Split


class BlockedMNIST(RotatedMNIST):
    """Pairs of turned digits under a square.

    Args:
        digits: the upright digits.
        turns, upright: as for `RotatedMNIST`.
        square_px: side of the square.
        square_probability: share of pairs that have one.

    Raises:
        ValueError: for a square larger than the pictures, or a share above 1.
    """

    name = "blocked_mnist"

    def __init__(
        self,
        digits: Originals,
        *,
        turns: int | None = None,
        upright: bool = False,
        square_px: int = 7,
        square_probability: float = 0.8,
    ) -> None:
        super().__init__(digits, turns=turns, upright=upright)
        if square_px > min(self.image_shape[1:]):
            raise ValueError(f"square_px={square_px} is more than a picture's side")
        if square_probability > 1:
            raise ValueError(f"square_probability is at most 1, got {square_probability}")
        self.square_px, self.square_probability = square_px, square_probability

    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        return self.cover(super().draw(split, objects, generator), generator)

    def demonstration(
        self, split: Split, objects: Tensor, generator: torch.Generator, own: torch.Generator
    ) -> Pairs:
        """Other digits turned alike, under squares of their own."""
        return self.cover(super().draw(split, objects, generator), own)

    def cover(self, pairs: Pairs, generator: torch.Generator) -> Pairs:
        """The pairs under random squares, the same in both images of each."""
        square = sent(self.squares(len(pairs), generator), self.device)
        return replace(pairs, x1=pairs.x1.maximum(square), x2=pairs.x2.maximum(square))

    def view(self, split: Split, index: int, g: Tensor) -> Tensor:
        """The upright digit turned by g under a square of its own."""
        square = self.squares(1, torch.Generator().manual_seed(index)).to(self.device)
        return super().view(split, index, g).maximum(square)

    def swapped(self, split: Split, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """The digit of x1 under the square of x2; every image has a square here."""
        generator = torch.Generator().manual_seed(1)
        index = torch.arange(n)
        digits = [
            super(BlockedMNIST, self).draw(split, (index + k) % self.size(split), generator).x1
            for k in (0, 1)
        ]
        there = self.squares(4 * n + 40, generator)
        there = there[there.flatten(1).any(1)][: 2 * n].to(self.device)
        first, second = there.chunk(2)
        return digits[0].maximum(first), digits[1].maximum(second), digits[0].maximum(second)

    def labelled(self, split: Split, n: int, moved: bool) -> Labelled:
        """Digits under squares of their own."""
        found = super().labelled(split, n, moved)
        squares = self.squares(len(found.images), torch.Generator().manual_seed(2))
        return found._replace(images=found.images.maximum(squares.to(self.device)))

    def squares(self, n: int, generator: torch.Generator) -> Tensor:
        """n pictures (n, 1, H, W): a white square wholly inside, or nothing."""
        _, height, width = self.image_shape
        side = self.square_px
        top = torch.randint(height - side + 1, (n, 1, 1, 1), generator=generator)
        left = torch.randint(width - side + 1, (n, 1, 1, 1), generator=generator)
        present = torch.rand(n, 1, 1, 1, generator=generator) < self.square_probability
        rows, columns = torch.arange(height)[:, None], torch.arange(width)
        inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        return (inside & present).float()
