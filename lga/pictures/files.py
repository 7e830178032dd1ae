"""Arrays on disk: written whole, made once."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from lga.paths import DATA


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Writes a compressed npz so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(part, path)


def cached(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays made by a call, or by an earlier one with the same name.

    Several processes that want the same arrays wait for the first. Where nothing can be written,
    the arrays are made every time.
    """
    folder = DATA / "stand-in"
    path = folder / f"{name}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock").acquire()
    except OSError:
        return make()
    with lock:
        if not path.exists():
            write_npz(path, **make())
        with np.load(path) as arrays:
            return dict(arrays)
