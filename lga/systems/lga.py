"""Our own system: the idea of `jin2024` with irreducible representations and fitting networks.

x1 ─E─▶ z1 = [z_i; z_v] ─▶ [z_i; g·z_v] ─D─▶ x̂2 = a ⊙ B(z_i) + (1 − a) ⊙ F(g·z_v)
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lga.groups import SO2, Group
from lga.latents import FixedSplit, LatentAction
from lga.lookup import check_name
from lga.losses import PIXEL_LOSSES
from lga.networks import (
    Autoencoder,
    CompositeAutoencoder,
    HarmonicAutoencoder,
    MNISTAutoencoder,
    PolarAutoencoder,
    StillMap,
    StillNumbers,
)
from lga.pairs import Pairs
from lga.representations import Irreps
from lga.systems.base import LatentSystem

Form = Literal["log", "mse"]


class LGA(LatentSystem):
    """The system that we recommend: latents as large as the picture asks for.

    z_v is a sum of irreducible representations of the group; z_i, where there is one, holds a mask
    a and a picture B of what stays. Tailored to turns of the image plane: E and D go through disc
    harmonics, the plane's own irreducible representations, between residual convolutions.

    Args:
        image_shape: (C, S, S), S even.
        group: turns of the image plane.
        still: whether part of a picture may stay.
        width, depth: of the convolutions before and after the turn.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        still: bool = True,
        width: int = 48,
        depth: int = 3,
        loss_form: Form = "log",
    ) -> None:
        channels = image_shape[0]
        network = HarmonicAutoencoder(
            image_shape, channels_in=channels + still, width=width, depth=depth
        )
        if still:
            network = CompositeAutoencoder(StillMap(image_shape), network)
        self.assemble(network, SO2(), group, network.multiplicities, loss_form)

    def assemble(
        self,
        network: Autoencoder,
        acting: Group,
        group: Group,
        multiplicities: Sequence[int],
        loss_form: Form,
    ) -> None:
        """A network, and how the acting group moves its latent; the pairs' g are of `group`."""
        check_name("loss form", loss_form, PIXEL_LOSSES)
        irreps = Irreps(acting, multiplicities)
        units = len(irreps.sizes)
        LatentSystem.__init__(self, network, LatentAction(irreps, FixedSplit(units, units)))
        self.group, self.loss_form = group, loss_form

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if dataset.camera is not None or not isinstance(dataset.group, SO2):
            return "has networks for turns of the image plane only"
        return None

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_x(x2, D(g·z1)) + L_x(x1, D(g⁻¹·z2))."""
        target, moved = self.both_ways(pairs)
        return {"pixel": 2 * PIXEL_LOSSES[self.loss_form](target, self.decode(moved))}


class LGAMatched(LGA):
    """With at most the latent numbers and the parameters that `jin2024` has: 24 and 329,433.

    Tailored to turns of the image plane: E and D are polar networks, equivariant but for aliasing.

    Args:
        image_shape: (C, S, S).
        group: turns of the image plane.
        still: how many of the 24 numbers are for what stays; 0 for none.
        multiplicities: of the other numbers, by frequency, with commas; "auto" for 24 or 20.
        width, depth: of the decoder's circle; a multiple of 3, and its blocks.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        still: int = 0,
        multiplicities: str = "auto",
        width: int = 96,
        depth: int = 8,
        loss_form: Form = "log",
    ) -> None:
        if multiplicities == "auto":
            multiplicities = "4,3,2,2,1" if still else "4,3,3,2,2"
        network = PolarAutoencoder(
            image_shape,
            whole_numbers(multiplicities),
            channels_in=image_shape[0] + bool(still),
            width=width,
            depth=depth,
        )
        if still:
            network = CompositeAutoencoder(StillNumbers(image_shape, still), network)
        self.assemble(network, SO2(), group, network.multiplicities, loss_form)


class LGAGeneric(LGA):
    """`jin2024`'s own network, with irreducible representations and the better optimiser.

    Nothing in it is tailored to the image plane.

    Args:
        image_shape: (C, H, W).
        group: the group that acts.
        multiplicities: of the latent by order, with commas; orders from 0 on.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        *,
        multiplicities: str = "4,4,3,2,1",
        loss_form: Form = "log",
    ) -> None:
        copies = whole_numbers(multiplicities)
        network = MNISTAutoencoder(image_shape, Irreps(group, copies).channels)
        self.assemble(network, group, group, copies, loss_form)


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "4,3,2" as numbers; raises ValueError for anything else."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"multiplicities are whole numbers with commas, got {text!r}") from None
