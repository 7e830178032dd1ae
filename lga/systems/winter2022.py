"""Winter et al.: Unsupervised Learning of Group Invariant and Equivariant Representations, 2022.

x ─E─▶ embedding (invariant), v (equivariant);   x̂ = R(v) · D(embedding)         no pairs needed
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lga.groups import SO2, Group, rotate_maps
from lga.losses import pixel_loss
from lga.networks import CanonicalDecoder, Fields, SteerableEncoder
from lga.networks.steerable import LARGEST_SIDE, LEAST_SIDE
from lga.pairs import Pairs
from lga.systems.base import System


class Winter2022(System):
    """What is in an image and how it is turned, told apart by an encoder that commutes with turns.

    The decoder paints the image in a canonical pose that training finds by itself; R(v), the
    rotation of the plane that takes (1, 0) to v/‖v‖, turns it into place. Told g, the system
    paints g R(v) · D(embedding).

    Args:
        image_shape: (C, H, W).
        group: SO(2) or a cyclic group, turning the image plane.
        embedding: length of the invariant embedding; 32 in the paper.
        fields: trivial and vector fields of the encoder's maps, so many of each; 32 in the paper.
        width: channels of the decoder; 128 in the paper.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        embedding: int = 32,
        fields: int = 32,
        width: int = 128,
    ) -> None:
        super().__init__()
        self.group, self.image_shape = group, tuple(image_shape)
        self.encoder = SteerableEncoder(image_shape[0], embedding, Fields(fields, fields))
        self.decoder = CanonicalDecoder(image_shape, embedding, width)

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if dataset.camera is not None or not isinstance(dataset.group, SO2):
            return (
                "needs an encoder that is equivariant by construction, which there is for turns of "
                "the image plane only"
            )
        sides = dataset.image_shape[1:]
        if min(sides) < LEAST_SIDE or max(sides) > LARGEST_SIDE:
            return f"takes images of {LEAST_SIDE} to {LARGEST_SIDE} pixels a side"
        return None

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding (N, e), the same for g·x, and the pose R(v) (N, 2, 2), g R(v) for g·x."""
        self.check_images(x)
        embedding, v = self.encoder(x)
        cos, sin = F.normalize(v, dim=1, eps=1e-6).unbind(1)
        pose = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
        return embedding, pose

    def paint(self, embedding: Tensor, pose: Tensor) -> Tensor:
        """R · D(embedding): the canonical image turned by R."""
        canonical = self.decoder(embedding).to(pose.dtype)
        with torch.autocast(pose.device.type, enabled=False):
            return rotate_maps(pose, canonical)

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        embedding, pose = self.encode(x)
        return self.paint(embedding, self.group.compose(g, pose))

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """‖x − R(v) · D(embedding)‖² over both images of each pair; g is not used."""
        x = torch.cat([pairs.x1, pairs.x2])
        return {"pixel": pixel_loss(x, self.paint(*self.encode(x)))}
