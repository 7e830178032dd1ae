"""Networks for colour pictures of an object that moves before something that stays."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lga.devices import constant
from lga.networks.autoencoders import Autoencoder, Encoding, check_sides
from lga.networks.ball import ObjectField
from lga.networks.composite import Layers
from lga.networks.modulated import ModulatedBlock, ModulatedBlocks, Pyramid, doubled, pixels


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
        super().__init__(image_shape)
        self.channels, height, wide = image_shape
        check_sides((height, wide), 16)
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

    def before(self, moving: Encoding, still: Encoding) -> Encoding:
        """What moves of one picture before what stays of another: B is of the other.

        The object keeps its colour.
        """
        ground, color = still.skip[:, : self.channels], moving.skip[:, self.channels :]
        return moving._replace(skip=torch.cat([ground, color], 1))

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
        rows, columns = (
            constant(gaussian_blur, side, width, device=x.device, dtype=x.dtype)
            for side in seen.shape[2:]
        )
        total = total + weight * (rows @ seen @ columns.mT)
    filled = total[:, :-1] / (total[:, -1:] + 1e-6)
    return F.interpolate(filled, scale_factor=4, mode="bilinear", align_corners=False)


def gaussian_blur(side: int, width: float) -> Tensor:
    """The matrix (side, side) that blurs a row by a Gaussian, without normalisation at the rim."""
    place = torch.arange(side)
    return torch.exp(-((place[:, None] - place) ** 2) / (2 * width**2)) / width
