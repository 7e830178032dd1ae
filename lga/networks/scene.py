"""Images to scene volumes and back (`dupont2020`).

A picture is seen along depth: 2-D features become, place by place, the features of a column of
voxels (the inverse projection); the renderer is the same network backwards. A volume is (N, C, D,
H, W), depth index 0 nearest to the viewer, as `groups.rotate_maps` turns it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation, sixteen channels to a group."""
    return nn.GroupNorm(max(1, channels // 16), channels)


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


def resnet(channels: Sequence[int], strides: Sequence[int], volume: bool) -> list[nn.Module]:
    """Residual blocks where the stride is 1; a 4-wide convolution halves (2) or doubles (−2).

    Args:
        channels: behind each layer; a block needs those of the layer before it.
        strides: of each layer.
        volume: whether the maps are volumes.
    """
    conv, doubling = (nn.Conv3d, nn.ConvTranspose3d) if volume else (nn.Conv2d, nn.ConvTranspose2d)
    layers: list[nn.Module] = []
    here = channels[0]
    for there, stride in zip(channels, strides, strict=True):
        if stride == 1:
            layers.append(ResBlock(there, conv))
            continue
        change = conv if stride == 2 else doubling
        layers += [
            change(here, there, 4, stride=2, padding=1, bias=False),
            norm(there),
            nn.LeakyReLU(0.2),
        ]
        here = there
    return layers


def backwards(channels: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """The layers of a `resnet` in reverse order, halving where it doubles."""
    before = [channels[0], *channels[:-1]]
    reversed_strides = [stride if stride == 1 else -stride for stride in reversed(strides)]
    return before[::-1], reversed_strides


FLAT = (64, 64, 128, 128, 128, 128, 256, 256, 128, 128, 128)
FLAT_STRIDES = (1, 1, 2, 1, 2, 1, 2, 1, -2, 1, 1)
DEEP = (32, 32, 128, 128, 128, 64, 64, 64)
DEEP_STRIDES = (1, 1, 2, 1, 1, -2, 1, 1)
PROJECTION = 512


class SceneAutoencoder(Autoencoder):
    """The inverse renderer and the renderer of `dupont2020`.

    11,227,907 parameters at 3×64×64, the published count, with a scene of 64×16×16×16. Of the
    published projection widths 256, 512, 1024 the first is left out: with it there are more
    parameters than published, without it the count comes out.

    Args:
        image_shape: (C, S, S), square, S divisible by 16.
        width: channels of the first layer; all others are in the published proportion to its 64.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int = 64) -> None:
        super().__init__()
        channels, side, other = image_shape
        if side != other or side % 16 or width % 8:
            raise ValueError(
                f"scenes are made of square images with sides divisible by 16, and a width "
                f"divisible by 8; got {side}×{other} and {width}"
            )
        flat, deep = ([c * width // 64 for c in widths] for widths in (FLAT, DEEP))
        depth, between = side // 4, PROJECTION * width // 64
        self.latent_shape = (deep[-1], depth, depth, depth)
        columns = deep[-1] * depth

        def project(c_in: int, c_out: int) -> list[nn.Module]:
            return [nn.Conv2d(c_in, c_out, 1), norm(c_out), nn.LeakyReLU(0.2)]

        self.encoder = nn.Sequential(
            nn.Conv2d(channels, flat[0], 3, padding=1, bias=False),
            *resnet(flat, FLAT_STRIDES, volume=False),
            *project(flat[-1], between),
            *project(between, columns),
            nn.Unflatten(1, (deep[-1], depth)),
            nn.Conv3d(deep[-1], deep[0], 1, bias=False),
            *resnet(deep, DEEP_STRIDES, volume=True),
        )
        self.decoder = nn.Sequential(
            *resnet(*backwards(deep, DEEP_STRIDES), volume=True),
            norm(deep[0]),
            nn.Conv3d(deep[0], deep[-1], 1, bias=False),
            nn.Flatten(1, 2),
            *project(columns, between),
            *project(between, flat[-1]),
            *resnet(*backwards(flat, FLAT_STRIDES), volume=False),
            norm(flat[0]),
            nn.Conv2d(flat[0], channels, 3, padding=1),
            nn.Sigmoid(),
        )
        place = (torch.arange(depth) + 0.5) / depth * 2 - 1
        z, y, x = torch.meshgrid(place, place, place, indexing="ij")
        self.register_buffer("ball", (x**2 + y**2 + z**2 <= 1).float(), persistent=False)

    def encode(self, x: Tensor) -> Encoding:
        """The scene of images (N, C, S, S), nothing outside the ball that turns with it."""
        return Encoding(self.encoder(x) * self.ball)
