"""How fast meshes become images, and what share of that is casting rays.

One process, 64×64 pixels with four rays each, six procedural objects on the turntable:
`lga bench rendering`.
"""

import statistics
import time

import numpy as np
import torch
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from lga.benchmarks import machine
from lga.cameras import TURNTABLE
from lga.datasets.nmr import turntable
from lga.pictures.rendering import render
from lga.pictures.shapes import CLASSES

ROUNDS = 5


def measure() -> dict[str, float | str]:
    """`bare_cast_over_render`: 1 where shading, averaging and packing cost nothing."""
    meshes = [make(np.random.default_rng(0)) for make in CLASSES.values()]
    views = turntable()
    axes = TURNTABLE.axes(torch.zeros(1))[0].double().numpy()
    rays = TURNTABLE.rays(64, 2).reshape(-1, 3).double().numpy() @ axes.T
    origins = np.broadcast_to(TURNTABLE.distance * axes[:, 2], rays.shape)

    def cast() -> None:
        for mesh in meshes:
            scene = rtcore_scene.EmbreeScene()
            TriangleMesh(scene, mesh.vertices[mesh.faces].astype(np.float32))
            for turn in views:
                scene.run((origins @ turn).astype(np.float32), (rays @ turn).astype(np.float32))

    def paint() -> None:
        for mesh in meshes:
            render(mesh, views, TURNTABLE, lamp_turns=True)

    seconds = {cast: [], paint: []}
    for _ in range(ROUNDS):
        for work, taken in seconds.items():
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    images = len(meshes) * len(views)
    cast_s, paint_s = (statistics.median(seconds[work]) for work in (cast, paint))
    return {
        "bare_cast_over_render": round(cast_s / paint_s, 3),
        "images_per_second_and_process": round(images / paint_s),
        "machine": machine(),
    }
