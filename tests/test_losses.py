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
