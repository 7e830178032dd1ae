"""Pictures as plane waves, which shifts multiply by phases, wave by wave (`lga`).

Where the group shifts the image plane, a picture is a sum of waves e^{iκ·p}, whose coefficients
turn by κ·t: they are a sum of irreducible representations (`lga.representations.Waves`).
"""

import math

import torch
from torch import Tensor, nn


class PlaneWaves(nn.Module):
    """The waves of a canvas twice as wide and high as a picture, between pixels and numbers.

    Coefficients come in the order of `Irreps(group, multiplicities, Waves(group, vectors))`: the
    constants of all channels, then wave by wave, the longest first, for each channel its cosine and
    its sine; x points right, y up. What is shifted out of the picture lies on the canvas beside it
    and comes back when the shift does; beyond a whole side it would come in again from behind.

    Args:
        image_shape: (C, H, W), both even.

    Attributes:
        vectors: κ, of every wave but the constant one, in radians a half side of the picture.
        multiplicities: how many copies of each wave there are, one a channel.
    """

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.channels, self.height, self.width = image_shape
        if self.height % 2 or self.width % 2:
            raise ValueError(
                f"plane waves are for pictures with even sides, got {self.height}×{self.width}"
            )
        self.canvas = (2 * self.height, 2 * self.width)
        with torch.device("cpu"):
            # Of a wave and its opposite one is kept, and of the grid's own frequency neither.
            down = torch.fft.fftfreq(2 * self.height, 1 / (2 * self.height))[:, None]
            right = torch.arange(self.width + 1.0)
            kept = ((right > 0) | (down > 0)) & (down > -self.height) & (right < self.width)
            length, places = torch.hypot(right, down).flatten(), kept.flatten().nonzero()[:, 0]
            places = places[length[places].argsort(stable=True)]
            right, down = (m.expand(kept.shape).flatten()[places] for m in (right, down))
            kappa = math.pi / 2 * torch.stack([right, -down], 1)
            # The inverse transform adds a wave's opposite by itself unless it runs straight down.
            gain = torch.where(right > 0, 0.5**0.5, 2**0.5)
        self.vectors = tuple(map(tuple, kappa.tolist()))
        self.multiplicities = (self.channels,) * (1 + len(self.vectors))
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("gain", gain, persistent=False)

    def analyse(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) to coefficients (N, dim)."""
        spectrum = torch.fft.rfft2(pictures.to(self.gain.dtype), self.canvas, norm="ortho")
        spectrum = spectrum.flatten(2)
        waves = 2**0.5 * torch.view_as_real(spectrum[..., self.places].conj().resolve_conj())
        return torch.cat([spectrum[..., 0].real, waves.transpose(1, 2).flatten(1)], 1)

    def synthesise(self, coefficients: Tensor) -> Tensor:
        """The way back: (N, dim) to (N, C, H, W)."""
        constant, waves = coefficients.tensor_split([self.channels], 1)
        waves = waves.unflatten(1, (-1, self.channels, 2)).transpose(1, 2).contiguous()
        waves = self.gain * torch.view_as_complex(waves).conj()
        spectrum = waves.new_zeros(*waves.shape[:2], self.canvas[0] * (self.width + 1))
        spectrum = spectrum.index_copy(2, self.places, waves)
        spectrum[..., 0] = constant
        spectrum = spectrum.unflatten(2, (self.canvas[0], -1))
        picture = torch.fft.irfft2(spectrum, self.canvas, norm="ortho")
        return picture[..., : self.height, : self.width]
