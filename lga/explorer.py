"""The explorer: choose an image, move the group element, see what trained systems paint.

A slider's value becomes a group element, `System.transform` paints, and one PNG shows it all: core
`ipywidgets` only, so that it works in JupyterLab, VS Code and Colab alike.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lga.datasets import OrbitDataset, load_dataset
from lga.groups import SO2, SO3, Affine, Cyclic, Group, Product, Translation
from lga.runs import load, loadable
from lga.systems import LatentSystem, System

SIDE_PX = 168
CAPTION_PX = 20
GAP_PX = 8
INK, QUIET, ACCENT = (34, 34, 34), (160, 160, 160), (184, 68, 47)
PATH_STEPS = 25
AXES = {"vertical": (0.0, 1.0, 0.0), "sideways": (1.0, 0.0, 0.0), "line of sight": (0.0, 0.0, 1.0)}


class Explorer(widgets.VBox):
    """Sliders over one picture. Made by `explore`.

    Attributes:
        dataset: whose test objects are shown.
        systems: trained systems by name.
        index: the widget that chooses an object.
        sliders: the widgets that make the group element, by name.
        image: the widget with the picture.
    """

    def __init__(self, dataset: OrbitDataset, systems: dict[str, System]) -> None:
        self.dataset, self.systems = dataset, systems
        self.index = widgets.IntSlider(
            description="image", max=dataset.size("test") - 1, continuous_update=False
        )
        self.sliders = sliders_for(dataset.group)
        self.image = widgets.Image(format="png")
        for control in (self.index, *self.sliders.values()):
            control.observe(self.refresh, "value")
        self.refresh()
        super().__init__([self.index, *self.sliders.values(), self.image])

    @property
    def g(self) -> Tensor:
        """The group element that the sliders say, (1, d, d)."""
        return element(self.dataset.group, {k: w.value for k, w in self.sliders.items()})

    def refresh(self, _change=None) -> None:
        """Paints anew."""
        self.image.value = png(self.panels())

    @torch.no_grad()
    def panels(self) -> dict[str, Tensor | np.ndarray]:
        """What is shown, by caption: images (C, H, W), and for each latent a plot of its pairs."""
        g, split, index = self.g, "test", self.index.value
        x = self.dataset.view(split, index, self.dataset.group.identity(1))
        truth = self.dataset.view(split, index, g)
        panels: dict[str, Tensor | np.ndarray] = {"x": x[0]}
        if truth is not None:
            panels["g x, the truth"] = truth[0]
        latents: dict[str, np.ndarray] = {}
        # PyTorch has a slow convolution for one volume alone, and a fast one for two.
        copies = 2 if x.ndim == 5 else 1
        x, g = (torch.cat([part] * copies) for part in (x, g))
        for name, system in self.systems.items():
            if not isinstance(system, LatentSystem):
                panels[name] = system.transform(x, g)[0].clamp(0, 1)
                continue
            before = system.encode(x)
            after = system.act(g, before)
            panels[name] = system.decode(after)[0].clamp(0, 1)
            moves = system.action.varying(before.z).flatten() > 0.5
            plot = latent_plot(before.z[0], after.z[0], moves)
            latents[f"z of {name}, {float(moves.float().mean()):.0%} moves"] = plot
        return panels | latents


def explore(
    dataset: str | OrbitDataset = "rotated_mnist",
    systems: Sequence[str] | Mapping[str, System] | None = None,
    profile: str = "standard",
    source: str = "auto",
    data_root: str | Path | None = None,
) -> Explorer:
    """A widget: choose a test image, move the group element, see what each system paints.

    Examples: `lga.explore("rotated_mnist")` · `lga.explore(dataset, {"mine": system})`

    Args:
        dataset: by name, or one that is loaded; its test images are shown.
        systems: trained ones by the names to show, which are moved to the CPU; or names of those
            that have records; `lga`, `jin2024` and `swarnali2025` by default, as far as there.
        profile: whose weights are loaded, of seed 0.
        source, data_root: where images come from, as for `load_dataset`.

    Raises:
        FileNotFoundError: when there are no weights, naming those that there are.
    """
    if isinstance(dataset, str):
        dataset = load_dataset(dataset, source, data_root)
    if isinstance(systems, Mapping):
        own = {name: system.cpu().eval() for name, system in systems.items()}
        return Explorer(dataset.to("cpu"), own)
    name = dataset.name
    there = [run.partition("/")[2] for run in loadable(profile) if run.startswith(f"{name}/")]
    if systems is None:
        systems = [s for s in ("lga", "lga_matched", "jin2024", "swarnali2025") if s in there][:3]
    trained = {system: load(f"{name}/{system}", profile) for system in systems}
    if not trained:
        raise FileNotFoundError(f"no weights of {name} in the {profile} profile")
    return Explorer(dataset, trained)


def sliders_for(group: Group) -> dict[str, widgets.Widget]:
    """The controls of a group's elements; of a group of one's own, a place on its path."""

    def slider(name: str, low: float, high: float, step: float, value: float = 0.0):
        return widgets.FloatSlider(value, min=low, max=high, step=step, description=name)

    if isinstance(group, Cyclic):
        return {"step": widgets.IntSlider(1, min=0, max=group.k - 1, description="step")}
    if isinstance(group, SO2):
        return {"angle": slider("angle (°)", -180, 180, 1, 60)}
    if isinstance(group, SO3):
        return {
            "axis": widgets.Dropdown(options=list(AXES), description="axis"),
            "angle": slider("angle (°)", -180, 180, 1, 60),
        }
    if isinstance(group, Affine):
        return {"a": slider("contrast a", 0.3, 3, 0.05, 1.6), "b": slider("shift b", -2, 2, 0.05)}
    if isinstance(group, Translation):
        names = [f"shift {axis}" for axis in range(group.point_dim)]
        return {name: slider(name, -1, 1, 0.05, 0.25) for name in names}
    if isinstance(group, Product):
        parts = [sliders_for(factor) for factor in group.factors]
        return {f"{k} {name}": one for k, part in enumerate(parts) for name, one in part.items()}
    middle = PATH_STEPS // 2
    return {"path": widgets.IntSlider(middle, max=PATH_STEPS - 1, description="on the path")}


def element(group: Group, values: dict[str, float | str]) -> Tensor:
    """The element (1, d, d) that the controls' values say."""
    if isinstance(group, Cyclic):
        return group.element(torch.tensor([values["step"]]))
    if isinstance(group, Affine):
        return group.element(torch.tensor([values["a"]]), torch.tensor([values["b"]]))
    if isinstance(group, Translation):
        return group.element(torch.tensor([list(values.values())]))
    if isinstance(group, Product):
        parts: list[dict[str, float | str]] = [{} for _ in group.factors]
        for name, value in values.items():
            k, _, own = name.partition(" ")
            parts[int(k)][own] = value
        return group.element(*map(element, group.factors, parts))
    if "path" in values:
        return group.path(PATH_STEPS)[values["path"]][None]
    angle_rad = torch.tensor([math.radians(values["angle"])])
    if isinstance(group, SO2):
        return group.rotation(angle_rad)
    return group.rotation(torch.tensor([AXES[values["axis"]]]), angle_rad)


def latent_plot(before: Tensor, after: Tensor, moves: Tensor) -> np.ndarray:
    """Where a latent's moving numbers went, pair by pair: grey before, red after; RGB.

    Invariant numbers would lie on one another and are left out.

    Args:
        before, after: latents (C, …) of one image.
        moves: which of the C numbers move.
    """
    pairs = [z.flatten(1).mean(1) if z.ndim > 1 else z for z in (before, after)]
    pairs = [z[moves][: int(moves.sum()) // 2 * 2].view(-1, 2)[:60] for z in pairs]
    canvas = Image.new("RGB", (SIDE_PX, SIDE_PX), "white")
    draw = ImageDraw.Draw(canvas)
    reach = float(torch.cat(pairs).abs().max()) * 1.1 + 1e-6 if len(pairs[0]) else 1.0
    spots = [((z / reach * torch.tensor([1.0, -1.0]) + 1) * SIDE_PX / 2).tolist() for z in pairs]
    for start, end in zip(*spots, strict=True):
        draw.line([tuple(start), tuple(end)], fill=(225, 225, 225))
    for places, color in zip(spots, (QUIET, ACCENT), strict=True):
        for x, y in places:
            draw.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], fill=color)
    return np.asarray(canvas)


def png(panels: dict[str, Tensor | np.ndarray]) -> bytes:
    """Panels under their captions: pictures in the first row, plots of latents in the second."""
    rows = [
        {k: v for k, v in panels.items() if isinstance(v, Tensor) == pictures}
        for pictures in (True, False)
    ]
    step, height = SIDE_PX + GAP_PX, SIDE_PX + CAPTION_PX
    rows = [row for row in rows if row]
    width = max(map(len, rows)) * step - GAP_PX
    canvas = Image.new("RGB", (width, len(rows) * height), "white")
    draw = ImageDraw.Draw(canvas)
    for line, row in enumerate(rows):
        # Plots stand under the last pictures, those of their systems.
        shift = width - (len(row) * step - GAP_PX)
        for column, (caption, panel) in enumerate(row.items()):
            left, top = shift + column * step, line * height
            draw.text((left + 2, top + 4), caption, fill=INK)
            canvas.paste(as_picture(panel), (left, top + CAPTION_PX))
    buffer = io.BytesIO()
    canvas.save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def as_picture(panel: Tensor | np.ndarray) -> Image.Image:
    """An image (C, H, W) or volume in [0, 1], or RGB pixels, as a square picture."""
    if isinstance(panel, np.ndarray):
        return Image.fromarray(panel)
    if panel.ndim == 4:  # a volume, seen from the front
        panel = panel[:, panel.shape[1] // 2]
    shown = (panel.expand(3, -1, -1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(shown).resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST)
