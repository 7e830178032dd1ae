"""lga: group actions on latent image representations.

A dataset draws pairs (x1, x2, g) from orbits; a system paints x̂2 from x1 and g; losses train it,
metrics turn the test pairs into one record, records become tables and pictures.
"""

from importlib.metadata import version

from lga import figures, groups, latents, laws, losses, metrics, networks, results
from lga.datasets import DATASETS, OrbitDataset, load_dataset
from lga.evaluation import evaluate
from lga.pairs import Pairs
from lga.profiles import PROFILES, Settings, settings_for
from lga.runs import Run, configure, execute
from lga.systems import SYSTEMS, LatentSystem, System, build_system
from lga.training import fit

__version__ = version("lga")

__all__ = [
    "DATASETS",
    "PROFILES",
    "SYSTEMS",
    "LatentSystem",
    "OrbitDataset",
    "Pairs",
    "Run",
    "Settings",
    "System",
    "build_system",
    "configure",
    "evaluate",
    "execute",
    "figures",
    "fit",
    "groups",
    "latents",
    "laws",
    "load_dataset",
    "losses",
    "metrics",
    "networks",
    "results",
    "settings_for",
]
