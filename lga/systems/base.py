"""What every system is: a way to paint x̂2 from x1 and g, and a loss to learn it by."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import signature
from typing import Any, Self

import torch
from torch import Tensor, nn

from lga.groups import Group
from lga.latents import LatentAction
from lga.lookup import check_name
from lga.networks import Autoencoder, Encoding
from lga.pairs import Pairs


class System(nn.Module, ABC):
    """A published system, or one's own. Training, evaluation and figures use only this.

    A subclass's constructor takes first, by their names, what it needs to know of a dataset
    (`image_shape`, `group`, `camera`), and then its options, by keyword only: their names are the
    keys that `--set key=value` accepts.

    Attributes:
        group: the group whose elements `transform` takes.
        image_shape: of the images that `transform` takes, (C, H, W) or (C, D, H, W); None for any.
        remarks: what a run's record says beyond its figures.
        target_views: how many pairs in a row of a training batch share their x1.
    """

    group: Group
    image_shape: tuple[int, ...] | None = None
    target_views: int = 1
    remarks: Mapping[str, Any] = {}

    @classmethod
    def refusal(cls, dataset) -> str | None:
        """Why the system cannot serve a dataset (or its class); None where it can."""
        return None

    @classmethod
    def for_dataset(cls, dataset, **options) -> Self:
        """A system for a dataset (or its class), with the system's own options."""
        parameters = signature(cls).parameters.values()
        needed = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        return cls(*(getattr(dataset, name) for name in needed), **options)

    @abstractmethod
    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        """Paints g·x: images (N, C, H, W) in [0, 1] and elements (N, d, d) to images.

        Raises:
            ValueError: for images of another shape than `image_shape`.
        """

    def check_images(self, x: Tensor) -> None:
        """Raises ValueError for anything but a batch of images (N, *image_shape).

        Convolutions take images of other sizes, and what is painted from them is none of theirs.
        """
        if self.image_shape is not None and x.shape[1:] != self.image_shape:
            sizes = ", ".join(map(str, self.image_shape))
            raise ValueError(f"images must be (N, {sizes}), got {tuple(x.shape)}")

    @abstractmethod
    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """The loss terms of a batch, already weighted: training minimises their sum."""

    def begin_step(self, pairs_seen: int) -> bool:
        """Told before every step of a training how many pairs are seen with it, by all processes.

        Returns:
            Whether the loss has other terms from here on.
        """
        return False

    def element(self, pairs: Pairs) -> Tensor:
        """What moves x1 to x2, (n, d, d): the pairs' g, which most systems are told.

        A system that cannot be told g reads its own element off the demonstration (x3, x4).
        """
        return pairs.g

    def predict(self, pairs: Pairs) -> Tensor:
        """x̂2 from all that the system may know of a pair: x1 and its `element`."""
        return self.transform(pairs.x1, self.element(pairs))

    def mixed(self, x1: Tensor, x2: Tensor) -> Tensor | None:
        """What moves of x1 with what stays of x2, (N, C, …); None where nothing is told apart."""
        return None

    def diagnose(self, pairs: Pairs) -> dict[str, Tensor]:
        """Further figures of pairs for the record, each (n,), where a system has any."""
        return {}

    def path(self, pairs: Pairs, n: int) -> Tensor:
        """n elements (n, d, d) along one curve in the group, for showing an orbit."""
        return self.group.path(n)


class LatentSystem(System):
    """A system of the form x̂2 = D(Φ_g(E(x1))): encode, move the latent, decode.

    Args:
        network: the encoder E and the decoder D.
        action: Φ, how g moves part of the latent.
    """

    def __init__(self, network: Autoencoder, action: LatentAction) -> None:
        super().__init__()
        self.group = action.group
        self.image_shape = network.image_shape
        self.network = network
        self.action = action

    def encode(self, x: Tensor) -> Encoding:
        """E(x): the latent z, and what bypasses the action."""
        self.check_images(x)
        return self.network.encode(x)

    def act(self, g: Tensor, encoding: Encoding) -> Encoding:
        """Φ_g on z; the rest stays."""
        return encoding._replace(z=self.action(g, encoding.z))

    def decode(self, encoding: Encoding) -> Tensor:
        """D(z)."""
        return self.network.decode(encoding)

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        return self.decode(self.act(g, self.encode(x)))

    def mixed(self, x1: Tensor, x2: Tensor) -> Tensor:
        """D([z_v(x1); z_i(x2)]) of images (N, C, …) (`jin2024`, figure 7)."""
        return self.decode(self.swap(self.encode(x1), self.encode(x2)))

    def both_ways(self, pairs: Pairs) -> tuple[Tensor, Encoding, Encoding]:
        """Images [x2; x1], latents [z1; z2] and those, [g·z1; g⁻¹·z2], that should paint them."""
        g = torch.cat([pairs.g, self.group.inverse(pairs.g)])
        encoding = self.encode(torch.cat([pairs.x1, pairs.x2]))
        return torch.cat([pairs.x2, pairs.x1]), encoding, self.act(g, encoding)

    def swap(self, moving: Encoding, still: Encoding) -> Encoding:
        """[z_v of one; z_i of another, with what bypasses the action] (`jin2024`, figure 7)."""
        varying = self.action.varying(moving.z)
        return still._replace(z=varying * moving.z + (1 - varying) * still.z)

    def mask_fraction(self) -> float:
        """|M|: the share of the latent that g moves, in [0, 1]."""
        return self.action.fraction()


KINDS = ("auto", "mnist", "brain", "rendered")


def network_kind(kind: str, image_shape: tuple[int, ...]) -> str:
    """Which published pair of networks an image gets: by its shape, unless said.

    Colour images whose sides are divisible by 16 get the rendered pair; of the others, those of up
    to 32 pixels the MNIST pair and larger ones the brain pair. Volumes get the MNIST pair in space.

    Raises:
        ValueError: for an unknown kind, or one that volumes cannot have.
    """
    check_name("network", kind, KINDS)
    channels, *sides = image_shape
    if len(sides) == 3:
        if kind not in ("auto", "mnist"):
            raise ValueError(f"volumes have the mnist pair of networks in space, not {kind}")
        return "mnist"
    if kind != "auto":
        return kind
    if channels == 3 and all(side % 16 == 0 for side in sides):
        return "rendered"
    return "mnist" if max(sides) <= 32 else "brain"
