"""Procedural smooth bodies of two classes: the stand-in for AdrenalMNIST3D.

A body is a bent ridge with two limbs, as adrenal glands have; a body of class 1 also carries a
round mass. Each is the soft union of capsules, seen as 1 inside and 0 outside.
"""

import numpy as np
import torch
from torch import Tensor

SIDE = 28
SOFTNESS = 0.035  # half the width of a surface, in units of half the cube's side


def synthesize(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n bodies, uint8 (n, 1, SIDE, SIDE, SIDE), and their classes (n,) in {0, 1}, half of each."""
    place = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    depth, rows, columns = np.meshgrid(place, place, place, indexing="ij")
    points = np.stack([columns, -rows, -depth], -1).reshape(-1, 3)  # right, up, to the viewer
    labels = np.arange(n) % 2
    bodies = np.stack([
        body(points, bool(label), np.random.default_rng([seed, k]))
        for k, label in enumerate(labels)
    ])  # fmt: skip
    volumes = np.round(255 * bodies).astype(np.uint8).reshape(n, 1, SIDE, SIDE, SIDE)
    return torch.from_numpy(volumes), torch.from_numpy(labels)


def body(points: np.ndarray, has_mass: bool, random: np.random.Generator) -> np.ndarray:
    """How much of a body is at points (m, 3), in [0, 1]."""
    apex = random.normal(loc=(0.0, 0.3, 0.0), scale=0.05)
    bend = random.normal(scale=0.12, size=(3, 3))
    ends = np.array([[0.0, 0.62, 0.3], [-0.42, -0.45, -0.1], [0.42, -0.35, 0.05]]) + bend
    ends *= random.uniform(0.85, 1.1)
    thickness = random.uniform(0.10, 0.17, size=3)
    distance = np.full(len(points), np.inf)
    for end, thick in zip(ends, thickness, strict=True):
        middle = (apex + end) / 2 + random.normal(scale=0.08, size=3)
        for start, stop in ((apex, middle), (middle, end)):
            distance = np.minimum(distance, to_segment(points, start, stop) - thick)
    if has_mass:
        limb = random.integers(3)
        centre = apex + random.uniform(0.3, 0.8) * (ends[limb] - apex)
        radius = random.uniform(0.26, 0.36)
        distance = np.minimum(distance, np.linalg.norm(points - centre, axis=1) - radius)
    return 1 / (1 + np.exp(np.clip(distance / SOFTNESS, -30, 30)))


def to_segment(points: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Distances (m,) of points (m, 3) from a segment."""
    along = stop - start
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
