"""Triangle meshes to images, on any CPU and without OpenGL: one ray cast per sample (Embree).

Camera and axes are those of `lga.cameras`. An object is centred and scaled so that its bounding
box has diagonal 1, ShapeNet's convention. Light: 0.45 ambient and 0.55 from a far lamp above the
viewer's right shoulder, on both faces of a triangle (found meshes are rarely oriented). The lamp
stands still while an object turns, or turns with it, which is a camera going around a lit scene.
Meshes without colours get one each, seeded by their name. Pixels average their samples; alpha is
the share of samples that hit.
"""

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lga.cameras import Camera

SUFFIXES = (".obj", ".off", ".ply", ".glb", ".stl")
AMBIENT, DIRECT = 0.45, 0.55
LARGEST_STRETCH = 1.4
LAMP = np.array([0.4, 0.8, 0.45]) / np.linalg.norm([0.4, 0.8, 0.45])


class MeshError(ValueError):
    """A mesh that cannot be rendered, with its file and the reason."""


@dataclass(frozen=True)
class Mesh:
    """Triangles with a colour each.

    Attributes:
        vertices: (V, 3), centred, bounding box of diagonal 1.
        faces: (F, 3), indices into vertices.
        colors: (F, 3) in [0, 1].
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray


def normalized(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray) -> Mesh:
    """A mesh with its used vertices' bounding box centred at the origin, of diagonal 1."""
    corners = np.unique(faces)
    if corners[0] < 0 or corners[-1] >= len(vertices):
        raise MeshError("has faces without corners")
    used = vertices[corners]
    low, high = used.min(0), used.max(0)
    size = np.linalg.norm(high - low)
    if not np.isfinite(size) or size <= 0:
        raise MeshError("has no extent")
    return Mesh((vertices - (low + high) / 2) / size, faces, colors)


def stretched(mesh: Mesh, generator: np.random.Generator, upright: bool = False) -> Mesh:
    """Another shape of the same kind: the axes scaled at random, log-uniformly, and maybe mirrored.

    The box of the copy has diagonal 1 again.

    Args:
        mesh: the shape.
        generator: decides.
        upright: whether y, which points up, is not mirrored: nothing stands on its head.
    """
    scale = LARGEST_STRETCH ** generator.uniform(-1, 1, 3) * generator.choice([-1, 1], 3)
    if upright:
        scale[1] = abs(scale[1])
    return normalized(mesh.vertices * scale, mesh.faces, mesh.colors)


def load_mesh(path: Path, name: str) -> Mesh:
    """Reads a mesh file of any format trimesh knows.

    Args:
        path: the file.
        name: of the object; it decides on a colour where the file has none.

    Raises:
        ImportError: without trimesh.
        MeshError: when the file is damaged or holds no faces.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ImportError("rendering needs trimesh: uv pip install -e '.[render]'") from error
    try:
        loaded = trimesh.load_mesh(path, process=False)
        if isinstance(loaded, trimesh.Scene):
            loaded = loaded.to_mesh()
        faces = np.asarray(getattr(loaded, "faces", np.empty((0, 3))))
    except Exception as error:  # trimesh raises whatever its parsers meet
        raise MeshError(f"{path} is damaged ({type(error).__name__}: {error})") from error
    if not len(faces):
        raise MeshError(f"{path} has no faces")
    try:
        return normalized(np.asarray(loaded.vertices, float), faces, face_colors(loaded, name))
    except MeshError as error:
        raise MeshError(f"{path} {error}") from None


def face_colors(loaded, name: str) -> np.ndarray:
    """Colours of a trimesh's faces (F, 3) in [0, 1], or one for all of them seeded by a name."""
    if loaded.visual.defined:
        visual = loaded.visual
        visual = visual.to_color() if hasattr(visual, "to_color") else visual
        colors = np.asarray(visual.face_colors)
        if colors.shape == (len(loaded.faces), 4):
            return colors[:, :3] / 255
    color = seeded_color(np.random.default_rng(seed_of(name, 4)))
    return np.tile(color, (len(loaded.faces), 1))


def seed_of(name: str, n_bytes: int = 7) -> int:
    """A seed of so many bytes that a name decides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:n_bytes])


def seeded_color(generator: np.random.Generator) -> np.ndarray:
    """A random colour (3,) in [0, 1], neither very dark nor very grey."""
    import colorsys

    hue, saturation, value = generator.random(), *generator.uniform([0.25, 0.6], [0.8, 0.95])
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def render(
    mesh: Mesh,
    rotations: np.ndarray,
    camera: Camera,
    lamp_turns: bool = False,
    side: int = 64,
    samples: int = 2,
) -> np.ndarray:
    """Pictures of a mesh, turned.

    Args:
        mesh: as `load_mesh` gives it.
        rotations: (n, 3, 3), each turns the mesh in the world before it is seen.
        camera: where the eye is, at azimuth 0.
        lamp_turns: whether the lamp turns with the object.
        side: pixels of a picture's side.
        samples: samples² rays a pixel.

    Returns:
        uint8 (n, 4, side, side): colour (not premultiplied) and alpha in [0, 255].
    """
    import torch

    try:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as error:
        raise ImportError("rendering needs embreex: uv pip install -e '.[render]'") from error

    axes = camera.axes(torch.zeros(1))[0].double().numpy()
    rays = camera.rays(side, samples).reshape(-1, 3).double().numpy() @ axes.T
    eye = camera.distance * axes[:, 2]
    # Rays that miss the ball of the object, by far the most in wide pictures, are not cast.
    closest = np.linalg.norm(eye - (rays @ eye)[:, None] * rays, axis=1)
    near = np.flatnonzero(closest <= 0.5)

    scene = rtcore_scene.EmbreeScene()
    triangles = mesh.vertices[mesh.faces].astype(np.float32)
    TriangleMesh(scene, triangles)
    edge1, edge2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    normals = np.cross(edge1, edge2).astype(float)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-20)

    pictures = np.empty((len(rotations), 4, side, side), np.uint8)
    for index, rotation in enumerate(np.asarray(rotations, float)):
        # Turning the mesh is turning eye, rays and lamp the other way: the scene is built once.
        directions = (rays[near] @ rotation).astype(np.float32)
        origins = np.broadcast_to((eye @ rotation).astype(np.float32), directions.shape)
        hit = scene.run(np.ascontiguousarray(origins), directions, query="INTERSECT")
        seen = hit >= 0
        triangle = hit[seen]
        facing = np.sign((normals[triangle] * directions[seen]).sum(1, keepdims=True))
        lamp = LAMP if lamp_turns else LAMP @ rotation
        lit = (-facing * normals[triangle]) @ lamp
        shade = AMBIENT + DIRECT * lit.clip(0, 1)
        color = np.zeros((len(rays), 4))
        color[near[seen], :3] = mesh.colors[triangle] * shade[:, None]
        color[near[seen], 3] = 1
        pixels = color.reshape(side, samples, side, samples, 4).mean((1, 3))
        pixels[..., :3] /= pixels[..., 3:].clip(1e-9)
        pictures[index] = np.rint(255 * pixels).transpose(2, 0, 1)
    return pictures


# ---------------------------------------------------------------------------------------------
# Folders of meshes


@dataclass(frozen=True)
class MeshFile:
    """One object of a folder of meshes: its class, its name, its file.

    `copy` is 0 for the mesh itself; k for its k-th stretched copy, which may have to be `upright`.
    """

    category: str
    name: str
    path: Path
    copy: int = 0
    upright: bool = False

    @property
    def label(self) -> str:
        """The object's name, which decides what is random about it."""
        kind = "upright-" if self.upright else ""
        return f"{self.name}--{kind}{self.copy}" if self.copy else self.name

    @property
    def finished(self) -> str:
        """The name of a file for its pictures; a mesh that has changed since has another."""
        now = self.path.stat()
        state = seed_of(f"{self.path.resolve()} {now.st_size} {now.st_mtime_ns}")
        return f"{self.category}--{self.label}--{state:014x}.npy"

    def load(self) -> Mesh:
        """The mesh (see `load_mesh`), stretched if it is a copy."""
        mesh = load_mesh(self.path, self.name)
        if not self.copy:
            return mesh
        return stretched(mesh, np.random.default_rng(seed_of(self.label)), self.upright)


def find_meshes(root: Path, pattern: str = "*") -> tuple[list[MeshFile], list[str]]:
    """The objects below a folder, and what is wrong with some.

    `root/<class>/<object>.ply` (any suffix of `SUFFIXES`) is an object, and so is the only mesh
    anywhere below `root/<class>/<object>/`, as in ShapeNetCore's
    `<synset>/<model>/models/model_normalized.obj`. Meshes directly in root form the class "object".

    Args:
        root: the folder.
        pattern: which object names to take, as a file name pattern.

    Returns:
        The objects in a stable order, and one line for each folder that holds two meshes.

    Raises:
        FileNotFoundError: when there are none.
    """
    from fnmatch import fnmatch

    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(Path(root).rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            parts = path.relative_to(root).parts
            category = parts[0] if len(parts) > 1 else "object"
            name = parts[1] if len(parts) > 2 else path.stem
            if fnmatch(name, pattern):
                found.setdefault((category, name), []).append(path)
    meshes, wrong = [], []
    for (category, name), paths in found.items():
        if len(paths) == 1:
            meshes.append(MeshFile(category, name, paths[0]))
        else:
            names = ", ".join(path.name for path in paths)
            wrong.append(f"{category}/{name} holds {len(paths)} meshes ({names}); one is expected")
    if not meshes:
        raise FileNotFoundError(
            f"{root} holds no meshes ({', '.join(SUFFIXES)}) named like {pattern!r}"
        )
    return meshes, wrong


def copies(meshes: Sequence[MeshFile], n: int, upright: bool = False) -> list[MeshFile]:
    """n stretched copies of each of some objects, to train on: one mesh is one shape."""
    return [replace(mesh, copy=1 + k, upright=upright) for mesh in meshes for k in range(n)]


def render_all(
    meshes: Sequence[MeshFile],
    rotations: Callable[[MeshFile], np.ndarray],
    camera: Camera,
    lamp_turns: bool,
    parts: Path,
    processes: int | None = None,
) -> tuple[dict[MeshFile, np.ndarray], list[str]]:
    """Renders many meshes in many processes; what an earlier call finished is not done again.

    Args:
        meshes: the objects.
        rotations: gives the rotations (n, 3, 3) of an object.
        camera, lamp_turns: as for `render`.
        parts: folder that keeps one finished file per object.
        processes: how many; all cores by default.

    Returns:
        The pictures (n, 4, side, side) of those that can be rendered, in order, and a line for each
        that cannot.
    """
    from tqdm import tqdm

    parts.mkdir(parents=True, exist_ok=True)
    kept = [parts / mesh.finished for mesh in meshes]
    jobs = [
        (mesh, rotations(mesh), camera, lamp_turns, file)
        for mesh, file in zip(meshes, kept, strict=True)
    ]
    # Fork would copy the threads of PyTorch half-way; spawned workers start clean.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes or os.cpu_count()) as pool:
        done = tqdm(
            pool.imap(_render_one, jobs),
            total=len(jobs),
            desc="rendering",
            unit="object",
            mininterval=0.2 if sys.stderr.isatty() else 10,
        )
        reasons = list(done)
    ready = {
        mesh: np.load(file)
        for mesh, file, reason in zip(meshes, kept, reasons, strict=True)
        if not reason
    }
    return ready, [reason for reason in reasons if reason]


def _render_one(job: tuple[MeshFile, np.ndarray, Camera, bool, Path]) -> str:
    """Renders one object to its file; returns why not, or an empty string."""
    mesh, rotations, camera, lamp_turns, kept = job
    try:
        if kept.exists() and np.load(kept, mmap_mode="r").shape[0] == len(rotations):
            return ""
    except ValueError:
        pass  # a damaged part is made again
    try:
        pictures = render(mesh.load(), rotations, camera, lamp_turns)
    except MeshError as error:
        return str(error)
    part = kept.with_suffix(".part")
    with open(part, "wb") as file:
        np.save(file, pictures)
    os.replace(part, kept)
    return ""
