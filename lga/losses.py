"""The terms of the training losses, each a mean over the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lga.metrics import lpips


def pixel_loss(target: Tensor, painted: Tensor) -> Tensor:
    """L_x, the mean squared error over batch, channels and pixels (`jin2024`, section 3.3)."""
    return F.mse_loss(painted, target)


def pixel_loss_l1(target: Tensor, painted: Tensor) -> Tensor:
    """The mean absolute error (`dupont2020`)."""
    return F.l1_loss(painted, target)


def structural_loss(target: Tensor, painted: Tensor) -> Tensor:
    """1 − SSIM with data range 1, differentiable (`dupont2020`).

    The SSIM of `metrics.ssim`: Gaussian windows of σ = 1.5 px, 11 px wide, wholly inside the image.
    """
    distance_px = torch.arange(-5.0, 6.0)
    window = torch.exp(-(distance_px**2) / (2 * 1.5**2))
    window = (window / window.sum()).to(target)
    channels = target.shape[1]

    def blur(x: Tensor) -> Tensor:
        rows = F.conv2d(x, window.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
        return F.conv2d(rows, window.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)

    # Differences of squares of nearly equal numbers: mixed precision would leave nothing of them.
    with torch.autocast(target.device.type, enabled=False):
        x, y = target.float(), painted.float()
        mean_x, mean_y = blur(x), blur(y)
        variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        ssim = ssim / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return 1 - ssim.mean()


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
