"""Upright handwritten digits for the rotated and blocked sets: MNIST, or its offline stand-in."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from lga.pictures.originals import Originals
from lga.splits import split_objects

MNIST = "MNIST"
SMALL_DIGITS = "scikit-learn digits (stand-in for MNIST)"

# Name and MD5 of the original files, as torchvision lists them.
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def mnist_folder(data_root: Path) -> Path:
    """Where torchvision keeps the original files."""
    return Path(data_root) / "MNIST" / "raw"


def has_mnist(data_root: Path) -> bool:
    """Whether the four files are there; `read_mnist` checks what is in them."""
    return all((mnist_folder(data_root) / name).is_file() for name in FILES)


def read_mnist(data_root: Path) -> Originals:
    """MNIST in its original split; one eighth of the training digits is for validation.

    Reads the four original gz files from `data_root/MNIST/raw`.

    Raises:
        FileNotFoundError: for a missing file, naming the command that fetches it.
        ValueError: for a truncated or altered one, likewise.
    """
    folder = mnist_folder(data_root)
    mend = f"fetch it with: lga data prepare rotated_mnist --data-root {data_root}"
    arrays = []
    for name, md5 in FILES.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; {mend}")
        packed = path.read_bytes()
        found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
        if found != md5:
            raise ValueError(
                f"{path} is damaged: expected MD5 {md5}, found {found} "
                f"({len(packed):,} bytes); {mend}"
            )
        # An IDX header is a magic number and one size per axis, four bytes each.
        raw = np.frombuffer(gzip.decompress(packed), np.uint8)
        arrays.append(raw[16:].reshape(-1, 1, 28, 28) if "images" in name else raw[8:])
    train_images, train_labels, test_images, test_labels = (
        torch.from_numpy(array.copy()) for array in arrays
    )
    splits = split_objects(len(train_images), test_share=0)
    images = {split: train_images[index] for split, index in splits.items()}
    labels = {split: train_labels[index] for split, index in splits.items()}
    return Originals(images | {"test": test_images}, labels | {"test": test_labels}, MNIST)


def download_mnist(data_root: Path) -> None:
    """Downloads what is missing or damaged with torchvision, which compares checksums.

    Raises:
        OSError: when no mirror gives a file.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import download_url

    folder = mnist_folder(data_root)
    for name, md5 in FILES.items():
        for mirror in datasets.MNIST.mirrors:
            try:
                download_url(f"{mirror}{name}", str(folder), md5=md5)
                break
            except (OSError, RuntimeError) as error:
                reason = error
        else:
            raise OSError(f"no mirror gave {name} ({reason}); put it into {folder} by hand")


def read_small_digits() -> Originals:
    """scikit-learn's 1,797 real handwritten digits, 8×8, enlarged to 20×20 inside 28×28.

    That is the place of MNIST's digits in their frame. A fifth of the images is for test.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    large = F.interpolate(small, size=20, mode="bicubic", align_corners=False).clamp(0, 1)
    images = F.pad((255 * large).round().to(torch.uint8), (4, 4, 4, 4))
    labels = torch.tensor(bunch.target)
    splits = split_objects(len(images), test_share=0.2)
    return Originals(
        {split: images[index] for split, index in splits.items()},
        {split: labels[index] for split, index in splits.items()},
        SMALL_DIGITS,
    )
