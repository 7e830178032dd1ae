"""NMR: objects on a turntable, 24 views each (Kato et al. 2018; `jin2024`, section 6.1).

g = (j − i) mod 24 turns view i into view j, an element of C_24. View i stands at azimuth −15°·i,
which is the object turned by +15°·i about the vertical in front of a camera at azimuth 0
(`cameras.TURNTABLE`); pictures are 64×64 on white.

Real data lie in `data_root/nmr` in the packing of SoftRas: `<class>_{train,val,test}_images.npz`,
each uint8 (N, 24, 4, 64, 64). `prepare` makes such files from the other public packing
(`NMR_Dataset.zip`, or the folder it unpacks to) and from any folder of meshes.
"""

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lga.cameras import TURNTABLE
from lga.datasets.base import Labelled, StoredOrbits
from lga.groups import SO3, Cyclic
from lga.pictures.files import cached, read_npz, write_npz
from lga.sources import with_copies
from lga.splits import Split, split_objects

VIEWS = 24
NOTE = "source.json"
STAND_IN = "procedural objects (stand-in for NMR)"
FILE_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}


class NMR(StoredOrbits):
    """Pairs of views of one object.

    Args:
        views: uint8 (n, 24, 4, 64, 64) of each split, RGBA.
        labels: classes (n,) of each split.
        source: what the objects are.
        permuted_channels: whether red, green and blue change places at random in training pairs.
    """

    name = "nmr"
    group = Cyclic(VIEWS)
    image_shape = (3, 64, 64)
    camera = TURNTABLE
    sources = ("Kato et al.'s renderings of ShapeNet, or rendered meshes", STAND_IN)

    def __init__(
        self,
        views: dict[Split, Tensor],
        labels: dict[Split, Tensor],
        source: str,
        *,
        permuted_channels: bool = False,
    ) -> None:
        counts = {split: len(part) for split, part in views.items()}
        ends = np.cumsum(list(counts.values())).tolist()
        n = ends[-1]
        objects = np.repeat(np.arange(n), VIEWS)
        elements = self.group.element(torch.arange(VIEWS)).repeat(n, 1, 1)
        splits = {
            split: range(end - counts[split], end) for split, end in zip(views, ends, strict=True)
        }
        images = torch.cat(list(views.values())).flatten(0, 1)
        super().__init__(
            images, elements, objects, self.group, splits, permuted_channels=permuted_channels
        )
        self.image_shape = (3, *images.shape[2:])
        self.labels = labels
        self.source = source

    def labelled(self, split: Split, n: int, moved: bool) -> Labelled:
        """Objects from all over a split, which goes class by class; first views, or random ones."""
        size = self.size(split)
        n = min(n, size)
        objects = torch.arange(n) * size // n
        steps = torch.zeros_like(objects)
        if moved:
            steps = torch.randint(VIEWS, steps.shape, generator=torch.Generator().manual_seed(0))
        images = self.show(self.objects[split][objects] * VIEWS + steps)
        return Labelled(images, self.labels[split][objects], self.group.element(steps))

    def show(self, index: Tensor) -> Tensor:
        rgba = super().show(index)
        color, alpha = rgba[:, :3], rgba[:, 3:]
        return color * alpha + (1 - alpha)

    @classmethod
    def real(cls, data_root: Path, *, categories: str = "all", **options) -> Self:
        """The packed files of `data_root/nmr`, or of some classes ("car,chair") of them.

        Raises:
            FileNotFoundError: without a packed file, or for a class that has none.
            ValueError: for a damaged file or one without 24 views, naming it.
        """
        folder = packed_folder(data_root)
        known = sorted(packed_classes(folder))
        wanted = known if categories == "all" else categories.split(",")
        views: dict[Split, list[Tensor]] = {split: [] for split in FILE_SPLITS.values()}
        labels: dict[Split, list[Tensor]] = {split: [] for split in FILE_SPLITS.values()}
        for label, category in enumerate(wanted):
            for name, split in FILE_SPLITS.items():
                path = folder / f"{category}_{name}_images.npz"
                views[split].append(torch.from_numpy(read_packed(path, data_root)))
                labels[split].append(torch.full((len(views[split][-1]),), label))
        if not wanted:
            raise FileNotFoundError(
                f"{folder} holds no packed files; {cls.how_to_prepare(data_root)}"
            )
        source = read_source(folder / NOTE)
        packed, classes = (
            {split: torch.cat(parts) for split, parts in lists.items()} for lists in (views, labels)
        )
        return cls(packed, classes, source, **options)

    @classmethod
    def stand_in(cls, *, objects: int = 600, **options) -> Self:
        """Composed solids of six classes, rendered once and kept in `data/stand-in`."""
        from lga.pictures.shapes import CLASSES

        def make() -> dict[str, np.ndarray]:
            from lga.pictures.rendering import render

            makers = list(CLASSES.values())
            print(f"rendering {objects} procedural objects, {VIEWS} views each", flush=True)
            return {"views": np.stack([
                render(makers[k % len(makers)](np.random.default_rng([1, k])), turntable(),
                       TURNTABLE, lamp_turns=True)
                for k in range(objects)
            ])}  # fmt: skip

        views = torch.from_numpy(cached(f"nmr-{objects}", make)["views"])
        splits = split_objects(objects, test_share=0.2)
        packed = {split: views[index] for split, index in splits.items()}
        classes = {split: index % len(CLASSES) for split, index in splits.items()}
        return cls(packed, classes, STAND_IN, **options)

    @staticmethod
    def has_real(data_root: Path) -> bool:
        """Whether there is any packed file."""
        return bool(packed_classes(packed_folder(data_root)))

    @classmethod
    def how_to_prepare(cls, data_root: Path) -> str:
        return (
            f"put SoftRas' <class>_<split>_images.npz into {packed_folder(data_root)}, or "
            f"NMR_Dataset.zip into {data_root} and: lga data prepare nmr --data-root {data_root}; "
            "or add --meshes DIR to render your own"
        )

    @classmethod
    def prepare(
        cls,
        data_root: Path,
        *,
        meshes: Path | None = None,
        only: str = "*",
        title: str = "",
        copies: int = 0,
    ) -> None:
        """Packs `NMR_Dataset.zip` or its folder, renders meshes in the same layout, or checks.

        Args:
            data_root: gets `nmr/`.
            meshes: a folder of meshes (see `rendering.find_meshes`), upright along y.
            only: which mesh names to take, as a file name pattern.
            title: what the meshes are, for the tables.
            copies: of every mesh that trains, stretched and maybe mirrored, but never on its head
                (`rendering.stretched`).
        """
        if meshes is not None:
            pack_meshes(Path(data_root), Path(meshes), only, title, copies)
        else:
            pack_public(Path(data_root))


def packed_folder(data_root: Path) -> Path:
    return Path(data_root) / "nmr"


def packed_classes(folder: Path) -> set[str]:
    """The classes whose training objects are packed in a folder."""
    return {path.name.rsplit("_", 2)[0] for path in folder.glob("*_train_images.npz")}


def refuse_a_mixture(folder: Path, others: set[str]) -> None:
    """Raises ValueError where a folder holds classes that do not belong to what is packed."""
    if others:
        raise ValueError(
            f"{folder} holds other data ({', '.join(sorted(others))}): remove it, or take another "
            "--data-root"
        )


def turntable() -> np.ndarray:
    """The object's rotations (24, 3, 3) that show view 0 … 23."""
    angle_rad = 2 * np.pi / VIEWS * torch.arange(VIEWS)
    return SO3().rotation(torch.tensor([[0.0, 1.0, 0.0]]), angle_rad).double().numpy()


def read_packed(path: Path, data_root: Path) -> np.ndarray:
    """uint8 (N, 24, 4, 64, 64) of a packed file.

    Raises:
        FileNotFoundError, ValueError: naming the file, what was expected and how to mend it.
    """
    mend = f"{VIEWS} RGBA views of every object are wanted; {NMR.how_to_prepare(data_root)}"
    return read_npz(path, mend, any_array=f"uint8 n {VIEWS} 4 64 64")["any_array"]


def read_source(path: Path) -> str:
    """What the packed objects are, from the note that rendering leaves; ShapeNet without one.

    Raises:
        ValueError: when the note is damaged.
    """
    if not path.is_file():
        return "NMR (ShapeNet)"
    try:
        return str(json.loads(path.read_text())["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); render the meshes again") from error


def pack_meshes(data_root: Path, meshes: Path, only: str, title: str, copies: int) -> None:
    """Renders a folder of meshes; 7 : 1 : 2 of each class's objects for train, val and test.

    Raises:
        ValueError: where other classes are packed already, or the public renderings.
    """
    from lga.pictures import rendering

    found, wrong = rendering.find_meshes(meshes, only)
    folder = packed_folder(data_root)
    others = packed_classes(folder)
    if (folder / NOTE).is_file():
        others -= {mesh.category for mesh in found}
    refuse_a_mixture(folder, others)

    def rendered(some: list[rendering.MeshFile]) -> dict[rendering.MeshFile, np.ndarray]:
        ready, unfit = rendering.render_all(
            some, lambda _: turntable(), TURNTABLE, True, folder / ".parts"
        )
        wrong.extend(unfit)
        return ready

    views = rendered(found)
    by_class: dict[str, list[rendering.MeshFile]] = {}
    for mesh in views:
        by_class.setdefault(mesh.category, []).append(mesh)
    members: dict[tuple[str, str], list[rendering.MeshFile]] = {}
    for category, own in by_class.items():
        if len(own) < 3:
            wrong.append(f"class {category} has {len(own)} objects; three splits need three")
            continue
        splits = split_objects(len(own), test_share=0.2)
        for name, split in FILE_SPLITS.items():
            members[category, name] = [own[k] for k in splits[split].tolist()]
    extra: dict[rendering.MeshFile, np.ndarray] = {}
    if copies:
        train = [mesh for (_, name), part in members.items() if name == "train" for mesh in part]
        extra = rendered(rendering.copies(train, copies, upright=True))
        for mesh in extra:
            members[mesh.category, "train"].append(mesh)
    ready = views | extra
    objects = f"{title or f'meshes of {meshes.name}'}: {len(views)} objects, turntable views"
    source = with_copies(objects, len(extra), upright=True)
    (folder / NOTE).write_text(json.dumps({"source": source, "skipped": wrong}, indent=2))
    for (category, name), part in members.items():
        images = np.stack([ready[mesh] for mesh in part])
        write_npz(folder / f"{category}_{name}_images.npz", images=images)
    for line in wrong:
        print(f"skipped: {line}", flush=True)
    print(f"{source} in {folder}", flush=True)


def pack_public(data_root: Path) -> None:
    """Packs the renderings that come with Differentiable Volumetric Rendering.

    `<class>/softras_{train,val,test}.lst` name the objects, `<class>/<object>/image/0000.png` to
    `0023.png` are their views; in a folder or inside the zip. Without either, packed files are
    checked.

    Raises:
        FileNotFoundError: when there is nothing, or a view is missing.
        ValueError: when the zip is truncated, a packed file damaged, or meshes are packed already.
    """
    archive, unpacked = data_root / "NMR_Dataset.zip", data_root / "NMR_Dataset"
    if not (archive.is_file() or unpacked.is_dir()):
        if not NMR.has_real(data_root):
            raise FileNotFoundError(f"{archive} is missing; {NMR.how_to_prepare(data_root)}")
        NMR.real(data_root)
        return
    folder = packed_folder(data_root)
    if (folder / NOTE).is_file():
        refuse_a_mixture(folder, packed_classes(folder))
        (folder / NOTE).unlink()
    if unpacked.is_dir():
        pack_listing(
            data_root,
            sorted(str(p.relative_to(unpacked)) for p in unpacked.glob("*/softras_*.lst")),
            lambda name: (unpacked / name).read_bytes(),
            str(unpacked),
        )
    else:
        try:
            with zipfile.ZipFile(archive) as packed:
                members = {n.removeprefix("NMR_Dataset/"): n for n in packed.namelist()}
                lists = sorted(n for n in members if n.endswith(".lst") and "/softras_" in n)
                pack_listing(data_root, lists, lambda n: packed.read(members[n]), str(archive))
        except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{archive} is truncated, damaged or no zip ({error}); fetch it again"
            ) from error


def pack_listing(
    data_root: Path, lists: list[str], read: Callable[[str], bytes], where: str
) -> None:
    """Packs every list of objects; finished files are not made again."""
    from tqdm import tqdm

    quiet = 0.2 if sys.stderr.isatty() else 10
    for name in lists:
        category, file = name.split("/")
        split = file.removeprefix("softras_").removesuffix(".lst")
        packed = packed_folder(data_root) / f"{category}_{split}_images.npz"
        if packed.exists():
            continue
        objects = read(name).decode().split()
        views = np.empty((len(objects), VIEWS, 4, 64, 64), np.uint8)
        for k, item in enumerate(
            tqdm(objects, desc=f"{category} {split}", unit="object", mininterval=quiet)
        ):
            for view, picture in enumerate(read_views(read, f"{category}/{item}", where)):
                views[k, view] = picture
        write_npz(packed, images=views)


def read_views(read: Callable[[str], bytes], item: str, where: str) -> Iterator[np.ndarray]:
    """The 24 views of an object as RGBA uint8 (4, 64, 64)."""
    from PIL import Image

    for view in range(VIEWS):
        name = f"{item}/image/{view:04d}.png"
        try:
            picture = Image.open(io.BytesIO(read(name))).convert("RGBA").resize((64, 64))
        except (KeyError, OSError) as error:
            raise FileNotFoundError(f"{where} lacks view {name} ({error})") from error
        yield np.asarray(picture).transpose(2, 0, 1)
