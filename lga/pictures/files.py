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


def read_npz(path: Path, mend: str, **expected: str) -> dict[str, np.ndarray]:
    """Arrays of an npz, each checked for its type and shape; zip's checksums tell of damage.

    Args:
        path: of the file.
        mend: what to do when it is missing or wrong.
        expected: by name, what an array must be, as "uint8 n r 4 64 64": a number stands for
            itself, a letter for any length, the same wherever it stands. A name beginning with
            "any" stands for the file's first array, whatever it is called.

    Raises:
        FileNotFoundError, ValueError: naming the file, what was expected and how to mend it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {mend}")
    try:
        with np.load(path, allow_pickle=False) as packed:
            arrays = {
                name: packed[packed.files[0] if name.startswith("any") else name]
                for name in expected
            }
    except Exception as error:  # zip, zlib and NumPy's headers raise whatever they meet
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}); {mend}") from error
    lengths: dict[str, int] = {}
    for name, wanted in expected.items():
        kind, *shape = wanted.split()
        array = arrays[name]
        fits = array.dtype.name.startswith(kind) and array.ndim == len(shape) and array.size
        for letter, length in zip(shape, array.shape, strict=False):
            known = int(letter) if letter.isdigit() else lengths.setdefault(letter, length)
            fits = fits and length == known
        if not fits:
            found = f"{array.dtype} {array.shape}"
            lengths_wanted = f" ({', '.join(shape).upper()})" if shape else ""
            raise ValueError(f"{path}: {name} is {found}; expected {kind}{lengths_wanted}; {mend}")
    return arrays


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
