"""How a group moves the numbers of a latent: sums of irreducible real representations, and maps.

Every representation of a compact group is a sum of irreducible ones, which are counted here by
their order; a latent is said by how many copies of each it holds (its multiplicities).

    group       order k                                                    numbers a copy
    any         0: stays                                                   1
    SO2         k ≥ 1: the rotation by kθ, of frequency k                  2
    Cyclic(n)   1 ≤ k ≤ n/2: as SO2; k = n/2: the sign (−1)^j              2; 1
    SO3         k ≥ 1: the Wigner matrix D^k, of degree k                  2k + 1
    others      1: the group's own action on points, `Group.act`           p

Shifts have a second family, `Waves`, for what is seen in a picture rather than for points.

Aff(R) is not compact and its matrices [[a, b], [0, 1]] do not split into irreducible ones, so that
its action on numbers, z ↦ a z + b, takes their place: "others". Order 1 of every group is what
`jin2024` does (section 5); higher orders resolve finer turns.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lga.devices import constant
from lga.groups import SO2, SO3, Cyclic, Group, Translation, rotate_maps


class Representation(ABC):
    """How a group moves the channels of a latent.

    Attributes:
        group: the group that acts.
        sizes: the channels of each unit, in order; a unit is what g moves as a whole.
        moves: for each unit, whether any g moves it.
    """

    group: Group
    sizes: tuple[int, ...]
    moves: tuple[bool, ...]

    @property
    def channels(self) -> int:
        """How many channels a latent has."""
        return sum(self.sizes)

    @abstractmethod
    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """g·z for elements (N, d, d) and latents (N, channels, *spatial); returns z's shape."""


class Irreps(Representation):
    """A sum of irreducible representations, acting on channels at every place alike.

    Channels run through the orders; within an order through its copies, each with its numbers in
    a row.

    Args:
        group: the group that acts.
        multiplicities: how many copies of order 0, 1, 2, … there are.
        irreps: which representations the orders are; the group's `family` unless said.

    Raises:
        ValueError: for an order that the group does not have.
    """

    def __init__(
        self, group: Group, multiplicities: Sequence[int], irreps: "Family | None" = None
    ) -> None:
        if min(multiplicities, default=0) < 0:
            raise ValueError(f"multiplicities are not negative, got {tuple(multiplicities)}")
        self.group, self.multiplicities = group, tuple(multiplicities)
        self.family = irreps or family(group)
        orders = [order for order, m in enumerate(multiplicities) for _ in range(m)]
        self.sizes = tuple(self.family.size(order) if order else 1 for order in orders)
        self.moves = tuple(order > 0 for order in orders)
        # Copies of one size in a row move together.
        kind = dict(zip(orders, zip(self.moves, self.sizes, strict=True), strict=True))
        self.runs = [
            (size if moves else 0, tuple(run))
            for (moves, size), run in groupby(orders, kind.__getitem__)
        ]

    def __repr__(self) -> str:
        return f"Irreps({self.group}, {self.multiplicities})"

    @classmethod
    def vectors(cls, group: Group, channels: int) -> "Irreps":
        """Order 1 only: C channels read as C/p vectors, as `jin2024` moves them.

        Raises:
            ValueError: when the channels do not divide into p-vectors.
        """
        size = family(group).size(1)
        if channels % size:
            raise ValueError(f"{channels} latent channels do not divide into {size}-vectors")
        return cls(group, (0, channels // size))

    def act(self, g, z):
        if not any(self.moves):
            return z
        parts = []
        flat = z.flatten(2) if z.ndim > 2 else z[..., None]  # (N, C, S)
        widths = [len(orders) * max(size, 1) for size, orders in self.runs]
        matrices = self.family.matrices(g, len(self.multiplicities) - 1)
        for (size, orders), part in zip(self.runs, flat.split(widths, 1), strict=True):
            if size:
                copies = part.unflatten(1, (-1, size))
                part = self.family.move(orders, matrices, copies).flatten(1, 2)
            parts.append(part)
        return torch.cat(parts, 1).view(z.shape)


class DirectSum(Representation):
    """Representations of one group side by side: z = [z_1; z_2; …], each moved by its own.

    Args:
        parts: of the same group.
    """

    def __init__(self, *parts: Representation) -> None:
        self.group, self.parts = parts[0].group, parts
        self.sizes = tuple(size for part in parts for size in part.sizes)
        self.moves = tuple(moves for part in parts for moves in part.moves)

    def act(self, g, z):
        pieces = z.split([part.channels for part in self.parts], 1)
        moved = [part.act(g, piece) for part, piece in zip(self.parts, pieces, strict=True)]
        return torch.cat(moved, 1)


class Restriction(Representation):
    """A representation of a larger group, where only elements of a subgroup move the latent.

    Args:
        group: the subgroup.
        larger: the larger group's representation.
        embed: takes elements (N, d, d) of the subgroup to those of the larger group.
    """

    def __init__(
        self, group: Group, larger: Representation, embed: Callable[[Tensor], Tensor]
    ) -> None:
        self.group, self.larger, self.embed = group, larger, embed
        self.sizes, self.moves = larger.sizes, larger.moves

    def act(self, g, z):
        return self.larger.act(self.embed(g), z)


class TurnedMaps(Representation):
    """Whole feature maps, or volumes, turned like an image: (g·f)(p) = ρ(g) f(g⁻¹ p).

    What stands at a place turns with it: maps of order 0 are scalars (`swarnali2025`), three of
    order 1 in space a field of vectors. A representation at the turns that carry the grid onto
    itself; up to interpolation at others.

    Args:
        group: rotations of the plane or of space.
        multiplicities: how many copies of order 0, 1, 2, … stand at every place.

    Raises:
        ValueError: for an order that the group does not have.
    """

    def __init__(self, group: Group, multiplicities: Sequence[int]) -> None:
        self.group, self.at_a_place = group, Irreps(group, multiplicities)
        self.sizes = self.at_a_place.sizes
        self.moves = (True,) * len(self.sizes)

    def act(self, g, z):
        return rotate_maps(g, self.at_a_place.act(g, z))


class Family(ABC):
    """The irreducible real representations of one group, by order from 1 on.

    Args:
        group: the group that acts.
    """

    def __init__(self, group: Group) -> None:
        self.group = group

    @abstractmethod
    def size(self, order: int) -> int:
        """How many numbers a copy has; raises ValueError where there is no such order."""

    @abstractmethod
    def matrices(self, g: Tensor, highest: int) -> Any:
        """What elements (N, d, d) are in every order up to the highest, as `move` takes it."""

    @abstractmethod
    def move(self, orders: tuple[int, ...], matrices: Any, z: Tensor) -> Tensor:
        """g·z for copies (N, m, size, S) of orders (m,), all of one size."""


class Frequencies(Family):
    """SO(2) and C_n: order k turns a pair of numbers by kθ."""

    def size(self, order):
        if not isinstance(self.group, Cyclic) or 2 * order < self.group.k:
            return 2
        if 2 * order == self.group.k:
            return 1
        raise ValueError(f"{self.group} has orders up to {self.group.k // 2}, got {order}")

    def matrices(self, g, highest):
        # (cos θ + i sin θ)^k, all powers at once; the first is g itself, to the bit.
        turn = torch.complex(g[:, 0, 0], g[:, 1, 0])
        return turn[:, None].expand(-1, highest).cumprod(1)

    def move(self, orders, matrices, z):
        exponents = constant(torch.tensor, orders, device=z.device)
        power = matrices[:, exponents - 1, None]  # (N, m, 1)
        if z.shape[2] == 1:
            return power.real[..., None] * z
        x, y = z.unbind(2)
        return torch.stack([power.real * x - power.imag * y, power.imag * x + power.real * y], 2)


class Waves(Frequencies):
    """(R^d, +): order k turns a pair of numbers by κ_k·t, as a shift by t turns a wave e^{iκ·p}.

    Args:
        group: the shifts.
        vectors: κ_1, κ_2, …, each of d numbers, in radians a unit of t.
    """

    def __init__(self, group: Translation, vectors: tuple[tuple[float, ...], ...]) -> None:
        super().__init__(group)
        self.vectors = vectors

    def size(self, order):
        if order > len(self.vectors):
            raise ValueError(f"there are waves of orders up to {len(self.vectors)}, got {order}")
        return 2

    def matrices(self, g, highest):
        kappa = constant(torch.tensor, self.vectors, device=g.device, dtype=g.dtype)
        phase = self.group.vector(g) @ kappa[:highest].mT
        return torch.polar(torch.ones_like(phase), phase)


class Degrees(Family):
    """SO(3): order l moves 2l + 1 numbers by the Wigner matrix D^l, in a real basis."""

    def size(self, order):
        return 2 * order + 1

    def matrices(self, g, highest):
        return wigner_matrices(highest, g)

    def move(self, orders, matrices, z):
        return torch.einsum("nij,nmjs->nmis", matrices[orders[0] - 1], z)


class OwnAction(Family):
    """Any other group: order 1 is its action on points."""

    def size(self, order):
        if order > 1:
            raise ValueError(f"{self.group} has order 1 only, its action on points; got {order}")
        return self.group.point_dim

    def matrices(self, g, highest):
        return g

    def move(self, orders, matrices, z):
        moved = self.group.act(matrices, z.transpose(2, 3).flatten(1, 2))  # (N, m S, p)
        return moved.unflatten(1, (z.shape[1], z.shape[3])).transpose(2, 3)


def family(group: Group) -> Family:
    """The irreducible representations of a group."""
    if isinstance(group, SO2):
        return Frequencies(group)
    return Degrees(group) if isinstance(group, SO3) else OwnAction(group)


def wigner_matrices(highest: int, g: Tensor) -> list[Tensor]:
    """D^1(g), …, D^highest(g) of rotations (N, 3, 3), each (N, 2l + 1, 2l + 1); D^1(g) = g.

    D^l is what D^(l−1) ⊗ D^1 does on the part of degree l, so that every entry is a polynomial of
    degree l in g's, without angles.
    """
    matrices = [g][:highest]
    for l in range(2, highest + 1):  # noqa: E741
        C = constant(coupling, l, device=g.device, dtype=g.dtype)
        product = torch.einsum("nij,nkl->nikjl", matrices[-1], g).flatten(3).flatten(1, 2)
        matrices.append(C @ product @ C.mT)
    return matrices


def spherical_harmonics(degree: int, directions: Tensor) -> Tensor:
    """Y_l of unit vectors (P, 3), (P, 2l + 1), in the basis of `wigner_matrices`.

    Y_l(g u) = D^l(g) Y_l(u), with Y_0 = 1 and Y_1(u) = u; Y_l is the part of degree l of
    Y_(l−1) ⊗ Y_1. Its length is the same at every u.
    """
    values = torch.ones_like(directions[:, :1]) if degree == 0 else directions
    for l in range(2, degree + 1):  # noqa: E741
        product = (values[:, :, None] * directions[:, None, :]).flatten(1)
        values = product @ coupling(l).to(directions).mT
    return values


@functools.cache
def generators(degree: int) -> Tensor:
    """J_x, J_y, J_z in the basis of `wigner_matrices`, (3, 2l + 1, 2l + 1) in float64."""
    if degree == 1:
        J = torch.zeros(3, 3, 3, dtype=torch.float64, device="cpu")
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            J[i, k, j], J[i, j, k] = 1, -1
        return J
    C = coupling(degree)
    return C @ _product_generators(degree) @ C.mT


def _product_generators(degree: int) -> Tensor:
    """The generators of D^(l−1) ⊗ D^1."""
    lower, vector = generators(degree - 1), generators(1)
    left, right = (torch.eye(len(J[0]), dtype=torch.float64, device="cpu") for J in (lower, vector))
    return torch.stack(
        [torch.kron(a, right) + torch.kron(left, b) for a, b in zip(lower, vector, strict=True)]
    )


@functools.cache
def coupling(degree: int) -> Tensor:
    """C_l, (2l + 1, 3 (2l − 1)): the part of degree l in D^(l−1) ⊗ D^1, in float64.

    The part is the eigenspace of the Casimir −Σ J² at l (l + 1). Its basis is Gram and Schmidt's of
    the projection's columns in their order, the same on every machine.
    """
    J = _product_generators(degree)
    values, vectors = torch.linalg.eigh(-(J @ J).sum(0))
    top = vectors[:, values > degree * (degree + 1) - 1]
    basis: list[np.ndarray] = []
    for column in (top @ top.mT).numpy():
        rest = column - sum((np.dot(b, column) * b for b in basis), np.zeros_like(column))
        if (length := np.linalg.norm(rest)) > 1e-3:
            basis.append(rest / length)
    return torch.from_numpy(np.stack(basis))
