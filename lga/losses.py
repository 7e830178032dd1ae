"""The terms of the training losses, each a mean over the batch."""

import torch.nn.functional as F
from torch import Tensor

from lga.metrics import lpips


def pixel_loss(target: Tensor, painted: Tensor) -> Tensor:
    """L_x, the mean squared error over batch, channels and pixels (`jin2024`, section 3.3)."""
    return F.mse_loss(painted, target)


def perceptual_loss(target: Tensor, painted: Tensor) -> Tensor:
    """LPIPS (VGG), the part of L_x that sees textures (`jin2024`, section 3.3, rendered sets)."""
    return lpips(painted, target).mean()


def latent_inverse_loss(z: Tensor, z_again: Tensor) -> Tensor:
    """‖z − E(D(z))‖², summed over the latent (`jin2024`, section 3.4).

    Where it vanishes, x ↦ D(g·E(x)) is a group action on the images that D can paint.
    """
    return (z - z_again).square().flatten(1).sum(1).mean()


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)), summed over the code (N, d) (`hwang2023`)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def code_consistency_loss(code: Tensor, expected: Tensor) -> Tensor:
    """‖E(D(z′, x′)) − (E(x′) + z′)‖₁, summed over the code (N, d) (`hwang2023`)."""
    return (code - expected).abs().sum(1).mean()


def invariance_loss(z_i1: Tensor, z_i2: Tensor) -> Tensor:
    """‖z_i(x1) − sg z_i(x2)‖²: the invariant parts of a pair agree (`swarnali2025`, section 3)."""
    return F.mse_loss(z_i1, z_i2.detach())


def equivariance_loss(moved_z_v1: Tensor, z_v2: Tensor) -> Tensor:
    """‖g·z_v(x1) − sg z_v(x2)‖²: g carries one varying part to the other (`swarnali2025`)."""
    return F.mse_loss(moved_z_v1, z_v2.detach())
