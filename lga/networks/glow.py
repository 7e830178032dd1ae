"""An invertible network without likelihood: Glow's steps, with additive coupling and no splits."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ActNorm(nn.Module):
    """y = s ⊙ x + b per channel; the first training batch comes out with mean 0 and deviation 1.

    Whether that has happened is a buffer, so that a resumed training does not do it again.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("initialised", torch.tensor(False))
        self.asked = False  # reading a buffer at every step would wait for the device

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(moments)
            moments /= torch.distributed.get_world_size()
        mean, square = moments
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        self.log_scale.copy_(-(deviation + 1e-2).log()[:, None, None])
        self.shift.copy_(-mean[:, None, None] * self.log_scale.exp())
        self.initialised.fill_(True)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.asked:
            if not self.initialised:
                self.initialise(x)
            self.asked = True
        return x * self.log_scale.exp() + self.shift

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.shift) * (-self.log_scale).exp()


class InvertibleConv(nn.Module):
    """A 1×1 convolution with a square matrix, a rotation to begin with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:, :, None, None])

    def inverse(self, y: Tensor) -> Tensor:
        return F.conv2d(y, torch.linalg.inv_ex(self.weight).inverse[:, :, None, None])


LARGEST_SHIFT = 3.0


class AdditiveCoupling(nn.Module):
    """(a, b) ↦ (a, b + h(a)): invertible whatever h is.

    ActNorm stands behind the hidden convolutions. h stays within ±`LARGEST_SHIFT`: unbounded, it
    grows a hundredfold in training, and float32 no longer inverts the network to 1e-4. The bound is
    not stated in the paper.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.h = nn.Sequential(
            nn.Conv2d(self.kept, hidden, 3, padding=1),
            ActNorm(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            ActNorm(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels - self.kept, 3, padding=1),
        )
        for layer in self.h:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)

    def shift(self, a: Tensor) -> Tensor:
        """h(a)."""
        return LARGEST_SHIFT * torch.tanh(self.h(a) / LARGEST_SHIFT)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, : self.kept], x[:, self.kept :]
        return torch.cat([a, b + self.shift(a)], 1)

    def inverse(self, y: Tensor) -> Tensor:
        a, b = y[:, : self.kept], y[:, self.kept :]
        return torch.cat([a, b - self.shift(a)], 1)


class Squeeze(nn.Module):
    """2×2 pixels to four channels."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, 2)

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, 2)


class Glow(nn.Module):
    """f: images (N, C, H, W) to as many numbers (N, c, h, w), exactly invertible.

    Every level squeezes 2×2 pixels into channels and takes `steps` steps of ActNorm, invertible
    1×1 convolution and additive coupling. Nothing is split off.

    Args:
        image_shape: (C, H, W), H and W even.
        levels: at most so many, fewer where the sides do not halve so often: 2 at 28×28.
        steps: per level.
        hidden: channels inside a coupling.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], levels: int = 3, steps: int = 3, hidden: int = 128
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        if height % 2 or width % 2:
            raise ValueError(f"image sides must be even, got {height}×{width}")
        self.layers = nn.ModuleList()
        for _ in range(levels):
            if height % 2 or width % 2:
                break
            channels, height, width = 4 * channels, height // 2, width // 2
            self.layers.append(Squeeze())
            for _ in range(steps):
                self.layers += [
                    ActNorm(channels),
                    InvertibleConv(channels),
                    AdditiveCoupling(channels, hidden),
                ]
        self.shape = (channels, height, width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def inverse(self, y: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            y = layer.inverse(y)
        return y
