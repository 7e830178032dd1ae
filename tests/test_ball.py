"""Fields in the ball around an object: they turn as what the camera sees of it does."""

import torch

import lga
from lga.cameras import FLIGHT
from lga.groups import SO3
from lga.networks.ball import ObjectField, ball_harmonics, places
from lga.representations import Irreps, coupling, generators

SIDE = 16


def harmonics():
    return ball_harmonics(FLIGHT, SIDE, 0.55)


def test_analysis_undoes_synthesis():
    multiplicities, synthesis, analysis = harmonics()
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


def test_a_turned_bump_is_the_bump_elsewhere():
    multiplicities, synthesis, analysis = harmonics()
    grid = places(FLIGHT, SIDE).float()
    irreps = Irreps(SO3(), multiplicities)
    start = torch.tensor([0.25, 0.1, -0.05])
    bump = torch.exp(-((grid - start) ** 2).sum(1) / (2 * 0.1**2))
    for g in SO3().sample(5, torch.Generator().manual_seed(0)):
        moved = irreps.act(g[None], (bump @ analysis)[None]) @ synthesis
        expected = torch.exp(-((grid - g @ start) ** 2).sum(1) / (2 * 0.1**2))
        assert (moved[0] - expected).norm() < 0.15 * expected.norm()


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


def test_planes_have_fewer_numbers_than_the_paper_and_exact_laws():
    system = lga.SYSTEMS["lga"].for_dataset(lga.DATASETS["plane_in_the_sky"])
    assert system.network.latent_shape == (system.action.representation.channels,)
    assert system.action.representation.channels < 4_032
    z, (g, h) = torch.randn(8, *system.network.latent_shape), SO3().sample(16).chunk(2)
    once = system.action(SO3().compose(g, h), z)
    assert (system.action(g, system.action(h, z)) - once).norm() < 2e-6 * z.norm()


def test_harmonics_are_numbers_though_a_network_without_memory_asks_first():
    """As `lga list` does, which counts parameters on "meta"."""
    for cached in (generators, coupling, ball_harmonics):
        cached.cache_clear()
    with torch.device("meta"):
        coupling(2)
        field = ObjectField(FLIGHT, 8, SIDE)
    assert {field.synthesis.device.type, coupling(2).device.type} == {"cpu"}
    assert field.lift[2].weight.device.type == "meta"
