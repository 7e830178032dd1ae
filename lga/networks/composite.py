"""What stays before what moves: x̂ = a ⊙ B + (1 − a) ⊙ F(g·z)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding


class Layers(NamedTuple):
    """The parts of a painted picture.

    Attributes:
        alpha: a, where what stays covers what moves, (N, 1, H, W) in [0, 1].
        still: B, what stays, (N, C, H, W) in [0, 1].
        moved: F, what moves, (N, C, H, W).
    """

    alpha: Tensor
    still: Tensor
    moved: Tensor

    def at_rest(self) -> Tensor:
        """a ⊙ B, the light that stays, (N, C, H, W)."""
        return self.alpha * self.still

    def composed(self) -> Tensor:
        """a ⊙ B + (1 − a) ⊙ F, (N, C, H, W)."""
        return self.at_rest() + (1 - self.alpha) * self.moved


class StillNumbers(nn.Module):
    """What stays, in a few numbers: a mask of low rank in one colour.

    It has no norms, so that Muon's steps, all of one length, let its weights grow until the mask
    covers everything (measured: within 1,500 steps); Adam trains it.

    Args:
        image_shape: (C, H, W).
        numbers: how many.
        rank: of the mask's logits as a matrix of rows and columns.
        hidden: width of the fully connected layers.
    """

    trains_by_adam = True

    def __init__(
        self, image_shape: tuple[int, int, int], numbers: int, rank: int = 6, hidden: int = 64
    ) -> None:
        super().__init__()
        channels, self.height, self.width = image_shape
        self.numbers, self.rank = numbers, rank
        deep = 32 * -(-self.height // 8) * -(-self.width // 8)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2), nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.GELU(),
            nn.Flatten(), nn.Linear(deep, hidden), nn.GELU(), nn.Linear(hidden, numbers),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(numbers, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, rank * (self.height + self.width)),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.tensor(4.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.color = nn.Parameter(torch.full((channels, 1, 1), 3.0))

    def encode(self, x: Tensor) -> Tensor:
        """z_i, (N, numbers)."""
        return self.encoder(x).to(x.dtype)

    def paint(self, z_i: Tensor) -> tuple[Tensor, Tensor]:
        """a and B (see `Layers`)."""
        profiles = self.decoder(z_i).to(z_i.dtype).unflatten(1, (self.rank, -1))
        rows, columns = profiles.split([self.height, self.width], 2)
        logits = torch.einsum("nrh,nrw->nhw", rows, columns)[:, None] / self.rank**0.5
        alpha = (self.scale * logits + self.bias).sigmoid()
        return alpha, self.color.sigmoid().expand(len(z_i), -1, self.height, self.width)


class StillMap(nn.Module):
    """What stays, as maps: a mask and a picture, a number for every pixel.

    Args:
        image_shape: (C, H, W), H and W even.
        width: channels of the 3×3 convolutions, at half the resolution.
        depth: how many of them there are.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int = 24, depth: int = 4) -> None:
        super().__init__()
        self.image_shape = channels, height, wide = image_shape
        self.numbers = (1 + channels) * height * wide
        widths = [4 * channels, *[width] * depth]
        layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
        for c_in, c_out in pairwise(widths):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.GELU(approximate="tanh")]
        self.network = nn.Sequential(
            *layers, nn.Conv2d(width, 4 * (1 + channels), 3, padding=1), nn.PixelShuffle(2)
        )

    def encode(self, x: Tensor) -> Tensor:
        """z_i, (N, numbers)."""
        return self.network(x).to(x.dtype).flatten(1)

    def paint(self, z_i: Tensor) -> tuple[Tensor, Tensor]:
        """a and B (see `Layers`)."""
        channels, height, wide = self.image_shape
        logits = z_i.unflatten(1, (1 + channels, height, wide))
        return (logits[:, :1] - 2).sigmoid(), logits[:, 1:].sigmoid()


class CompositeAutoencoder(Autoencoder):
    """A still part that paints a mask and a picture, and a moving one that sees the rest.

        x ─▶ still ─▶ z_i ─▶ a, B                    moving sees (1 − a) ⊙ x and a ─▶ z_v
        x̂ = a ⊙ B + (1 − a) ⊙ F,  a, B from z_i,     F painted from g·z_v

    The latent is [z_i; z_v]: z_i are representations of order 0, which stay.

    Args:
        still: `StillNumbers` or `StillMap`.
        moving: an autoencoder of the picture's and one more channel, with `multiplicities`.
    """

    def __init__(self, still: StillNumbers | StillMap, moving: Autoencoder) -> None:
        super().__init__(moving.image_shape)
        self.still, self.moving = still, moving
        first, *rest = moving.multiplicities
        self.multiplicities = (still.numbers + first, *rest)
        self.latent_shape = (still.numbers + moving.latent_shape[0],)

    def encode(self, x: Tensor) -> Encoding:
        z_i = self.still.encode(x)
        alpha, _ = self.still.paint(z_i)
        z_v = self.moving.encode(torch.cat([(1 - alpha) * x, alpha], 1)).z
        return Encoding(torch.cat([z_i, z_v.to(z_i.dtype)], 1))

    def layers(self, encoding: Encoding) -> Layers:
        """What a latent paints, in its parts."""
        z_i, z_v = encoding.z.tensor_split([self.still.numbers], 1)
        return Layers(*self.still.paint(z_i), self.moving.decode(Encoding(z_v)))

    def before(self, moving: Encoding, still: Encoding) -> Encoding:
        """What moves of one picture before what stays of another: a and B are of the other."""
        numbers = self.still.numbers
        return moving._replace(z=torch.cat([still.z[:, :numbers], moving.z[:, numbers:]], 1))

    def decode(self, encoding: Encoding) -> Tensor:
        return self.layers(encoding).composed()
