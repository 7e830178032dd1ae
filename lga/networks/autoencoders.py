"""Encoder–decoder pairs, one per kind of image.

Every pair is an `Autoencoder`: `encode` maps images (N, C, H, W) in [0, 1] to a latent (N, c, …)
and `decode` maps latents back to images. Layer sizes are the published ones at the published image
shape and adapt to others.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lga.devices import constant


class Encoding(NamedTuple):
    """What an encoder hands to the decoder.

    Attributes:
        z: the latent that the group acts on, (N, *latent_shape).
        skip: features (N, c, h, w) that bypass the action, or None.
    """

    z: Tensor
    skip: Tensor | None = None


class Autoencoder(nn.Module):
    """An encoder E and a decoder D.

    Args:
        image_shape: of the images, (C, H, W) or (C, D, H, W).

    Attributes:
        latent_shape: shape of one latent, (c,) for vectors or (c, h, w) for feature maps.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent_shape: tuple[int, ...]

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)

    def encode(self, x: Tensor) -> Encoding:
        """E(x): images (N, C, H, W) in [0, 1] to latents (N, *latent_shape)."""
        return Encoding(self.encoder(x))

    def decode(self, encoding: Encoding) -> Tensor:
        """D(z): latents (N, *latent_shape) to images (N, C, H, W) in [0, 1]."""
        return self.decoder(encoding.z)


def halvings(size: int, times: int) -> list[int]:
    """Sizes along a chain of 3×3 convolutions with stride 2 and padding 1, the input's first."""
    sizes = [size]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def check_sides(sides: Sequence[int], multiple: int) -> None:
    """Raises ValueError for sides that are no multiples."""
    if any(side % multiple for side in sides):
        near = multiple * max(1, round(max(sides) / multiple))
        raise ValueError(
            f"image sides must be divisible by {multiple}, got {'×'.join(map(str, sides))}; "
            f"those of a folder become so with side={near}, say"
        )


def doublings(channels: Sequence[int], *sides: list[int]) -> list[nn.Module]:
    """Transposed convolutions that undo `halvings`, the deepest first.

    Args:
        channels: of the maps between them, the deepest first; one more than there are halvings.
        sides: sizes along each axis, as `halvings` gives them. A doubled size is one too large
            where a halving rounded up, which the output padding makes good.
    """
    _, doubling = convolutions(len(sides))
    layers = []
    for level, (c_in, c_out) in enumerate(pairwise(channels)):
        deep = len(sides[0]) - 1 - level
        padding = tuple(sizes[deep - 1] - 2 * sizes[deep] + 1 for sizes in sides)
        layers.append(doubling(c_in, c_out, 3, 2, 1, output_padding=padding))
    return layers


# Most of a volume is black. From grey, Adam's first steps carry a decoder so far into the flat part
# of its last function that no gradient comes back: it would paint black for good.
DARK = -3.0  # the logit of 0.05, where the decoders of volumes begin


def convolutions(axes: int) -> tuple[type[nn.Module], type[nn.Module]]:
    """The convolution and the transposed one, of pictures (2 axes) or volumes (3)."""
    if axes == 3:
        return nn.Conv3d, nn.ConvTranspose3d
    return nn.Conv2d, nn.ConvTranspose2d


class MNISTAutoencoder(Autoencoder):
    """The MNIST pair of `jin2024` (appendix): 28×28 → 14 → 7 → 4 → 2 → 24 numbers and back.

    329,433 parameters at 1×28×28 with 24 latent numbers. Volumes get the same layers in space, and
    a decoder that begins dark.

    Args:
        image_shape: (C, H, W) or (C, D, H, W).
        latent_dim: length of the latent vector.
        widths: channels of the four convolutions.
        hidden: width of the fully connected layers.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        latent_dim: int = 24,
        widths: tuple[int, ...] = (32, 64, 64, 64),
        hidden: int = 256,
    ) -> None:
        super().__init__(image_shape)
        channels, *sides = image_shape
        sizes = [halvings(side, len(widths)) for side in sides]
        deepest = [halved[-1] for halved in sizes]
        flat = widths[-1] * math.prod(deepest)
        self.latent_shape = (latent_dim,)

        conv, _ = convolutions(len(sides))
        down = [
            layer
            for c_in, c_out in pairwise((channels, *widths))
            for layer in (conv(c_in, c_out, 3, stride=2, padding=1), nn.ELU())
        ]
        self.encoder = nn.Sequential(
            *down,
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.ELU(),
            nn.Linear(hidden, latent_dim),
        )

        up: list[nn.Module] = []
        for doubling in doublings((*widths[::-1], channels), *sizes):
            up += [doubling, nn.ELU()]
        up[-1] = nn.Sigmoid()
        if len(sides) == 3:
            nn.init.constant_(up[-2].bias, DARK)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.ELU(),
            nn.Linear(hidden, flat),
            nn.ELU(),
            nn.Unflatten(1, (widths[-1], *deepest)),
            *up,
        )


class MapAutoencoder(Autoencoder):
    """The MNIST pair of `swarnali2025` (public script): 28×28 → 14 → 7, feature maps as latent.

    66,689 parameters at 1×28×28; the mask's 64 logits make the script's 66,753. The published
    decoder ends in Tanh; here its range [−1, 1] is mapped to [0, 1] at the last step, and images to
    [−1, 1] at the first. Volumes get the same layers in space, feature volumes as latent, and a
    decoder that begins dark.

    Args:
        image_shape: (C, H, W) or (C, D, H, W), sides divisible by 4.
        widths: channels of the two convolutions; the last is the number of latent maps.
    """

    def __init__(self, image_shape: tuple[int, ...], widths: tuple[int, int] = (32, 64)) -> None:
        super().__init__(image_shape)
        channels, *sides = image_shape
        check_sides(sides, 4)
        first, second = widths
        self.latent_shape = (second, *(side // 4 for side in sides))
        conv, transposed = convolutions(len(sides))
        self.encoder = nn.Sequential(
            conv(channels, first, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            conv(first, second, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.decoder = nn.Sequential(
            transposed(second, first, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            transposed(first, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        if len(sides) == 3:
            nn.init.constant_(self.decoder[-2].bias, DARK / 2)  # (tanh(b/2) + 1)/2 = sigmoid(b)

    def encode(self, x: Tensor) -> Encoding:
        return Encoding(self.encoder(2 * x - 1))

    def decode(self, encoding: Encoding) -> Tensor:
        return (self.decoder(encoding.z) + 1) / 2


class BrainAutoencoder(Autoencoder):
    """The brain pair of `jin2024` (appendix): 128×128 → 64 feature maps of 4×4 and back.

    407,105 parameters for grey images; the latent has 1/32 of the image's sides.

    Args:
        image_shape: (C, H, W).
        widths: channels of the five strided convolutions; the last is the number of latent maps.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        widths: tuple[int, ...] = (32, 64, 64, 64, 64),
    ) -> None:
        super().__init__(image_shape)
        channels, height, width = image_shape
        heights, wides = halvings(height, len(widths)), halvings(width, len(widths))
        deep = widths[-1]
        self.latent_shape = (deep, heights[-1], wides[-1])

        down: list[nn.Module] = []
        for level, (c_in, c_out) in enumerate(pairwise((channels, *widths))):
            down += [nn.Conv2d(c_in, c_out, 3, stride=2, padding=1), nn.LeakyReLU()]
            if level == 2:
                down.append(nn.BatchNorm2d(c_out))
        self.encoder = nn.Sequential(
            *down,
            nn.Conv2d(deep, deep, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(deep, deep, 3, padding=1),
        )

        up: list[nn.Module] = []
        for level, doubling in enumerate(doublings((*widths[::-1], channels), heights, wides)):
            up += [doubling, nn.ELU()]
            if level == 1:
                up.append(nn.BatchNorm2d(doubling.out_channels))
        up[-1] = nn.Sigmoid()
        self.decoder = nn.Sequential(
            nn.Conv2d(deep, deep, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(deep, deep, 3, padding=1),
            nn.LeakyReLU(),
            *up,
        )


class ConvBlock(nn.Sequential):
    """Two 3×3 convolutions, each with batch normalisation and ReLU; the first may halve the map."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )


def place_encoding(channels: int, height: int, width: int) -> Tensor:
    """Sines and cosines of where a place of a map lies, (height · width, channels).

    Half the channels say the row and half the column, each as Vaswani et al. (2017, section 3.5)
    encode a position: wavelengths from 2π to 10,000 · 2π places.

    Args:
        channels: a multiple of 4.
    """
    frequencies = 10_000.0 ** (-torch.arange(0, channels // 2, 2) / (channels // 2))

    def along(size: int) -> Tensor:
        phase = torch.arange(size)[:, None] * frequencies
        return torch.cat([phase.sin(), phase.cos()], 1)

    rows = along(height)[:, None].expand(-1, width, -1)
    columns = along(width).expand(height, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1)


class PlaceAttention(nn.Module):
    """Attention from the places of one map to those of another, which knows where they lie.

    "Standard architecture from Vaswani et al." (`jin2024`, appendix A.3): eight heads, and
    sinusoidal positions added to query and key. Without positions a still sky could not be copied
    place by place.

    Args:
        channels: of both maps, a multiple of 4 and of the heads.
        heads: attention heads.
    """

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """What a map (N, c, h, w) finds in another of the same shape, (N, c, h, w)."""
        return self.look(asking, asked, weights=False)[0]

    def look(
        self, asking: Tensor, asked: Tensor, weights: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """The same, and how much each place looks at each, (N, h·w, h·w), mean over heads."""
        places = constant(
            place_encoding, *asking.shape[1:], device=asking.device, dtype=asking.dtype
        )
        query, memory = (m.flatten(2).mT for m in (asking, asked))  # (N, hw, c)
        found, attended = self.attention(
            query + places, memory + places, memory, need_weights=weights
        )
        return found.mT.reshape(asking.shape), attended


class RenderedAutoencoder(Autoencoder):
    """The pair of `jin2024` for rendered sets (appendix), with the skip through attention.

        x ─▶ 64 ─▶ 128 ─▶ 256 ─▶ 512 ─▶ 1020 = z          (maps of 64, 32, 16, 8, 4 pixels)
                            │
                            ╰─ key, value ─▶ attention ◀─ query ─╮
                                                 │               │
        x̂ ◀─ 1×1 ◀─ 64 ◀─ 128 ◀─ 256 ◀─ concatenated ◀── up ◀── 512 ◀── g·z

    The skip carries what does not move past the action; the attention lets each place of the
    painted object look for its details in the first image. Widths are published as text, what is
    inside a block as images (appendix, tables 13 to 17), of which this is a reading: `ConvBlock`,
    halving by stride and doubling by a 2×2 transposed convolution.

    Args:
        image_shape: (C, H, W), H and W divisible by 16.
        width: channels of the first block, even; 64 is published. The latent has the largest
            multiple of 12 up to 16 × width channels: 1020 for 64.
        skip: whether the decoder sees the encoder's 256-channel features.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], width: int = 64, skip: bool = True
    ) -> None:
        super().__init__(image_shape)
        channels, height, wide = image_shape
        check_sides((height, wide), 16)
        w1, w2, w4, w8 = (width * factor for factor in (1, 2, 4, 8))
        latent = 16 * width // 12 * 12
        self.latent_shape = (latent, height // 16, wide // 16)
        self.encoder = nn.Sequential(
            ConvBlock(channels, w1), ConvBlock(w1, w2, stride=2), ConvBlock(w2, w4, stride=2)
        )
        self.deep_encoder = nn.Sequential(
            ConvBlock(w4, w8, stride=2),
            nn.Conv2d(w8, latent, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(latent),
            nn.ReLU(),
            nn.Conv2d(latent, latent, 3, padding=1),
        )
        self.deep_decoder = nn.Sequential(
            nn.ConvTranspose2d(latent, w8, 2, stride=2),
            ConvBlock(w8, w8),
            nn.ConvTranspose2d(w8, w4, 2, stride=2),
        )
        self.attention = PlaceAttention(w4) if skip else None
        self.decoder = nn.Sequential(
            ConvBlock(2 * w4 if skip else w4, w4),
            nn.ConvTranspose2d(w4, w2, 2, stride=2),
            ConvBlock(w2, w2),
            nn.ConvTranspose2d(w2, w1, 2, stride=2),
            ConvBlock(w1, w1),
            nn.Conv2d(w1, channels, 1),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> Encoding:
        features = self.encoder(x)
        return Encoding(
            self.deep_encoder(features), features if self.attention is not None else None
        )

    def attended_distance_px(self, encoding: Encoding) -> Tensor:
        """Mean distance between a place and what its attention looks at, (N,), in image pixels."""
        _, attended = self.attention.look(self.deep_decoder(encoding.z), encoding.skip)
        height, width = encoding.skip.shape[2:]
        places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(attended)
        return 4 * (attended * torch.cdist(places, places)).sum(2).mean(1)

    def decode(self, encoding: Encoding) -> Tensor:
        painted = self.deep_decoder(encoding.z)
        if self.attention is not None:
            painted = torch.cat([painted, self.attention(painted, encoding.skip)], 1)
        return self.decoder(painted)
