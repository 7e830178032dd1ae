"""Images to scene volumes and back (`dupont2020`).

    x ─▶ 2-D ResNet ─▶ inverse projection ─▶ 3-D ResNet ─▶ ball ─▶ scene
    x̂ ◀─ 1×1, sigmoid ◀─ 2-D ResNet ◀─ projection ◀─ 3-D ResNet ◀─ scene turned by g

A picture is seen along depth: 2-D features become, place by place, the features of a column of
voxels (the inverse projection). A volume is (N, C, D, H, W), depth index 0 nearest to the viewer,
as `groups.rotate_maps` turns it. Layers are those of the paper's public configuration.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in 1, 2, 4, 8, 16 groups below 8, 32, 64, 128, 256 channels, else 32."""
    limits = (8, 32, 64, 128, 256)
    return nn.GroupNorm(2 ** sum(channels >= limit for limit in limits), channels)


class ResBlock(nn.Module):
    """x + three times [GroupNorm, LeakyReLU, convolution], 1, 3 and 1 wide; 2-D or 3-D."""

    def __init__(self, channels: int, conv: type[nn.Conv2d] | type[nn.Conv3d]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in (1, 3, 1):
            layers += [
                norm(channels),
                nn.LeakyReLU(0.2),
                conv(channels, channels, size, padding=size // 2, bias=False),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def resnet(
    c_in: int, channels: Sequence[int], strides: Sequence[int], volume: bool
) -> list[nn.Module]:
    """A 1×1 convolution to the first width, then a layer per entry.

    Args:
        c_in: channels that come in.
        channels: behind each layer.
        strides: 1 for a residual block, 2 for a 4-wide convolution that halves, −2 for a transposed
            one that doubles; these two with GroupNorm and LeakyReLU behind them.
        volume: whether the maps are volumes.
    """
    conv, doubling = (nn.Conv3d, nn.ConvTranspose3d) if volume else (nn.Conv2d, nn.ConvTranspose2d)
    layers: list[nn.Module] = [conv(c_in, channels[0], 1)]
    here = channels[0]
    for there, stride in zip(channels, strides, strict=True):
        if stride == 1:
            layers.append(ResBlock(there, conv))
            continue
        change = conv if stride == 2 else doubling
        layers += [change(here, there, 4, stride=2, padding=1), norm(there), nn.LeakyReLU(0.2)]
        here = there
    return layers


def projection(widths: Sequence[int]) -> list[nn.Module]:
    """1×1 convolutions from width to width, GroupNorm and LeakyReLU between them."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(widths):
        layers += [nn.Conv2d(c_in, c_out, 1), norm(c_out), nn.LeakyReLU(0.2)]
    return layers[:-2]


FLAT = (64, 64, 128, 128, 128, 128, 256, 256, 128, 128, 128)
FLAT_STRIDES = (1, 1, 2, 1, 2, 1, 2, 1, -2, 1, 1)
INVERSE_PROJECTION = (256, 512)
DEEP = (32, 32, 128, 128, 128, 64, 64, 64)
DEEP_STRIDES = (1, 1, 2, 1, 1, -2, 1, 1)
PAINTER_DEEP = (64, 64, 128, 128, 128, 32, 32, 32)
PAINTER_DEEP_STRIDES = (1, 1, 2, 1, 1, -2, 1, 1)
PROJECTION = (512, 256, 256)
PAINTER_FLAT = (128, 128, 256, 256, 128, 128, 128, 128, 64, 64, 64)
PAINTER_FLAT_STRIDES = (1, 1, 2, 1, -2, 1, -2, 1, -2, 1, 1)


class SceneAutoencoder(Autoencoder):
    """The inverse renderer and the renderer of `dupont2020`.

    11,227,907 parameters at 3×64×64, as published, with a scene of 64×16×16×16.

    Args:
        image_shape: (C, S, S), square, S divisible by 16.
        width: channels of the first layer; all others are in the published proportion to its 64.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int = 64) -> None:
        super().__init__(image_shape)
        channels, side, other = image_shape
        if side != other or side % 16 or width % 8:
            raise ValueError(
                f"scenes are made of square images with sides divisible by 16, and a width "
                f"divisible by 8; got {side}×{other} and {width}"
            )

        def scaled(widths: Sequence[int]) -> list[int]:
            return [c * width // 64 for c in widths]

        depth = side // 4
        features, opened = scaled(DEEP)[-1], scaled(PAINTER_DEEP)[-1]
        self.latent_shape = (features, depth, depth, depth)
        flat_end, deep_end = scaled(FLAT)[-1], scaled(PROJECTION)[-1]
        self.encoder = nn.Sequential(
            *resnet(channels, scaled(FLAT), FLAT_STRIDES, volume=False),
            *projection([flat_end, *scaled(INVERSE_PROJECTION), features * depth]),
            nn.Unflatten(1, (features, depth)),
            *resnet(features, scaled(DEEP), DEEP_STRIDES, volume=True),
        )
        self.decoder = nn.Sequential(
            *resnet(features, scaled(PAINTER_DEEP), PAINTER_DEEP_STRIDES, volume=True),
            nn.Flatten(1, 2),
            *projection([opened * depth, *scaled(PROJECTION)]),
            *resnet(deep_end, scaled(PAINTER_FLAT), PAINTER_FLAT_STRIDES, volume=False),
            nn.Conv2d(scaled(PAINTER_FLAT)[-1], channels, 1),
            nn.Sigmoid(),
        )
        place = torch.arange(depth) - (depth - 1) / 2
        z, y, x = torch.meshgrid(place, place, place, indexing="ij")
        inside = x**2 + y**2 + z**2 <= ((depth - 1) / 2) ** 2
        self.register_buffer("ball", inside.float(), persistent=False)

    def encode(self, x: Tensor) -> Encoding:
        """The scene of images (N, C, S, S), nothing outside the ball that turns with it."""
        return Encoding(self.encoder(x) * self.ball)
