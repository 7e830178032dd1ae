"""Swarnali, Hossain, Zhang: Learning Group Actions in Disentangled Latent Image Representations.

x1 ─E─▶ z1 ─▶ Φ_g(z1) = M ⊙ (g·z1) + (1 − M) ⊙ z1 ─D─▶ x̂2,        M learned
"""

from typing import Literal

from torch import Tensor

from lga.groups import Cyclic, Group
from lga.latents import FixedSplit, LatentAction, LearnedMask
from lga.lookup import check_name
from lga.losses import equivariance_loss, invariance_loss, pixel_loss
from lga.networks import MapAutoencoder
from lga.pairs import Pairs
from lga.systems.base import LatentSystem

MASKS = ("learned", "fixed", "all")
CONSISTENCIES = ("auto", "absolute", "relative")


class Swarnali2025(LatentSystem):
    """A learned binary mask chooses the feature maps that g turns.

    Nothing in the loss bounds |M|, so two controls stand beside the learned mask: `mask="fixed"`
    (the first `varying` share of maps turns) and `mask="all"` (every map turns).

    The published consistency terms are absolute, and published for quarter turns. At any other
    angle interpolation shrinks g·z_v(x1), so that chasing a target of full size makes the latents
    grow without bound (measured: the loss rises by five orders of magnitude within 400 steps).
    Measured relative to the latents' mean square, the terms give no such incentive.

    Args:
        image_shape: (C, H, W), H and W divisible by 4.
        group: rotations of the plane.
        mask: "learned", or a control.
        threshold: τ of the learned mask.
        initial_logit: mean of its initial logits; not stated in the paper.
        varying: share of maps that turn under `mask="fixed"`.
        invariance_weight: λ_i.
        equivariance_weight: λ_v.
        consistency: "absolute" as published; "relative" divides both terms by the mean square of
            the latents; "auto" is absolute where rotations map the pixel grid to itself.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        mask: Literal["learned", "fixed", "all"] = "learned",
        threshold: float = 0.5,
        initial_logit: float = 0.0,
        varying: float = 0.5,
        invariance_weight: float = 1.0,
        equivariance_weight: float = 1.0,
        consistency: Literal["auto", "absolute", "relative"] = "auto",
    ) -> None:
        check_name("mask", mask, MASKS)
        check_name("consistency", consistency, CONSISTENCIES)
        network = MapAutoencoder(image_shape)
        units = LatentAction.units(group, "maps", network.latent_shape[0])
        if mask == "learned":
            split = LearnedMask(units, threshold, initial_logit)
        else:
            split = FixedSplit(units, units if mask == "all" else round(varying * units))
        super().__init__(network, LatentAction(group, "maps", split))
        self.invariance_weight = invariance_weight
        self.equivariance_weight = equivariance_weight
        keeps_grid = isinstance(group, Cyclic) and 4 % group.k == 0
        self.relative = consistency == "relative" or (consistency == "auto" and not keeps_grid)

    @classmethod
    def refusal(cls, image_shape, group):
        if not group.matrix_dim == group.point_dim == 2:
            return f"turns feature maps by rotations of the plane, not by {group}"
        return None

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_recon + λ_i ‖z_i(x1) − sg z_i(x2)‖² + λ_v ‖g·z_v(x1) − sg z_v(x2)‖².

        Norms are means over the latent. L_recon is measured on [−1, 1], the range of the
        published Tanh, where squared errors are four times those on [0, 1].
        """
        z1, z2 = self.encode(pairs.x1), self.encode(pairs.x2)
        mask = self.action.mask(z1)
        varying, invariant = mask * self.action.move(pairs.g, z1), (1 - mask) * z1
        unit = z2.detach().square().mean() if self.relative else 1.0
        invariance = invariance_loss(invariant, (1 - mask) * z2)
        equivariance = equivariance_loss(varying, mask * z2)
        return {
            "pixel": 4 * pixel_loss(pairs.x2, self.decode(varying + invariant)),
            "invariance": self.invariance_weight * invariance / unit,
            "equivariance": self.equivariance_weight * equivariance / unit,
        }
