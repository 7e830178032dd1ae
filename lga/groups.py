"""Matrix groups: a group element is a matrix, and every group law is a matrix law.

An element of a group is a real matrix, a batch of elements a tensor (N, d, d). Composition is the
matrix product, so `compose(g, h)` applies h first and then g. A new group is its dimension, a
sampler and the way it moves points (`jin2024`, section 5).

    group       elements                      acts on points
    SO2         2×2 rotations                 R²   g·p = g p
    SO3         3×3 rotations                 R³   g·p = g p
    Cyclic(k)   rotations by 2πj/k            R²   as SO2
    Affine      [[a, b], [0, 1]], a > 0       R    g·p = a p + b
    Translation [[I, t], [0, 1]]              R^d   g·p = p + t
    Product     block-diagonal (g₁, …, g_n)   R^(p₁+…+p_n), each block on its own part

Conventions: angles are in radians; a positive angle turns the plane counter-clockwise, x to the
right and y up; space is right-handed, z towards the viewer.
"""

import math
import re
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from lga.devices import constant


class Group(ABC):
    """A group of invertible d×d matrices acting on points of R^p.

    Attributes:
        matrix_dim: d, so that elements have shape (N, d, d).
        point_dim: p, so that points have shape (N, m, p).
    """

    matrix_dim: int
    point_dim: int

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def identity(self, n: int, dtype: torch.dtype | None = None, device=None) -> Tensor:
        """n copies of the identity element, (n, d, d)."""
        return torch.eye(self.matrix_dim, dtype=dtype, device=device).repeat(n, 1, 1)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The products g h, (N, d, d): h acts first."""
        return g @ h

    def inverse(self, g: Tensor) -> Tensor:
        """The inverses g⁻¹, (N, d, d)."""
        return torch.linalg.inv(g)

    @abstractmethod
    def sample(
        self, n: int, generator: torch.Generator | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """n random elements, (n, d, d), on the generator's device; uniform on compact groups."""

    @abstractmethod
    def path(self, n: int) -> Tensor:
        """n elements (n, d, d) along one curve in the group, for showing an orbit."""

    @abstractmethod
    def distance(self, g: Tensor, h: Tensor) -> Tensor:
        """Left-invariant distance d(g, h) = d(e, g⁻¹h) ≥ 0, (N,); radians for rotations."""

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        """Moves points (N, m, p) by elements (N, d, d); returns (N, m, p)."""
        return points @ g.transpose(-1, -2)

    @abstractmethod
    def violation(self, g: Tensor) -> Tensor:
        """How far each matrix (N, d, d) is from being an element, (N,); 0 for elements."""

    def check(self, g: Tensor, tolerance: float = 1e-4) -> Tensor:
        """Returns g unchanged; raises ValueError unless it is a batch of elements (N, d, d)."""
        d = self.matrix_dim
        if g.ndim != 3 or g.shape[1:] != (d, d):
            raise ValueError(f"{self} has elements of shape (N, {d}, {d}), got {tuple(g.shape)}")
        violation = self.violation(g).nan_to_num(nan=math.inf)
        if len(g) and violation.max() > tolerance:
            worst = int(violation.argmax())
            raise ValueError(
                f"matrix {worst} of {len(g)} is no element of {self}: it is off by "
                f"{float(violation[worst]):.2g} (tolerance {tolerance:g})"
            )
        return g


class _Rotations(Group):
    """What SO(2) and SO(3) share: orthogonal matrices of determinant 1."""

    def inverse(self, g: Tensor) -> Tensor:
        return g.transpose(-1, -2)

    def violation(self, g: Tensor) -> Tensor:
        off = (g @ g.transpose(-1, -2) - torch.eye(self.matrix_dim).to(g)).abs().amax((1, 2))
        return torch.maximum(off, (torch.linalg.det(g) - 1).abs())


class SO2(_Rotations):
    """Rotations of the plane."""

    matrix_dim = 2
    point_dim = 2

    def rotation(self, angle_rad: Tensor) -> Tensor:
        """Counter-clockwise rotations (N, 2, 2) by angles (N,)."""
        c, s = angle_rad.cos(), angle_rad.sin()
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)

    def angle(self, g: Tensor) -> Tensor:
        """The angles (N,) of rotations (N, 2, 2), in (−π, π]."""
        return torch.atan2(g[..., 1, 0], g[..., 0, 0])

    def sample(self, n, generator=None, dtype=None):
        device = generator.device if generator is not None else None
        turns = torch.rand(n, generator=generator, dtype=dtype, device=device)
        return self.rotation(2 * math.pi * turns)

    def path(self, n):
        """A full turn, from e."""
        return self.rotation(2 * math.pi * torch.arange(n) / n)

    def distance(self, g, h):
        return self.angle(self.inverse(g) @ h).abs()


class Cyclic(SO2):
    """C_k: the rotations of the plane by multiples of 2π/k."""

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ValueError(f"a cyclic group has at least one element, got k={k}")
        self.k = k

    def __repr__(self) -> str:
        return f"Cyclic({self.k})"

    def element(self, j: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """The rotations (N, 2, 2) by 2πj/k for integers j (N,)."""
        angle_rad = 2 * math.pi / self.k * j.to(torch.float64)
        return self.rotation(angle_rad).to(dtype or torch.get_default_dtype())

    def sample(self, n, generator=None, dtype=None):
        device = generator.device if generator is not None else None
        return self.element(torch.randint(self.k, (n,), generator=generator, device=device), dtype)

    def path(self, n):
        """The elements in turn, from e."""
        return self.element(torch.arange(n))

    def violation(self, g):
        steps = self.angle(g) * self.k / (2 * math.pi)
        off_grid = (steps - steps.round()).abs() * 2 * math.pi / self.k
        return torch.maximum(super().violation(g), off_grid)


class SO3(_Rotations):
    """Rotations of space."""

    matrix_dim = 3
    point_dim = 3

    def rotation(self, axis: Tensor, angle_rad: Tensor) -> Tensor:
        """Right-handed rotations (N, 3, 3) about axes (N, 3) by angles (N,) (Rodrigues)."""
        x, y, z = F.normalize(axis, dim=-1).unbind(-1)
        o = torch.zeros_like(x)
        K = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))
        sin, cos = angle_rad.sin()[:, None, None], angle_rad.cos()[:, None, None]
        identity = constant(torch.eye, 3, device=K.device, dtype=K.dtype)
        return identity + sin * K + (1 - cos) * K @ K

    def sample(self, n, generator=None, dtype=None):
        # A normalised Gaussian 4-vector is a uniform unit quaternion, hence a Haar rotation.
        device = generator.device if generator is not None else None
        q = torch.randn(n, 4, generator=generator, dtype=dtype, device=device)
        w, x, y, z = F.normalize(q, dim=-1).unbind(-1)
        rows = [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ]  # fmt: skip
        return torch.stack(rows, -1).unflatten(-1, (3, 3))

    def path(self, n):
        """A full turn about the vertical axis, from e."""
        return self.rotation(torch.tensor([[0.0, 1.0, 0.0]]), 2 * math.pi * torch.arange(n) / n)

    def distance(self, g, h):
        # atan2 of sine and cosine stays accurate near 0 and π, where arccos of the trace is not.
        R = self.inverse(g) @ h
        twice_axis = torch.stack(
            [R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], -1
        )
        trace = R.diagonal(dim1=-2, dim2=-1).sum(-1)
        return torch.atan2(twice_axis.norm(dim=-1), trace - 1)


class Affine(Group):
    """Aff(R): x ↦ a x + b with a > 0, the group of contrast changes (`jin2024`, section 5).

    Not compact, so there is no uniform law: `sample` draws log a ~ N(0, σ²) and b ~ N(0, σ²).

    Args:
        sigma: σ, the standard deviation of log a and of b; 0.5 is variance 0.25.
    """

    matrix_dim = 2
    point_dim = 1

    def __init__(self, sigma: float = 0.5) -> None:
        self.sigma = sigma

    def element(self, a: Tensor, b: Tensor) -> Tensor:
        """The matrices [[a, b], [0, 1]], (N, 2, 2), of scales and shifts (N,)."""
        zero, one = torch.zeros_like(a), torch.ones_like(a)
        return torch.stack([torch.stack([a, b], -1), torch.stack([zero, one], -1)], -2)

    def scale_shift(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """a and b, each (N,), of elements (N, 2, 2)."""
        return g[..., 0, 0], g[..., 0, 1]

    def inverse(self, g):
        a, b = self.scale_shift(g)
        return self.element(1 / a, -b / a)

    def sample(self, n, generator=None, dtype=None):
        device = generator.device if generator is not None else None
        t, b = self.sigma * torch.randn(2, n, generator=generator, dtype=dtype, device=device)
        return self.element(t.exp(), b)

    def path(self, n):
        """a from e^−2σ to e^2σ, at b = 0."""
        return self.element(
            torch.linspace(-2 * self.sigma, 2 * self.sigma, n).exp(), torch.zeros(n)
        )

    def distance(self, g, h):
        # The left-invariant metric of Aff(R) is that of the hyperbolic half-plane {(b, a), a > 0}.
        (a1, b1), (a2, b2) = self.scale_shift(g), self.scale_shift(h)
        return 2 * torch.asinh(torch.hypot(a1 - a2, b1 - b2) / (2 * (a1 * a2).sqrt()))

    def act(self, g, points):
        a, b = self.scale_shift(g)
        return a[:, None, None] * points + b[:, None, None]

    def violation(self, g):
        off = (g[:, 1] - g.new_tensor([0.0, 1.0])).abs().amax(-1)
        return torch.where(g[:, 0, 0] > 0, off, torch.inf)


class Translation(Group):
    """(R^d, +) as matrices [[I, t], [0, 1]]: p ↦ p + t, the group of `hwang2023`.

    Not compact, so there is no uniform law: `sample` draws t ~ N(0, 1).

    Args:
        d: how many coordinates a point has.
    """

    def __init__(self, d: int) -> None:
        if d < 1:
            raise ValueError(f"a point has at least one coordinate, got d={d}")
        self.point_dim, self.matrix_dim = d, d + 1

    def __repr__(self) -> str:
        return f"Translation({self.point_dim})"

    def element(self, t: Tensor) -> Tensor:
        """The matrices (N, d + 1, d + 1) of vectors (N, d)."""
        g = self.identity(len(t), t.dtype, t.device)
        return torch.cat([g[..., :-1], torch.cat([t, torch.ones_like(t[:, :1])], 1)[..., None]], -1)

    def vector(self, g: Tensor) -> Tensor:
        """t, (N, d), of elements (N, d + 1, d + 1)."""
        return g[..., :-1, -1]

    def inverse(self, g):
        return self.element(-self.vector(g))

    def sample(self, n, generator=None, dtype=None):
        device = generator.device if generator is not None else None
        return self.element(
            torch.randn(n, self.point_dim, generator=generator, dtype=dtype, device=device)
        )

    def path(self, n):
        """From e along the first axis, a unit in all."""
        return self.element(torch.linspace(0, 1, n)[:, None] * torch.eye(self.point_dim)[:1])

    def distance(self, g, h):
        return (self.vector(g) - self.vector(h)).norm(dim=-1)

    def act(self, g, points):
        return points + self.vector(g)[:, None]

    def violation(self, g):
        return (g - self.element(self.vector(g))).abs().amax((1, 2))


class Product(Group):
    """The direct product G₁ × … × G_n as block-diagonal matrices.

    Example: `Product(SO2(), Affine())` turns the first two coordinates of a point of R³ and
    rescales the third.
    """

    def __init__(self, *factors: Group) -> None:
        if not factors:
            raise ValueError("a product needs at least one factor")
        self.factors = factors
        self.matrix_dim = sum(f.matrix_dim for f in factors)
        self.point_dim = sum(f.point_dim for f in factors)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"

    def element(self, *elements: Tensor) -> Tensor:
        """One element (N, d, d) from one batch of elements per factor."""
        g = elements[0].new_zeros(len(elements[0]), self.matrix_dim, self.matrix_dim)
        for block, part in zip(self.blocks(g), elements, strict=True):
            block.copy_(part)
        return g

    def blocks(self, g: Tensor) -> list[Tensor]:
        """The diagonal blocks of g, one (N, d_i, d_i) view per factor."""
        ends = torch.tensor([f.matrix_dim for f in self.factors]).cumsum(0).tolist()
        spans = zip([0, *ends[:-1]], ends, strict=True)
        return [g[:, start:end, start:end] for start, end in spans]

    def inverse(self, g):
        parts = zip(self.factors, self.blocks(g), strict=True)
        return self.element(*(f.inverse(block) for f, block in parts))

    def sample(self, n, generator=None, dtype=None):
        return self.element(*(f.sample(n, generator, dtype) for f in self.factors))

    def path(self, n):
        """All factors along their paths at once."""
        return self.element(*(f.path(n) for f in self.factors))

    def distance(self, g, h):
        parts = zip(self.factors, self.blocks(g), self.blocks(h), strict=True)
        return torch.stack([f.distance(a, b) for f, a, b in parts]).norm(dim=0)

    def act(self, g, points):
        parts = points.split([f.point_dim for f in self.factors], dim=-1)
        triples = zip(self.factors, self.blocks(g), parts, strict=True)
        return torch.cat([f.act(block, part) for f, block, part in triples], -1)

    def violation(self, g):
        blocks = self.blocks(g)
        off_diagonal = (g - self.element(*blocks)).abs().amax((1, 2))
        off = [f.violation(block) for f, block in zip(self.factors, blocks, strict=True)]
        return torch.stack([*off, off_diagonal]).amax(0)


def named(name: str) -> Group:
    """The group of a name, as groups print themselves: "SO2", "Cyclic(4)", "Product(SO2, Affine)".

    The factors of a product are no products themselves.

    Raises:
        ValueError: for another name.
    """
    plain = {"SO2": SO2, "SO3": SO3, "Affine": Affine}
    sized = {"Cyclic": Cyclic, "Translation": Translation}
    if match := re.fullmatch(r"(\w+)(?:\((.*)\))?", name.strip()):
        word, inside = match[1], match[2] or ""
        if word in plain and not inside:
            return plain[word]()
        if word in sized and inside.isdecimal():
            return sized[word](int(inside))
        if word == "Product" and inside:
            return Product(*map(named, inside.split(",")))
    known = f"{', '.join(plain)}, Cyclic(k), Translation(d), Product(…, …)"
    raise ValueError(f"unknown group {name!r}; known: {known}")


def rotate_maps(g: Tensor, maps: Tensor) -> Tensor:
    """Turns pictures, feature maps or volumes about their centre: (g·f)(p) = f(g⁻¹p).

    The one place that fixes the sense of a rotation in images: a positive angle turns what is
    seen counter-clockwise. Linear interpolation; what comes from outside is 0; exact to rounding
    under quarter turns.

    Args:
        g: rotations, (N, 2, 2) for maps or (N, 3, 3) for volumes.
        maps: (N, C, H, W) with x to the right and y up (row 0 is the top), or (N, C, D, H, W)
            with depth index 0 nearest to the viewer.

    Returns:
        The turned maps, of the same shape. H and W (and D) may differ from one another: angles
        are true angles, measured in pixels.
    """
    return resample_maps(g.transpose(-1, -2), maps)


def resample_maps(pull_back: Tensor, maps: Tensor) -> Tensor:
    """Maps f(A p) of maps f, about their centre, as `rotate_maps` where A = g⁻¹.

    Args:
        pull_back: A, (N, 2, 2) or (N, 3, 3): where each place takes its value from.
        maps: as for `rotate_maps`.
    """
    k = pull_back.shape[-1]
    if maps.ndim != k + 2:
        raise ValueError(f"{k}×{k} rotations turn maps with {k} spatial axes, got {maps.ndim - 2}")
    flip = grid_directions(pull_back)
    half = tuple(side / 2 for side in maps.shape[:1:-1])
    half_size = constant(torch.tensor, half, device=pull_back.device, dtype=pull_back.dtype)
    on_grid = flip[:, None] * pull_back * flip * half_size / half_size[:, None]
    return sample_maps(F.pad(on_grid, (0, 1)), maps)


def shift_maps(t: Tensor, maps: Tensor) -> Tensor:
    """Shifts pictures, feature maps or volumes: (g·f)(p) = f(p − t).

    The one place that fixes units and sense of a shift in images: they span [−1, 1] along every
    axis, so that t counts half sides, x to the right, y up and z towards the viewer. Linear
    interpolation; what comes from outside is 0; exact to rounding for whole pixels.

    Args:
        t: shifts, (N, 2) for maps or (N, 3) for volumes.
        maps: as for `rotate_maps`.
    """
    k = t.shape[-1]
    if maps.ndim != k + 2:
        raise ValueError(f"{k} coordinates shift maps with {k} spatial axes, got {maps.ndim - 2}")
    from_there = -grid_directions(t) * t
    straight = constant(torch.eye, k, device=t.device, dtype=t.dtype).expand(len(t), k, k)
    return sample_maps(torch.cat([straight, from_there[..., None]], 2), maps)


def grid_directions(numbers: Tensor) -> Tensor:
    """The signs of x, y (and z) on a grid: rows run down, and depth runs away from the viewer."""
    signs = (1.0, -1.0, -1.0)[: numbers.shape[-1]]
    return constant(torch.tensor, signs, device=numbers.device, dtype=numbers.dtype)


def sample_maps(theta: Tensor, maps: Tensor) -> Tensor:
    """Maps at places (N, k, k + 1) of the grid, as `torch.nn.functional.affine_grid` has them."""
    grid = F.affine_grid(theta, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid.to(maps.dtype), padding_mode="zeros", align_corners=False)
