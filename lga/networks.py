"""Encoder–decoder pairs, one per kind of image.

Every pair is an `Autoencoder`: `encode` maps images (N, C, H, W) in [0, 1] to a latent (N, c, …)
and `decode` maps latents back to images. Layer sizes are the published ones at the published image
shape and adapt to others.
"""

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """An encoder E and a decoder D.

    Attributes:
        latent_shape: shape of one latent, (c,) for vectors or (c, h, w) for feature maps.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent_shape: tuple[int, ...]

    def encode(self, x: Tensor) -> Tensor:
        """E(x): images (N, C, H, W) in [0, 1] to latents (N, *latent_shape)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents (N, *latent_shape) to images (N, C, H, W) in [0, 1]."""
        return self.decoder(z)


def halvings(size: int, times: int) -> list[int]:
    """Sizes along a chain of 3×3 convolutions with stride 2 and padding 1, the input's first."""
    sizes = [size]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


class MNISTAutoencoder(Autoencoder):
    """The MNIST pair of `jin2024` (appendix): 28×28 → 14 → 7 → 4 → 2 → 24 numbers and back.

    329,433 parameters at 1×28×28 with 24 latent numbers.

    Args:
        image_shape: (C, H, W).
        latent_dim: length of the latent vector.
        widths: channels of the four convolutions.
        hidden: width of the fully connected layers.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 24,
        widths: tuple[int, ...] = (32, 64, 64, 64),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        heights, wides = halvings(height, len(widths)), halvings(width, len(widths))
        flat = widths[-1] * heights[-1] * wides[-1]
        self.latent_shape = (latent_dim,)

        down = [
            layer
            for c_in, c_out in zip((channels, *widths), widths, strict=False)
            for layer in (nn.Conv2d(c_in, c_out, 3, stride=2, padding=1), nn.ELU())
        ]
        self.encoder = nn.Sequential(
            *down,
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.ELU(),
            nn.Linear(hidden, latent_dim),
        )

        up_widths = (*widths[::-1], channels)
        up: list[nn.Module] = []
        for level in range(len(widths)):
            # A doubled size is one too large where the encoder rounded up.
            deeper, shallower = len(widths) - level, len(widths) - level - 1
            output_padding = tuple(
                sizes[shallower] - 2 * sizes[deeper] + 1 for sizes in (heights, wides)
            )
            up += [
                nn.ConvTranspose2d(
                    up_widths[level], up_widths[level + 1], 3, 2, 1, output_padding=output_padding
                ),
                nn.ELU(),
            ]
        up[-1] = nn.Sigmoid()
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.ELU(),
            nn.Linear(hidden, flat),
            nn.ELU(),
            nn.Unflatten(1, (widths[-1], heights[-1], wides[-1])),
            *up,
        )


class MapAutoencoder(Autoencoder):
    """The MNIST pair of `swarnali2025` (public script): 28×28 → 14 → 7, feature maps as latent.

    66,689 parameters at 1×28×28. The published decoder ends in Tanh; here its range [−1, 1] is
    mapped to [0, 1] at the last step, and images to [−1, 1] at the first.

    Args:
        image_shape: (C, H, W), H and W divisible by 4.
        widths: channels of the two convolutions; the last is the number of latent maps.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], widths: tuple[int, int] = (32, 64)
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        if height % 4 or width % 4:
            raise ValueError(f"image sides must be divisible by 4, got {height}×{width}")
        first, second = widths
        self.latent_shape = (second, height // 4, width // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(first, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(2 * x - 1)

    def decode(self, z: Tensor) -> Tensor:
        return (self.decoder(z) + 1) / 2
