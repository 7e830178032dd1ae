"""Jin, Shrivastava, Fletcher: Learning Group Actions on Latent Representations, NeurIPS 2024.

x1 ─E─▶ z1 = [z_v; z_i] ─▶ [g·z_v; z_i] ─D─▶ x̂2          (and x2, g⁻¹ ─▶ x̂1)
"""

import torch
from torch import Tensor

from lga.groups import Group
from lga.latents import FixedSplit, LatentAction
from lga.losses import latent_inverse_loss, pixel_loss
from lga.networks import MNISTAutoencoder
from lga.pairs import Pairs
from lga.systems.base import LatentSystem


class Jin2024(LatentSystem):
    """A fixed split of a latent vector; g moves its varying part as vectors of R^p.

    Args:
        image_shape: (C, H, W).
        group: the group that acts.
        latent_dim: length of the latent vector; 24 in the paper.
        varying: share of the latent vectors that g moves. Not stated in the paper; 10 of 12 pairs
            here.
        latent_inverse_weight: weight of ‖z − E(D(z))‖²; the paper uses 1e-4 on rotated MNIST and 0
            elsewhere.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        latent_dim: int = 24,
        varying: float = 5 / 6,
        latent_inverse_weight: float = 0.0,
    ) -> None:
        units = LatentAction.units(group, "vectors", latent_dim)
        split = FixedSplit(units, round(varying * units))
        super().__init__(
            MNISTAutoencoder(image_shape, latent_dim), LatentAction(group, "vectors", split)
        )
        self.latent_inverse_weight = latent_inverse_weight

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_x(x2, D(g·z1)) + L_x(x1, D(g⁻¹·z2)) + w ‖z − E(D(z))‖².

        Both directions go through the networks as one batch. The last term is taken at the moved
        latents z = g·z1 and g⁻¹·z2, whose D(z) is at hand.
        """
        g = torch.cat([pairs.g, self.action.group.inverse(pairs.g)])
        z = self.encode(torch.cat([pairs.x1, pairs.x2]))
        moved = self.act(g, z)
        painted = self.decode(moved)
        # The mean over both directions, doubled, is the sum of the two means.
        terms = {"pixel": 2 * pixel_loss(torch.cat([pairs.x2, pairs.x1]), painted)}
        if self.latent_inverse_weight:
            inverse_loss = latent_inverse_loss(moved, self.encode(painted))
            terms["latent_inverse"] = self.latent_inverse_weight * inverse_loss
        return terms
