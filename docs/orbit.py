"""Makes `orbit.gif`, the README's first picture, from committed weights and MNIST's test digits.

`python docs/orbit.py --data-root data`; without MNIST it takes the stand-in and says so.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import lga

FRAMES, SCALE, GAP, CAPTION_PX = 30, 3, 10, 18
ROWS = {"the truth": None, "jin2024": "jin2024", "lga": "lga"}


@torch.no_grad()
def frames(data_root: str | None) -> list[Image.Image]:
    """A full turn of six digits under their squares: the truth, and what two systems paint."""
    dataset = lga.load_dataset("blocked_mnist", data_root=data_root)
    print(dataset.source)
    systems = {row: lga.load(f"blocked_mnist/{name}") for row, name in ROWS.items() if name}
    objects = (1, 2, 7, 18, 61, 84)
    e = dataset.group.identity(1)
    x = torch.cat([dataset.view("test", k, e) for k in objects])
    made = []
    for g in dataset.group.path(FRAMES):
        every = g.expand(len(x), -1, -1)
        truth = torch.cat([dataset.view("test", k, g[None]) for k in objects])
        painted = {row: system.transform(x, every) for row, system in systems.items()}
        made.append(sheet({"the truth": truth, **painted}).quantize(24))
    return made


def sheet(rows: dict[str, torch.Tensor]) -> Image.Image:
    """Rows of pictures (n, 1, H, W), each under its caption."""
    n, _, height, width = next(iter(rows.values())).shape
    step = width * SCALE + GAP
    canvas = Image.new("L", (n * step - GAP, len(rows) * (height * SCALE + CAPTION_PX + GAP)), 255)
    draw = ImageDraw.Draw(canvas)
    for k, (caption, pictures) in enumerate(rows.items()):
        top = k * (height * SCALE + CAPTION_PX + GAP)
        draw.text((0, top + 3), caption, fill=30)
        for column, picture in enumerate(pictures.clamp(0, 1)):
            shown = Image.fromarray((255 * picture[0]).round().byte().numpy())
            large = shown.resize((width * SCALE, height * SCALE), Image.Resampling.NEAREST)
            canvas.paste(large, (column * step, top + CAPTION_PX))
    return canvas


if __name__ == "__main__":
    first, *rest = frames(sys.argv[2] if "--data-root" in sys.argv else None)
    target = Path(__file__).with_name("orbit.gif")
    first.save(target, save_all=True, append_images=rest, duration=90, loop=0)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
