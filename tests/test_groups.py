"""One property test of the laws for every group; the sense of rotation against SciPy."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from lga.groups import (
    SO2,
    SO3,
    Affine,
    Cyclic,
    Product,
    Translation,
    named,
    rotate_maps,
    shift_maps,
)

GROUPS = [SO2(), SO3(), Cyclic(1), Cyclic(4), Cyclic(24), Affine(), Translation(3),
          Product(SO2(), Affine()), Product(SO3(), Cyclic(5), SO2())]  # fmt: skip
every_group = pytest.mark.parametrize("group", GROUPS, ids=repr)
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


@every_group
@pytest.mark.parametrize("dtype", TOLERANCE)
@given(seed=st.integers(0, 2**31))
def test_group_laws(group, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    g, h, k = (group.sample(4, generator, dtype) for _ in range(3))
    points = torch.randn(4, 7, group.point_dim, generator=generator, dtype=dtype)
    e = group.identity(4, dtype)
    compose, inverse, act = group.compose, group.inverse, group.act

    def close(a, b):
        assert a.dtype == b.dtype == dtype
        scale = 1 + float(a.abs().max())
        torch.testing.assert_close(a, b, rtol=0, atol=scale**2 * TOLERANCE[dtype])

    close(compose(e, g), g)
    close(compose(g, e), g)
    close(compose(g, inverse(g)), e)
    close(compose(inverse(g), g), e)
    close(compose(compose(g, h), k), compose(g, compose(h, k)))
    close(act(e, points), points)
    close(act(compose(g, h), points), act(g, act(h, points)))
    group.check(compose(g, h), tolerance=1e-3)
    group.check(inverse(g), tolerance=1e-3)


@every_group
@given(seed=st.integers(0, 2**31))
def test_distance_is_a_left_invariant_metric(group, seed):
    generator = torch.Generator().manual_seed(seed)
    g, h, k = (group.sample(4, generator, torch.float64) for _ in range(3))
    d = group.distance
    torch.testing.assert_close(d(g, g), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-7)
    torch.testing.assert_close(d(g, h), d(h, g), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(d(k @ g, k @ h), d(g, h), rtol=1e-6, atol=1e-9)
    assert (d(g, h) <= d(g, k) + d(k, h) + 1e-9).all()


def test_distances_are_angles():
    so2, so3 = SO2(), SO3()
    angle = torch.tensor([0.0, 1e-4, 1.0, math.pi], dtype=torch.float64)
    axis = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64).expand(4, 3)
    torch.testing.assert_close(so2.distance(so2.identity(4).double(), so2.rotation(angle)), angle)
    torch.testing.assert_close(
        so3.distance(so3.identity(4).double(), so3.rotation(axis, angle)), angle
    )


@pytest.mark.parametrize("group", [SO2(), SO3()], ids=repr)
def test_sampling_is_uniform(group):
    """A compact group's uniform law is invariant under it, so its mean element is 0."""
    g = group.sample(100_000, torch.Generator().manual_seed(0))
    assert g.mean(0).abs().max() < 0.01
    spread = (g**2).mean(0)
    torch.testing.assert_close(spread, torch.full_like(spread, 1 / group.matrix_dim), rtol=0,
                               atol=0.01)  # fmt: skip


def test_cyclic_samples_every_element_alike():
    group = Cyclic(6)
    g = group.sample(60_000, torch.Generator().manual_seed(0))
    steps = (group.angle(g) * 6 / (2 * math.pi)).round().long() % 6
    assert (torch.bincount(steps, minlength=6) - 10_000).abs().max() < 500


def test_affine_samples_have_the_stated_deviation():
    a, b = Affine(sigma=0.5).scale_shift(
        Affine(sigma=0.5).sample(50_000, torch.Generator().manual_seed(0))
    )
    assert abs(a.log().std() - 0.5) < 0.01 and abs(b.std() - 0.5) < 0.01


def test_sampling_repeats_with_its_seed():
    for group in GROUPS:
        first, again = (group.sample(3, torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, again)


@every_group
def test_check_refuses_what_is_no_element(group):
    g = group.sample(5, torch.Generator().manual_seed(0))
    assert group.check(g) is g
    broken = g.clone()
    broken[3] *= -1.1
    with pytest.raises(ValueError, match=r"matrix 3 of 5 is no element of"):
        group.check(broken)
    for wrong in (g[0], g[:, :, :1]):
        with pytest.raises(ValueError, match="shape"):
            group.check(wrong)
    with pytest.raises(ValueError, match="no element"):
        group.check(g * math.nan)


@pytest.mark.parametrize("group", [SO2(), SO3()], ids=repr)
def test_check_refuses_mirrors_and_what_shrinks(group):
    g = group.sample(3, torch.Generator().manual_seed(0))
    mirror = torch.eye(group.matrix_dim)
    mirror[0, 0] = -1
    for wrong in (g @ mirror, 0.9 * g, 1.1 * g):
        with pytest.raises(ValueError, match="no element"):
            group.check(wrong)


def test_check_refuses_factors_that_mix():
    group = Product(SO2(), Affine())
    for entry in (-0.1, 0.1):
        g = group.identity(2)
        g[:, 0, 3] = entry
        with pytest.raises(ValueError, match="no element"):
            group.check(g)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_groups_answer_to_the_names_they_print(group):
    assert repr(named(repr(group))) == repr(group)


def test_contrast_scales_then_shifts():
    points = torch.tensor([[[0.5], [3.0]]])
    g = Affine().element(torch.tensor([2.0]), torch.tensor([-1.0]))
    assert torch.equal(Affine().act(g, points), 2 * points - 1)


def test_translations_add():
    t, group = torch.tensor([[1.0, -2.0]]), Translation(2)
    points = torch.tensor([[[0.5, 0.5], [3.0, 4.0]]])
    assert torch.equal(group.act(group.element(t), points), points + t)


def test_paths_are_what_they_say():
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # x to y, counter-clockwise
    about_y = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z to x
    for path, second in ((SO2().path(4), quarter), (SO3().path(4), about_y)):
        torch.testing.assert_close(path[0], torch.eye(len(second)), rtol=0, atol=1e-6)
        torch.testing.assert_close(path[1], second, rtol=0, atol=1e-6)
        torch.testing.assert_close(path[3], second.mT, rtol=0, atol=1e-6)
    turns = Cyclic(6).angle(Cyclic(6).path(3)) * 6 / (2 * math.pi)
    torch.testing.assert_close(turns, torch.arange(3.0), rtol=0, atol=1e-6)
    a, b = Affine(sigma=0.5).scale_shift(Affine(sigma=0.5).path(3))
    torch.testing.assert_close(a.log(), torch.tensor([-1.0, 0.0, 1.0]), rtol=0, atol=1e-6)
    assert not b.any()
    shifts = Translation(2).vector(Translation(2).path(3))
    assert torch.equal(shifts, torch.tensor([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]))
    both = Product(SO2(), Affine())
    blocks = both.blocks(both.path(5))
    assert torch.equal(blocks[0], SO2().path(5)) and torch.equal(blocks[1], Affine().path(5))


def test_check_refuses_a_rotation_between_the_cyclic_ones():
    with pytest.raises(ValueError, match=r"no element of Cyclic\(4\)"):
        Cyclic(4).check(SO2().rotation(torch.tensor([0.3])))


def picture(*shape: int) -> torch.Tensor:
    """A smooth picture without symmetry, dark at the rim."""
    generator = np.random.default_rng(0)
    rough = generator.random(shape)
    smooth = scipy.ndimage.gaussian_filter(rough, 2)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    disc = np.clip(2.5 - 4 * np.sqrt(sum(a**2 for a in axes)), 0, 1)
    return torch.tensor(disc * (smooth - smooth.min()) / np.ptp(smooth), dtype=torch.float32)


@pytest.mark.parametrize("degrees", [10.0, 63.0, 200.0, -45.0])
def test_positive_angles_turn_images_counter_clockwise_about_the_centre(degrees):
    image = picture(41, 41)
    turned = rotate_maps(SO2().rotation(torch.tensor([math.radians(degrees)])), image[None, None])
    # SciPy turns from the first axis (down) to the second (right): counter-clockwise as seen.
    expected = scipy.ndimage.rotate(image.numpy(), degrees, reshape=False, order=1)
    np.testing.assert_allclose(turned[0, 0].numpy(), expected, atol=2e-3)
    assert np.abs(turned[0, 0].numpy() - image.numpy()).max() > 0.1


def test_shifts_count_half_sides_to_the_right_up_and_towards_the_viewer():
    image = torch.zeros(2, 3, 9, 12)
    image[:, 1, 4, 5] = 1
    t = torch.tensor([[2 / 6, 3 / 4.5], [-1 / 6, -1 / 4.5]])  # 2 px right, 3 up; 1 left, 1 down
    shifted = shift_maps(t, image)
    expected = torch.zeros_like(image)
    expected[0, 1, 1, 7] = expected[1, 1, 5, 4] = 1
    torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-5)
    half_way = shift_maps(torch.tensor([[0.5 / 6, 0.0]]), image[:1])  # linear between two pixels
    torch.testing.assert_close(half_way[0, 1, 4, 5:7], torch.tensor([0.5, 0.5]), atol=1e-5, rtol=0)
    assert not shift_maps(torch.tensor([[2.0, 0.0]]), image[:1]).any()  # a whole side: gone
    volume = torch.zeros(1, 1, 4, 4, 4)
    volume[0, 0, 2, 1, 1] = 1
    nearer = shift_maps(torch.tensor([[0.0, 0.0, 0.5]]), volume)  # depth 0 is nearest
    torch.testing.assert_close(nearer[0, 0, 1, 1, 1], torch.tensor(1.0), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="3 coordinates shift maps with 3 spatial axes, got 2"):
        shift_maps(torch.zeros(1, 3), torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_of_maps_are_exact(side, quarters):
    maps = torch.rand(2, 3, side, side)
    turned = rotate_maps(Cyclic(4).element(torch.tensor([quarters] * 2)), maps)
    torch.testing.assert_close(turned, maps.rot90(quarters, (2, 3)), rtol=0, atol=1e-5)


def test_angles_are_true_on_oblong_maps():
    image = torch.zeros(1, 1, 21, 41)
    image[0, 0, 10, 26] = 1  # six pixels to the right of the centre
    turned = rotate_maps(Cyclic(4).element(torch.tensor([1])), image)
    assert turned[0, 0, 4, 20] > 0.99  # six pixels above it


def test_volumes_turn_right_handed():
    volume = picture(15, 15, 15)  # axes: depth, rows, columns = −z, −y, x
    axes = {"x": (1.0, 0, 0), "y": (0, 1.0, 0), "z": (0, 0, 1.0)}
    # A quarter turn about z carries x to y, about x y to z, about y z to x.
    planes = {"z": (1, 2), "x": (1, 0), "y": (2, 0)}
    for name, axis in axes.items():
        g = SO3().rotation(torch.tensor([axis]), torch.tensor([math.pi / 2]))
        turned = rotate_maps(g, volume[None, None])[0, 0]
        dims = planes[name]
        expected = volume.rot90(1, dims)
        assert not torch.allclose(turned, volume, atol=0.05)
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-4)


def test_turning_a_map_needs_as_many_axes_as_the_rotation():
    with pytest.raises(ValueError, match="spatial axes"):
        rotate_maps(SO3().identity(1), torch.zeros(1, 1, 4, 4))
