"""What every dataset is: images on orbits of a group, from which pairs are drawn in batches.

Tensors live on one device and pairs are made there, a batch at a time: no per-sample Python, no
worker processes, no image decoding. The few random numbers of a batch come from a CPU generator,
so that a seed means the same pairs on every machine.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor

from lga.cameras import Camera
from lga.groups import Group
from lga.lookup import check_name
from lga.pairs import Pairs

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class OrbitDataset(ABC):
    """Objects seen at many points of their orbits, in three splits that share no object.

    Attributes:
        name: the dataset's name in tables and folders.
        group: the group whose elements g relate x1 to x2; the class's own is the published one.
        image_shape: (C, H, W); the class's own is the published one.
        sources: the real data and the stand-in, in words.
        source: which of them the images are.
        is_stand_in: whether this is a stand-in for the published data.
        camera: how it looks at the object, where images are views of one in space; else None.
        demonstrates: whether every object can be shown at the same points of its orbit, so that a
            second pair demonstrates the g of a first.
        device: where the images are held and the pairs are made.
    """

    name: str
    group: Group
    image_shape: tuple[int, int, int]
    sources: tuple[str, str]
    source: str
    is_stand_in: bool
    camera: Camera | None = None
    demonstrates: bool = False
    device: torch.device = torch.device("cpu")

    @classmethod
    def how_to_prepare(cls, data_root: Path) -> str:
        """The command that fetches the real data."""
        return f"lga data prepare {cls.name} --data-root {data_root}"

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """Moves the images to a device; returns the dataset itself."""

    @classmethod
    def from_arrays(cls, images, elements, object_ids, group: Group) -> "OrbitDataset":
        """One's own images on orbits of a group (see `StoredOrbits`).

        Args:
            images: (N, C, H, W) in [0, 1].
            elements: (N, d, d); `elements[n]` moves the object from its reference pose to image n.
            object_ids: N labels that say which images share an orbit.
            group: the group that acts.
        """
        from lga.datasets.stored import StoredOrbits

        return StoredOrbits(images, elements, object_ids, group)

    @abstractmethod
    def size(self, split: Split) -> int:
        """How many objects a split holds."""

    @abstractmethod
    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        """One random pair of each object.

        Args:
            split: where the objects are.
            objects: indices (n,) in [0, size(split)), on the CPU.
            generator: a CPU generator, the only source of randomness. Where the dataset
                `demonstrates`, what is drawn from it does not depend on the objects.
        """

    def pairs(self, split: Split, n: int, generator: torch.Generator) -> Pairs:
        """n pairs of objects drawn uniformly, with replacement."""
        objects = torch.randint(self.size(split), (n,), generator=generator)
        return self.draw(split, objects, generator)

    def fixed_pairs(self, split: Split, n: int, chunk: int = 500) -> Iterator[Pairs]:
        """The same n pairs for every system, seed and machine, in batches of at most `chunk`.

        Goes through the objects in order, and again where n is larger than the split; the pairs
        of a smaller n are the first ones of a larger n. Where the dataset `demonstrates`, each
        comes with the next object's pair, drawn with the same random numbers.
        """
        check_name("split", split, SPLITS)
        for start in range(0, n, chunk):
            seed = start + 1_000_003 * SPLITS.index(split)
            objects = torch.arange(start, start + chunk)

            def drawn(objects: Tensor, seed: int = seed) -> Pairs:
                generator = torch.Generator().manual_seed(seed)
                return self.draw(split, objects % self.size(split), generator)

            batch = drawn(objects)
            if self.demonstrates and self.size(split) > 1:
                other = drawn(objects + 1)
                batch = replace(batch, x3=other.x1, x4=other.x2)
            yield next(batch.split(n - start))


def split_objects(n: int, test_share: float, seed: int = 0) -> dict[Split, Tensor]:
    """Object indices of the three splits: a random test share, then one eighth for validation.

    Small sets keep at least one object for validation, and for test where a share is asked for.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    n_test = max(1, round(test_share * n)) if test_share else 0
    n_validation = max(1, (n - n_test) // 8)
    test, validation, train = order.split([n_test, n_validation, n - n_test - n_validation])
    return {"train": train, "validation": validation, "test": test}
