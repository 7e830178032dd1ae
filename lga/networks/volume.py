"""Volumes as latents: what is seen, with features beside it, turned as a whole (`lga`)."""

import torch
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding


class VolumeAutoencoder(Autoencoder):
    """A latent of the volume itself and of features at every voxel, to be turned as volumes are.

        x ─▶ [x; features] = z          x̂ = z₀ + residual(z)

    It begins as the identity, so that a system begins by turning the voxels, and learns what
    interpolation loses.

    Args:
        image_shape: (C, D, H, W).
        features: how many volumes of features stand beside the volume.
        width: of the convolutions between them.
    """

    def __init__(
        self, image_shape: tuple[int, int, int, int], features: int, width: int = 16
    ) -> None:
        super().__init__(image_shape)
        channels, *sides = image_shape
        self.latent_shape = (channels + features, *sides)
        self.encoder = nn.Sequential(
            nn.Conv3d(channels, width, 3, padding=1),
            nn.GELU(approximate="tanh"),
            nn.Conv3d(width, features, 3, padding=1),
        )
        last = nn.Conv3d(width, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.decoder = nn.Sequential(
            nn.Conv3d(channels + features, width, 3, padding=1),
            nn.GELU(approximate="tanh"),
            nn.Conv3d(width, width, 3, padding=1),
            nn.GELU(approximate="tanh"),
            last,
        )
        self.channels = channels

    def encode(self, x: Tensor) -> Encoding:
        return Encoding(torch.cat([x, self.encoder(x).to(x.dtype)], 1))

    def decode(self, encoding: Encoding) -> Tensor:
        """Volumes (N, C, D, H, W), unclipped."""
        z = encoding.z
        residual = self.decoder(z.contiguous(memory_format=torch.channels_last_3d))
        return z[:, : self.channels] + residual.to(z.dtype)
