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
from lga.networks.steerable import CanonicalDecoder, SteerableEncoder

__all__ = [
    "Autoencoder",
    "BrainAutoencoder",
    "CanonicalDecoder",
    "Encoding",
    "GaussianEncoder",
    "Glow",
    "MNISTAutoencoder",
    "MapAutoencoder",
    "RenderedAutoencoder",
    "SteerableEncoder",
]
