"""Networks for colour pictures of an object that moves before something that stays."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lga.networks.autoencoders import Autoencoder, Encoding
from lga.networks.ball import ObjectField
from lga.networks.composite import Layers
from lga.networks.modulated import ModulatedBlock, ModulatedBlocks


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


class ForegroundAutoencoder(Autoencoder):
    """An object that moves before a picture that stays; the picture bypasses the latent.

        x ─▶ pyramid ─▶ z                                what g moves, and what stays of the object
        x ─▶ pyramid ─▶ m ─▶ the object's colour;  B = x without what m marks, filled from around it
        x̂ = a ⊙ B + (1 − a) ⊙ F,                         a and F painted from g·z

    z = [numbers that say the object as a whole; where a field is given, its coefficients, which say
    what is where around the object's middle].

    Args:
        image_shape: (C, H, W), H and W divisible by 16; square with a field.
        numbers: how many there are.
        field: between maps at a quarter of the resolution and space.
        widths: of maps at a quarter, an eighth and a sixteenth of the resolution.
        neck: channels of the coarsest maps where the numbers are read from them and painted into
            them; what those linear maps hold is most of such a network's weights otherwise.
        code: length of what modulates the decoder's blocks.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        numbers: int,
        field: ObjectField | None = None,
        *,
        widths: tuple[int, int, int] = (48, 96, 96),
        neck: int = 24,
        code: int = 96,
    ) -> None:
        super().__init__()
        self.channels, height, wide = image_shape
        if height % 16 or wide % 16:
            raise ValueError(f"image sides must be divisible by 16, got {height}×{wide}")
        self.grid = (height // 16, wide // 16)
        self.numbers, self.field = numbers, field
        self.latent_shape = (numbers + (field.coefficients if field else 0),)
        fine, middle, coarse = widths
        places = neck * self.grid[0] * self.grid[1]
        self.pyramid = Pyramid(self.channels, widths, (1, 2, 2))
        self.to_latent = nn.Sequential(
            nn.GroupNorm(1, coarse),
            nn.Conv2d(coarse, neck, 1),
            nn.Flatten(),
            nn.Linear(places, numbers),
        )
        self.up_middle, self.at_middle = doubled(coarse, middle), ModulatedBlock(middle)
        self.up_fine = doubled(middle, fine)
        self.marks = pixels(fine, 1 + self.channels)

        self.code = nn.Sequential(
            nn.Linear(numbers, 2 * code), nn.SiLU(), nn.Linear(2 * code, code), nn.SiLU()
        )
        self.from_latent = nn.Sequential(
            nn.Linear(numbers, places), nn.Unflatten(1, (neck, *self.grid)),
            nn.Conv2d(neck, coarse, 1),
        )  # fmt: skip
        self.paint_coarse = ModulatedBlocks(1, coarse, code)
        self.paint_up_middle = doubled(coarse, middle)
        self.paint_middle = ModulatedBlocks(1, middle, code)
        self.paint_up_fine = doubled(middle, fine)
        self.paint_fine = ModulatedBlocks(2, fine, code)
        self.head = pixels(fine, 1 + self.channels)
        with torch.no_grad():
            self.head[2].weight.mul_(0.3)
            # At first nearly nothing is marked, and nothing corrects what fills the marks.
            self.marks[2].weight.mul_(0.3)
            self.marks[2].weight[16:].mul_(0.1)
            self.marks[2].bias[:16] = -1.0
            self.marks[2].bias[16:] = 0.0

    def encode(self, x: Tensor) -> Encoding:
        """z, and as skip [B, colour]: (N, 2 C, H, W)."""
        fine, middle, coarse = self.pyramid(x)
        z = self.to_latent(coarse).to(x.dtype)
        middle = self.at_middle(self.up_middle(coarse) + middle)
        fine = self.up_fine(middle) + fine
        if self.field:
            z = torch.cat([z, self.field.read(fine).to(x.dtype)], 1)
        marks = self.marks(fine).to(x.dtype)
        m, correction = marks[:, :1].sigmoid(), marks[:, 1:]
        still = torch.lerp(x, surroundings(x, 1 - m) + correction, m)
        color = (m * x).mean((2, 3), keepdim=True) / (m.mean((2, 3), keepdim=True) + 1e-4)
        return Encoding(z, torch.cat([still, color.expand_as(still)], 1))

    def layers(self, encoding: Encoding) -> Layers:
        """What a latent and its skip paint, in its parts."""
        numbers, coefficients = encoding.z.tensor_split([self.numbers], 1)
        code = self.code(numbers)
        h = self.from_latent(numbers)
        h = self.paint_coarse(h.contiguous(memory_format=torch.channels_last), code)
        h = self.paint_middle(self.paint_up_middle(h), code)
        h = self.paint_up_fine(h)
        if self.field:
            h = h + self.field.paint(coefficients)
        h = self.paint_fine(h, code)
        painted = self.head(h).to(encoding.z.dtype)
        still, color = encoding.skip.chunk(2, 1)
        # Pictures are painted as what differs from the object's colour: else all turns grey.
        moved = (painted[:, 1:] + color.clamp(0.02, 0.98).logit()).sigmoid()
        return Layers(1 - painted[:, :1].sigmoid(), still, moved)

    def decode(self, encoding: Encoding) -> Tensor:
        return self.layers(encoding).composed()


def surroundings(x: Tensor, keep: Tensor) -> Tensor:
    """Pictures x (N, C, H, W) as seen where keep (N, 1, H, W) is 1, spread over where it is 0.

    Blurs of three widths, each divided by the same blur of keep; a wide one counts where a narrow
    one sees nothing.
    """
    seen = F.avg_pool2d(torch.cat([keep * x, keep], 1), 4)
    total = torch.zeros_like(seen)
    for weight, width in ((1.0, 0.7), (1e-2, 1.6), (1e-4, 4.0)):
        rows, columns = (gaussian_blur(side, width).to(x) for side in seen.shape[2:])
        total = total + weight * (rows @ seen @ columns.mT)
    filled = total[:, :-1] / (total[:, -1:] + 1e-6)
    return F.interpolate(filled, scale_factor=4, mode="bilinear", align_corners=False)


@functools.cache
def gaussian_blur(side: int, width: float) -> Tensor:
    """The matrix (side, side) that blurs a row by a Gaussian, without normalisation at the rim."""
    place = torch.arange(side, device="cpu")
    return torch.exp(-((place[:, None] - place) ** 2) / (2 * width**2)) / width


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
        widths: of the pyramid.
        hidden: width of the pointwise layers.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        still: int = 8,
        moving: int = 8,
        *,
        logit: bool = False,
        widths: tuple[int, int, int] = (64, 96, 128),
        hidden: int = 32,
    ) -> None:
        super().__init__()
        channels, height, wide = image_shape
        if height % 16 or wide % 16:
            raise ValueError(f"image sides must be divisible by 16, got {height}×{wide}")
        if logit and channels > 1:
            raise ValueError("logits are given for grey images only")
        self.still, self.logit = still, logit
        self.latent_shape = (still + moving, height, wide)
        seen = channels * (1 + logit)
        fine, middle, coarse = widths
        self.pyramid = Pyramid(seen, widths, (2, 1, 1))
        self.up_middle, self.at_middle = doubled(coarse, middle), ModulatedBlock(middle)
        self.up_fine, self.at_fine = doubled(middle, fine), ModulatedBlock(fine)
        self.context = pixels(fine, still + moving)

        def pointwise(c_in: int, c_out: int) -> nn.Sequential:
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
        super().__init__()
        channels, height, wide = image_shape
        if height % 16 or wide % 16:
            raise ValueError(f"image sides must be divisible by 16, got {height}×{wide}")
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
