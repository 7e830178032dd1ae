"""How a latent splits into z = [z_v; z_i] and how a group element moves z_v.

Both papers act on part of the latent only, which one formula says for every group and split:

    Φ_g(z) = M ⊙ (g·z) + (1 − M) ⊙ z,        M ∈ {0, 1}                                    (1)

`jin2024` fixes M in advance (section 3); `swarnali2025` learns it (section 3). Written as
M ⊙ (g·z), not g·(M ⊙ z): the two agree for linear actions, and only the first leaves z_i alone when
g also shifts (the contrast group). M is constant on whatever g mixes (a vector, a map), so the
group laws Φ_e = id and Φ_g2 Φ_g1 = Φ_(g2 g1) hold as far as they hold for g·z: to rounding for
vectors and for maps under quarter turns, to interpolation for maps at other angles.
"""

import torch
from torch import Tensor, nn

from lga.groups import Group
from lga.representations import Representation


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
        initial_spread: their standard deviation, as in the public script. With mean 0 and τ = 0.5,
            half the units start on each side.
    """

    def __init__(
        self,
        units: int,
        threshold: float = 0.5,
        initial_logit: float = 0.0,
        initial_spread: float = 0.1,
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
        representation: how g moves the latent where nothing holds it back.
        split: a module without input that returns the mask, one entry per unit.
    """

    def __init__(self, representation: Representation, split: nn.Module) -> None:
        super().__init__()
        self.representation, self.split = representation, split
        sizes, moves = torch.tensor(representation.sizes), torch.tensor(representation.moves)
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("moves", moves, persistent=False)

    @property
    def group(self) -> Group:
        return self.representation.group

    def mask(self, z: Tensor) -> Tensor:
        """M spread over the channels of z, (C, 1, …, 1), broadcasting against z."""
        mask = self.split().repeat_interleave(self.sizes, output_size=z.shape[1])
        return mask.view(-1, *[1] * (z.ndim - 2))

    def varying(self, z: Tensor) -> Tensor:
        """Which channels of z any g moves, (C, 1, …, 1): M without representations of order 0."""
        moves = self.moves.repeat_interleave(self.sizes, output_size=z.shape[1])
        return self.mask(z) * moves.view(-1, *[1] * (z.ndim - 2))

    def fraction(self) -> float:
        """|M|: the share of the latent's channels that g moves, in [0, 1]."""
        moved = self.split().detach() * self.moves * self.sizes
        return float(moved.sum() / self.sizes.sum())

    def move(self, g: Tensor, z: Tensor) -> Tensor:
        """g·z with nothing held back."""
        # Mixed precision would round g to 8 bits and break the group laws.
        with torch.autocast(z.device.type, enabled=False):
            return self.representation.act(g, z.to(g.dtype))

    def forward(self, g: Tensor, z: Tensor) -> Tensor:
        """Φ_g(z) for elements (N, d, d) and latents (N, C, *spatial).

        Raises:
            ValueError: for anything but one matrix of the group's size for every latent.
        """
        n, d = len(z), self.group.matrix_dim
        if g.shape != (n, d, d):
            raise ValueError(
                f"{self.group} moves {n} latents by elements ({n}, {d}, {d}), got {tuple(g.shape)}"
            )
        mask = self.mask(z)
        return mask * self.move(g, z) + (1 - mask) * z
