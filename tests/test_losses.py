"""Every term of the losses against its formula, worked out by hand."""

import math

import pytest
import torch

from lga import losses


def test_pixel_losses_are_means_over_pixels_and_images():
    target, painted = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    painted[0], painted[1] = 0.1, -0.2
    assert float(losses.pixel_loss(target, painted)) == pytest.approx(0.025)
    assert float(losses.pixel_loss_l1(target, painted)) == pytest.approx(0.15)
    logarithms = math.log(0.01 + 1e-4), math.log(0.04 + 1e-4)
    assert float(losses.log_pixel_loss(target, painted)) == pytest.approx(sum(logarithms) / 20)


def test_the_structural_loss_is_zero_for_a_copy_and_grows():
    x = torch.rand(2, 1, 16, 16)
    assert float(losses.structural_loss(x, x)) == pytest.approx(0, abs=1e-6)
    assert 0.5 < float(losses.structural_loss(x, 1 - x)) < 2


def test_latent_terms_are_sums_over_the_latent_and_means_over_the_batch():
    z, again = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    assert float(losses.latent_inverse_loss(z, again)) == pytest.approx((5 + 1) / 2)
    assert float(losses.code_consistency_loss(-again, z)) == pytest.approx((3 + 1) / 2)
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(2)]])
    assert float(losses.gaussian_kl(mean, log_variance)) == pytest.approx((2 - math.log(2)) / 2)


@pytest.mark.parametrize("loss", [losses.invariance_loss, losses.equivariance_loss])
def test_terms_between_latents_teach_the_first_only(loss):
    first, second = (torch.full((2, 3), v, requires_grad=True) for v in (1.0, 3.0))
    value = loss(first, second)
    value.backward()
    assert float(value.detach()) == pytest.approx(4)
    assert first.grad is not None and second.grad is None


@pytest.mark.usefixtures("cheap_lpips")
def test_image_losses_of_both_directions_add_up_and_lpips_sees_the_first_images():
    targets, painted = torch.rand(2, 4, 1, 8, 8)
    distances = (targets - painted).abs().mean((1, 2, 3))
    for images, seen in ((0, distances), (3, distances[:3])):
        loss = losses.ImageLoss("mse", perceptual_weight=0.25, perceptual_images=images)
        terms = loss(targets, painted)
        assert torch.allclose(terms["pixel"], 2 * losses.pixel_loss(targets, painted))
        assert torch.allclose(terms["perceptual"], 0.5 * seen.mean())
        assert ("3 images a step" in str(loss.remarks)) == bool(images)
    assert set(losses.ImageLoss("log")(targets, painted)) == {"pixel"}
    with pytest.raises(ValueError, match="did you mean 'log'"):
        losses.ImageLoss("logs")
    with pytest.raises(ValueError, match="0 for all"):
        losses.ImageLoss("log", 0.1, -1)
    with pytest.raises(ValueError, match="a number of pairs"):
        losses.ImageLoss("log", 0.1, perceptual_after=-1)


@pytest.mark.usefixtures("cheap_lpips")
def test_lpips_joins_after_as_many_training_pairs_as_said():
    loss = losses.ImageLoss("mse", perceptual_weight=0.25, perceptual_after=4)
    images = torch.rand(4, 1, 8, 8)
    assert "after 4 pairs" in str(loss.remarks)
    assert set(loss(images, images)) == {"pixel"}
    others = []
    for pairs_seen in (2, 4, 6, 8):
        others.append(loss.begin_step(pairs_seen))
        assert ("perceptual" in loss(images, images)) == (pairs_seen > 4)
    assert others == [False, False, True, False]
    at_once = losses.ImageLoss("mse", perceptual_weight=0.25)
    assert not at_once.begin_step(2) and "perceptual" in at_once(images, images)
