"""One function per figure: what to show in, a matplotlib Figure out."""

import functools
import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import Tensor

from lga.metrics import psnr_db
from lga.pairs import Pairs
from lga.systems.base import LatentSystem, System

INK = "#222222"
ACCENT = "#b8442f"
QUIET = "#4c78a8"
PICTURE_IN, LABEL_IN, LETTER_IN, ROW_GAP_IN, CAPTION_IN = 1.0, 1.1, 0.11, 0.06, 0.25
PAIR_ROWS = ("x₁", "x₂ = g·x₁", "x̂₂", "|x̂₂ − x₂|")


class Chart(Figure):
    """A figure of lines that notebooks show without pyplot, which keeps all it makes alive."""

    def _repr_png_(self) -> bytes:
        from PIL import Image

        drawn, packed = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=80)
        # Lines have few colours: a palette halves what notebooks hold.
        Image.open(drawn).convert("RGB").quantize(128).save(packed, format="png", optimize=True)
        return packed.getvalue()


class ImageGrid(Figure):
    """A figure of images, shown as JPEG: pictures of skies are many times larger as PNG."""

    def _repr_jpeg_(self) -> bytes:
        buffer = io.BytesIO()
        letters = {text: text.get_fontsize() for text in self.findobj(Text)}
        for text, size in letters.items():  # so few dots per inch would make them hard to read
            text.set_fontsize(1.4 * size)
        self.savefig(buffer, format="jpeg", dpi=60, pil_kwargs={"quality": 70})
        for text, size in letters.items():
            text.set_fontsize(size)
        return buffer.getvalue()


def image_grid(
    rows: Sequence[Tensor], labels: Sequence[str], captions: Tensor | None = None
) -> ImageGrid:
    """Rows of images (n, C, H, W) under one another, each row with its label on the left.

    Args:
        rows: batches of equal length.
        labels: one per row.
        captions: n numbers in dB printed under the last row.
    """
    columns = len(rows[0])
    rows = [as_pictures(images) for images in rows]
    tall = rows[0].shape[2] / rows[0].shape[3]
    height = (tall + ROW_GAP_IN) * len(rows) + CAPTION_IN
    width = PICTURE_IN * columns + max(LABEL_IN, LETTER_IN * max(map(len, labels)))
    figure = ImageGrid(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (images, label) in enumerate(zip(rows, labels, strict=True)):
        for column, image in enumerate(images.detach().cpu().clamp(0, 1)):
            axis = axes[row][column]
            picture = (image[0] if len(image) == 1 else image.permute(1, 2, 0)).numpy()
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        axes[row][0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8, color=INK)
    if captions is not None:
        for axis, value in zip(axes[-1], captions.tolist(), strict=True):
            axis.set_xlabel(f"{value:.1f} dB", fontsize=8, labelpad=3, color=INK)
    return figure


def as_pictures(images: Tensor) -> Tensor:
    """Pictures (n, C, H, W) as they are; volumes as three central slices under one another.

    Of a volume (n, C, D, H, W) with equal sides: seen from the front, from above, from the side.
    """
    if images.ndim == 4:
        return images
    depth, height, width = (side // 2 for side in images.shape[2:])
    front, above = images[:, :, depth], images[:, :, :, height]
    return torch.cat([front, above, images[..., width].mT], 2)


@torch.no_grad()
def pairs(system: System, batch: Pairs) -> ImageGrid:
    """x1, the true x2, the painted x̂2, and the error |x̂2 − x2| over its PSNR."""
    batch = batch.to(device_of(system))
    painted = system.predict(batch).clamp(0, 1)
    rows = [batch.x1, batch.x2, painted, (painted - batch.x2).abs()]
    return image_grid(rows, PAIR_ROWS, psnr_db(painted, batch.x2))


def cut_pairs(drawn: np.ndarray) -> list[Tensor]:
    """The four rows of pictures, each (n, 3, h, w) in [0, 1], of a figure that `pairs` made.

    Args:
        drawn: its pixels (H, W, 3), uint8, at 100 dots per inch, as runs keep it.

    Raises:
        ValueError: for a picture of another size.
    """
    pixels = torch.tensor(drawn).permute(2, 0, 1) / 255
    return [
        torch.stack([pixels[:, top:bottom, left:right] for left, right, top, bottom in row])
        for row in places_of_pairs(*drawn.shape[:2])
    ]


@functools.cache
def places_of_pairs(height_px: int, width_px: int) -> list[list[tuple[int, int, int, int]]]:
    """Left, right, top and bottom of every picture, row by row, in a figure of `pairs`."""
    rows = len(PAIR_ROWS)
    columns = round((width_px / 100 - LABEL_IN) / PICTURE_IN)
    tall = (height_px / 100 - CAPTION_IN) / rows - ROW_GAP_IN
    if columns < 1 or tall <= 0:
        raise ValueError(f"{width_px}×{height_px} pixels are no figure of pairs")
    blank = torch.zeros(columns, 1, round(100 * tall), 100)
    figure = image_grid([blank] * rows, PAIR_ROWS, torch.zeros(columns))
    figure.set_dpi(100)
    FigureCanvasAgg(figure).draw()
    boxes = [axis.get_window_extent() for axis in figure.axes]
    wide, high = (int(min(sides)) for sides in zip(*(box.size for box in boxes), strict=True))
    corners = [(round(box.x0), round(height_px - box.y1)) for box in boxes]
    places = [(left, left + wide, top, top + high) for left, top in corners]
    return [places[row * columns : (row + 1) * columns] for row in range(rows)]


def examples(batch: Pairs) -> ImageGrid:
    """The pairs of a dataset: x1 over x2."""
    return image_grid([batch.x1, batch.x2], PAIR_ROWS[:2])


@torch.no_grad()
def orbit(system: System, x: Tensor, path: Tensor) -> ImageGrid:
    """D(g_t·E(x)) along a path of group elements, one row per image.

    Args:
        x: images (n, C, H, W).
        path: elements (t, d, d) of `system.group`.
    """
    x, path = x.to(device_of(system)), path.to(device_of(system))
    rows = [system.transform(repeated(image, len(path)), path) for image in x]
    return image_grid(
        [torch.cat([image[None], row]) for image, row in zip(x, rows, strict=True)],
        ["x, then D(g·E(x))", *[""] * (len(x) - 1)],
    )


@torch.no_grad()
def orbits(systems: Mapping[str, System], x: Tensor, path: Tensor) -> ImageGrid:
    """One orbit as several systems paint it, a row each: x, then D(g_t·E(x)).

    Args:
        systems: by the label of their row.
        x: an image (C, H, W).
        path: elements (t, d, d) of the systems' common group.
    """
    rows = []
    for system in systems.values():
        device = device_of(system)
        turned = system.transform(repeated(x.to(device), len(path)), path.to(device))
        rows.append(torch.cat([x[None], turned.cpu()]))
    return image_grid(rows, list(systems))


@torch.no_grad()
def swaps(systems: Mapping[str, System], x1: Tensor, x2: Tensor) -> ImageGrid:
    """D([z_v(x1); z_i(x2)]): what moves from the left, what stays from above (`jin2024`, figure 7).

    Args:
        systems: by the label of their rows; all tell apart what moves and what stays.
        x1: images (n, C, …) that lend what moves, one per row of each system.
        x2: images (m, C, …) that lend what stays, one per column.
    """
    rows, labels = [torch.cat([torch.ones_like(x1[:1]), x2])], ["moves ↓   stays →"]
    for label, system in systems.items():
        device = device_of(system)
        for image in x1:
            mixed = system.mixed(repeated(image, len(x2)).to(device), x2.to(device))
            rows.append(torch.cat([image[None], mixed.cpu()]))
            labels.append(label)
    return image_grid(rows, labels)


@torch.no_grad()
def layers(system: LatentSystem, batch: Pairs) -> ImageGrid:
    """What stays and what moves: x1, x2, the painted x̂2, a ⊙ B and F of `Layers`.

    Args:
        system: whose network has `layers`.
        batch: pairs.
    """
    batch = batch.to(device_of(system))
    moved = system.act(system.element(batch), system.encode(batch.x1))
    parts = system.network.layers(moved)
    rows = [batch.x1, batch.x2, parts.composed(), parts.at_rest(), parts.moved]
    labels = [*PAIR_ROWS[:3], "a·B, what stays", "F(g·z)"]
    return image_grid(rows, labels)


def repeated(image: Tensor, n: int) -> Tensor:
    """n views of one image (C, …)."""
    return image.expand(n, *[-1] * image.ndim)


def device_of(system: System) -> torch.device:
    """Where a system's weights are; the CPU for one without any."""
    return next((weight.device for weight in system.parameters()), torch.device("cpu"))


def learning_curve(history: Sequence[dict[str, float]]) -> Chart:
    """Loss and validation PSNR against the pairs seen; |M| where there is a mask to learn."""
    series = {key: np.array([row[key] for row in history]) for key in history[0]}
    has_mask = len(np.unique(series.get("mask_fraction", [0]))) > 1
    figure = Chart(figsize=(9 if has_mask else 6.4, 2.6), layout="constrained")
    axes = figure.subplots(1, 3 if has_mask else 2)
    thousands = series["pairs"] / 1000
    panels = [
        ("loss", "training loss", QUIET),
        ("validation_psnr_db", "validation PSNR (dB)", ACCENT),
    ]
    if has_mask:
        panels.append(("mask_fraction", "mask fraction |M|", INK))
    for axis, (key, title, color) in zip(axes, panels, strict=True):
        axis.plot(thousands, series[key], color=color, marker=".", markersize=4, linewidth=1.4)
        style(axis, title)
    if min(series["loss"]) > 0:
        axes[0].set_yscale("log")
    return figure


def ablation(frame, title: str, published_db: float | None = None) -> Chart:
    """Test PSNR of an ablation's variants, one under another, with their deviation over seeds.

    Args:
        frame: rows as `ablations.table` gives them; rows without a figure are left out.
        title: over the figure.
        published_db: marked by a line.

    Raises:
        ValueError: where no variant was run.
    """
    frame = frame[frame["figure"] == "psnr_db"].dropna(subset="mean")[::-1]
    if frame.empty:
        raise ValueError("no variant of this ablation was run in this profile: `lga ablate` does")
    figure = Chart(figsize=(7.2, 0.42 * len(frame) + 1.0), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(frame))
    axis.barh(places, frame["mean"], xerr=frame["sd"], color=QUIET, height=0.62)
    for place, value in zip(places, frame["mean"], strict=True):
        axis.text(0.4, place, f"{value:.1f} dB", va="center", fontsize=9, color="white")
    if published_db is not None:
        axis.axvline(published_db, color=ACCENT, linewidth=1.4)
        axis.text(
            published_db, len(frame) - 0.45, "published", color=ACCENT, fontsize=8, ha="right"
        )
    axis.set_yticks(places, frame["variant"], fontsize=9)
    axis.set_xlim(right=1.08 * frame["mean"].max())
    style(axis, title)
    axis.set_xlabel("test PSNR (dB)", fontsize=9)
    return figure


def style(axis, title: str) -> None:
    """The look that all curves share."""
    axis.set_title(title, fontsize=10, loc="left", color=INK)
    axis.set_xlabel("pairs seen (thousands)", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.6)
