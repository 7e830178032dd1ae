"""Networks for groups that change what pixels show, and not where."""

import torch
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding, check_sides
from lga.networks.composite import Layers
from lga.networks.modulated import ModulatedBlock, ModulatedBlocks, Pyramid, doubled, pixels


class PixelAutoencoder(Autoencoder):
    """A vector of latent numbers at every pixel, for groups that change what a pixel shows.

        x ─▶ pointwise layers + pyramid ─▶ z_v (what g moves), z_i (what a pixel is), at each pixel
        x̂ = a ⊙ x + (1 − a) ⊙ D(g·z_v, z_i),     D pointwise,     a of z_i: what stays is x itself

    Args:
        image_shape: (C, H, W), H and W divisible by 16.
        still: numbers z_i of a pixel; the first decides a.
        moving: numbers z_v of a pixel.
        logit: whether the encoder is given logit(x), on which the contrast group acts by
            definition; that gives the group's family away.
        width: of the pyramid's finest maps; the coarser ones are half as wide again, and twice,
            and the pointwise layers half.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        still: int = 8,
        moving: int = 8,
        *,
        logit: bool = False,
        width: int = 64,
    ) -> None:
        super().__init__(image_shape)
        channels, height, wide = image_shape
        check_sides((height, wide), 16)
        if logit and channels > 1:
            raise ValueError("logits are given for grey images only")
        self.still, self.logit = still, logit
        self.latent_shape = (still + moving, height, wide)
        seen = channels * (1 + logit)
        fine, middle, coarse = width, width * 3 // 2, 2 * width
        self.pyramid = Pyramid(seen, (fine, middle, coarse), (2, 1, 1))
        self.up_middle, self.at_middle = doubled(coarse, middle), ModulatedBlock(middle)
        self.up_fine, self.at_fine = doubled(middle, fine), ModulatedBlock(fine)
        self.context = pixels(fine, still + moving)

        def pointwise(c_in: int, c_out: int) -> nn.Sequential:
            hidden = width // 2
            return nn.Sequential(
                nn.Conv2d(c_in, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, hidden, 1), nn.SiLU(),
                nn.Conv2d(hidden, c_out, 1),
            )  # fmt: skip

        self.lift = pointwise(seen, moving)
        self.paint = pointwise(still + moving, channels)

    def encode(self, x: Tensor) -> Encoding:
        """z = [z_i; z_v] at every pixel, and x itself as skip."""
        shown = 4 * (x - 0.5)
        if self.logit:
            shown = torch.cat([shown, x.clamp(1e-4, 1 - 1e-4).logit()], 1)
        fine, middle, coarse = self.pyramid(shown + 0.5)
        middle = self.at_middle(self.up_middle(coarse) + middle)
        context = self.context(self.at_fine(self.up_fine(middle) + fine)).to(x.dtype)
        z_i, z_v = context.tensor_split([self.still], 1)
        z_v = z_v + self.lift(shown).to(x.dtype)
        return Encoding(torch.cat([z_i, z_v + shown[:, 1:] if self.logit else z_v], 1), x)

    def layers(self, encoding: Encoding) -> Layers:
        """What a latent and its skip paint, in its parts."""
        z = encoding.z
        painted = self.paint(z).to(z.dtype)
        if self.logit:
            painted = painted + z[:, self.still : self.still + 1]
        return Layers(1 - z[:, :1].sigmoid(), encoding.skip, painted.sigmoid())

    def before(self, moving: Encoding, still: Encoding) -> Encoding:
        """What moves of one picture before what stays of another: x is the other."""
        return moving._replace(skip=still.skip)

    def decode(self, encoding: Encoding) -> Tensor:
        return self.layers(encoding).composed()


class PatchAutoencoder(Autoencoder):
    """A few latent numbers for every patch of 8×8 pixels, for groups that change what pixels show.

    As many numbers as a few wide maps would have, but each says something of one place, so that
    what is learned of some places serves all.

    Args:
        image_shape: (C, H, W), H and W divisible by 16.
        numbers: of a patch.
        width: of the maps with a place for every patch; those twice as fine have 3/4 of it.
        depth: blocks at each of the two resolutions.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], numbers: int, *, width: int = 64, depth: int = 2
    ) -> None:
        super().__init__(image_shape)
        channels, height, wide = image_shape
        check_sides((height, wide), 16)
        self.latent_shape = (numbers, height // 8, wide // 8)
        fine = 3 * width // 4
        self.pyramid = Pyramid(channels, (fine, width, width), (1, depth, 1))
        self.up, self.at_patches = doubled(width, width), ModulatedBlock(width)
        self.to_latent = nn.Sequential(nn.GroupNorm(1, width), nn.Conv2d(width, numbers, 1))
        self.from_latent = nn.Conv2d(numbers, width, 3, padding=1)
        self.paint_patches = ModulatedBlocks(depth, width)
        self.paint_up = doubled(width, fine)
        self.paint_fine = ModulatedBlocks(depth, fine)
        self.head = pixels(fine, channels)

    def encode(self, x: Tensor) -> Encoding:
        _, patches, around = self.pyramid(x)
        z = self.to_latent(self.at_patches(self.up(around) + patches))
        return Encoding(z.to(x.dtype))

    def decode(self, encoding: Encoding) -> Tensor:
        h = self.from_latent(encoding.z.contiguous(memory_format=torch.channels_last))
        h = self.paint_fine(self.paint_up(self.paint_patches(h)))
        return self.head(h).to(encoding.z.dtype).sigmoid()
