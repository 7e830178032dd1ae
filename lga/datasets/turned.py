"""What sets of turned pictures and volumes share: originals, each turned twice by random rotations.

Both images of a pair are the original turned once, by R1 and R2, with linear interpolation;
g = R2 R1⁻¹.
"""

from typing import Self

import torch
from torch import Tensor

from lga.datasets.base import Labelled, OrbitDataset
from lga.devices import sent
from lga.groups import resample_maps, rotate_maps
from lga.pairs import Pairs
from lga.pictures.originals import Originals
from lga.splits import Split


class TurnedOriginals(OrbitDataset):
    """Pairs of turned originals.

    Args:
        originals: pictures, turned by the plane's rotations, or volumes, turned by space's.
        upright: whether x1 is left as it is.
    """

    demonstrates = True

    def __init__(self, originals: Originals, *, upright: bool = False) -> None:
        self.originals, self.upright = originals, upright
        self.source = originals.source
        self.image_shape = tuple(originals.images["train"].shape[1:])
        self.demonstrates = self.demonstrates and self.has_others()

    def to(self, device: torch.device | str) -> Self:
        self.device = torch.device(device)
        self.originals = self.originals.to(self.device)
        return self

    def size(self, split: Split) -> int:
        return len(self.originals.images[split])

    def unmoved(self, split: Split, objects: Tensor) -> Tensor:
        """Originals (n, C, …) in [0, 1] by their indices (n,)."""
        return self.originals.images[split][sent(objects, self.device)].float() / 255

    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        n = len(objects)
        absolute = self.group.sample(2 * n, generator)
        if self.upright:
            absolute[:n] = self.group.identity(1)
        absolute = sent(absolute, self.device)
        originals = self.unmoved(split, objects)
        pull_back = self.pull_back(split, absolute, generator)
        x1, x2 = resample_maps(pull_back, torch.cat([originals, originals])).chunk(2)
        R1, R2 = absolute.chunk(2)
        return Pairs(x1, x2, self.group.compose(R2, self.group.inverse(R1)))

    def pull_back(self, split: Split, absolute: Tensor, generator: torch.Generator) -> Tensor:
        """Where places of the images of n pairs take their values from in the originals.

        Args:
            absolute: R1 of all pairs, then R2, (2n, d, d).
            generator: for what else is drawn.

        Returns:
            Linear maps (2n, d, d): R⁻¹, where nothing else happens to the originals.
        """
        return absolute.mT

    def view(self, split: Split, index: int, g: Tensor) -> Tensor:
        """The original turned by g."""
        return rotate_maps(g.to(self.device), self.unmoved(split, torch.tensor([index])))

    def labelled(self, split: Split, n: int, moved: bool) -> Labelled:
        if not self.originals.labels:
            return super().labelled(split, n, moved)
        index = torch.arange(min(n, self.size(split)))
        if moved:
            elements = self.group.sample(len(index), torch.Generator().manual_seed(0))
        else:
            elements = self.group.identity(len(index))
        images = rotate_maps(elements.to(self.device), self.unmoved(split, index))
        return Labelled(images, self.originals.labels[split][index], elements)
