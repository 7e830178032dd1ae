"""Networks in the coordinates of SO(3): a volume as shells that turn, degree by degree.

What `networks.polar` does with pictures, in space. A volume is a sum of spherical Bessel functions
times spherical harmonics, whose coefficients turn by Wigner matrices: they are a sum of irreducible
representations (`lga.representations`). Matrices that keep degrees apart commute with turns; so
does whatever is done alike at every point of a sphere. A network of the two is equivariant up to
what a nonlinearity makes of degrees that its points cannot hold.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lga.networks.autoencoders import DARK, Autoencoder, Encoding
from lga.networks.ball import harmonics_at
from lga.networks.polar import joined_copies, normalized
from lga.representations import spherical_harmonics

LARGEST_SIDE = 48


@functools.cache
def cube_harmonics(side: int, band: float, degrees: int) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Harmonics at the voxels of a cube that lie in the ball within it.

    Args:
        side: voxels of the cube's side.
        band: highest radial frequency, as a share of what the voxels can hold.
        degrees: how many there may be, from 0 on.

    Returns:
        Multiplicities; harmonics (coefficients, voxels), as `ball.harmonics_at`; which of the
        cube's voxels, in a row, they are.
    """
    with torch.device("cpu"):  # what is kept does not depend on who asks first
        place = torch.arange(side).double() - (side - 1) / 2
        z, y, x = torch.meshgrid(-place, -place, place, indexing="ij")  # depth 0 is nearest
        voxels = torch.stack([x, y, z], -1).flatten(0, 2)
        # Where functions end all are small: voxels there could hardly be told what to show.
        ball, radius = side / 2, (side + 1) / 2
        inside = (voxels.norm(dim=1) < ball).nonzero()[:, 0]
        reach = band * math.pi * radius
        multiplicities, harmonics = harmonics_at(voxels[inside], radius, reach, degrees)
        return multiplicities, harmonics.float(), inside


class DegreeStack(nn.Module):
    """Where the numbers of `Irreps(SO3(), multiplicities)` stand in a stack of equal degrees.

    A stack is (M, N, n): for each degree l its 2l + 1 numbers, M in all, of n copies, with zeros
    where a degree has fewer. Of several channels each copy holds all of them in a row.
    """

    def __init__(self, multiplicities: tuple[int, ...]) -> None:
        super().__init__()
        self.multiplicities = tuple(multiplicities)
        self.degrees, self.copies = len(multiplicities), max(multiplicities)
        places = [
            (degree**2 + number) * self.copies + copy
            for degree, copies in enumerate(multiplicities)
            for copy in range(copies)
            for number in range(2 * degree + 1)
        ]
        self.register_buffer("places", torch.tensor(places, device="cpu"), persistent=False)

    def stacked(self, numbers: Tensor) -> Tensor:
        """(N, channels, dim) to (M, N, n · channels)."""
        flat = numbers.new_zeros(*numbers.shape[:2], self.degrees**2 * self.copies)
        flat = flat.index_copy(2, self.places, numbers)
        return flat.unflatten(2, (-1, self.copies)).permute(2, 0, 3, 1).flatten(2)

    def flat(self, stack: Tensor, channels: int = 1) -> Tensor:
        """The way back: (M, N, n · channels) to (N, channels, dim)."""
        parts = stack.unflatten(2, (-1, channels)).permute(1, 3, 0, 2)  # (N, channels, M, n)
        return parts.flatten(2)[..., self.places]


class DegreeLinear(nn.Module):
    """A matrix for every degree, (M, N, n) to (M, N, m): commutes with turns.

    Args:
        inputs, outputs: copies of each degree; what a degree lacks stays zero.
        gain: of the initial weights.
    """

    def __init__(
        self, inputs: tuple[int, ...], outputs: tuple[int, ...], gain: float = 1.0
    ) -> None:
        super().__init__()
        there = joined_copies(inputs, outputs)
        scale = torch.tensor([gain / math.sqrt(max(n, 1)) for n in inputs])[:, None, None]
        degree_of = [degree for degree in range(len(inputs)) for _ in range(2 * degree + 1)]
        self.register_buffer("there", there, persistent=False)
        self.register_buffer("degree_of", torch.tensor(degree_of, device="cpu"), persistent=False)
        self.weight = nn.Parameter(torch.randn(there.shape) * scale * there)

    def forward(self, stack: Tensor) -> Tensor:
        return torch.bmm(stack, (self.weight * self.there)[self.degree_of])


class Sphere(nn.Module):
    """Degrees to samples at points of a sphere and back: (M, N, C) to (T, N, C).

    Args:
        points: T, evenly spread along a spiral; three for each number of all degrees or more.
        degrees: how many, from 0 on.
    """

    def __init__(self, points: int, degrees: int) -> None:
        super().__init__()
        self.degrees = degrees
        with torch.device("cpu"):
            step = torch.arange(points).double() + 0.5
            height, angle_rad = 1 - 2 * step / points, math.pi * (1 + 5**0.5) * step
            around = (1 - height**2).sqrt()
            directions = torch.stack(
                [around * angle_rad.cos(), around * angle_rad.sin(), height], 1
            )
            values = (spherical_harmonics(degree, directions) for degree in range(degrees))
            waves = torch.cat([Y * (Y.shape[1] ** 0.5 / Y[0].norm()) for Y in values], 1)
        self.register_buffer("waves", waves.float(), persistent=False)
        self.register_buffer("back", torch.linalg.pinv(waves).float(), persistent=False)

    def sample(self, stack: Tensor) -> Tensor:
        """(M, N, C) to (T, N, C), of all degrees or of the first few."""
        return (self.waves[:, : len(stack)] @ stack.flatten(1)).unflatten(1, stack.shape[1:])

    def analyse(self, samples: Tensor, degrees: int | None = None) -> Tensor:
        """(T, N, C) to (M, N, C), of all degrees or of the first few; undoes `sample`."""
        back = self.back[: (degrees or self.degrees) ** 2]
        return (back @ samples.flatten(1)).unflatten(1, samples.shape[1:])


class SphereBlock(nn.Module):
    """A residual block on a sphere (T, N, C), alike at every point; the identity to begin with.

    What all channels say at a point is mixed there, and then carried along the sphere degree by
    degree.
    """

    def __init__(self, sphere: Sphere, channels: int) -> None:
        super().__init__()
        self.sphere = sphere
        self.mix = nn.Linear(channels, channels)
        of_all = (channels,) * sphere.degrees
        self.out = DegreeLinear(of_all, of_all, gain=0.0)
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="relu")
        nn.init.zeros_(self.mix.bias)

    def forward(self, h: Tensor) -> Tensor:
        y = F.gelu(self.mix(normalized(h)), approximate="tanh")
        return h + self.sphere.sample(self.out(self.sphere.analyse(y)))


class SphericalAutoencoder(Autoencoder):
    """Volumes to a few irreducible representations of SO(3), and back.

        x ─▶ harmonics ─▶ per-degree matrices ─▶ sphere: blocks ─▶ per-degree matrices ─▶ z
        x̂ ◀─ sigmoid ◀─ harmonics ◀─ matrices ◀── sphere: blocks ◀─ per-degree matrices ◀─ g·z

    What lies outside the ball within the cube is seen as nothing and painted black.

    Args:
        image_shape: (C, S, S, S).
        multiplicities: of the latent, by degree.
        width, depth: channels on the decoder's sphere, and its blocks. The encoder has two thirds
            of the channels and half of the blocks.
        degrees: how many there may be, from 0 on.
        points: of the sphere.
        band: of the harmonics.

    Raises:
        ValueError: for other shapes than cubes, those of more than 48 voxels a side or too few for
            the latent's degrees.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int, int],
        multiplicities: tuple[int, ...],
        *,
        width: int = 96,
        depth: int = 6,
        degrees: int = 11,
        points: int = 384,
        band: float = 0.7,
    ) -> None:
        super().__init__(image_shape)
        self.channels, *sides = image_shape
        self.side = sides[0]
        if sides != [self.side] * 3 or self.side > LARGEST_SIDE:
            raise ValueError(
                f"ball harmonics are for cubes of up to {LARGEST_SIDE} voxels a side, got "
                f"{'×'.join(map(str, sides))}"
            )
        counts, harmonics, inside = cube_harmonics(self.side, band, degrees)
        degrees = len(counts)
        if degrees < len(multiplicities):
            raise ValueError(
                f"{self.side} voxels a side hold degrees up to {degrees - 1}, "
                f"not {len(multiplicities) - 1}"
            )
        self.register_buffer("harmonics", harmonics, persistent=False)
        self.register_buffer("inside", inside, persistent=False)
        self.volume = DegreeStack(counts)
        self.latent, low = DegreeStack(multiplicities), len(multiplicities)
        self.latent_shape = (len(self.latent.places),)

        in_volume = tuple(self.channels * m for m in counts)
        wide_in, wide_out = 2 * width // 3, width
        self.sphere = Sphere(points, degrees)
        self.lift = DegreeLinear(in_volume, (wide_in,) * degrees)
        self.blocks_in = nn.Sequential(
            *(SphereBlock(self.sphere, wide_in) for _ in range(depth // 2))
        )
        self.to_latent = DegreeLinear((wide_in,) * low, self.latent.multiplicities)
        self.from_latent = DegreeLinear(self.latent.multiplicities, (wide_out,) * low)
        self.blocks_out = nn.Sequential(*(SphereBlock(self.sphere, wide_out) for _ in range(depth)))
        self.paint = DegreeLinear((wide_out,) * degrees, in_volume, gain=0.1)
        self.bias = nn.Parameter(torch.full((self.channels, 1), DARK))

    def encode(self, x: Tensor) -> Encoding:
        products = x.flatten(2)[..., self.inside] @ self.harmonics.mT
        sphere = self.sphere.sample(self.lift(self.volume.stacked(products)))
        stack = self.sphere.analyse(normalized(self.blocks_in(sphere)), self.latent.degrees)
        return Encoding(self.latent.flat(self.to_latent(stack))[:, 0])

    def decode(self, encoding: Encoding) -> Tensor:
        stack = self.from_latent(self.latent.stacked(encoding.z[:, None]))
        sphere = self.blocks_out(self.sphere.sample(stack))
        stack = self.paint(self.sphere.analyse(normalized(sphere)))
        voxels = self.volume.flat(stack, self.channels) @ self.harmonics
        # A head's coefficients are tens: steps of one length would take thousands to get there.
        light = torch.sigmoid(20 * voxels.to(self.bias.dtype) + self.bias)
        cube = light.new_zeros(*light.shape[:2], self.side**3).index_copy(2, self.inside, light)
        return cube.unflatten(2, (self.side,) * 3)
