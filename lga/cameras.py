"""How the rendered sets look at an object: pinhole cameras around the origin.

World axes: x to the right, y up, z towards the viewer (right-handed). The object stands at the
origin, fitted into a ball of diameter 1. A camera at azimuth φ and elevation ε sits at

    d (cos ε sin φ, sin ε, cos ε cos φ)

and looks at the origin with y upwards in the picture. Its own axes are x right, y up, z backwards,
towards the viewer; at φ = ε = 0 they are the world's.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lga.devices import constant
from lga.groups import SO3, Group


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at the origin, and how a group turns what it sees.

    Attributes:
        distance: from the origin, in diameters of the object's ball.
        elevation_rad: above the horizon.
        field_of_view_rad: full angle between opposite sides of the picture.
    """

    distance: float
    elevation_rad: float
    field_of_view_rad: float

    def axes(self, azimuth_rad: Tensor) -> Tensor:
        """Cameras' axes in the world, (n, 3, 3): columns are right, up and backwards."""
        n = len(azimuth_rad)
        vertical, right = (axis_of_space(k, azimuth_rad).expand(n, 3) for k in (1, 0))
        tilt = torch.full_like(azimuth_rad, -self.elevation_rad)
        return SO3().rotation(vertical, azimuth_rad) @ SO3().rotation(right, tilt)

    def turn(self, group: Group, g: Tensor) -> Tensor:
        """The rotation of the object as the camera sees it, (n, 3, 3), in the camera's axes.

        SO(3) turns the object in a camera at azimuth and elevation 0; a planar group turns it
        about the vertical, counter-clockwise from above.
        """
        if group.matrix_dim == 3:
            in_world = g
        else:
            angle_rad = torch.atan2(g[:, 1, 0], g[:, 0, 0])
            in_world = SO3().rotation(axis_of_space(1, g).expand(len(g), 3), angle_rad)
        axes = self.axes(g.new_zeros(1))
        return axes.mT @ in_world @ axes

    def rays(self, side: int, samples: int = 1) -> Tensor:
        """Directions of the rays of a picture in camera axes, (side·samples, side·samples, 3).

        Rows from the top; every pixel has samples × samples rays at the centres of its parts.
        """
        n = side * samples
        reach = math.tan(self.field_of_view_rad / 2)
        place = ((torch.arange(n) + 0.5) / n * 2 - 1) * reach
        y, x = torch.meshgrid(-place, place, indexing="ij")
        rays = torch.stack([x, y, -torch.ones_like(x)], -1)
        return rays / rays.norm(dim=-1, keepdim=True)

    def moved_rays(self, turn: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Rays that meet the unmoved object where this camera's rays meet the turned one.

        All in this camera's axes, with its eye at the origin: the object's centre lies at
        (0, 0, −distance), and the rays are those of a camera turned the other way around it.

        Args:
            turn: rotations of the object as the camera sees it, (n, 3, 3), as `turn` gives them.
            directions: of rays from this camera's eye, (n, r, 3).

        Returns:
            Origins and directions, each (n, r, 3).
        """
        centre = -self.distance * axis_of_space(2, directions)
        eye = centre - (turn.mT @ centre[:, None]).mT  # (n, 1, 3)
        turned_back = directions @ turn  # R⁻¹ d for row vectors
        return eye.expand_as(turned_back), turned_back


def axis_of_space(k: int, like: Tensor) -> Tensor:
    """The k-th unit vector, (3,), on the device and in the precision of another tensor."""
    return constant(torch.eye, 3, device=like.device, dtype=like.dtype)[k]


# Kato et al. (2018), as SoftRas renders: 24 views, elevation 30°, distance 2.732, 15° from the
# axis to a side; view i stands at azimuth −15°·i.
TURNTABLE = Camera(2.732, math.radians(30), math.radians(30))
# Not published: straight ahead, the ball of the object just inside the picture.
FLIGHT = Camera(2.732, 0.0, 2 * math.asin(0.5 / 2.732) * 1.04)
