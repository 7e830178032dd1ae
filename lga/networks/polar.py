"""Networks in the coordinates of SO(2): a picture as rings that turn, frequency by frequency.

Where the group turns the image plane, a picture is a sum of disc harmonics J_k(r) e^{ikφ}, whose
coefficients turn by kθ: they are a sum of irreducible representations (`lga.representations`).
Complex matrices that keep frequencies apart commute with turns; so does whatever is done alike at
every angle of a circle. A network of the two is equivariant up to what a nonlinearity makes of
frequencies that its circle cannot hold.
"""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding
from lga.networks.waves import PlaneWaves


class DiscHarmonics(nn.Module):
    """Fourier–Bessel functions on the disc around a square picture, between pixels and numbers.

    Coefficients come in the order of `Irreps(SO2(), multiplicities)`: frequency by frequency, for
    each channel a copy for every zero of J_k, each with its cosine and its sine; x points right, y
    up. Analysis is the least-squares inverse of synthesis, so that the two agree on what harmonics
    can say.

    Args:
        image_shape: (C, S, S), S even.
        band: highest radial frequency, as a share of what the pixel grid can hold.

    Attributes:
        multiplicities: how many harmonics each frequency has, those of all channels.
    """

    def __init__(self, image_shape: tuple[int, int, int], band: float = 1.0) -> None:
        super().__init__()
        self.channels, self.side = image_shape[0], square_side(image_shape)
        counts, synthesis, analysis = disc_harmonics(self.side, band)
        self.multiplicities = tuple(self.channels * m for m in counts)
        self.register_buffer("synthesis", synthesis, persistent=False)
        self.register_buffer("analysis", analysis, persistent=False)

    def analyse(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, S, S) to coefficients (N, C · dim)."""
        coefficients = pictures.to(self.analysis.dtype).flatten(2) @ self.analysis
        spans = [span // self.channels for span in self.spans()]
        return torch.cat([part.flatten(1) for part in coefficients.split(spans, 2)], 1)

    def synthesise(self, coefficients: Tensor) -> Tensor:
        """The way back: (N, C · dim) to (N, C, S, S)."""
        parts = coefficients.split(self.spans(), 1)
        by_channel = torch.cat([part.unflatten(1, (self.channels, -1)) for part in parts], 2)
        return (by_channel @ self.synthesis).unflatten(2, (self.side, self.side))

    def spans(self) -> list[int]:
        """How many numbers each frequency has."""
        return [m * (2 if k else 1) for k, m in enumerate(self.multiplicities)]


LARGEST_SIDE = 64


def square_side(image_shape: tuple[int, int, int]) -> int:
    """The side of square pictures; raises ValueError for others, odd ones and large ones."""
    _, side, other = image_shape
    if side != other or side % 2 or side > LARGEST_SIDE:
        raise ValueError(
            f"disc harmonics are for square pictures with even sides up to {LARGEST_SIDE} pixels, "
            f"got {side}×{other}; those of a folder become so with side={LARGEST_SIDE}, say"
        )
    return side


@functools.cache
def disc_harmonics(side: int, band: float) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Multiplicities, synthesis (coefficients, pixels) and analysis (pixels, coefficients)."""
    from scipy.special import jn_zeros, jv

    radius_px = side / 2 + 0.5
    place = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(-place, place, indexing="ij")
    share = (np.hypot(x, y) / radius_px).ravel()
    angle_rad = np.arctan2(y, x).ravel()

    rows: list[np.ndarray] = []
    multiplicities: list[int] = []
    while True:
        k = len(multiplicities)
        zeros = jn_zeros(k, side)
        zeros = zeros[zeros <= band * math.pi * radius_px]
        if not len(zeros):
            break
        multiplicities.append(len(zeros))
        for zero in zeros:
            norm = abs(jv(k + 1, zero)) * math.sqrt(math.pi) * radius_px
            radial = jv(k, zero * share.clip(max=1)) * (share <= 1) / norm
            waves = (np.cos(k * angle_rad), np.sin(k * angle_rad)) if k else (1 / math.sqrt(2),)
            rows += [math.sqrt(2) * radial * wave for wave in waves]
    synthesis = np.stack(rows)
    gram = synthesis @ synthesis.T + 1e-3 * np.eye(len(rows))
    analysis = np.linalg.solve(gram, synthesis).T
    as_tensors = (torch.from_numpy(np.ascontiguousarray(m)).float() for m in (synthesis, analysis))
    return tuple(multiplicities), *as_tensors


class FrequencyStack(nn.Module):
    """Where the numbers of `Irreps(SO2(), multiplicities)` stand in a stack of equal frequencies.

    A stack is (K, N, 2 n): for each frequency n real parts, then n imaginary ones, with zeros where
    a frequency has fewer than n copies.
    """

    def __init__(self, multiplicities: tuple[int, ...]) -> None:
        super().__init__()
        self.multiplicities = tuple(multiplicities)
        self.frequencies, self.copies = len(multiplicities), max(multiplicities)
        places = [
            (2 * k + part) * self.copies + copy
            for k, m in enumerate(multiplicities)
            for copy in range(m)
            for part in ((0, 1) if k else (0,))
        ]
        self.register_buffer("places", torch.tensor(places, device="cpu"), persistent=False)

    def spread(self, numbers: Tensor) -> Tensor:
        """Rows of numbers (N, dim) with zeros between them, (N, K · 2 n)."""
        flat = numbers.new_zeros(len(numbers), self.frequencies * 2 * self.copies)
        return flat.index_copy(1, self.places, numbers)

    def stacked(self, flat: Tensor) -> Tensor:
        """(N, channels, K · 2 n) to (K, N, 2 · n · channels)."""
        parts = flat.unflatten(2, (self.frequencies, 2, self.copies))  # (N, c, K, 2, n)
        return parts.permute(2, 0, 3, 4, 1).flatten(2)

    def flat(self, stack: Tensor, channels: int = 1) -> Tensor:
        """The way back: (K, N, 2 · n · channels) to (N, channels, K · 2 n)."""
        parts = stack.unflatten(2, (2, -1, channels))  # (K, N, 2, n, c)
        return parts.permute(1, 4, 0, 2, 3).flatten(2)


def joined_copies(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Tensor:
    """Where matrices between stacks join copies that are there, order by order, (K, n, m): 1 or 0.

    Args:
        inputs, outputs: copies of each order.
    """
    there = torch.zeros(len(inputs), max(inputs), max(outputs))
    for order, (n, m) in enumerate(zip(inputs, outputs, strict=True)):
        there[order, :n, :m] = 1
    return there


class FrequencyLinear(nn.Module):
    """A complex matrix for every frequency, (K, N, 2 n) to (K, N, 2 m): commutes with turns.

    Args:
        inputs, outputs: copies of each frequency; what a frequency lacks stays zero.
        gain: of the initial weights.
    """

    def __init__(
        self, inputs: tuple[int, ...], outputs: tuple[int, ...], gain: float = 1.0
    ) -> None:
        super().__init__()
        there = joined_copies(inputs, outputs).repeat(2, 1, 1, 1)
        scale = torch.tensor([gain / math.sqrt(2 * max(n, 1)) for n in inputs])[:, None, None]
        there[1, 0] = 0  # frequency 0 is real
        self.register_buffer("there", there.flatten(0, 1), persistent=False)
        # Real parts of all frequencies, then imaginary ones: a stack of matrices.
        self.weight = nn.Parameter((torch.randn(there.shape) * scale * there).flatten(0, 1))

    def forward(self, stack: Tensor) -> Tensor:
        real, imaginary = (self.weight * self.there).chunk(2)
        turn = torch.cat([torch.cat([real, imaginary], 2), torch.cat([-imaginary, real], 2)], 1)
        return torch.bmm(stack, turn)


class Circle(nn.Module):
    """Frequencies to samples on a circle and back: (K, N, 2 C) to (T, N, C).

    Args:
        angles: T, at least twice the frequencies.
    """

    def __init__(self, angles: int, frequencies: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        phase = 2 * math.pi / angles * torch.arange(frequencies)[:, None] * torch.arange(angles)
        waves = torch.cat([phase.cos(), phase.sin()])  # (2 K, T)
        waves = (
            waves
            * torch.where(torch.arange(2 * frequencies) % frequencies > 0, 2, 1)[:, None].sqrt()
        )
        self.register_buffer("waves", waves, persistent=False)

    def sample(self, stack: Tensor) -> Tensor:
        """(K, N, 2 C) to (T, N, C)."""
        parts = torch.cat(stack.chunk(2, 2))  # (2 K, N, C)
        return (self.waves.mT @ parts.flatten(1)).unflatten(1, parts.shape[1:])

    def analyse(self, samples: Tensor) -> Tensor:
        """(T, N, C) to (K, N, 2 C); undoes `sample`."""
        parts = (self.waves / self.waves.shape[1]) @ samples.flatten(1)
        return torch.cat(parts.unflatten(1, samples.shape[1:]).chunk(2), 2)


def normalized(h: Tensor) -> Tensor:
    """Channels (…, C) with mean 0 and variance 1, in h's own precision."""
    with torch.autocast(h.device.type, enabled=False):
        return F.layer_norm(h, h.shape[-1:])


class CircleBlock(nn.Module):
    """A residual block along a circle (T, N, C), alike at every angle; the identity to begin with.

    A third of the channels comes from the angle before, a third from the angle after.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="relu")
        for zero in (self.mix.bias, self.out.weight, self.out.bias):
            nn.init.zeros_(zero)

    def forward(self, h: Tensor) -> Tensor:
        y = normalized(h)
        third = y.shape[2] // 3
        before, here, after = y.split([third, y.shape[2] - 2 * third, third], 2)
        y = torch.cat([before.roll(1, 0), here, after.roll(-1, 0)], 2)
        return h + self.out(F.gelu(self.mix(y), approximate="tanh"))


class PolarAutoencoder(Autoencoder):
    """Pictures to a few irreducible representations of SO(2), and back.

        x ─▶ harmonics ─▶ per-frequency matrices ─▶ circle: blocks ─▶ per-frequency matrices ─▶ z
        x̂ ◀─ sigmoid ◀─ harmonics ◀─ matrices ◀──── circle: blocks ◀─ per-frequency matrices ◀─ g·z

    Args:
        image_shape: (C, S, S).
        multiplicities: of the latent, by frequency.
        channels_in: of what the encoder sees; the picture's own unless said.
        angles: samples on the circle of the encoder and of the decoder.
        width, depth: channels on the decoder's circle, a multiple of 3, and its blocks. The
            encoder has two thirds of the channels and half of the blocks.
        band: of the harmonics.

    Attributes:
        multiplicities: of the latent.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        multiplicities: tuple[int, ...],
        *,
        channels_in: int | None = None,
        angles: tuple[int, int] = (16, 32),
        width: int = 96,
        depth: int = 8,
        band: float = 0.9,
    ) -> None:
        super().__init__(image_shape)
        self.channels, self.side = image_shape[0], square_side(image_shape)
        self.multiplicities = tuple(multiplicities)
        stack = FrequencyStack(self.multiplicities)
        self.latent_shape = (len(stack.places),)
        counts, synthesis, analysis = disc_harmonics(self.side, band)
        highest = min(len(counts), max(angles) // 2)
        picture = FrequencyStack(counts[:highest])
        self.picture, self.latent = picture, stack
        inside = len(picture.places)
        self.register_buffer("analysis", picture.spread(analysis[:, :inside]), persistent=False)
        self.register_buffer(
            "synthesis", picture.spread(synthesis[:inside].mT).mT, persistent=False
        )
        low = stack.frequencies
        seen, painted = (min(highest, T // 2) for T in angles)
        wide_in, wide_out = 2 * width // 3, width
        self.lift = FrequencyLinear(
            tuple((channels_in or self.channels) * m for m in picture.multiplicities[:seen]),
            (wide_in,) * seen,
        )
        self.circle_in = Circle(angles[0], seen)
        self.blocks_in = nn.Sequential(*(CircleBlock(wide_in) for _ in range(depth // 2)))
        self.latent_circle_in = Circle(angles[0], low)
        self.to_latent = FrequencyLinear((wide_in,) * low, self.multiplicities)
        self.from_latent = FrequencyLinear(self.multiplicities, (wide_out,) * low)
        self.latent_circle_out = Circle(angles[1], low)
        self.blocks_out = nn.Sequential(*(CircleBlock(wide_out) for _ in range(depth)))
        self.circle_out = Circle(angles[1], painted)
        self.paint = FrequencyLinear(
            (wide_out,) * painted,
            tuple(self.channels * m for m in picture.multiplicities[:painted]),
            gain=0.3,
        )
        self.bias = nn.Parameter(torch.full((self.channels, 1, 1), -3.0))

    def encode(self, x: Tensor) -> Encoding:
        stack = self.picture.stacked(x.flatten(2) @ self.analysis)[: self.circle_in.frequencies]
        circle = self.blocks_in(self.circle_in.sample(self.lift(stack)))
        stack = self.to_latent(self.latent_circle_in.analyse(normalized(circle)))
        return Encoding(self.latent.flat(stack)[:, 0, self.latent.places])

    def decode(self, encoding: Encoding) -> Tensor:
        stack = self.latent.stacked(self.latent.spread(encoding.z)[:, None])
        circle = self.blocks_out(self.latent_circle_out.sample(self.from_latent(stack)))
        stack = self.paint(self.circle_out.analyse(normalized(circle)))
        flat = self.picture.flat(stack, self.channels)
        pixels = flat @ self.synthesis[: flat.shape[2]]
        picture = pixels.unflatten(2, (self.side, self.side)).to(self.bias.dtype)
        return torch.sigmoid(4 * picture + self.bias)


class Refine(nn.Module):
    """A residual correction of a picture at half its resolution; nothing to begin with.

    Args:
        channels_in, channels_out: of what is seen and of the correction.
        width: channels of the 3×3 convolutions.
        depth: how many of them there are between the first and the last.
    """

    def __init__(self, channels_in: int, channels_out: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * channels_in, width, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.last = nn.Conv2d(width, 4 * channels_out, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        halves = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        h = F.gelu(self.first(halves), approximate="tanh")
        for block in self.blocks:
            h = h + F.gelu(block(h), approximate="tanh")
        return F.pixel_shuffle(self.last(h), 2).to(x.dtype)


class HarmonicAutoencoder(Autoencoder):
    """Pictures to all their harmonics and back, with convolutions that mend what is lost.

        x ─▶ x + convolutions ─▶ analysis ─▶ z       x̂ ◀─ y + convolutions ◀─ y = synthesis ◀─ g·z

    Before any training it moves the picture as harmonics can; the convolutions learn to see
    sub-pixel detail before that and to sharpen after it.

    Args:
        image_shape: (C, H, W), both even.
        harmonics: of such pictures, those in which the group moves them by irreps.
        channels_in: of what the encoder sees, the picture's own C first.
        width, depth: of the convolutions before g and of those after it.

    Attributes:
        multiplicities: of the latent, by order.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        harmonics: DiscHarmonics | PlaneWaves,
        *,
        channels_in: int | None = None,
        width: int = 48,
        depth: int = 3,
    ) -> None:
        super().__init__(image_shape)
        self.channels, self.harmonics = image_shape[0], harmonics
        self.multiplicities = harmonics.multiplicities
        at_rest, *moving = self.multiplicities
        self.latent_shape = (at_rest + 2 * sum(moving),)
        self.before = Refine(channels_in or self.channels, self.channels, width, depth)
        self.after = Refine(self.channels, self.channels, width, depth)

    def encode(self, x: Tensor) -> Encoding:
        picture = x[:, : self.channels] + self.before(x)
        with torch.autocast(x.device.type, enabled=False):
            return Encoding(self.harmonics.analyse(picture))

    def decode(self, encoding: Encoding) -> Tensor:
        with torch.autocast(encoding.z.device.type, enabled=False):
            picture = self.harmonics.synthesise(encoding.z)
        return picture + self.after(picture)
