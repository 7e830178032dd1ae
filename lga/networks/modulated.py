"""What networks for larger pictures are made of: residual convolutions, and steps in resolution."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ModulatedBlock(nn.Module):
    """A residual 3×3 convolution whose channels a code scales and shifts (N, code).

    One group in GroupNorm: several are many times slower on a CPU.

    Args:
        channels: of the maps.
        code: length of the code; 0 for none.
    """

    def __init__(self, channels: int, code: int = 0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.modulation = nn.Linear(code, 2 * channels) if code else None
        nn.init.normal_(self.out.weight, std=0.1 / channels**0.5)
        nn.init.zeros_(self.out.bias)
        if code:
            nn.init.normal_(self.modulation.weight, std=0.3 / code**0.5)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, code: Tensor | None = None) -> Tensor:
        y = self.mix(self.norm(h))
        if self.modulation is not None:
            scale, shift = self.modulation(code)[..., None, None].chunk(2, 1)
            y = torch.addcmul(shift, y, 1 + scale)
        return h + self.out(F.silu(y))


class ModulatedBlocks(nn.ModuleList):
    """Blocks one after the other, under one code."""

    def __init__(self, depth: int, channels: int, code: int = 0) -> None:
        super().__init__(ModulatedBlock(channels, code) for _ in range(depth))

    def forward(self, h: Tensor, code: Tensor | None = None) -> Tensor:
        for block in self:
            h = block(h, code)
        return h


def doubled(c_in: int, c_out: int) -> nn.Sequential:
    """Maps of twice the resolution."""
    return nn.Sequential(nn.Conv2d(c_in, 4 * c_out, 1), nn.PixelShuffle(2))


def pixels(c_in: int, c_out: int) -> nn.Sequential:
    """Maps of four times the resolution."""
    return nn.Sequential(
        nn.GroupNorm(1, c_in),
        nn.SiLU(),
        nn.Conv2d(c_in, 16 * c_out, 3, padding=1),
        nn.PixelShuffle(4),
    )


class Pyramid(nn.Module):
    """Maps at a quarter, an eighth and a sixteenth of a picture's resolution.

    Args:
        channels: of the picture.
        widths: of the three maps.
        depths: blocks at each.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int, int], depths: tuple[int, int, int]
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(16 * channels, fine, 3, padding=1)
        )
        self.fine = ModulatedBlocks(depths[0], fine)
        self.halve = nn.Conv2d(fine, middle, 2, 2)
        self.middle = ModulatedBlocks(depths[1], middle)
        self.halve_again = nn.Conv2d(middle, coarse, 2, 2)
        self.coarse = ModulatedBlocks(depths[2], coarse)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The fine, the middle and the coarse maps of pictures (N, C, H, W)."""
        patches = x.contiguous(memory_format=torch.channels_last) - 0.5
        fine = self.fine(self.stem(patches))
        middle = self.middle(self.halve(fine))
        return fine, middle, self.coarse(self.halve_again(middle))
