"""The terms of the training losses, each a mean over the batch."""

import torch.nn.functional as F
from torch import Tensor

from lga.metrics import lpips, ssim


def pixel_loss(target: Tensor, painted: Tensor) -> Tensor:
    """L_x, the mean squared error over batch, channels and pixels (`jin2024`, section 3.2)."""
    return F.mse_loss(painted, target)


def log_pixel_loss(target: Tensor, painted: Tensor) -> Tensor:
    """0.1 · mean over images of log(MSE + 1e-4).

    It optimises the reported PSNR, which is the logarithm of an image's MSE, up to 40 dB. The
    factor brings its gradients near those of `pixel_loss`.
    """
    errors = (painted - target).square().flatten(1).mean(1)
    return 0.1 * (errors + 1e-4).log().mean()


PIXEL_LOSSES = {"mse": pixel_loss, "log": log_pixel_loss}


def pixel_loss_l1(target: Tensor, painted: Tensor) -> Tensor:
    """The mean absolute error (`dupont2020`)."""
    return F.l1_loss(painted, target)


def structural_loss(target: Tensor, painted: Tensor) -> Tensor:
    """1 − SSIM with data range 1 (`dupont2020`)."""
    return 1 - ssim(target.float(), painted.float()).mean()


def perceptual_loss(target: Tensor, painted: Tensor) -> Tensor:
    """LPIPS (VGG), the part of L_x that sees textures (`jin2024`, section 3.2, rendered sets)."""
    return lpips(painted, target).mean()


def latent_inverse_loss(z: Tensor, z_again: Tensor) -> Tensor:
    """‖z − E(D(z))‖², summed over the latent (`jin2024`, section 4).

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
