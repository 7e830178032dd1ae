"""Images to sets of tokens, and colours of rays from them (`sajjadi2022`)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lga.devices import constant

OCTAVES = 15
FIRST_OCTAVES = {"origins": -5, "directions": 0}
RAY_FEATURES = 2 * 3 * 2 * OCTAVES
PLACES = (15, 20)


def ray_features(origins: Tensor, directions: Tensor) -> Tensor:
    """sin and cos of 15 octaves of where rays start and where they go, (…, 3) to (…, 180).

    Places begin with half a period in 32 units, directions with half a period in one.
    """
    octaves = constant(frequencies, device=origins.device, dtype=origins.dtype)
    phase = torch.stack([origins, directions], -2)[..., None] * octaves[:, None]
    return torch.cat([phase.sin(), phase.cos()], -1).flatten(-3)


def frequencies() -> Tensor:
    """Of the octaves of origins and directions, (2, 15), in radians a unit."""
    first = torch.tensor(list(FIRST_OCTAVES.values()))[:, None]
    return math.pi * 2.0 ** (first + torch.arange(OCTAVES))


class Attention(nn.Module):
    """Multi-head attention from tokens (N, n, dim) to tokens (N, m, source_dim)."""

    def __init__(self, dim: int, source_dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_dim
        self.query = nn.Linear(dim, inner, bias=False)
        self.key_value = nn.Linear(source_dim, 2 * inner, bias=False)
        self.out = nn.Linear(inner, dim)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        parts = (self.query(x), *self.key_value(source).chunk(2, -1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a LayerNorm and around a residual.

    Args:
        dim: of the tokens.
        source_dim: of the tokens attended to; None for themselves.
        heads, head_dim: of the attention.
        hidden: of the perceptron.
    """

    def __init__(
        self, dim: int, source_dim: int | None, heads: int, head_dim: int, hidden: int
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, source_dim or dim, heads, head_dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y if source is None else source)
        return x + self.perceptron(self.norm2(x))


class TokenEncoder(nn.Module):
    """An image with its rays to tokens, one for every 16×16 pixels.

    Args:
        channels: of the images.
        width: of a token; 768 is published. Convolutions go from an eighth of it to twice it.
        depth: attention blocks; 10 are published.
        head_dim: of the attention; as many heads as the width holds.
    """

    def __init__(
        self, channels: int, width: int = 768, depth: int = 10, head_dim: int = 64
    ) -> None:
        super().__init__()
        c_in, c = channels + RAY_FEATURES, width // 8
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [
                nn.Conv2d(c_in, c, 3, padding=1, bias=False),
                nn.ReLU(),
                nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=False),
                nn.ReLU(),
            ]
            c_in = c = 2 * c
        self.convolutions = nn.Sequential(*layers, nn.Conv2d(c, width, 1))
        # Through nine layers, what the image says would otherwise shrink to nothing.
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        # The few colours of a pixel start as loud as the many numbers of its ray.
        with torch.no_grad():
            self.convolutions[0].weight[:, :channels] *= math.sqrt(RAY_FEATURES / channels)
        # As published: places for images up to 240×320, and what marks a token's camera as the
        # one whose frame is used, or as another. One input view needs the first of these only.
        self.places = nn.Parameter(torch.randn(width, *PLACES))
        self.cameras = nn.Parameter(torch.randn(2, width))
        self.blocks = nn.ModuleList(
            Block(width, None, width // head_dim, head_dim, 2 * width) for _ in range(depth)
        )

    def forward(self, x: Tensor, rays: Tensor) -> Tensor:
        """Images (N, C, H, W) and their ray features (H, W, 180) to tokens (N, n, width).

        Raises:
            ValueError: for images larger than the table of places.
        """
        # The rays are the same for all images, so their share of the first layer is done once.
        first, rest = self.convolutions[0], self.convolutions[1:]
        of_image, of_rays = first.weight.split([x.shape[1], RAY_FEATURES], 1)
        seen_by = F.conv2d(rays.permute(2, 0, 1)[None], of_rays, padding=1)
        features = rest(F.conv2d(x, of_image, padding=1) + seen_by)
        height, wide = features.shape[2:]
        if height > PLACES[0] or wide > PLACES[1]:
            raise ValueError(f"images have at most 240×320 pixels, got {tuple(x.shape[2:])}")
        features = features + self.places[:, :height, :wide] + self.cameras[0][:, None, None]
        tokens = features.flatten(2).mT
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class RayDecoder(nn.Module):
    """The colours that rays see in a set of tokens.

    Args:
        channels: of the images.
        width: of the tokens, and of the attention.
        head_dim: of the attention.
        depth: cross-attention blocks; 2 are published.
    """

    def __init__(self, channels: int, width: int = 768, head_dim: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(RAY_FEATURES, width, width // head_dim, head_dim, 2 * width) for _ in range(depth)
        )
        self.color = nn.Sequential(
            nn.Linear(RAY_FEATURES, 128), nn.ReLU(), nn.Linear(128, channels), nn.Sigmoid()
        )

    def forward(self, rays: Tensor, tokens: Tensor) -> Tensor:
        """Ray features (N, r, 180) and tokens (N, n, width) to colours (N, r, C) in [0, 1]."""
        for block in self.blocks:
            rays = block(rays, tokens)
        return self.color(rays)
