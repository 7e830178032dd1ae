"""What a system must beat: two controls that know nothing of g."""

import torch
from torch import Tensor, nn

from lga.groups import Group
from lga.losses import pixel_loss
from lga.pairs import Pairs
from lga.systems.base import System


class CopyInput(System):
    """x̂2 = x1: what a system scores that moves nothing. It has no weights.

    Args:
        group: the group that would act.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        return x

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"pixel": pixel_loss(pairs.x2, pairs.x1)}


class MeanImage(System):
    """x̂2 is one picture for all: what a system scores that sees nothing.

    Its pixels are its weights, so that training by the squared error finds the mean image.

    Args:
        image_shape: (C, H, W).
        group: the group that would act.
    """

    def __init__(self, image_shape: tuple[int, int, int], group: Group) -> None:
        super().__init__()
        self.group = group
        self.picture = nn.Parameter(torch.full(image_shape, 0.5))

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        return self.picture.expand_as(x)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"pixel": pixel_loss(pairs.x2, self.transform(pairs.x1, pairs.g))}
