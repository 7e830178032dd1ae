"""The networks that systems are made of, by what they do."""

from lga.networks.autoencoders import (
    Autoencoder,
    BrainAutoencoder,
    Encoding,
    MapAutoencoder,
    MNISTAutoencoder,
    RenderedAutoencoder,
)
from lga.networks.ball import ObjectField
from lga.networks.composite import CompositeAutoencoder, Layers, StillMap, StillNumbers
from lga.networks.contrast import PatchAutoencoder, PixelAutoencoder
from lga.networks.foreground import ForegroundAutoencoder
from lga.networks.glow import Glow
from lga.networks.polar import DiscHarmonics, HarmonicAutoencoder, PolarAutoencoder
from lga.networks.scene import SceneAutoencoder
from lga.networks.spherical import SphericalAutoencoder
from lga.networks.steerable import CanonicalDecoder, Fields, SteerableEncoder
from lga.networks.tokens import RayDecoder, TokenEncoder, ray_features
from lga.networks.volume import VolumeAutoencoder
from lga.networks.waves import PlaneWaves

__all__ = [
    "Autoencoder",
    "BrainAutoencoder",
    "CanonicalDecoder",
    "CompositeAutoencoder",
    "DiscHarmonics",
    "Encoding",
    "Fields",
    "ForegroundAutoencoder",
    "Glow",
    "HarmonicAutoencoder",
    "Layers",
    "MNISTAutoencoder",
    "MapAutoencoder",
    "ObjectField",
    "PatchAutoencoder",
    "PixelAutoencoder",
    "PlaneWaves",
    "PolarAutoencoder",
    "RayDecoder",
    "RenderedAutoencoder",
    "SceneAutoencoder",
    "SphericalAutoencoder",
    "SteerableEncoder",
    "StillMap",
    "StillNumbers",
    "TokenEncoder",
    "VolumeAutoencoder",
    "ray_features",
]
