"""Representations: the laws for every group and order, and what single orders do."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lga.groups import SO2, SO3, Affine, Cyclic, Product, Translation, rotate_maps
from lga.representations import (
    DirectSum,
    Irreps,
    TurnedMaps,
    Waves,
    spherical_harmonics,
    wigner_matrices,
)

SHIFTS = Translation(2)
LENGTHS_STAY = [
    Irreps(SO2(), (3, 2, 0, 1, 2)),
    Irreps(SO2(), (0, *[1] * 30)),
    Irreps(Cyclic(6), (1, 2, 1, 3)),
    Irreps(Cyclic(5), (1, 2, 1)),
    Irreps(SO3(), (2, 1, 2, 0, 1, 1, 1)),
    Irreps(SHIFTS, (2, 1, 3), Waves(SHIFTS, ((0.5, -1.0), (0.0, 2.0)))),
]
CASES = [
    *LENGTHS_STAY,
    Irreps(Affine(), (2, 3)),
    Irreps(Product(SO2(), Affine()), (1, 2)),
]
every_case = pytest.mark.parametrize("irreps", CASES, ids=repr)


@every_case
@pytest.mark.parametrize("spatial", [(), (4, 3)])
@given(seed=st.integers(0, 2**31))
def test_laws(irreps, spatial, seed):
    generator, group = torch.Generator().manual_seed(seed), irreps.group
    z = torch.randn(3, irreps.channels, *spatial, generator=generator).double()
    g, h = (group.sample(3, generator, torch.float64) for _ in range(2))
    torch.testing.assert_close(irreps.act(group.identity(3, torch.float64), z), z)
    torch.testing.assert_close(irreps.act(h, irreps.act(g, z)), irreps.act(group.compose(h, g), z))
    torch.testing.assert_close(irreps.act(group.inverse(g), irreps.act(g, z)), z)


@pytest.mark.parametrize("irreps", LENGTHS_STAY, ids=repr)
def test_turns_and_phases_keep_lengths_and_single_precision_obeys_the_law(irreps):
    group = irreps.group
    z, g, h = torch.randn(50, irreps.channels), group.sample(50), group.sample(50)
    torch.testing.assert_close(irreps.act(g, z).norm(dim=1), z.norm(dim=1), rtol=1e-5, atol=0)
    difference = irreps.act(h, irreps.act(g, z)) - irreps.act(group.compose(h, g), z)
    assert difference.norm() / z.norm() < 2e-6


@every_case
def test_units_are_what_moves_as_a_whole(irreps):
    group = irreps.group
    assert len(irreps.sizes) == len(irreps.moves) == sum(irreps.multiplicities)
    z, g = torch.randn(1, irreps.channels), group.sample(1)
    still = z.clone()
    for unit, changed in zip(irreps.moves, (irreps.act(g, z) != still)[0].split(irreps.sizes),
                             strict=True):  # fmt: skip
        assert unit or not changed.any()
    for k, unit in enumerate(torch.eye(irreps.channels, dtype=torch.float64).split(irreps.sizes)):
        if isinstance(group, Affine | Product):
            break  # an affine action moves the origin too
        reached = irreps.act(group.sample(len(unit), dtype=torch.float64), unit).abs().sum(0) > 1e-9
        mine = torch.zeros(irreps.channels, dtype=torch.bool)
        mine[sum(irreps.sizes[:k]) : sum(irreps.sizes[: k + 1])] = True
        assert not (reached & ~mine).any()


def test_waves_turn_by_the_product_of_their_vector_and_the_shift():
    g = SHIFTS.element(torch.tensor([[0.3, -0.2]], dtype=torch.float64))
    z = torch.tensor([[5.0, 1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    moved = Irreps(SHIFTS, (1, 1, 1), Waves(SHIFTS, ((0.5, -1.0), (0.0, 2.0)))).act(g, z)
    phases = (0.5 * 0.3 + 0.2, -2 * 0.2)
    expected = [5.0, *(part for p in phases for part in (math.cos(p), math.sin(p)))]
    torch.testing.assert_close(moved[0], torch.tensor(expected, dtype=torch.float64))


def test_frequency_k_turns_k_times_as_fast():
    angle_rad = torch.tensor([0.3], dtype=torch.float64)
    g = SO2().rotation(angle_rad)
    z = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for k in (1, 2, 7):
        moved = Irreps(SO2(), (0,) * k + (1,)).act(g, z)
        expected = torch.tensor([[math.cos(0.3 * k), math.sin(0.3 * k)]], dtype=torch.float64)
        torch.testing.assert_close(moved, expected)


def test_the_sign_is_the_last_order_of_an_even_cycle():
    signs = Irreps(Cyclic(4), (0, 0, 3))
    assert signs.sizes == (1, 1, 1)
    g = Cyclic(4).element(torch.arange(4), torch.float64)
    torch.testing.assert_close(
        signs.act(g, torch.ones(4, 3, dtype=torch.float64))[:, 0],
        torch.tensor([1.0, -1, 1, -1], dtype=torch.float64),
    )


def test_order_one_of_space_is_the_rotation_itself():
    g = SO3().sample(4)
    (matrix,) = wigner_matrices(1, g)
    assert torch.equal(matrix, g)
    vectors = torch.randn(4, 6)
    expected = (g[:, None] @ vectors.view(4, 2, 3, 1)).view(4, 6)
    torch.testing.assert_close(Irreps.vectors(SO3(), 6).act(g, vectors), expected)


@pytest.mark.parametrize("degree", range(1, 7))
def test_characters_are_those_of_the_irreducible_representations(degree):
    """tr D^l(θ) = sin((2l + 1)θ/2) / sin(θ/2): the right one, and irreducible."""
    angle_rad = torch.linspace(0.1, 3.0, 7, dtype=torch.float64)
    axes = torch.randn(7, 3, dtype=torch.float64)
    matrices = wigner_matrices(degree, SO3().rotation(axes, angle_rad))[-1]
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    expected = ((2 * degree + 1) * angle_rad / 2).sin() / (angle_rad / 2).sin()
    torch.testing.assert_close(trace, expected)


@pytest.mark.parametrize("degree", range(11))
def test_spherical_harmonics_of_turned_directions_are_those_turned(degree):
    u = torch.nn.functional.normalize(torch.randn(20, 3, dtype=torch.float64), dim=1)
    g = SO3().sample(1, dtype=torch.float64)
    values = spherical_harmonics(degree, u)
    assert values.shape == (20, 2 * degree + 1)
    matrix = wigner_matrices(degree, g)[-1][0] if degree else torch.eye(1, dtype=torch.float64)
    torch.testing.assert_close(spherical_harmonics(degree, u @ g[0].mT), values @ matrix.mT)
    torch.testing.assert_close(values.norm(dim=1), values.norm(dim=1).mean().expand(20))


def test_a_direct_sum_moves_every_part_by_its_own():
    first, second = Irreps(SO3(), (2, 1)), Irreps(SO3(), (0, 2, 1))
    both = DirectSum(first, second)
    assert both.channels == first.channels + second.channels
    assert both.sizes == first.sizes + second.sizes and both.moves == first.moves + second.moves
    z, g = torch.randn(4, both.channels), SO3().sample(4)
    a, b = z.split([first.channels, second.channels], 1)
    assert torch.equal(both.act(g, z), torch.cat([first.act(g, a), second.act(g, b)], 1))


def test_turned_maps_turn_with_the_image():
    maps = TurnedMaps(SO2(), (3,))
    z = torch.rand(1, 3, 7, 7)
    moved = maps.act(Cyclic(4).element(torch.tensor([1])), z)
    torch.testing.assert_close(moved, z.rot90(1, (2, 3)), rtol=0, atol=1e-5)
    assert maps.channels == 3


@pytest.mark.parametrize(
    ("group", "quarters"),
    [
        (SO2(), Cyclic(4).element(torch.tensor([1, 2, 3]))),
        (SO3(), SO3().rotation(torch.eye(3), torch.full((3,), math.pi / 2))),
    ],
)
def test_fields_of_vectors_turn_as_gradients_do(group, quarters):
    axes = quarters.shape[-1]

    def with_gradient(f):
        # Arrays run right, down and away; vectors right, up and towards the viewer.
        ways = ((-1, 1), (-2, -1), (-3, -1))[:axes]
        slopes = [sign * (f.roll(-1, axis) - f.roll(1, axis)) for axis, sign in ways]
        return torch.cat([f, *slopes], 1)

    f = torch.rand(3, 1, *[6] * axes)
    fields = TurnedMaps(group, (1, 1))
    assert fields.sizes == (1, axes) and all(fields.moves)
    moved = fields.act(quarters, with_gradient(f))
    torch.testing.assert_close(moved, with_gradient(rotate_maps(quarters, f)), rtol=0, atol=1e-4)
    assert (moved - rotate_maps(quarters, with_gradient(f))).abs().max() > 0.5


def test_orders_that_a_group_lacks_are_refused():
    with pytest.raises(ValueError, match=r"Cyclic\(6\) has orders up to 3, got 4"):
        Irreps(Cyclic(6), (0, 0, 0, 0, 1))
    with pytest.raises(ValueError, match="has order 1 only"):
        Irreps(Affine(), (0, 1, 1))
    with pytest.raises(ValueError, match="waves of orders up to 1, got 2"):
        Irreps(SHIFTS, (0, 1, 1), Waves(SHIFTS, ((1.0, 0.0),)))
    with pytest.raises(ValueError, match="do not divide into 3-vectors"):
        Irreps.vectors(SO3(), 20)
    with pytest.raises(ValueError, match="not negative"):
        Irreps(SO2(), (1, -1))
