"""Sajjadi et al.: Scene Representation Transformer, CVPR 2022.

x1 with its rays ─E─▶ tokens;   a ray of the moved camera ─D(tokens)─▶ a pixel of x̂2
"""

import torch
from torch import Tensor

from lga.cameras import Camera
from lga.groups import Group
from lga.losses import pixel_loss
from lga.networks import RayDecoder, TokenEncoder, ray_features
from lga.pairs import Pairs
from lga.systems.base import System

RAYS_AT_ONCE = 65_536  # a whole validation's rays take tens of gigabytes


class Sajjadi2022(System):
    """Tokens of one view, asked for the colours of another view's rays.

    No latent moves: g enters as the camera that sees the unmoved object as the first camera sees
    the moved one, turned by g⁻¹ around the object. Everything is in the frame of the first camera.
    Rolled about its line of sight a camera has the same rays, so the picture rolls as a whole: of a
    sky that should stay, no more can be painted than rings around the picture's centre.

    Args:
        image_shape: (3, S, S), S divisible by 16, at most 240.
        group: turns of the object: SO(3), or of a turntable.
        camera: how it looks at the object.
        tokens: width of a token, a multiple of 64; 768 in the paper.
        depth: self-attention blocks; 10 in the paper.
        rays: target rays per x1 and step of training, over all its second images; 8,192 in the
            implementation that the authors recognise.
        target_views: second images per x1 and step of training; all 23 others there.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        camera: Camera,
        *,
        tokens: int = 768,
        depth: int = 10,
        rays: int = 8192,
        target_views: int = 23,
    ) -> None:
        super().__init__()
        channels, side, other = image_shape
        if side != other or side % 16 or tokens % 64:
            raise ValueError(
                f"images are square with sides divisible by 16, tokens' widths divisible by 64; "
                f"got {side}×{other} and {tokens}"
            )
        self.group, self.camera, self.image_shape = group, camera, tuple(image_shape)
        self.rays, self.target_views = rays, target_views
        self.encoder = TokenEncoder(channels, tokens, depth)
        self.decoder = RayDecoder(channels, tokens)
        directions = camera.rays(side)
        self.register_buffer("directions", directions, persistent=False)
        features = ray_features(torch.zeros_like(directions), directions)
        self.register_buffer("own_rays", features, persistent=False)
        if (tokens, depth) != (768, 10):
            self.remarks = {"preset": f"reduced: tokens of {tokens}, {depth} blocks"}

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if dataset.camera is None:
            return "sees a scene in space along the rays of a camera, and here is neither"
        return None

    def look(self, tokens: Tensor, g: Tensor, pixels: Tensor) -> Tensor:
        """Colours (N, r, C) of pixels (N, r), counted row by row, of objects moved by g (N, 3, 3).

        Tokens (n, m, width) are those of one x1 for every N / n elements in a row.
        """
        # Mixed precision would round rays to the next pixel.
        with torch.autocast(g.device.type, enabled=False):
            directions = self.directions.flatten(0, 1)[pixels]
            turned = self.camera.turn(self.group, g)
            features = ray_features(*self.camera.moved_rays(turned, directions))
        together = features.reshape(len(tokens), -1, features.shape[-1])
        return self.decoder(together, tokens).reshape(*pixels.shape, -1)

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        self.check_images(x)
        height, wide = x.shape[2:]
        pixels = torch.arange(height * wide, device=x.device)
        few = max(1, RAYS_AT_ONCE // len(pixels))
        parts = zip(self.encoder(x, self.own_rays).split(few), g.split(few), strict=True)
        colors = [self.look(tokens, h, pixels.expand(len(h), -1)) for tokens, h in parts]
        return torch.cat(colors).mT.unflatten(2, (height, wide))

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """‖x2(r) − x̂2(r)‖² over random rays r of each second image; each x1 is encoded once."""
        n, _, height, wide = pairs.x2.shape
        per_view = max(1, self.rays // pairs.views)
        pixels = torch.randint(height * wide, (n, per_view), device=pairs.x2.device)
        tokens = self.encoder(pairs.x1[:: pairs.views], self.own_rays)
        seen = self.look(tokens, pairs.g, pixels)
        colors = pairs.x2.flatten(2).mT
        target = colors.gather(1, pixels[..., None].expand(-1, -1, colors.shape[2]))
        return {"pixel": pixel_loss(target, seen)}
