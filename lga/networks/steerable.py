"""Convolutions that commute with rotations, from circular harmonics (`winter2022`).

A feature map holds trivial fields, which only move when the image turns, and vector fields
(frequency 1), whose arrows turn with it. Read as complex numbers, arrows are multiplied by e^{iα}
when the image turns by α, and a filter from frequency m to frequency n commutes with that if and
only if it is R(r) e^{i(n − m)θ}: a free radial profile R on a fixed circular harmonic. Real arrows
hold both frequencies, v and its conjugate, so that n − m is in {−1, 0, 1, 2} here. Filters are
sampled on the pixel grid, so equivariance is exact to rounding under quarter turns and up to
interpolation at other angles.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RING_WIDTH_PX = 0.6


class Fields(NamedTuple):
    """How many fields of each type a feature map holds.

    The channels are the trivial fields, then the (x, y) of each vector field; x points right, y up.
    """

    trivial: int
    vector: int

    @property
    def channels(self) -> int:
        return self.trivial + 2 * self.vector


HIDDEN = Fields(trivial=32, vector=32)
SIZES = (7, 5, 5, 5, 5, 3)
PADDINGS = (1, 2, 2, 2, 2, 2)
LEAST_SIDE = SIZES[0] - 2 * PADDINGS[0]
LARGEST_SIDE = 32
DROPOUT = 0.2


class SteerableConv(nn.Module):
    """A rotation-equivariant convolution without bias.

    Profiles R are combinations of Gaussian rings at whole radii, which are the weights. All parts
    are fused into one filter for one conv2d.

    Args:
        fields_in, fields_out: what comes in and what goes out.
        size: side of the filter in pixels, odd.
        padding: of zeros around the map.
    """

    def __init__(self, fields_in: Fields, fields_out: Fields, size: int, padding: int = 0) -> None:
        super().__init__()
        self.fields_in, self.fields_out, self.padding = fields_in, fields_out, padding
        reach = size // 2
        place = torch.arange(-reach, reach + 1.0)
        y, x = torch.meshgrid(-place, place, indexing="ij")
        radius = torch.hypot(x, y)
        rings = torch.exp(
            -((radius - torch.arange(reach + 1.0)[:, None, None]) ** 2) / (2 * RING_WIDTH_PX**2)
        )
        rings = rings / rings.flatten(1).norm(dim=1)[:, None, None]
        # e^{iθ} and e^{2iθ} have no value at the centre, so their profiles vanish there.
        arrows = torch.stack([x, y]) / radius.clamp(min=0.5)
        doubled = torch.stack([arrows[0] ** 2 - arrows[1] ** 2, 2 * arrows[0] * arrows[1]])
        self.register_buffer("rings", rings, persistent=False)  # (J, size, size)
        # (J − 1, 2, size, size), cos and sin of θ and of 2θ
        self.register_buffer("waves", rings[1:, None] * arrows, persistent=False)
        self.register_buffer("double_waves", rings[1:, None] * doubled, persistent=False)

        def weights(n_out: int, n_in: int, *rest: int) -> nn.Parameter:
            numbers = max(1, fields_in.channels * rest[0])  # a 1×1 filter has no waves
            return nn.Parameter(torch.randn(n_out, n_in, *rest) * (2 / numbers) ** 0.5)

        still, waves = len(rings), len(rings) - 1
        self.trivial_to_trivial = weights(fields_out.trivial, fields_in.trivial, still)
        self.trivial_to_vector = weights(fields_out.vector, fields_in.trivial, waves, 2)
        self.vector_to_trivial = weights(fields_out.trivial, fields_in.vector, waves, 2)
        self.vector_to_vector = weights(fields_out.vector, fields_in.vector, still, 2)
        self.mirrored_to_vector = weights(fields_out.vector, fields_in.vector, waves, 2)

    def filter(self) -> Tensor:
        """The fused filter, (channels out, channels in, size, size)."""
        t_t = torch.einsum("oij,jhw->oihw", self.trivial_to_trivial, self.rings)
        # (out, 2, in, …); Re(conj(c e^{iθ}) v), (out, in, 2, …)
        t_v = self.harmonic(self.trivial_to_vector, self.waves).transpose(1, 2)
        v_t = self.harmonic(self.vector_to_trivial, self.waves)
        # (a + ib) v + (c + id) conj(v), (out, 2, in, 2, …)
        a, b = torch.einsum("oijc,jhw->coihw", self.vector_to_vector, self.rings)
        c, d = self.harmonic(self.mirrored_to_vector, self.double_waves).unbind(2)
        v_v = torch.stack([torch.stack([a + c, d - b], 2), torch.stack([b + d, a - c], 2)], 1)
        to_trivial = torch.cat([t_t, v_t.flatten(1, 2)], 1)
        to_vector = torch.cat([t_v.flatten(0, 1), v_v.flatten(0, 1).flatten(1, 2)], 1)
        return torch.cat([to_trivial, to_vector])

    @staticmethod
    def harmonic(weights: Tensor, waves: Tensor) -> Tensor:
        """c R(r) e^{inθ} for complex weights c, (out, in, J − 1, 2) to (out, in, 2, size, size)."""
        a, b = weights.unbind(-1)
        cos, sin = waves.unbind(1)

        def combine(one: Tensor, other: Tensor) -> Tensor:
            return torch.einsum("oij,jhw->oihw", one, other)

        return torch.stack(
            [combine(a, cos) - combine(b, sin), combine(a, sin) + combine(b, cos)], 2
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filter(), padding=self.padding)


class SteerableNonlinearity(nn.Module):
    """Batch normalisation and a ReLU: of trivial fields' values, of vector fields' lengths.

    A vector is divided by its field's root mean square length, scaled and shortened by learned
    numbers, so that short ones vanish and directions stay.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = fields
        self.trivial = nn.BatchNorm2d(fields.trivial)
        self.scale = nn.Parameter(torch.ones(fields.vector, 1, 1))
        self.shrink = nn.Parameter(torch.full((fields.vector, 1, 1), 0.25))
        self.register_buffer("mean_square", torch.ones(fields.vector))

    def forward(self, x: Tensor) -> Tensor:
        values, vectors = x.split([self.fields.trivial, 2 * self.fields.vector], 1)
        vectors = vectors.unflatten(1, (-1, 2)).float()
        square = vectors.square().sum(2)  # (N, fields, H, W)
        if self.training:
            mean_square = square.mean((0, 2, 3))
            self.mean_square.lerp_(mean_square.detach(), 0.1)
        else:
            mean_square = self.mean_square
        scale = self.scale.abs() * (mean_square + 1e-5).rsqrt()[:, None, None]
        length = (square + 1e-8).sqrt() * scale
        factor = scale * F.relu(length - self.shrink) / length
        moved = (vectors * factor[:, :, None]).flatten(1, 2)
        return torch.cat([self.trivial(values).relu(), moved.to(values.dtype)], 1)


class SteerableEncoder(nn.Module):
    """An embedding that does not change and an arrow that turns when the image turns.

    Six blocks, 28×28 → 24 five times → 26, a 1×1 head and the spatial mean, as in the paper's
    public code: 100,480 parameters. Images have at least `LEAST_SIDE` pixels a side.

    Args:
        channels: of the images.
        embedding: length of the invariant embedding.
        hidden: fields of the feature maps in between.
    """

    def __init__(
        self,
        channels: int,
        embedding: int = 32,
        hidden: Fields = HIDDEN,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        here = Fields(channels, 0)
        blocks: list[nn.Module] = []
        for size, padding in zip(SIZES, PADDINGS, strict=True):
            blocks += [SteerableConv(here, hidden, size, padding), SteerableNonlinearity(hidden)]
            here = hidden
        self.blocks = nn.Sequential(*blocks, SteerableConv(hidden, Fields(embedding, 1), 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to embeddings (N, embedding) and vectors (N, 2), x right and y up."""
        features = self.blocks(x).float().mean((2, 3))
        return features.split([self.embedding, 2], 1)


class CanonicalDecoder(nn.Sequential):
    """Paints one picture per embedding: 2×2 → 4 → 8 → 16 → 32, cropped to the image.

    1,120,257 parameters at 1×28×28, as in the paper's public code.

    Args:
        image_shape: (C, H, W), H and W at most `LARGEST_SIDE`.
        embedding: length of the embedding.
        width: channels in between.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], embedding: int = 32, width: int = 128
    ) -> None:
        channels, self.height, self.wide = image_shape
        layers: list[nn.Module] = [nn.Conv2d(embedding, width, 1), nn.BatchNorm2d(width), nn.ReLU()]
        for size in (3, 3, 5, 5):
            layers += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(width, width, size, padding=size // 2),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Dropout2d(DROPOUT),
            ]
        super().__init__(*layers, nn.Conv2d(width, channels, 1), nn.Sigmoid())
        # With channels last, the wide maps of the end go through twice as fast on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, embedding: Tensor) -> Tensor:
        """Embeddings (N, embedding) to images (N, C, H, W) in [0, 1]."""
        seed = embedding[:, :, None, None].expand(-1, -1, 2, 2)
        painted = super().forward(seed.contiguous(memory_format=torch.channels_last))
        top, left = (painted.shape[2] - self.height) // 2, (painted.shape[3] - self.wide) // 2
        return painted[:, :, top : top + self.height, left : left + self.wide]
