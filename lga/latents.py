"""How a latent splits into z = [z_v; z_i] and how a group element moves z_v.

Both papers act on part of the latent only, which one formula says for every group and split:

    Φ_g(z) = M ⊙ (g·z) + (1 − M) ⊙ z,        M ∈ {0, 1}                                    (1)

`jin2024` fixes M in advance (section 3.2); `swarnali2025` learns it (section 3). Written as
M ⊙ (g·z), not g·(M ⊙ z): the two agree for linear actions, and only the first leaves z_i alone when
g also shifts (the contrast group). M is constant on whatever g mixes (a vector, a map), so the
group laws Φ_e = id and Φ_g2 Φ_g1 = Φ_(g2 g1) hold as far as they hold for g·z: to rounding for
vectors and for maps under quarter turns, to interpolation for maps at other angles.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lga.groups import Group, rotate_maps

Action = Literal["vectors", "maps"]


def act_on_vectors(group: Group, g: Tensor, z: Tensor) -> Tensor:
    """Reads the channels of z as consecutive p-vectors and moves each by g.

    Args:
        g: elements (N, d, d).
        z: latents (N, C, *spatial), C divisible by p; every position carries C/p vectors.

    Returns:
        g·z, of z's shape.
    """
    p = group.point_dim
    vectors = z.reshape(len(z), -1, p, z[0, 0].numel()).transpose(2, 3)  # (N, C/p, S, p)
    moved = group.act(g, vectors.flatten(1, 2)).view_as(vectors)
    return moved.transpose(2, 3).reshape(z.shape)


class FixedSplit(nn.Module):
    """The first `varying` of `units` latent units move, the rest do not (`jin2024`).

    A unit is what g moves as a whole: a vector of channels, or a feature map.
    """

    def __init__(self, units: int, varying: int) -> None:
        super().__init__()
        if not 0 <= varying <= units:
            raise ValueError(f"{varying} of {units} latent units cannot vary")
        self.register_buffer("mask", (torch.arange(units) < varying).float(), persistent=False)

    def forward(self) -> Tensor:
        """The mask M, (units,), in {0, 1}."""
        return self.mask


class LearnedMask(nn.Module):
    """M = 1[σ(α) > τ], hard in the forward pass, straight-through in the backward pass.

    The gradient of M is taken to be that of σ(α) (`swarnali2025`, section 3).

    Args:
        units: how many latent units decide; one logit α each.
        threshold: τ.
        initial_logit: mean of the initial logits. Not stated in the paper.
        initial_spread: their standard deviation. With mean 0 and τ = 0.5, half the units start on
            each side.
    """

    def __init__(
        self,
        units: int,
        threshold: float = 0.5,
        initial_logit: float = 0.0,
        initial_spread: float = 0.01,
    ) -> None:
        super().__init__()
        if not 0 < threshold < 1:
            raise ValueError(f"the mask threshold lies in (0, 1), got {threshold}")
        self.threshold = threshold
        self.logits = nn.Parameter(initial_logit + initial_spread * torch.randn(units))

    def forward(self) -> Tensor:
        """The mask M, (units,), in {0, 1}, differentiable in the logits."""
        soft = self.logits.sigmoid()
        hard = (soft > self.threshold).to(soft.dtype)
        return hard + (soft - soft.detach())


class LatentAction(nn.Module):
    """Φ_g of equation (1): a group acting on the varying part of a latent.

    Args:
        group: the group that acts.
        action: "vectors" moves p-vectors of channels by g; "maps" turns whole feature maps or
            volumes by the rotation g.
        split: a module without input that returns the mask, one entry per unit (see `units`).
    """

    def __init__(self, group: Group, action: Action, split: nn.Module) -> None:
        super().__init__()
        self.group, self.action, self.split = group, action, split

    @staticmethod
    def units(group: Group, action: Action, channels: int) -> int:
        """How many units C channels make: C/p vectors, or C maps.

        Raises:
            ValueError: when the channels do not divide into p-vectors.
        """
        size = group.point_dim if action == "vectors" else 1
        if channels % size:
            raise ValueError(f"{channels} latent channels do not divide into {size}-vectors")
        return channels // size

    def mask(self, z: Tensor) -> Tensor:
        """M spread over the channels of z, (C, 1, …, 1), broadcasting against z."""
        units = self.split()
        mask = units.repeat_interleave(z.shape[1] // len(units))
        return mask.view(-1, *[1] * (z.ndim - 2))

    def move(self, g: Tensor, z: Tensor) -> Tensor:
        """g·z with nothing held back."""
        # Mixed precision would round g to 8 bits and break the group laws.
        with torch.autocast(z.device.type, enabled=False):
            if self.action == "vectors":
                return act_on_vectors(self.group, g, z.to(g.dtype))
            return rotate_maps(g, z.to(g.dtype))

    def forward(self, g: Tensor, z: Tensor) -> Tensor:
        """Φ_g(z) for elements (N, d, d) and latents (N, C, *spatial)."""
        mask = self.mask(z)
        return mask * self.move(g, z) + (1 - mask) * z
