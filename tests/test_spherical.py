"""Networks on spheres: what they are made of commutes with the turns of space."""

import math

import pytest
import torch

import lga
from lga.groups import SO3, rotate_maps
from lga.metrics import psnr_db
from lga.networks import Encoding, SphericalAutoencoder
from lga.networks.spherical import DegreeLinear, DegreeStack, Sphere, SphereBlock, cube_harmonics
from lga.representations import Irreps

SIDE = 16
CODE = (4, 2, 2, 1)


QUARTER = SO3().rotation(torch.tensor([[1.0, 0, 0]]), torch.tensor([math.pi / 2])).double()


def turns(n):
    return SO3().sample(n, torch.Generator().manual_seed(0), dtype=torch.float64)


def smooth_volumes(n, channels=1):
    """Random volumes without detail near the grid, dark outside the ball."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(n, channels, 5, 5, 5, generator=generator, dtype=torch.float64)
    volumes = torch.nn.functional.interpolate(
        coarse, size=(SIDE,) * 3, mode="trilinear", align_corners=True
    )
    place = torch.linspace(-1, 1, SIDE, dtype=torch.float64)
    radius = (place[:, None, None] ** 2 + place[:, None] ** 2 + place**2).sqrt()
    return volumes * ((0.9 - radius).clamp(0, 0.3) / 0.3)


def acted(multiplicities, g, stack):
    """What g does to a stack."""
    places = DegreeStack(multiplicities)
    moved = Irreps(SO3(), multiplicities).act(g, places.flat(stack)[:, 0])
    return places.stacked(moved[:, None])


def test_harmonics_say_what_a_volume_is_and_turn_as_irreps():
    counts, harmonics, inside = cube_harmonics(SIDE, 0.7, 99)
    harmonics, x = harmonics.double(), smooth_volumes(4)
    # They are nearly orthonormal, so that products with them are nearly coefficients.
    torch.testing.assert_close(
        harmonics @ harmonics.mT, torch.eye(len(harmonics)).double(), rtol=0, atol=0.1
    )

    def volumes(coefficients):
        whole = torch.zeros(4, SIDE**3, dtype=torch.float64)
        return whole.index_copy(1, inside, coefficients @ harmonics).view_as(x)

    z = x.flatten(1)[:, inside] @ harmonics.mT
    assert z.shape[1] == Irreps(SO3(), counts).channels
    assert psnr_db(volumes(z), x).min() > 35
    for g, at_least in ((QUARTER.expand(4, 3, 3), 100), (turns(4), 35)):  # interpolation blurs
        moved = volumes(Irreps(SO3(), counts).act(g, z))
        assert psnr_db(moved, rotate_maps(g, volumes(z))).min() > at_least


def test_every_voxel_of_the_ball_can_be_told_what_to_show():
    _, harmonics, _ = cube_harmonics(SIDE, 0.7, 99)
    reach = harmonics.norm(dim=0)
    assert reach.min() > 0.5 * reach.median()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_stack_holds_every_number_once(channels):
    places = DegreeStack((3, 0, 2, 1))
    numbers = torch.randn(2, channels, 3 + 10 + 7)
    stack = places.stacked(numbers)
    assert stack.shape == (16, 2, 3 * channels)
    assert torch.equal(places.flat(stack, channels), numbers)
    assert not stack[1:4].any()  # there is no copy of degree 1
    assert (stack != 0).sum() == numbers.numel()
    # A degree's copies of all channels come first, which is where its matrix looks for them.
    seen = DegreeLinear(tuple(channels * copies for copies in (3, 0, 2, 1)), (1,) * 4)
    assert torch.equal((stack[:, 0] != 0).float(), seen.there[seen.degree_of, :, 0])


def test_matrices_that_keep_degrees_apart_commute_with_turns():
    inputs, outputs = (3, 2, 0, 1), (1, 2, 3, 4)
    mapped = DegreeLinear(inputs, outputs).double()
    stack = DegreeStack(inputs).stacked(torch.randn(4, 1, 3 + 6 + 7, dtype=torch.float64))
    turned = mapped(acted(inputs, turns(4), stack))
    torch.testing.assert_close(turned, acted(outputs, turns(4), mapped(stack)))
    assert not mapped(stack)[4:9].any()  # nothing comes of a degree without copies


def test_a_sphere_keeps_degrees_and_a_block_commutes_with_turns():
    sphere = Sphere(256, 6).double()
    of_all = (4,) * 6
    stack = DegreeStack(of_all).stacked(torch.randn(3, 1, 4 * 36, dtype=torch.float64))
    samples = sphere.sample(stack)
    torch.testing.assert_close(sphere.analyse(samples), stack, rtol=0, atol=1e-5)
    # Numbers of mean square 1 are functions of mean square 1 a degree.
    assert (samples.square().mean() / 6 / (2 * 3)) == pytest.approx(1, abs=0.4)
    block = SphereBlock(sphere, 4).double()
    torch.testing.assert_close(block(samples), samples)  # to begin with
    torch.nn.init.normal_(block.out.weight, std=2.0)
    said = sphere.analyse(block(samples)) - stack
    turned = acted(of_all, turns(3), stack)
    said_of_turned = sphere.analyse(block(sphere.sample(turned))) - turned
    error = said_of_turned - acted(of_all, turns(3), said)
    assert said.norm() > 0.1 * stack.norm() and error.norm() < 0.1 * said.norm()


@pytest.mark.parametrize("channels", [1, 2])
@torch.no_grad()
def test_spherical_networks_are_equivariant(channels):
    network = SphericalAutoencoder((channels, *[SIDE] * 3), CODE, width=24, depth=2).double()
    for block in (*network.blocks_in, *network.blocks_out):
        torch.nn.init.normal_(block.out.weight, std=0.05)
    irreps, g = Irreps(SO3(), CODE), turns(4)
    x = smooth_volumes(4, channels)
    z = network.encode(x).z
    assert z.shape == (4, irreps.channels) and z.std() > 0.01
    apart = torch.tensor([size == 1 for size in irreps.sizes for _ in range(size)])
    moved, expected = network.encode(rotate_maps(g, x)).z, irreps.act(g, z)
    for part in (apart, ~apart):
        assert (moved - expected)[:, part].norm() < 0.1 * expected[:, part].norm()
    assert (moved - z)[:, ~apart].norm() > 0.5 * z[:, ~apart].norm()
    quarter = QUARTER.expand(4, 3, 3)  # interpolates nothing
    painted = network.decode(Encoding(z))
    assert painted.shape == x.shape
    expected = rotate_maps(quarter, painted)
    turned = network.decode(Encoding(irreps.act(quarter, z)))
    assert (turned - expected).norm() < 0.1 * (turned - painted).norm()


@pytest.mark.parametrize(
    "shape, code, words",
    [
        ((1, 16, 16, 12), CODE, "cubes of up to 48 voxels a side, got 16×16×12"),
        ((1, 16, 16), CODE, "cubes of up to 48 voxels a side, got 16×16"),
        ((1, 50, 50, 50), CODE, "cubes of up to 48 voxels a side, got 50×50×50"),
        ((1, 4, 4, 4), (1,) * 6, "4 voxels a side hold degrees up to 1, not 5"),
    ],
)
def test_volumes_that_have_no_harmonics_are_refused(shape, code, words):
    with pytest.raises(ValueError, match=words):
        SphericalAutoencoder(shape, code)


def test_counting_on_meta_leaves_harmonics_that_are_numbers():
    cube_harmonics.cache_clear()
    with torch.device("meta"):
        network = SphericalAutoencoder((1, SIDE, SIDE, SIDE), CODE)
    assert network.harmonics.device.type == "cpu" and network.sphere.waves.device.type == "cpu"
    assert network.paint.weight.device.type == "meta"


def test_turns_of_space_have_no_numbers_for_a_square_that_stays():
    with pytest.raises(ValueError, match="still=4 is for turns of the plane"):
        lga.SYSTEMS["lga_matched"]((1, SIDE, SIDE, SIDE), SO3(), still=4)
