"""How latents split and move: laws under every split, and the straight-through gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lga.groups import SO2, SO3, Affine, Cyclic, Product
from lga.latents import FixedSplit, LatentAction, LearnedMask
from lga.representations import Irreps, TurnedMaps

GROUPS = [SO2(), SO3(), Cyclic(24), Affine(), Product(SO2(), Affine())]
every_group = pytest.mark.parametrize("group", GROUPS, ids=repr)


def random_mask(units: int, seed: int) -> LearnedMask:
    """A mask that has learned some mixture of ones and zeros."""
    mask = LearnedMask(units)
    with torch.no_grad():
        mask.logits.copy_(torch.randn(units, generator=torch.Generator().manual_seed(seed)))
    return mask


@every_group
@pytest.mark.parametrize("spatial", [(), (4, 3), (2, 2, 2)])
@given(seed=st.integers(0, 2**31))
def test_laws_hold_in_latent_space_under_any_split(group, spatial, seed):
    generator = torch.Generator().manual_seed(seed)
    units = 6
    z = torch.randn(3, units * group.point_dim, *spatial, generator=generator).double()
    g, h = (group.sample(3, generator, torch.float64) for _ in range(2))
    e = group.identity(3, torch.float64)
    for split in (FixedSplit(units, 4), random_mask(units, seed)):
        act = LatentAction(Irreps.vectors(group, z.shape[1]), split.double())
        torch.testing.assert_close(act(e, z), z)
        torch.testing.assert_close(act(h, act(g, z)), act(group.compose(h, g), z))
        torch.testing.assert_close(act(group.inverse(g), act(g, z)), z)


@every_group
def test_what_does_not_vary_stays_to_the_bit(group):
    split = FixedSplit(6, 4)
    z = torch.randn(5, 6 * group.point_dim, 3, 3)
    moved = LatentAction(Irreps.vectors(group, z.shape[1]), split)(group.sample(5), z)
    kept = 4 * group.point_dim
    assert torch.equal(moved[:, kept:], z[:, kept:])
    assert not torch.allclose(moved[:, :kept], z[:, :kept], atol=0.01)


def test_what_rests_does_not_vary_although_the_split_lets_it():
    action = LatentAction(Irreps(SO2(), (2, 1)), FixedSplit(3, 3))  # two numbers rest, one vector
    for z in (torch.randn(5, 4), torch.randn(5, 4, 3, 3)):
        varying = action.varying(z)
        assert varying.shape == (4, *[1] * (z.ndim - 2))
        assert varying.flatten().tolist() == [0, 0, 1, 1]
    assert action.fraction() == 0.5


def test_vectors_run_along_channels():
    quarter = Cyclic(4).element(torch.tensor([1]))
    z = torch.arange(16.0).reshape(1, 4, 2, 2)
    moved = Irreps.vectors(SO2(), 4).act(quarter, z)
    # (a, b) turned by a quarter is (−b, a), at every position of its own.
    expected = torch.stack([-z[0, 1], z[0, 0], -z[0, 3], z[0, 2]])[None]
    torch.testing.assert_close(moved, expected)


def test_maps_turn_with_the_image():
    action = LatentAction(TurnedMaps(SO2(), (3,)), FixedSplit(3, 2))
    z = torch.rand(1, 3, 7, 7)
    moved = action(Cyclic(4).element(torch.tensor([1])), z)
    torch.testing.assert_close(moved[:, :2], z[:, :2].rot90(1, (2, 3)), rtol=0, atol=1e-5)
    assert torch.equal(moved[:, 2], z[:, 2])


def test_mixed_precision_does_not_reach_the_action():
    action = LatentAction(Irreps.vectors(SO2(), 4), FixedSplit(2, 2))
    g, z = SO2().sample(8), torch.randn(8, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = action(g, z)
    torch.testing.assert_close(mixed, action(g, z), rtol=0, atol=0)


def test_learned_mask_is_hard_forward_and_soft_backward():
    mask = LearnedMask(5, threshold=0.6)
    with torch.no_grad():
        mask.logits.copy_(torch.tensor([-2.0, 0.0, 0.4, 0.5, 3.0]))
    M = mask()
    # σ(0.4) = 0.599 and σ(0.5) = 0.622 lie on the two sides of τ = 0.6.
    assert M.tolist() == [0, 0, 0, 1, 1]
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    (M * weights).sum().backward()
    soft = mask.logits.detach().sigmoid()
    torch.testing.assert_close(mask.logits.grad, weights * soft * (1 - soft))


def test_the_gradient_of_the_mask_is_what_moving_changes():
    """dΦ/dM = g·z − z, so the loss tells each unit whether to move."""
    group = SO2()
    mask = random_mask(3, 0)
    action = LatentAction(Irreps.vectors(group, 6), mask)
    g, z, weights = group.sample(4), torch.randn(4, 6), torch.randn(4, 6)
    (action(g, z) * weights).sum().backward()
    soft = mask.logits.detach().sigmoid()
    per_unit = (weights * (action.move(g, z) - z)).reshape(4, 3, 2).sum((0, 2))
    torch.testing.assert_close(mask.logits.grad, per_unit * soft * (1 - soft))


def test_initial_logits_can_be_chosen():
    assert LearnedMask(64, initial_logit=1.0)().mean() == 1
    assert LearnedMask(64, initial_logit=-1.0)().mean() == 0
    assert 0.08 < float(LearnedMask(1000).logits.detach().std()) < 0.12  # the public script's
    assert 0.2 < LearnedMask(64)().mean() < 0.8


def test_what_moves_is_counted_in_channels():
    action = LatentAction(Irreps(SO2(), (3, 2, 1)), FixedSplit(6, 5))
    assert action.fraction() == pytest.approx(4 / 9)  # 3 numbers stay, 2 of 3 pairs may move


def test_bad_splits_are_refused():
    with pytest.raises(ValueError, match="cannot vary"):
        FixedSplit(3, 4)
    with pytest.raises(ValueError, match="threshold"):
        LearnedMask(3, threshold=math.e)


@pytest.mark.parametrize("shape", [(2,), (2, 2), (1, 2, 2), (2, 3, 3)], ids=str)
def test_matrices_of_another_size_or_number_are_refused(shape):
    action = LatentAction(Irreps(SO2(), (1, 1)), FixedSplit(2, 2))
    with pytest.raises(ValueError, match=r"SO2\(\) moves 2 latents by elements \(2, 2, 2\), got"):
        action(torch.rand(shape), torch.rand(2, 3))
