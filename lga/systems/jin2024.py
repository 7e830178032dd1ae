"""Jin, Shrivastava, Fletcher: Learning Group Actions on Latent Representations, NeurIPS 2024.

x1 ─E─▶ z1 = [z_v; z_i] ─▶ [g·z_v; z_i] ─D─▶ x̂2          (and x2, g⁻¹ ─▶ x̂1)
"""

from typing import Literal

from torch import Tensor

from lga.groups import Group
from lga.latents import FixedSplit, LatentAction
from lga.losses import ImageLoss, latent_inverse_loss
from lga.metrics import psnr_db
from lga.networks import Autoencoder, BrainAutoencoder, MNISTAutoencoder, RenderedAutoencoder
from lga.pairs import Pairs
from lga.representations import Irreps
from lga.systems.base import LatentSystem, network_kind


class Jin2024(LatentSystem):
    """A fixed split of the latent's channels; g moves the varying ones as vectors of R^p.

    Args:
        image_shape: (C, H, W) or (C, D, H, W).
        group: the group that acts.
        network: "mnist", "brain", "rendered", or "auto" by the image's shape.
        latent_dim: length of the MNIST network's latent; 24 in the paper.
        width: first width of the rendered network; 64 in the paper.
        skip: whether the rendered network has its attention skip.
        varying: share of the latent vectors that g moves. Not stated in the paper; 10 of 12 pairs
            of the MNIST latent here.
        latent_inverse_weight: weight of ‖z − E(D(z))‖²; the paper uses 1e-4 on rotated MNIST and 0
            elsewhere.
        perceptual_weight: weight of LPIPS in L_x; the paper uses 0.0005 on the rendered sets. Left
            out, with a remark in the record, where LPIPS' weights are missing.
        perceptual_images: how many images of a batch LPIPS sees; 0 for all, as published.
        loss_form: L_x, "mse" as published, or "log", its logarithm image by image.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        group: Group,
        *,
        network: str = "auto",
        latent_dim: int = 24,
        width: int = 64,
        skip: bool = True,
        varying: float = 5 / 6,
        latent_inverse_weight: float = 0.0,
        perceptual_weight: float = 0.0,
        perceptual_images: int = 0,
        loss_form: Literal["mse", "log"] = "mse",
    ) -> None:
        pair = published_networks(image_shape, network, latent_dim, width, skip)
        vectors = Irreps.vectors(group, pair.latent_shape[0])
        units = len(vectors.sizes)
        split = FixedSplit(units, round(varying * units))
        super().__init__(pair, LatentAction(vectors, split))
        self.latent_inverse_weight = latent_inverse_weight
        self.image_loss = ImageLoss(loss_form, perceptual_weight, perceptual_images)

    @property
    def remarks(self) -> dict[str, str]:
        """Whether the perceptual loss, if it is asked for, takes part."""
        return self.image_loss.remarks

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_x(x2, D(g·z1)) + L_x(x1, D(g⁻¹·z2)) + w ‖z − E(D(z))‖².

        Both directions go through the networks as one batch. The last term is taken at latents
        encoded from data, z = E(x1) and E(x2), as in section 6.1.
        """
        targets, encoding, moved = self.both_ways(pairs)
        terms = self.image_loss(targets, self.decode(moved))
        if self.latent_inverse_weight:
            inverse_loss = latent_inverse_loss(encoding.z, self.encode(self.decode(encoding)).z)
            terms["latent_inverse"] = self.latent_inverse_weight * inverse_loss
        return terms

    def diagnose(self, pairs: Pairs) -> dict[str, Tensor]:
        """Of a skip: how far off its attention looks, in pixels, and the PSNR with another's."""
        encoding = self.act(pairs.g, self.encode(pairs.x1))
        if encoding.skip is None:
            return {}
        other = encoding._replace(skip=encoding.skip.roll(1, 0))
        return {
            "attended_distance_px": self.network.attended_distance_px(encoding),
            "psnr_other_skip_db": psnr_db(self.decode(other).clamp(0, 1), pairs.x2),
        }


def published_networks(
    image_shape: tuple[int, ...],
    kind: str = "auto",
    latent_dim: int = 24,
    width: int = 64,
    skip: bool = True,
) -> Autoencoder:
    """E and D of the paper's appendix for images of a shape, as `Jin2024` has them."""
    kind = network_kind(kind, image_shape)
    if kind == "mnist":
        return MNISTAutoencoder(image_shape, latent_dim)
    if kind == "brain":
        return BrainAutoencoder(image_shape)
    return RenderedAutoencoder(image_shape, width, skip)
