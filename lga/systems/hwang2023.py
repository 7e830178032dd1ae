"""Hwang et al.: MAGANet, Achieving Combinatorial Generalization by Modeling a Group Action, 2023.

z = E(x2) − E(x1) ∈ R^d;   x̂2 = D(z, x1) = f⁻¹(f(x1) + M z)             f invertible, M linear
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lga.groups import Group, Translation
from lga.losses import code_consistency_loss, gaussian_kl, pixel_loss
from lga.metrics import psnr_db
from lga.networks import BrainAutoencoder, Glow, MNISTAutoencoder
from lga.pairs import Pairs
from lga.systems.base import System, network_kind


def variational_encoder(image_shape: tuple[int, int, int], code: int) -> nn.Sequential:
    """`jin2024`'s encoder with twice the outputs: means and log variances (its section 6.2).

    Args:
        image_shape: (C, H, W).
        code: length of the code on small images; on large ones it is `jin2024`'s latent map.
    """
    if network_kind("auto", image_shape) == "mnist":
        return MNISTAutoencoder(image_shape, 2 * code).encoder
    encoder = BrainAutoencoder(image_shape).encoder
    last = encoder[-1]
    encoder[-1] = nn.Conv2d(last.in_channels, 2 * last.out_channels, 3, padding=1)
    return encoder


class Hwang2023(System):
    """An action of (R^d, +) on images, learned from pairs without their g.

    D(0, x) = x and D(z1, D(z2, x)) = D(z1 + z2, x) by construction, for f is invertible. The
    system cannot be told g: shown another object moved by g, a pair (x3, x4), it moves x1 by
    z = E(x4) − E(x3). Its own group is that of the translations z, and `transform` takes those.

    Args:
        image_shape: (C, H, W), even sides.
        code: d, how many numbers say how an image is moved, where images are small; as many as
            `jin2024`'s latent has, in its comparison; 10 in the paper of the system.
        levels: of the invertible network at most; 3 at 64×64, 2 at 28×28.
        hidden: channels inside its couplings; 128 in the paper.
        kl_weight: weight of KL(q(z|x) ‖ N(0, 1)) of x2's code; not stated in the paper.
        consistency_weight: weight of ‖E(D(z′, x′)) − E(x′) − z′‖₁; not stated in the paper.
        warmup_pairs: training pairs over which both weights rise from 0; loud from the start, they
            silence the code before anything makes use of it.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        code: int = 24,
        levels: int = 3,
        hidden: int = 128,
        kl_weight: float = 1e-5,
        consistency_weight: float = 0.01,
        warmup_pairs: int = 0,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.flow = Glow(image_shape, levels, hidden=hidden)
        self.encoder = variational_encoder(image_shape, code)
        with torch.no_grad():
            numbers = self.encoder.eval()(torch.zeros(1, *image_shape)).numel() // 2
        self.encoder.train()
        self.group: Group = Translation(numbers)
        self.direction = nn.Linear(numbers, math.prod(image_shape), bias=False)  # M
        nn.init.xavier_uniform_(self.direction.weight)
        self.kl_weight, self.consistency_weight = kl_weight, consistency_weight
        self.warmup_pairs = warmup_pairs
        self.register_buffer("pairs_seen", torch.tensor(0))

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if len(dataset.image_shape) > 3:
            return "has an invertible network for pictures, not for volumes"
        if not dataset.demonstrates:
            return (
                "cannot be told g and must be shown it: another object of the same split at the "
                "same points of its orbit, which this dataset does not have"
            )
        return None

    def move(self, z: Tensor, x: Tensor) -> Tensor:
        """D(z, x) = f⁻¹(f(x) + M z), codes (N, d) and images to images, unclipped."""
        y = self.flow(x)
        return self.flow.inverse(y + self.direction(z).view_as(y))

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (N, d)."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean.flatten(1), log_variance.flatten(1)

    def transform(self, x: Tensor, g: Tensor) -> Tensor:
        """D(z, x) for translations g by z, (N, d + 1, d + 1), as `element` gives them.

        Raises:
            ValueError: for the dataset's g, which the system cannot be told, and for images of
                another shape than `image_shape`.
        """
        if g.shape[1:] != (self.group.matrix_dim, self.group.matrix_dim):
            raise ValueError(
                "hwang2023 cannot be told g; show it, with element(pairs) or predict(pairs)"
            )
        self.check_images(x)
        return self.move(self.group.vector(g), x)

    def element(self, pairs: Pairs) -> Tensor:
        """The translation by E(x4) − E(x3), read off the demonstration.

        Raises:
            ValueError: where the pairs carry none.
        """
        if pairs.x3 is None or pairs.x4 is None:
            raise ValueError(
                "hwang2023 is shown g by a second pair (x3, x4), and these pairs have none"
            )
        return self.group.element(self.code(pairs.x4)[0] - self.code(pairs.x3)[0])

    def diagnose(self, pairs: Pairs) -> dict[str, Tensor]:
        """How alike a pair's own z and the demonstration's are, and the PSNR with its own."""
        shown = self.group.vector(self.element(pairs))
        own = self.code(pairs.x2)[0] - self.code(pairs.x1)[0]
        painted = self.move(own, pairs.x1).clamp(0, 1)
        return {
            "demonstration_cosine": F.cosine_similarity(shown, own),
            "psnr_own_element_db": psnr_db(painted, pairs.x2),
        }

    def path(self, pairs: Pairs, n: int) -> Tensor:
        """From e to what the first pair's demonstration shows, in equal steps."""
        z = self.group.vector(self.element(next(pairs.split(1))))
        return self.group.element(torch.linspace(0, 1, n, device=z.device)[:, None] * z)

    def begin_step(self, pairs_seen: int) -> bool:
        self.pairs_seen.fill_(pairs_seen)
        return False

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """‖x2 − D(z, x1)‖² + β_KL KL + β ‖E(D(z′, x′)) − E(x′) − z′‖₁.

        z = E(x2) − E(x1) is drawn from the encoder's Gaussians; x′ is x1, and z′ the z of another
        pair of the batch.
        """
        mean, log_variance = self.code(torch.cat([pairs.x1, pairs.x2]))
        drawn = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        z1, z2 = drawn.chunk(2)
        z = z2 - z1
        y = self.flow(pairs.x1)
        moves = self.direction(torch.cat([z, z.roll(1, 0)])).view(-1, *y.shape[1:])
        painted, elsewhere = self.flow.inverse(torch.cat([y, y]) + moves).chunk(2)
        consistency = code_consistency_loss(self.code(elsewhere)[0], mean[: len(z)] + z.roll(1, 0))
        warm = 1.0
        if self.warmup_pairs:
            warm = (self.pairs_seen / self.warmup_pairs).clamp(max=1)
        kl = gaussian_kl(mean[len(z) :], log_variance[len(z) :])
        return {
            "pixel": pixel_loss(pairs.x2, painted),
            "kl": warm * self.kl_weight * kl,
            "consistency": warm * self.consistency_weight * consistency,
        }
