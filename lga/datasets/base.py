"""What every dataset is: images on orbits of a group, from which pairs are drawn in batches.

Tensors live on one device and pairs are made there, a batch at a time: no per-sample Python, no
worker processes, no image decoding. The few random numbers of a batch come from a CPU generator,
so that a seed means the same pairs on every machine.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from lga.cameras import Camera
from lga.devices import sent
from lga.groups import Group
from lga.lookup import check_name
from lga.pairs import Pairs
from lga.splits import SPLITS, Split, split_objects

HoldOut = Literal["objects", "images"]
FEW_OBJECTS = 30
INSTEAD = "split='images' holds out images instead"


class Labelled(NamedTuple):
    """Images with what they show.

    Attributes:
        images: (n, C, …) in [0, 1].
        labels: classes (n,).
        elements: (n, d, d), from the objects' reference poses to the images.
    """

    images: Tensor
    labels: Tensor
    elements: Tensor


class OrbitDataset(ABC):
    """Objects seen at many points of their orbits, in three splits that share no object.

    Attributes:
        name: the dataset's name in tables and folders.
        group: the group whose elements g relate x1 to x2; the class's own is the published one.
        image_shape: (C, H, W); the class's own is the published one.
        sources: the real data and the stand-in, in words.
        source: which of them the images are.
        camera: how it looks at the object, where images are views of one in space; else None.
        demonstrates: whether every split has other objects to show at the same points of their
            orbits, so that a second pair demonstrates the g of a first.
        chunk: how many fixed pairs are drawn at once; decides which they are.
        remarks: what a run's record says of the data beyond their source.
        device: where the images are held and the pairs are made.
    """

    name: str
    group: Group
    image_shape: tuple[int, int, int]
    sources: tuple[str, str]
    source: str
    camera: Camera | None = None
    demonstrates: bool = False
    chunk: int = 500
    remarks: Mapping[str, Any] = {}
    device: torch.device = torch.device("cpu")

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.image_shape))
        train, validate, test = map(self.size, SPLITS)
        return (
            f"<{self.name}: {shape} under {self.group}; objects: {train} train, {validate} "
            f"validate, {test} test; {self.source}>"
        )

    @property
    def is_stand_in(self) -> bool:
        """Whether the images stand in for the published data."""
        return self.source == self.sources[1]

    @classmethod
    def how_to_prepare(cls, data_root: Path) -> str:
        """The command that fetches the real data."""
        return f"lga data prepare {cls.name} --data-root {data_root}"

    @classmethod
    def for_options(cls, **options) -> "type[OrbitDataset]":
        """What a system must know of the dataset with such options; reads no data."""
        return cls

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """Moves the images to a device; returns the dataset itself."""

    @classmethod
    def from_arrays(
        cls, images, elements, object_ids, group: Group, split: HoldOut = "objects"
    ) -> "OrbitDataset":
        """One's own images on orbits of a group (see `StoredOrbits`).

        Args:
            images: (N, C, H, W) in [0, 1].
            elements: (N, d, d); `elements[n]` moves the object from its reference pose to image n.
            object_ids: N labels that say which images share an orbit.
            group: the group that acts.
            split: what validation and test hold out, "objects" or, with few of them, "images".
        """
        dataset = StoredOrbits(images, elements, object_ids, group, hold_out=split)
        few = dataset.size("train")
        if split == "objects" and few < FEW_OBJECTS:
            warnings.warn(
                f"only {few} objects train, from which little is learned about others; {INSTEAD}",
                stacklevel=2,
            )
        return dataset

    @classmethod
    def from_folder(
        cls,
        folder: Path | str,
        table: Path | str,
        group: Group,
        split: HoldOut = "objects",
        side: int | None = None,
    ) -> "OrbitDataset":
        """One's own pictures, with a table that says what each shows (see `read_pictures`).

        Args:
            folder: of pictures in any common format.
            table: a CSV file with the columns `file`, `object` and either `angle_deg` or the
                group's matrix row by row, `g11`, `g12`, …
            group: the group that acts.
            split: as for `from_arrays`.
            side: pictures are made side × side pixels; by default they keep the size they share.
        """
        from lga.pictures.folder import read_pictures

        images, elements, owners = read_pictures(Path(folder), Path(table), group, side)
        return cls.from_arrays(images, elements, owners, group, split)

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

    def has_others(self) -> bool:
        """Whether every split holds more than one object, so that another can demonstrate."""
        return all(self.size(split) > 1 for split in SPLITS)

    def demonstration(
        self, split: Split, objects: Tensor, generator: torch.Generator, own: torch.Generator
    ) -> Pairs:
        """Other objects' pairs at the same absolute elements.

        Args:
            split, objects: as for `draw`.
            generator: in the state from which the shown pairs were drawn.
            own: for what a demonstration does not share.
        """
        return self.draw(split, objects, generator)

    def view(self, split: Split, index: int, g: Tensor) -> Tensor | None:
        """An object of a split moved by g (1, d, d) from its reference pose, (1, C, H, W).

        None where the dataset cannot show it there; at e it always can.
        """
        return None

    def swapped(self, split: Split, n: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """n images x1, n images x2 of other objects, and what moves of x1 with what stays of x2.

        The same for every system; None where the third cannot be made.
        """
        return None

    def labelled(self, split: Split, n: int, moved: bool) -> Labelled:
        """n objects of a split, or all, with their classes, in their reference pose or moved.

        Raises:
            ValueError: for a dataset without classes.
        """
        raise ValueError(f"{self.name} has no classes")

    def pairs(self, split: Split, n: int, generator: torch.Generator, views: int = 1) -> Pairs:
        """n pairs of objects drawn uniformly, with replacement.

        Args:
            split: where the objects are.
            n: a multiple of `views`.
            generator: as for `draw`.
            views: how many pairs of each object share their x1 (see `draw_views`).
        """
        objects = torch.randint(self.size(split), (n // views,), generator=generator)
        if views == 1:
            return self.draw(split, objects, generator)
        return self.draw_views(split, objects, generator, views)

    def draw_views(
        self, split: Split, objects: Tensor, generator: torch.Generator, views: int
    ) -> Pairs:
        """`views` random pairs of each object with one x1, one object's after the other's."""
        raise ValueError(f"{self.name} does not show several second images of one first")

    def fixed_pairs(self, split: Split, n: int) -> Iterator[Pairs]:
        """The same n pairs for every system, seed and machine, in batches of at most `chunk`.

        Goes through the objects in order, and again where n is larger than the split; the pairs
        of a smaller n are the first ones of a larger n. Where the dataset `demonstrates`, each
        comes with the next object's pair at the same absolute elements.
        """
        check_name("split", split, SPLITS)
        for start in range(0, n, self.chunk):
            seed = start + 1_000_003 * SPLITS.index(split)
            objects = torch.arange(start, start + self.chunk)
            same = torch.Generator().manual_seed(seed)
            batch = self.draw(split, objects % self.size(split), same)
            if self.demonstrates:
                same, own = same.manual_seed(seed), torch.Generator().manual_seed(seed + 500_009)
                other = self.demonstration(split, (objects + 1) % self.size(split), same, own)
                batch = replace(batch, x3=other.x1, x4=other.x2)
            yield next(batch.split(n - start))


class StoredOrbits(OrbitDataset):
    """Images of objects at known points of their orbits; a pair is two images of one object.

    Every image n shows its object moved by `elements[n]` from a pose that is the same for all
    images of the object, so that g = elements[2] elements[1]⁻¹ for a pair (1, 2). The two images
    of a pair are different ones: g = e is left out, as in the papers' rendered sets.

    Args:
        images: (N, C, H, W), uint8 in [0, 255] or floating point in [0, 1].
        elements: (N, d, d), elements of the group.
        object_ids: N labels; images with the same one share an orbit.
        group: the group that acts.
        splits: the objects' labels of each split; by default a random fifth of the objects is for
            test and one eighth of the rest for validation.
        hold_out: "objects", as above, or "images": every object trains, and a random fifth of its
            images is for test and an eighth of the rest for validation; their pairs lead from a
            training image to one that is held out.
        permuted_channels: whether the channels of training pairs change places at random, the same
            way in both images: more colours where the group does not touch them.

    Raises:
        ValueError: for images outside [0, 1], matrices that are no elements, an object with too
            few images, or a split without objects.
    """

    name = "own"
    sources = ("own images", "none")
    source = "own images"

    def __init__(
        self,
        images: Tensor | np.ndarray,
        elements: Tensor | np.ndarray,
        object_ids: Sequence,
        group: Group,
        splits: dict[Split, Sequence] | None = None,
        hold_out: HoldOut = "objects",
        permuted_channels: bool = False,
    ) -> None:
        check_name("split", hold_out, ("objects", "images"))
        images = torch.as_tensor(images)
        if images.ndim not in (4, 5) or not len(images) == len(elements) == len(object_ids):
            raise ValueError(
                "images (N, C, H, W) or (N, C, D, H, W), elements (N, d, d) and N object ids "
                "belong together, got "
                f"{tuple(images.shape)}, {tuple(np.shape(elements))} and {len(object_ids)}"
            )
        if not len(images):
            raise ValueError("there are no images")
        if images.shape[-1] <= 4 < images.shape[1]:
            raise ValueError(
                f"channels come first, (N, C, H, W) or (N, C, D, H, W), got {tuple(images.shape)}"
            )
        if images.is_floating_point():
            low, high = (float(edge) for edge in images.aminmax())
            if not (low >= 0 and high <= 1):
                raise ValueError(f"images lie in [0, 1], these span [{low:g}, {high:g}]")
            images = images.float()
        elif images.dtype != torch.uint8:
            raise ValueError(f"images are uint8 or floating point, got {images.dtype}")

        labels, owner = np.unique(np.asarray(object_ids), return_inverse=True)
        counts = np.bincount(owner, minlength=len(labels))
        fewest = 2 if hold_out == "objects" else 4
        if counts.min() < fewest:
            lonely = labels[counts.argmin()].item()
            raise ValueError(
                f"an orbit needs {fewest} images; object {lonely!r} has {counts.min()}"
            )
        self.group = group
        self.elements = group.check(torch.as_tensor(elements, dtype=torch.float32))
        self.images = images
        self.image_shape = tuple(images.shape[1:])
        self.permuted_channels = permuted_channels

        # Images in the order of their objects, so that object k owns first[k] … + count[k].
        self.order = torch.from_numpy(np.argsort(owner, kind="stable"))
        self.count = torch.from_numpy(counts)
        self.first = self.count.cumsum(0) - self.count
        everyone = torch.arange(len(labels))
        self.held_out: dict[Split, list[Tensor]] | None = None
        if hold_out == "images":
            self.objects = dict.fromkeys(SPLITS, everyone)
            parts = [split_objects(int(n), test_share=0.2, seed=k) for k, n in enumerate(counts)]
            self.held_out = {
                split: [
                    self.order[first + part[split]]
                    for first, part in zip(self.first, parts, strict=True)
                ]
                for split in SPLITS
            }
        elif splits is None:
            self.objects = split_objects(len(labels), test_share=0.2)
        else:
            position = {label: k for k, label in enumerate(labels.tolist())}
            self.objects = {
                split: torch.tensor([position[label] for label in splits[split]])
                for split in SPLITS
            }
        for split in SPLITS:
            if not len(self.objects[split]):
                hint = f"; {INSTEAD}" if splits is None else ""
                raise ValueError(f"{len(labels)} objects leave none for the {split} split{hint}")

    def to(self, device: torch.device | str) -> Self:
        self.device = torch.device(device)
        self.images = self.images.to(self.device)
        return self

    def size(self, split: Split) -> int:
        return len(self.objects[split])

    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        return self.draw_views(split, objects, generator, views=1)

    def draw_views(
        self, split: Split, objects: Tensor, generator: torch.Generator, views: int
    ) -> Pairs:
        owner = self.objects[split][objects].repeat_interleave(views)
        here, *steps = torch.rand(1 + views, len(objects), generator=generator)
        shares = torch.stack([here.repeat_interleave(views), torch.stack(steps, 1).flatten()])
        if self.held_out is None:
            first, count = self.first[owner], self.count[owner]
            here = (shares[0] * count).long()
            # A step of 1 … count − 1 around the object's images never returns to the first.
            step = 1 + (shares[1] * (count - 1)).long()
            i1, i2 = (self.order[first + place] for place in (here, (here + step) % count))
        else:
            i1, i2 = self.two_images(split, owner, shares)
        R1, R2 = self.elements[i1], self.elements[i2]
        g = self.group.compose(R2, self.group.inverse(R1))
        x1, x2 = self.show(i1), self.show(i2)
        if self.permuted_channels and split == "train":
            keys = torch.rand(len(objects), x1.shape[1], generator=generator)
            order = keys.argsort(1).repeat_interleave(views, 0)
            order = sent(order, self.device)[..., None, None]
            x1, x2 = (x.take_along_dim(order, 1) for x in (x1, x2))
        return Pairs(x1, x2, sent(g, self.device), views=views)

    def two_images(self, split: Split, owner: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """A training image of each object and another one, of the split's."""
        known, asked = self.held_out["train"], self.held_out[split]
        first, second = [], []
        for k, (a, b) in zip(owner.tolist(), shares.T.tolist(), strict=True):
            here = int(a * len(known[k]))
            first.append(known[k][here])
            if split == "train":
                second.append(known[k][(here + 1 + int(b * (len(known[k]) - 1))) % len(known[k])])
            else:
                second.append(asked[k][int(b * len(asked[k]))])
        return torch.stack(first), torch.stack(second)

    def view(self, split: Split, index: int, g: Tensor) -> Tensor | None:
        """The stored image at g from the object's first, if there is one."""
        owner = self.objects[split][index]
        own = self.order[self.first[owner] : self.first[owner] + self.count[owner]]
        wanted = self.group.compose(g, self.elements[own[:1]])
        off = self.group.distance(self.elements[own], wanted.expand(len(own), -1, -1))
        return self.show(own[off.argmin()][None]) if off.min() < 1e-3 else None

    def show(self, index: Tensor) -> Tensor:
        """Images (n, C, H, W) in [0, 1] by their index (n,)."""
        images = self.images[sent(index, self.device)]
        return images.float() / 255 if images.dtype == torch.uint8 else images
