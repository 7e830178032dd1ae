"""Swarnali, Hossain, Zhang: Learning Group Actions in Disentangled Latent Image Representations.

x1 ─E─▶ z1 ─▶ Φ_g(z1) = M ⊙ (g·z1) + (1 − M) ⊙ z1 ─D─▶ x̂2,        M learned
"""

from typing import Literal

from torch import Tensor

from lga.groups import SO2, SO3, Cyclic, Group
from lga.latents import FixedSplit, LatentAction, LearnedMask
from lga.lookup import check_name
from lga.losses import equivariance_loss, invariance_loss, pixel_loss
from lga.networks import BrainAutoencoder, MapAutoencoder, RenderedAutoencoder
from lga.pairs import Pairs
from lga.representations import Irreps, Representation, TurnedMaps
from lga.systems.base import LatentSystem, network_kind

MASKS = ("learned", "fixed", "all")
ACTIONS = ("auto", "maps", "vectors")
CONSISTENCIES = ("auto", "absolute", "relative")


def turns_maps(group: Group, image_shape: tuple[int, ...]) -> bool:
    """Whether the group turns pictures, or volumes, of this shape."""
    return isinstance(group, SO2 if len(image_shape) == 3 else SO3)


class Swarnali2025(LatentSystem):
    """A learned binary mask chooses the latent channels that g moves.

    On small images g turns feature maps, as in the public script, and on volumes feature volumes;
    elsewhere it moves vectors of channels of the network that `jin2024` uses there, without its
    skip, one mask entry per vector.

    Nothing in the loss bounds |M|, so two controls stand beside the learned mask: `mask="fixed"`
    (the first `varying` share moves) and `mask="all"` (everything moves).

    The published consistency terms are absolute, and published for quarter turns. Where the action
    changes the size of a latent (interpolation shrinks maps turned by other angles, contrast
    rescales), chasing a target of another size makes latents grow without bound: measured on
    rotated MNIST, the loss rises by five orders of magnitude within 400 steps. Between latents
    scaled to mean square 1, the terms give no such incentive.

    Args:
        image_shape: (C, H, W) or (C, D, H, W).
        group: the group that acts.
        network: "mnist", "brain", "rendered", or "auto" by the image's shape.
        width: first width of the rendered network.
        action: "maps" for rotations of the image or volume, "vectors" for any group; "auto" turns
            maps on the MNIST network.
        mask: "learned", or a control.
        threshold: τ of the learned mask.
        initial_logit: mean of its initial logits; 0 in the public script.
        initial_spread: their standard deviation; 0.1 in the public script.
        varying: share of units that move under `mask="fixed"`.
        invariance_weight: λ_i.
        equivariance_weight: λ_v.
        consistency: "absolute" as published; "relative" compares latents scaled to mean square
            1; "auto" is absolute where the action keeps the size of a latent.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        group: Group,
        *,
        network: str = "auto",
        width: int = 64,
        action: Literal["auto", "maps", "vectors"] = "auto",
        mask: Literal["learned", "fixed", "all"] = "learned",
        threshold: float = 0.5,
        initial_logit: float = 0.0,
        initial_spread: float = 0.1,
        varying: float = 0.5,
        invariance_weight: float = 1.0,
        equivariance_weight: float = 1.0,
        consistency: Literal["auto", "absolute", "relative"] = "auto",
    ) -> None:
        check_name("action", action, ACTIONS)
        check_name("mask", mask, MASKS)
        check_name("consistency", consistency, CONSISTENCIES)
        kind = network_kind(network, image_shape)
        if kind == "mnist":
            pair = MapAutoencoder(image_shape)
        elif kind == "brain":
            pair = BrainAutoencoder(image_shape)
        else:
            pair = RenderedAutoencoder(image_shape, width, skip=False)
        if action == "auto":
            action = "maps" if kind == "mnist" and turns_maps(group, image_shape) else "vectors"
        if action == "maps" and not turns_maps(group, image_shape):
            raise ValueError(
                f"feature maps turn by rotations of the plane, volumes by those of space, "
                f"not by {group}"
            )

        channels = pair.latent_shape[0]
        if action == "maps":
            representation: Representation = TurnedMaps(group, (channels,))
        else:
            representation = Irreps.vectors(group, channels)
        units = len(representation.sizes)
        if mask == "learned":
            split = LearnedMask(units, threshold, initial_logit, initial_spread)
        else:
            split = FixedSplit(units, units if mask == "all" else round(varying * units))
        super().__init__(pair, LatentAction(representation, split))
        self.invariance_weight = invariance_weight
        self.equivariance_weight = equivariance_weight
        keeps_grid = isinstance(group, Cyclic) and 4 % group.k == 0
        keeps_size = keeps_grid if action == "maps" else isinstance(group, SO2 | SO3)
        self.relative = consistency == "relative" or (consistency == "auto" and not keeps_size)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_recon + λ_i ‖z_i(x1) − sg z_i(x2)‖² + λ_v ‖g·z_v(x1) − sg z_v(x2)‖².

        Norms are means over the latent. L_recon is measured on [−1, 1], the range of the
        published Tanh, where squared errors are four times those on [0, 1].
        """
        encoding = self.encode(pairs.x1)
        z1, z2 = encoding.z, self.encode(pairs.x2).z
        mask = self.action.mask(z1)
        painted = self.decode(self.act(pairs.g, encoding))
        moved = self.action.move(pairs.g, z1)
        if self.relative:
            z1, z2, moved = (z / z.square().mean().sqrt() for z in (z1, z2, moved))
        invariance = invariance_loss((1 - mask) * z1, (1 - mask) * z2)
        equivariance = equivariance_loss(mask * moved, mask * z2)
        return {
            "pixel": 4 * pixel_loss(pairs.x2, painted),
            "invariance": self.invariance_weight * invariance,
            "equivariance": self.equivariance_weight * equivariance,
        }
