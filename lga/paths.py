"""Where things are: the one module that anchors paths.

In a clone, defaults are anchored at its root, whichever folder a notebook or a command starts in;
installed without a clone, at the current folder.
"""

from pathlib import Path

_package_parent = Path(__file__).resolve().parents[1]
IS_CLONE = (_package_parent / "workflow" / "Snakefile").is_file()
ROOT = _package_parent if IS_CLONE else Path.cwd()

RESULTS = ROOT / "results"
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
SNAKEFILE = ROOT / "workflow" / "Snakefile"
BENCHMARKS = ROOT / "benchmarks"


def shown(path: Path) -> str:
    """A path for people: relative to the root where it lies below it."""
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def require_clone(what: str) -> None:
    """Raises FileNotFoundError where the package is installed without its repository."""
    if not IS_CLONE:
        raise FileNotFoundError(f"{what} needs a clone of the repository; `lga train` does not")
