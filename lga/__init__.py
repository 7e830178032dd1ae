"""lga: group actions on latent image representations.

A dataset draws pairs (x1, x2, g) from orbits; a system paints x̂2 from x1 and g; losses train it,
metrics turn the test pairs into one record, records become tables and pictures.

The public names are below, each with the module that holds it. They are imported when first used,
so that `lga --help` does not wait for PyTorch.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lga")
except PackageNotFoundError:  # through PyTorch Hub, which installs nothing
    __version__ = "uninstalled"

_MODULES = (
    "ablations",
    "charts",
    "figures",
    "groups",
    "latents",
    "laws",
    "losses",
    "metrics",
    "networks",
    "probes",
    "records",
    "representations",
    "runs",
    "tables",
)
_NAMES = {
    "Pairs": "pairs",
    "OrbitDataset": "datasets",
    "DATASETS": "datasets",
    "load_dataset": "datasets",
    "System": "systems",
    "LatentSystem": "systems",
    "SYSTEMS": "systems",
    "build_system": "systems",
    "Settings": "profiles",
    "PROFILES": "profiles",
    "settings_for": "profiles",
    "fit": "training",
    "evaluate": "evaluation",
    "Run": "runs",
    "configure": "runs",
    "execute": "runs",
    "load": "runs",
    "loadable": "runs",
    "explore": "explorer",
}

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"lga.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"lga.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'lga' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
