"""Procedural objects and skies: the stand-ins of the rendered sets.

Objects are composed of boxes, cylinders, cones and balls whose proportions and colours vary with
the seed; y is up and the front faces the viewer (z).
"""

from collections.abc import Callable

import numpy as np

from lga.pictures.rendering import Mesh, normalized, seeded_color

Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # vertices, faces, colour


def solid(kind: str, size, at, color, turn: tuple[float, str] | None = None) -> Part:
    """A solid of a size (x, y, z), centred at a place, turned by degrees about an axis before.

    Args:
        kind: "box", "cylinder" and "cone" (along y), "ball".
    """
    import trimesh

    body = {
        "box": lambda: trimesh.creation.box((1, 1, 1)),
        "ball": lambda: trimesh.creation.icosphere(2, 0.5),
        "cylinder": lambda: trimesh.creation.cylinder(0.5, 1, 20),
        "cone": lambda: trimesh.creation.cone(0.5, 1, 20),
    }[kind]()
    vertices = np.array(body.vertices)
    if kind in ("cylinder", "cone"):
        vertices = vertices[:, [0, 2, 1]] * [1, 1, -1]  # trimesh stands them along z
        vertices[:, 1] -= (vertices[:, 1].min() + vertices[:, 1].max()) / 2
    vertices = vertices * np.asarray(size, float)
    if turn is not None:
        degrees, axis = turn
        direction = np.eye(3)["xyz".index(axis)]
        matrix = trimesh.transformations.rotation_matrix(np.radians(degrees), direction)[:3, :3]
        vertices = vertices @ matrix.T
    return vertices + np.asarray(at, float), np.array(body.faces), np.asarray(color)


def compose(parts: list[Part]) -> Mesh:
    """One mesh of all parts."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _, _ in parts[:-1])])
    return normalized(
        np.concatenate([vertices for vertices, _, _ in parts]),
        np.concatenate([faces + start for (_, faces, _), start in zip(parts, starts, strict=True)]),
        np.concatenate([np.tile(color, (len(faces), 1)) for _, faces, color in parts]),
    )


def table(r: np.random.Generator) -> Mesh:
    w, d, h, leg = r.uniform([1.0, 0.6, 0.6, 0.06], [1.8, 1.0, 1.0, 0.14])
    top, legs = seeded_color(r), seeded_color(r)
    parts = [solid("box", (w, 0.08, d), (0, h, 0), top)]
    parts += [
        solid("box", (leg, h, leg), (x * (w - leg) / 2, h / 2, z * (d - leg) / 2), legs)
        for x in (-1, 1) for z in (-1, 1)
    ]  # fmt: skip
    drawer = r.uniform(0.2, 0.4)
    parts.append(
        solid("box", (w * drawer, 0.2, d * 0.8), (w * 0.25, h - 0.14, 0.05), seeded_color(r))
    )
    return compose(parts)


def chair(r: np.random.Generator) -> Mesh:
    w, d, seat, back = r.uniform([0.6, 0.6, 0.5, 0.5], [0.9, 0.9, 0.7, 1.0])
    cloth, wood = seeded_color(r), seeded_color(r)
    parts = [
        solid("box", (w, 0.12, d), (0, seat, 0), cloth),
        solid("box", (w, back, 0.1), (0, seat + back / 2, -d / 2), cloth),
    ]
    parts += [
        solid("cylinder", (0.08, seat, 0.08), (x * w * 0.45, seat / 2, z * d * 0.45), wood)
        for x in (-1, 1) for z in (-1, 1)
    ]  # fmt: skip
    if r.random() < 0.5:
        parts += [solid("box", (0.08, 0.25, d), (x * w / 2, seat + 0.2, 0), wood) for x in (-1, 1)]
    return compose(parts)


def lamp(r: np.random.Generator) -> Mesh:
    h, foot, shade, bend = r.uniform([0.9, 0.35, 0.4, 0.0], [1.5, 0.6, 0.8, 0.4])
    metal = seeded_color(r)
    return compose([
        solid("cylinder", (foot, 0.08, foot), (0, 0, 0), metal),
        solid("cylinder", (0.07, h, 0.07), (0, h / 2, 0), metal),
        solid("box", (0.06, 0.06, bend + 0.1), (0, h, bend / 2), metal),
        solid("cone", (shade, shade * 0.7, shade), (0, h, bend), seeded_color(r)),
    ])  # fmt: skip


def car(r: np.random.Generator) -> Mesh:
    length, w, body, cabin, place = r.uniform(
        [1.5, 0.6, 0.25, 0.25, -0.25], [2.1, 0.85, 0.4, 0.4, 0.1]
    )
    paint, glass = seeded_color(r), np.array([0.35, 0.45, 0.55])
    wheel = 0.36
    parts = [
        solid("box", (w, body, length), (0, wheel / 2 + body / 2, 0), paint),
        solid("box", (w * 0.88, cabin, length * r.uniform(0.35, 0.55)),
              (0, wheel / 2 + body + cabin / 2, place), glass),
        solid("box", (w * 0.8, 0.1, 0.06), (0, wheel / 2 + body * 0.6, length / 2),
              np.array([0.95, 0.9, 0.6])),
    ]  # fmt: skip
    parts += [
        solid("cylinder", (wheel, 0.16, wheel), (x * w / 2, wheel / 2, z * length * 0.32),
              np.array([0.15, 0.15, 0.15]), (90, "z"))
        for x in (-1, 1) for z in (-1, 1)
    ]  # fmt: skip
    return compose(parts)


def vessel(r: np.random.Generator) -> Mesh:
    length, w, mast = r.uniform([1.4, 0.35, 0.6], [2.0, 0.6, 1.2])
    hull = seeded_color(r)
    return compose([
        solid("box", (w, 0.3, length), (0, 0, 0), hull),
        solid("cone", (w, 0.5, 0.3), (0, 0, length / 2 + 0.25), hull, (90, "x")),
        solid("box", (w * 0.7, 0.25, length * 0.35), (0, 0.27, -length * 0.2), seeded_color(r)),
        solid("cylinder", (0.06, mast, 0.06), (0, 0.15 + mast / 2, length * 0.1), seeded_color(r)),
        solid("box", (0.03, mast * 0.6, length * 0.35), (0, 0.2 + mast / 2, 0), seeded_color(r)),
    ])  # fmt: skip


def tower(r: np.random.Generator) -> Mesh:
    parts, height = [], 0.0
    for _ in range(r.integers(3, 6)):
        kind = ("box", "cylinder", "ball", "cone")[r.integers(4)]
        w, h, d = r.uniform(0.3, 0.8, 3)
        x, z = r.uniform(-0.15, 0.15, 2)
        parts.append(
            solid(kind, (w, h, d), (x, height + h / 2, z), seeded_color(r), (r.uniform(0, 90), "y"))
        )
        height += 0.9 * h
    return compose(parts)


def aircraft(r: np.random.Generator) -> Mesh:
    """An aeroplane along z, its nose to the viewer."""
    length, span, chord, sweep = r.uniform([1.6, 1.4, 0.25, 0.0], [2.2, 2.4, 0.5, 30.0])
    body, wing, tail, engine = (seeded_color(r) for _ in range(4))
    thick = r.uniform(0.18, 0.3)
    low = r.uniform(-0.4, 0.4) * thick
    place = r.uniform(-0.1, 0.25)
    parts = [
        solid("cylinder", (thick, length, thick), (0, 0, 0), body, (90, "x")),
        solid("ball", (thick, thick, 1.6 * thick), (0, 0, length / 2), body),
        solid("cone", (thick, 0.5, thick), (0, 0, -length / 2 - 0.25), body, (-90, "x")),
        solid("box", (0.05, 0.42, 0.28), (0, 0.25, -length / 2), tail),
        solid("box", (0.75, 0.04, 0.22), (0, 0.05, -length / 2 - 0.05), tail),
    ]
    for side in (-1, 1):
        middle = (side * span / 4, low, place - np.tan(np.radians(sweep)) * span / 4)
        parts.append(solid("box", (span / 2, 0.05, chord), middle, wing, (side * sweep, "y")))
        if r.random() < 0.8:
            under = (side * span * 0.22, low - 0.1, middle[2] + 0.15)
            parts.append(solid("cylinder", (0.13, 0.35, 0.13), under, engine, (90, "x")))
    return compose(parts)


CLASSES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "table": table, "chair": chair, "lamp": lamp, "car": car, "vessel": vessel, "tower": tower,
}  # fmt: skip


def sky(r: np.random.Generator, side: int = 64) -> np.ndarray:
    """A sky, uint8 (3, side, side): a gradient of blue under clouds of fractal noise."""
    from scipy.ndimage import zoom

    clouds = np.zeros((side, side))
    for octave in range(5):
        cells = 2 ** (octave + 1) + 1
        clouds += zoom(r.standard_normal((cells, cells)), side / cells, order=3)[:side, :side] / (
            1.7**octave
        )
    cover = 1 / (1 + np.exp(-r.uniform(1.5, 4) * (clouds - r.uniform(-0.6, 0.9))))
    high, low = r.uniform([0.15, 0.35, 0.65], [0.4, 0.6, 0.95]), r.uniform(0.6, 0.9, 3)
    down = np.linspace(0, 1, side)[None, :, None]
    blue = high[:, None, None] * (1 - down) + np.sort(low)[:, None, None] * down
    white = r.uniform(0.75, 1.0)
    return np.rint(255 * (blue * (1 - cover) + white * cover).clip(0, 1)).astype(np.uint8)
