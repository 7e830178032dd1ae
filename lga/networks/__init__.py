"""The networks that systems are made of, by what they do."""

from lga.networks.autoencoders import (
    Autoencoder,
    BrainAutoencoder,
    Encoding,
    MapAutoencoder,
    MNISTAutoencoder,
    RenderedAutoencoder,
)
from lga.networks.glow import GaussianEncoder, Glow
from lga.networks.scene import SceneAutoencoder
from lga.networks.steerable import CanonicalDecoder, Fields, SteerableEncoder
from lga.networks.tokens import RayDecoder, TokenEncoder, ray_features

__all__ = [
    "Autoencoder",
    "BrainAutoencoder",
    "CanonicalDecoder",
    "Encoding",
    "Fields",
    "GaussianEncoder",
    "Glow",
    "MNISTAutoencoder",
    "MapAutoencoder",
    "RayDecoder",
    "RenderedAutoencoder",
    "SceneAutoencoder",
    "SteerableEncoder",
    "TokenEncoder",
    "ray_features",
]
