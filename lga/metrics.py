"""How close a painted image is to the true one, per image, as in the tables of both papers."""

import contextlib
import functools
import io
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr_db(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images (N, C, …) in [0, 1], data range 1; (N,), in dB.

    Equal images have an infinite ratio.
    """
    return -10 * (x - y).square().flatten(1).mean(1).log10()


def ssim(x: Tensor, y: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity of images (N, C, H, W) or volumes (N, C, D, H, W), (N,).

    In [0, 1], 11 px a side and more; of volumes with windows in space.

    scikit-image's definition with Gaussian weights and population covariances, as Wang et al. have
    it: windows of σ = 1.5 px, 11 px wide, wholly inside the image. Differentiable, in the images'
    own precision. The published rows of hwang2023 and jin2024 fit `data_range=255` on images in
    [0, 1], which leaves almost no contrast to compare and reads near 1 for any copy.
    """
    distance_px = torch.arange(-5.0, 6.0, dtype=x.dtype, device=x.device)
    window = torch.exp(-(distance_px**2) / (2 * 1.5**2))
    window = window / window.sum()
    channels, axes = x.shape[1], x.ndim - 2
    conv = F.conv3d if axes == 3 else F.conv2d

    def blur(image: Tensor) -> Tensor:
        for axis in reversed(range(axes)):
            shape = [len(window) if axis == other else 1 for other in range(axes)]
            image = conv(
                image, window.view(1, 1, *shape).expand(channels, 1, *shape), groups=channels
            )
        return image

    # Differences of squares of nearly equal numbers: mixed precision would leave nothing of them.
    with torch.autocast(x.device.type, enabled=False):
        mean_x, mean_y = blur(x), blur(y)
        variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return similarity.flatten(1).mean(1)


WITHOUT_LPIPS = "left out: LPIPS is missing"  # a perceptual loss, as a record says it


def lpips_weights() -> Path:
    """Where torch keeps the ImageNet weights of LPIPS' backbone."""
    from torchvision.models import VGG16_Weights

    url = VGG16_Weights.IMAGENET1K_V1.url
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


@functools.cache
def lpips_network(net: str = "vgg") -> torch.nn.Module:
    """The LPIPS network of Zhang et al. (2018), frozen.

    Its backbone's ImageNet weights are downloaded by torch on first use and never replaced by
    random ones.

    Raises:
        OSError: when they are not on this machine and cannot be downloaded.
        ImportError: without lpips.
    """
    from lpips import LPIPS

    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = LPIPS(net=net, verbose=False)
    except OSError as error:
        raise OSError(
            f"LPIPS needs the ImageNet weights of {net}, which cannot be downloaded here ({error})"
        ) from error
    return network.eval().requires_grad_(False)


def lpips(x: Tensor, y: Tensor, net: str = "vgg") -> Tensor:
    """Learned perceptual distance of images (N, C, H, W) in [0, 1]; (N,), lower is closer.

    The network sees images in [−1, 1]; grey images are repeated to three channels.
    """
    network = lpips_network(net).to(x.device)
    a, b = (image.expand(-1, 3, -1, -1) * 2 - 1 for image in (x, y))
    return network(a, b).flatten()
