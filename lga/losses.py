"""The terms of the training losses, each a mean over the batch."""

import warnings
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from lga.lookup import check_name
from lga.metrics import WITHOUT_LPIPS, lpips, lpips_network, ssim


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


class ImageLoss:
    """L_x in both directions, L_x(x2, x̂2) + L_x(x1, x̂1) (`jin2024`, section 3.2).

    L_x is a pixel loss, on rendered sets with w · LPIPS (VGG), which sees textures. LPIPS is left
    out, with a warning and a remark in the record, where its weights are missing; they are looked
    for to train only.

    Args:
        form: of the pixel loss, "mse" or "log".
        perceptual_weight: w; 0 for none.
        perceptual_images: how many images of a batch LPIPS sees, the first ones; 0 for all. A batch
            is drawn at random, so that in the mean few give the same loss, for less time.
        perceptual_after: how many training pairs are seen before LPIPS joins.

    Attributes:
        joined: whether LPIPS takes part by now, if it is asked for.

    Raises:
        ValueError: for an unknown form, or fewer images or pairs than none.
    """

    def __init__(
        self,
        form: str,
        perceptual_weight: float = 0.0,
        perceptual_images: int = 0,
        perceptual_after: int = 0,
    ) -> None:
        check_name("loss form", form, PIXEL_LOSSES)
        if perceptual_images < 0:
            raise ValueError(
                f"perceptual_images is 0 for all or a number of them, got {perceptual_images}"
            )
        if perceptual_after < 0:
            raise ValueError(f"perceptual_after is a number of pairs, got {perceptual_after}")
        self.pixel = PIXEL_LOSSES[form]
        self.perceptual_weight, self.perceptual_images = perceptual_weight, perceptual_images
        self.perceptual_after, self.joined = perceptual_after, not perceptual_after

    @cached_property
    def perceptual(self) -> bool:
        """Whether LPIPS is asked for, and its weights are there."""
        if not self.perceptual_weight:
            return False
        try:
            lpips_network()
        except (OSError, ImportError) as reason:
            warnings.warn(f"training without the perceptual loss: {reason}", stacklevel=3)
            return False
        return True

    @property
    def remarks(self) -> dict[str, str]:
        """Whether the perceptual loss, if it is asked for, takes part."""
        if not self.perceptual_weight:
            return {}
        if not self.perceptual:
            return {"perceptual_loss": WITHOUT_LPIPS}
        words = f"LPIPS (VGG), weight {self.perceptual_weight:g}"
        if self.perceptual_images:
            some = "image" if self.perceptual_images == 1 else "images"
            words += f", {self.perceptual_images} {some} a step"
        if self.perceptual_after:
            words += f", after {self.perceptual_after:,} pairs"
        return {"perceptual_loss": words}

    def begin_step(self, pairs_seen: int) -> bool:
        """See `lga.systems.base.System.begin_step`."""
        before, self.joined = self.joined, pairs_seen > self.perceptual_after
        return self.joined != before

    def __call__(self, targets: Tensor, painted: Tensor) -> dict[str, Tensor]:
        """Its terms by name, of images [x2; x1] and [x̂2; x̂1], (2N, C, …)."""
        # A mean over both directions, doubled, is the sum of the two means.
        terms = {"pixel": 2 * self.pixel(targets, painted)}
        if self.perceptual and self.joined:
            seen = slice(self.perceptual_images or None)
            distance = lpips(painted[seen], targets[seen]).mean()
            terms["perceptual"] = 2 * self.perceptual_weight * distance
        return terms


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
