"""Plane in the sky: an aircraft turns in space, the sky behind it does not.

Each aircraft is seen under 100 uniform rotations R ∈ SO(3) before one sky crop of its own; a pair
is two of its pictures and g = R2 R1ᵀ (`jin2024`, section 6.1). The camera looks straight ahead
(`cameras.FLIGHT`), the lamp stands still. The authors never released their renders.

Foreground and alpha are stored once per picture and the sky once per aircraft; pictures are
composited on the device when they are drawn. `prepare` renders any folder of meshes over any folder
of photographs into `data_root/plane_in_the_sky`, if asked with stretched copies of the aircraft
that train: a few hundred shapes are soon known by heart.
"""

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from lga.cameras import FLIGHT
from lga.datasets.base import StoredOrbits
from lga.devices import sent
from lga.groups import SO3
from lga.pictures.files import cached, read_npz, write_npz
from lga.sources import with_copies
from lga.splits import Split, split_objects

ROTATIONS = 100
SIDE = 64
STAND_IN = "procedural aircraft over procedural skies (stand-in for ShapeNet over SWIMSEG)"
PHOTOGRAPHS = (".jpg", ".jpeg", ".png")


class PlaneInTheSky(StoredOrbits):
    """Pairs of pictures of one aircraft before one sky; a fifth of the aircraft is for test.

    Args:
        foreground: uint8 (n, r, 4, 64, 64), RGBA.
        rotations: (n, r, 3, 3).
        skies: uint8 (n, 3, 64, 64).
        source: what the aircraft and skies are.
        copy_of: (n,), each aircraft's own index, or that of the training aircraft of which it is a
            copy; copies come last and train. None without copies.
        permuted_channels: whether red, green and blue change places at random in training pairs.
    """

    name = "plane_in_the_sky"
    group = SO3()
    image_shape = (3, SIDE, SIDE)
    camera = FLIGHT
    sources = ("rendered meshes over sky photographs", STAND_IN)

    def __init__(
        self,
        foreground: Tensor,
        rotations: Tensor,
        skies: Tensor,
        source: str,
        copy_of: Tensor | None = None,
        *,
        permuted_channels: bool = False,
    ) -> None:
        n, r = foreground.shape[:2]
        owner = np.repeat(np.arange(n), r)
        copy_of = torch.arange(n) if copy_of is None else copy_of
        own = len(copy_of.unique())
        splits = split_objects(own, test_share=0.2)
        in_order = torch.equal(copy_of[:own], torch.arange(own))
        if not in_order or not torch.isin(copy_of[own:], splits["train"]).all():
            raise ValueError("copies come last, and only of aircraft that train")
        splits["train"] = torch.cat([splits["train"], torch.arange(own, n)])
        super().__init__(
            foreground.flatten(0, 1),
            rotations.flatten(0, 1),
            owner,
            self.group,
            {split: objects.tolist() for split, objects in splits.items()},
            permuted_channels=permuted_channels,
        )
        self.image_shape = (3, *foreground.shape[3:])
        self.skies, self.pictures_per_aircraft = skies, r
        self.source = source

    def to(self, device: torch.device | str) -> Self:
        self.skies = self.skies.to(device)
        return super().to(device)

    def show(self, index: Tensor) -> Tensor:
        return self.before(index, index)

    def before(self, index: Tensor, sky_of: Tensor) -> Tensor:
        """The aircraft of images (n,) before the skies of other images (n,)."""
        rgba = super().show(index)
        sky = self.skies[sent(sky_of // self.pictures_per_aircraft, self.device)].float() / 255
        color, alpha = rgba[:, :3], rgba[:, 3:]
        return color * alpha + sky * (1 - alpha)

    def swapped(self, split: Split, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """The aircraft of x1 before the sky of x2."""
        generator = torch.Generator().manual_seed(1)
        objects = torch.arange(n)
        views = torch.randint(self.pictures_per_aircraft, (2, n), generator=generator)
        first, second = (
            self.objects[split][(objects + k) % self.size(split)] * self.pictures_per_aircraft
            + views[k]
            for k in (0, 1)
        )
        return self.show(first), self.show(second), self.before(first, second)

    @classmethod
    def real(cls, data_root: Path, **options) -> Self:
        """What `prepare` rendered.

        Raises:
            FileNotFoundError, ValueError: for a missing or damaged file, with the mending command.
        """
        arrays = read_npz(
            packed_file(data_root),
            cls.how_to_prepare(data_root),
            foreground=f"uint8 n r 4 {SIDE} {SIDE}",
            rotations="float n r 3 3",
            skies=f"uint8 n 3 {SIDE} {SIDE}",
            copy_of="int n",
            source="str",
        )
        foreground, rotations, skies, copy_of = (
            torch.from_numpy(arrays[k]) for k in ("foreground", "rotations", "skies", "copy_of")
        )
        source = str(arrays["source"])
        return cls(foreground, rotations, skies, source, copy_of, **options)

    @classmethod
    def stand_in(cls, *, objects: int = 200, views: int = ROTATIONS, **options) -> Self:
        """Procedural aircraft and skies, rendered once and kept in `data/stand-in`."""

        def make() -> dict[str, np.ndarray]:
            from lga.pictures.rendering import render
            from lga.pictures.shapes import aircraft, sky

            print(f"rendering {objects} procedural aircraft, {views} pictures each", flush=True)
            rotations = np.stack([seeded_rotations(str(k), views) for k in range(objects)])
            randoms = [np.random.default_rng([2, k]) for k in range(objects)]
            foreground = [
                render(aircraft(r), turns, FLIGHT)
                for r, turns in zip(randoms, rotations, strict=True)
            ]
            return {"foreground": np.stack(foreground), "rotations": rotations,
                    "skies": np.stack([sky(r, SIDE) for r in randoms])}  # fmt: skip

        arrays = cached(f"plane_in_the_sky-{objects}-{views}", make)
        tensors = [torch.from_numpy(arrays[k]) for k in ("foreground", "rotations", "skies")]
        return cls(*tensors, STAND_IN, **options)

    @staticmethod
    def has_real(data_root: Path) -> bool:
        """Whether `prepare` has been here."""
        return packed_file(data_root).is_file()

    @classmethod
    def how_to_prepare(cls, data_root: Path) -> str:
        return (
            f"render them: lga data prepare plane_in_the_sky --data-root {data_root} "
            "--meshes DIR --sky DIR"
        )

    @classmethod
    def prepare(
        cls,
        data_root: Path,
        *,
        meshes: Path | None = None,
        sky: Path | None = None,
        only: str = "*",
        title: str = "",
        copies: int = 0,
    ) -> None:
        """Renders aircraft meshes under random rotations, each with a crop of a random photograph.

        Args:
            data_root: gets `plane_in_the_sky/`.
            meshes: a folder of meshes (see `rendering.find_meshes`).
            sky: a folder of photographs of at least 64×64 pixels.
            only: which mesh names to take, as a file name pattern.
            title: what meshes and skies are, for the tables.
            copies: of every aircraft that trains, stretched and mirrored (`rendering.stretched`).
        """
        from lga.pictures import rendering

        if meshes is None or sky is None:
            raise ValueError("planes need --meshes DIR and --sky DIR")
        found, wrong = rendering.find_meshes(Path(meshes), only)
        folder = packed_file(data_root).parent

        def rendered(some: list[rendering.MeshFile], seed: int) -> dict[rendering.MeshFile, tuple]:
            """(foreground, rotations, sky) of those that can be rendered."""
            crops, small = sky_crops(Path(sky), len(some), seed)
            turns = {mesh: seeded_rotations(mesh.label, ROTATIONS) for mesh in some}
            pictures, unfit = rendering.render_all(
                some, turns.get, FLIGHT, False, folder / ".parts"
            )
            wrong.extend(line for line in unfit + small if line not in wrong)
            sky_of = dict(zip(some, crops, strict=True))
            return {mesh: (seen, turns[mesh], sky_of[mesh]) for mesh, seen in pictures.items()}

        ready = rendered(found, seed=0)
        if not ready:
            raise ValueError(
                f"none of {len(found)} meshes could be rendered; the first: {wrong[0]}"
            )
        own = list(ready)
        if copies:
            train = split_objects(len(own), test_share=0.2)["train"]
            some = [own[k] for k in sorted(train.tolist())]
            ready |= rendered(rendering.copies(some, copies), seed=1)
        place = {mesh.path: k for k, mesh in enumerate(own)}
        foreground, rotations, skies = (
            np.stack(part) for part in zip(*ready.values(), strict=True)
        )
        named = title or f"meshes of {Path(meshes).name} over photographs of {Path(sky).name}"
        source = with_copies(f"{named}: {len(own)} aircraft", len(ready) - len(own))
        write_npz(
            packed_file(data_root), foreground=foreground, rotations=rotations, skies=skies,
            copy_of=np.array([place[mesh.path] for mesh in ready]), source=np.array(source),
        )  # fmt: skip
        (folder / "skipped.json").write_text(json.dumps(wrong, indent=2))
        for line in wrong:
            print(f"skipped: {line}", flush=True)
        print(f"{source} in {folder}", flush=True)


def packed_file(data_root: Path) -> Path:
    return Path(data_root) / "plane_in_the_sky" / "planes.npz"


def seeded_rotations(name: str, n: int) -> np.ndarray:
    """n uniform rotations (n, 3, 3), float32, that a name decides."""
    from lga.pictures.rendering import seed_of

    return SO3().sample(n, torch.Generator().manual_seed(seed_of(name))).numpy()


def sky_crops(folder: Path, n: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """n random crops uint8 (n, 3, 64, 64) of photographs, and a line for each unfit photograph.

    Photographs serve in random order, and again when there are fewer than n.

    Raises:
        FileNotFoundError: when none is there or large enough.
    """
    from PIL import Image

    r = np.random.default_rng(seed)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTOGRAPHS)
    crops: list[np.ndarray] = []
    unfit: dict[Path, str] = {}
    while len(crops) < n:
        usable = [path for path in paths if path not in unfit]
        if not usable:
            raise FileNotFoundError(
                f"{folder} holds no photograph of at least {SIDE}×{SIDE} pixels "
                f"({len(unfit)} unfit ones)"
            )
        for path in r.permutation(np.array(usable, dtype=object))[: n - len(crops)]:
            try:
                photograph = np.asarray(Image.open(path).convert("RGB"))
            except Exception as error:  # decoders raise whatever they meet
                unfit[path] = f"{path.name} cannot be read ({error})"
                continue
            height, width = photograph.shape[:2]
            if min(height, width) < SIDE:
                unfit[path] = (
                    f"{path.name} is {width}×{height}, smaller than the crop of {SIDE}×{SIDE}"
                )
                continue
            top, left = r.integers(height - SIDE + 1), r.integers(width - SIDE + 1)
            crops.append(photograph[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1))
    return np.stack(crops), list(unfit.values())
