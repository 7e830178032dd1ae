"""Residual convolutions that a code may scale and shift."""

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
