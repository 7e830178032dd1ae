"""One's own pictures: a folder, and a table that says what each of them shows."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lga.groups import SO2, Group


def read_pictures(
    folder: Path, table: Path, group: Group, side: int | None = None
) -> tuple[np.ndarray, Tensor, list[str]]:
    """Images uint8 (N, C, H, W), elements (N, d, d) and the objects' labels of a table's rows.

    Pictures are grey where all of them are, else RGB.

    Raises:
        FileNotFoundError: for a missing table or picture.
        ValueError: for a missing column, a row that is no element of the group, a picture that
            cannot be read, or pictures of several sizes where `side` is not given.
    """
    import pandas

    if not table.is_file():
        raise FileNotFoundError(f"{table} is missing; it says what each picture of {folder} shows")
    try:
        rows = pandas.read_csv(table, dtype={"file": str, "object": str})
    except ValueError as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{table} is no CSV file: {error}") from error
    if rows.empty:
        raise ValueError(f"{table} lists no pictures")
    for column in ("file", "object"):
        if column not in rows or rows[column].isna().any():
            raise ValueError(f"{table} needs a column {column!r} that is filled in every row")
    try:
        elements = group.check(row_elements(rows, table, group))
    except ValueError as error:
        raise ValueError(f"{table}: {error}") from error
    pictures = [read_picture(folder / name, side) for name in rows["file"]]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(
            f"pictures have {len(sizes)} sizes, as {sorted(sizes)[:3]}; side=… makes them one"
        )
    mode = "L" if all(picture.mode in ("1", "L") for picture in pictures) else "RGB"
    arrays = [np.atleast_3d(np.asarray(picture.convert(mode))) for picture in pictures]
    return np.stack(arrays).transpose(0, 3, 1, 2), elements, rows["object"].tolist()


def row_elements(rows, table: Path, group: Group) -> Tensor:
    """The group elements of a table's rows."""
    if "angle_deg" in rows and isinstance(group, SO2):
        degrees = torch.tensor(rows["angle_deg"].to_numpy(float, na_value=math.nan))
        return group.rotation(degrees.deg2rad()).float()
    d = group.matrix_dim
    columns = [f"g{i}{j}" for i in range(1, d + 1) for j in range(1, d + 1)]
    if missing := [column for column in columns if column not in rows]:
        angles = "'angle_deg' or " if isinstance(group, SO2) else ""
        raise ValueError(f"columns {angles}{', '.join(columns)} are wanted; missing: {missing}")
    numbers = rows[columns].to_numpy(np.float32)
    return torch.from_numpy(numbers).view(-1, d, d)


def read_picture(path: Path, side: int | None):
    """A picture as viewers show it, cut to its central square and resized where a side is given.

    Cameras' notes on how it was held are heeded; what is transparent is before white. Of 16 bits a
    pixel the upper 8 are kept.

    Raises:
        FileNotFoundError: when it is not there.
        ValueError: when it cannot be read, or its numbers have no known range.
    """
    from PIL import Image, ImageOps

    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, though the table names it")
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except Exception as error:  # decoders raise whatever they meet
        raise ValueError(f"{path} is damaged or no picture ({error})") from error
    if picture.mode.startswith("I;16"):  # which Pillow would clip at 255
        picture = Image.fromarray((np.asarray(picture) // 256).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ValueError(f"{path} has 32 bits a pixel; 8 or 16 are wanted")
    if picture.has_transparency_data:
        mode = "L" if picture.mode in ("L", "LA") else "RGB"
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert(mode)
    return ImageOps.fit(picture, (side, side)) if side else picture
