"""What a camera sees as fields in the ball around an object, in harmonics of SO(3).

A function on a ball is a sum of spherical Bessel functions j_l(k r) times spherical harmonics
Y_l(p / r), whose coefficients turn by the Wigner matrices of degree l: they are a sum of
irreducible representations (`lga.representations`), and turning the object is exact. Fields are in
the camera's axes, in which `Camera.turn` says how a group turns the object. `networks.spherical`
says whole volumes in the same harmonics.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor, nn

from lga.cameras import Camera
from lga.networks.modulated import ModulatedBlock
from lga.representations import spherical_harmonics

MARGIN = 1.04  # of the grid of places around the ball of diameter 1
RADIUS = 0.55  # where the functions end


def places(camera: Camera, side: int) -> Tensor:
    """A grid of places around the object, (side³, 3), in the camera's axes and float64.

    `side` of them along the ray of each of side × side pixels, front to back.
    """
    rays = camera.rays(side).double()
    away = camera.distance + MARGIN * ((torch.arange(side).double() + 0.5) / side - 0.5)
    seen = away[:, None, None, None] * rays / -rays[..., 2:]  # (side, side, side, 3)
    return (seen + seen.new_tensor([0, 0, camera.distance])).reshape(-1, 3)


def harmonics_at(
    place: Tensor, radius: float, reach: float, degrees: int | None = None
) -> tuple[tuple[int, ...], Tensor]:
    """Harmonics of a ball at some places in and around it.

    Coefficients come in the order of `Irreps(SO3(), multiplicities)`: degree by degree, a copy for
    every zero of j_l up to the reach; the squares of each sum to 1 over the places, on average over
    the numbers of its degree.

    Args:
        place: (P, 3), in float64.
        radius: where the functions end.
        reach: k r of the highest radial frequency at the radius.
        degrees: how many there may be, from 0 on; all of them unless said.

    Returns:
        Multiplicities, and harmonics (coefficients, P) in float64.
    """
    from scipy.optimize import brentq
    from scipy.special import spherical_jn

    r = place.norm(dim=1)
    inside, (shares, of_place) = r < radius, (r / radius).unique(return_inverse=True)

    grid = np.linspace(1e-3, reach, 4_000)
    rows: list[Tensor] = []
    multiplicities: list[int] = []
    while degrees is None or len(multiplicities) < degrees:
        degree = len(multiplicities)
        j = functools.partial(spherical_jn, degree)
        changes = np.flatnonzero(np.diff(np.sign(j(grid))))
        if not len(changes):
            break
        multiplicities.append(len(changes))
        angular = spherical_harmonics(degree, place / r.clamp(min=1e-9)[:, None])
        for zero in (brentq(j, grid[k], grid[k + 1]) for k in changes):
            radial = torch.from_numpy(j(zero * shares.numpy()))[of_place] * inside
            product = (radial[:, None] * angular).mT
            rows.append(product * (len(product) ** 0.5 / product.norm()))
    return tuple(multiplicities), torch.cat(rows)


@functools.cache
def camera_harmonics(
    camera: Camera, side: int, band: float
) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Harmonics at the `places` that a camera sees. Analysis is the inverse by least squares.

    Args:
        camera, side: of the grid of places.
        band: highest radial frequency, as a share of what the grid can hold.

    Returns:
        Multiplicities, synthesis (coefficients, places) and analysis (places, coefficients).
    """
    with torch.device("cpu"):  # what is kept does not depend on who asks first
        reach = band * math.pi * RADIUS * side / MARGIN
        multiplicities, synthesis = harmonics_at(places(camera, side), RADIUS, reach)
        return multiplicities, synthesis.float(), torch.linalg.pinv(synthesis).float()


class ObjectField(nn.Module):
    """Maps of a picture as fields in the ball around the object that it shows, and back.

        maps (N, c, S, S) ─▶ S voxels along every ray ─▶ coefficients (N, n)
        maps (N, c, S, S) ◀─ a mixture along every ray ◀─ coefficients, turned

    Args:
        camera: that sees the object.
        channels: c.
        side: S.
        fields: how many fields there are.
        band: highest radial frequency, as a share of what the grid can hold.

    Attributes:
        multiplicities: of the coefficients, which come in the order of `Irreps(SO3(), …)`.
        coefficients: how many there are.
    """

    def __init__(
        self, camera: Camera, channels: int, side: int, fields: int = 8, band: float = 0.55
    ) -> None:
        super().__init__()
        self.fields, self.side = fields, side
        of_one, synthesis, analysis = camera_harmonics(camera, side, band)
        self.multiplicities = tuple(fields * copies for copies in of_one)
        self.coefficients = fields * len(synthesis)
        # Degree by degree all fields' copies, and from there back to field by field.
        widths = [copies * (2 * degree + 1) for degree, copies in enumerate(of_one)]
        by_field = torch.arange(self.coefficients).view(fields, -1)
        by_degree = torch.cat([part.flatten() for part in by_field.split(widths, 1)])
        self.register_buffer("by_degree", by_degree, persistent=False)
        self.register_buffer("by_field", by_degree.argsort(), persistent=False)
        self.register_buffer("synthesis", synthesis, persistent=False)
        self.register_buffer("analysis", analysis, persistent=False)
        self.lift = nn.Sequential(
            nn.GroupNorm(1, channels), nn.SiLU(), nn.Conv2d(channels, fields * side, 3, padding=1)
        )
        self.mix = nn.Conv2d(fields * side, channels, 1)
        self.after = ModulatedBlock(channels)

    def read(self, maps: Tensor) -> Tensor:
        """Coefficients (N, n) of maps."""
        voxels = self.lift(maps).float().unflatten(1, (self.fields, self.side)).flatten(2)
        return (voxels @ self.analysis).flatten(1)[:, self.by_degree]

    def paint(self, coefficients: Tensor) -> Tensor:
        """Maps of coefficients."""
        of_fields = coefficients[:, self.by_field].unflatten(1, (self.fields, -1))
        voxels = of_fields @ self.synthesis
        columns = voxels.unflatten(2, (self.side, self.side, self.side)).flatten(1, 2)
        return self.after(self.mix(columns.contiguous(memory_format=torch.channels_last)))
