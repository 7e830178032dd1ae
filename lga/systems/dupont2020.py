"""Dupont et al.: Equivariant Neural Rendering, ICML 2020.

x1 ─E─▶ scene volume ─▶ turned by g as the camera sees it ─D─▶ x̂2        (and x2, g⁻¹ ─▶ x̂1)
"""

from torch import Tensor

from lga.cameras import Camera
from lga.groups import SO3, Group
from lga.latents import FixedSplit, LatentAction
from lga.losses import pixel_loss_l1, structural_loss
from lga.networks import Encoding, SceneAutoencoder
from lga.pairs import Pairs
from lga.representations import TurnedMaps
from lga.systems.base import LatentSystem


class Dupont2020(LatentSystem):
    """A volume of features that turns as the object does, by trilinear interpolation.

    All of it turns, what should stand still included: a sky would have to turn with its aircraft.

    Args:
        image_shape: (3, S, S), S divisible by 16.
        group: turns of the object: SO(3), or of a turntable.
        camera: how it looks at the object.
        width: channels of the first layer; 64 in the paper.
        structural_weight: weight of 1 − SSIM; 0.05 in the paper.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        group: Group,
        camera: Camera,
        *,
        width: int = 64,
        structural_weight: float = 0.05,
    ) -> None:
        network = SceneAutoencoder(image_shape, width)
        channels = network.latent_shape[0]
        super().__init__(
            network, LatentAction(TurnedMaps(SO3(), (channels,)), FixedSplit(channels, channels))
        )
        self.group, self.camera = group, camera
        self.structural_weight = structural_weight

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if dataset.camera is None:
            return "turns a scene in space under a camera, and these pictures are of no scene"
        return None

    def act(self, g: Tensor, encoding: Encoding) -> Encoding:
        """The scene turned by g, in the camera's axes."""
        return super().act(self.camera.turn(self.group, g), encoding)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """‖x2 − x̂2‖₁ + w (1 − SSIM(x2, x̂2)), and the same for x1 and g⁻¹."""
        target, _, moved = self.both_ways(pairs)
        painted = self.decode(moved)
        # A mean over both directions, doubled, is the sum of the two means.
        return {
            "pixel": 2 * pixel_loss_l1(target, painted),
            "structure": 2 * self.structural_weight * structural_loss(target, painted),
        }
