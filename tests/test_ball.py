"""Fields in the ball around an object: they turn as what the camera sees of it does."""

import pytest
import torch

import lga
from lga.cameras import FLIGHT, TURNTABLE
from lga.groups import SO3
from lga.networks.ball import ObjectField, camera_harmonics, places
from lga.representations import Irreps, coupling, generators

SIDE = 16


def harmonics(camera):
    return camera_harmonics(camera, SIDE, 0.55)


@pytest.mark.parametrize("camera", [FLIGHT, TURNTABLE])
def test_analysis_undoes_synthesis(camera):
    multiplicities, synthesis, analysis = harmonics(camera)
    n = sum(copies * (2 * degree + 1) for degree, copies in enumerate(multiplicities))
    assert synthesis.shape == (n, SIDE**3) and analysis.shape == (SIDE**3, n)
    torch.testing.assert_close(synthesis @ analysis, torch.eye(n), rtol=0, atol=1e-5)
    assert torch.linalg.cond(synthesis.double()) < 2  # little noise becomes little noise


def test_places_lie_on_the_rays_around_the_object():
    grid = places(FLIGHT, SIDE)
    assert grid.mean(0).abs().max() < 0.02  # a cube a little wider behind than in front
    first, last = grid.view(SIDE, SIDE, SIDE, 3)[[0, -1]].unbind(0)
    assert (first[..., 2] > 0.4).all() and (last[..., 2] < -0.4).all()  # front to back
    top_left = first[0, 0]
    assert top_left[0] < 0 < top_left[1]


def bump(place, middle):
    return torch.exp(-((place - middle) ** 2).sum(1) / (2 * 0.1**2))


def test_a_turned_bump_is_the_bump_elsewhere():
    multiplicities, synthesis, analysis = harmonics(FLIGHT)
    grid = places(FLIGHT, SIDE).float()
    irreps = Irreps(SO3(), multiplicities)
    start = torch.tensor([0.25, 0.1, -0.05])
    for g in SO3().sample(5, torch.Generator().manual_seed(0)):
        moved = irreps.act(g[None], (bump(grid, start) @ analysis)[None]) @ synthesis
        expected = bump(grid, g @ start)
        assert (moved[0] - expected).norm() < 0.15 * expected.norm()


def test_on_the_turntable_a_bump_goes_round_as_the_camera_sees_it():
    """A quarter turn counter-clockwise from above takes what is in front to the right."""
    system = lga.SYSTEMS["lga"].for_dataset(lga.DATASETS["nmr"])
    _, fields = system.action.representation.parts
    _, synthesis, analysis = harmonics(TURNTABLE)
    grid, n = places(TURNTABLE, SIDE).float(), len(synthesis)
    axes = TURNTABLE.axes(torch.zeros(1))[0]  # columns are the camera's axes in the world
    front, right = (torch.tensor(place) @ axes for place in ([0, -0.05, 0.3], [0.3, -0.05, 0]))
    # The first copy of every degree is the first field's.
    of_one = system.network.field.by_degree < n
    z = torch.zeros(1, fields.channels)
    z[0, of_one] = bump(grid, front) @ analysis
    moved = fields.act(system.group.element(torch.tensor([6])), z)
    assert not moved[0, ~of_one].any()
    expected = bump(grid, right)
    assert (moved[0, of_one] @ synthesis - expected).norm() < 0.15 * expected.norm()


def test_fields_are_read_and_painted_in_the_order_of_irreps():
    """A quarter turn about the line of sight turns the columns of voxels as a picture."""
    field = ObjectField(FLIGHT, 12, SIDE, fields=3)
    irreps = Irreps(SO3(), field.multiplicities)
    assert irreps.channels == field.coefficients
    coefficients = torch.randn(2, field.coefficients)
    quarter = SO3().rotation(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([torch.pi / 2]))
    seen = {}
    field.mix.register_forward_pre_hook(lambda _, inputs: seen.update(columns=inputs[0]))
    field.paint(coefficients)
    before = seen["columns"].rot90(1, (2, 3))
    field.paint(irreps.act(quarter.expand(2, 3, 3), coefficients))
    torch.testing.assert_close(seen["columns"], before, rtol=0, atol=1e-4)
    # What is painted is what was read.
    field.lift = torch.nn.Identity()
    torch.testing.assert_close(
        field.read(before.rot90(-1, (2, 3))), coefficients, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("dataset", ["plane_in_the_sky", "nmr"])
def test_objects_have_fewer_numbers_than_the_paper_and_exact_laws(dataset):
    system = lga.SYSTEMS["lga"].for_dataset(lga.DATASETS[dataset])
    assert system.network.latent_shape == (system.action.representation.channels,)
    assert system.action.representation.channels < 4_032
    z, (g, h) = torch.randn(8, *system.network.latent_shape), system.group.sample(16).chunk(2)
    once = system.action(system.group.compose(g, h), z)
    assert (system.action(g, system.action(h, z)) - once).norm() < 2e-6 * z.norm()


def test_harmonics_are_numbers_though_a_network_without_memory_asks_first():
    """As `lga list` does, which counts parameters on "meta"."""
    for cached in (generators, coupling, camera_harmonics):
        cached.cache_clear()
    with torch.device("meta"):
        coupling(2)
        field = ObjectField(FLIGHT, 8, SIDE)
    assert {field.synthesis.device.type, coupling(2).device.type} == {"cpu"}
    assert field.lift[2].weight.device.type == "meta"
