"""What a system must beat: controls that know nothing of g, and g done to the pixels."""

import torch
from torch import Tensor, nn

from lga.groups import SO2, SO3, Group, Translation, rotate_maps, shift_maps
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

    def mixed(self, x1: Tensor, x2: Tensor) -> Tensor:
        return x1

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"pixel": pixel_loss(pairs.x2, pairs.x1)}


class ActOnImage(System):
    """x̂2 = g·x1 on the pixels of x1, by linear interpolation: the action where it is known.

    What a latent is good for begins beyond it: detail that interpolation loses twice, and whatever
    does not move. It has no weights.

    Args:
        group: turns or shifts of the image plane, or of volumes.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    @classmethod
    def refusal(cls, dataset) -> str | None:
        axes = len(dataset.image_shape) - 1
        moves = isinstance(dataset.group, SO2 if axes == 2 else SO3)
        if dataset.camera is not None or not (moves or dataset.group == Translation(axes)):
            return "moves the pixels, and here is no turn or shift of the image plane"
        return None

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        if isinstance(self.group, Translation):
            return shift_maps(self.group.vector(g), x)
        return rotate_maps(g, x)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"pixel": pixel_loss(pairs.x2, self.transform(pairs.x1, pairs.g))}


class OrbitMean(ActOnImage):
    """x̂2 = ∫ g·x1 dg on the pixels of x1: what a system scores that sees x1 and places nothing.

    The mean over `TURNS` drawn turns, always the same. It has no weights.
    """

    TURNS = 256

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if isinstance(dataset.group, Translation):
            return "is a mean over all elements, and of shifts there is none"
        return super().refusal(dataset)

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        turns = self.group.sample(self.TURNS, torch.Generator().manual_seed(0), x.dtype)
        turned = (rotate_maps(turn.expand_as(g), x) for turn in turns.to(x.device))
        return sum(turned) / self.TURNS


class MeanImage(System):
    """x̂2 is one picture for all: what a system scores that sees nothing.

    Its pixels are its weights, so that training by the squared error finds the mean image.

    Args:
        image_shape: (C, H, W).
        group: the group that would act.
    """

    def __init__(self, image_shape: tuple[int, int, int], group: Group) -> None:
        super().__init__()
        self.group, self.image_shape = group, tuple(image_shape)
        self.picture = nn.Parameter(torch.full(image_shape, 0.5))

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        self.check_images(x)
        return self.picture.expand_as(x)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        return {"pixel": pixel_loss(pairs.x2, self.transform(pairs.x1, pairs.g))}
