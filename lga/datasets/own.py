"""One's own pictures as a dataset of a run: a folder and a table, without a line of Python."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lga.datasets.base import HoldOut, OrbitDataset
from lga.groups import named


@dataclass(frozen=True)
class OwnPictures:
    """Pictures on orbits of a group (see `OrbitDataset.from_folder`).

    Attributes:
        folder: of pictures in any common format.
        table: a CSV file: `file`, `object`, and `angle_deg` or `g11`, `g12`, …
        group: its name, as `groups.named` takes it.
        split: what validation and test hold out, "objects" or "images".
        side: pictures are made side × side pixels; None keeps the size they share.
    """

    folder: str
    table: str
    group: str
    split: HoldOut = "objects"
    side: int | None = None

    @property
    def name(self) -> str:
        """The folder's name, as results are kept under it."""
        words = re.sub(r"[^a-z0-9]+", "_", Path(self.folder).resolve().name.lower())
        return f"own_{words.strip('_')}"

    def options(self) -> dict[str, Any]:
        """What `config.json` keeps."""
        return asdict(self)

    def load(self) -> OrbitDataset:
        """The dataset.

        Raises:
            FileNotFoundError, ValueError: as `OrbitDataset.from_folder` and `groups.named`.
        """
        dataset = OrbitDataset.from_folder(
            self.folder, self.table, named(self.group), self.split, self.side
        )
        dataset.name = self.name
        dataset.source = f"own pictures ({Path(self.folder).resolve().name})"
        return dataset

    def described(self, image_shape: tuple[int, ...]) -> type[OrbitDataset]:
        """What a system must know of the pictures, without reading them."""
        known = {"name": self.name, "group": named(self.group), "image_shape": image_shape}
        return type("Own", (OrbitDataset,), known)
