"""Rendering, the rendered sets, one's own arrays; and broken meshes, archives and photographs."""

import json
import math
import zipfile

import numpy as np
import pytest
import torch
import trimesh
from conftest import assert_same_tests
from PIL import Image

import lga
from lga.cameras import FLIGHT, TURNTABLE, Camera
from lga.datasets import nmr as nmr_module
from lga.datasets import plane_in_the_sky as planes_module
from lga.datasets import prepare_dataset
from lga.datasets.base import StoredOrbits
from lga.groups import SO3, Cyclic
from lga.pictures import rendering


def ball(color=(1.0, 0.5, 0.25)) -> rendering.Mesh:
    body = trimesh.creation.icosphere(3, 1.0)
    colors = np.tile(color, (len(body.faces), 1))
    return rendering.normalized(np.asarray(body.vertices), np.asarray(body.faces), colors)


def marker() -> rendering.Mesh:
    """A long dark box with a bright ball at its positive x end and a dim one above."""
    bar = trimesh.creation.box((2, 0.2, 0.2))
    end = trimesh.creation.icosphere(2, 0.3).apply_translation((1, 0, 0))
    top = trimesh.creation.icosphere(2, 0.2).apply_translation((0, 0.6, 0))
    parts = [(bar, 0.2), (end, 1.0), (top, 0.3)]
    whole = trimesh.util.concatenate([part for part, _ in parts])
    colors = np.concatenate([np.full((len(p.faces), 3), grey) for p, grey in parts])
    return rendering.normalized(np.asarray(whole.vertices), np.asarray(whole.faces), colors)


def test_a_ball_covers_the_disc_that_geometry_says():
    (picture,) = rendering.render(ball(), np.eye(3)[None], FLIGHT, side=128)
    radius = 0.5 / math.sqrt(3)  # a ball's box has diagonal 1
    angle = math.asin(radius / FLIGHT.distance)
    expected_px = 64 * math.tan(angle) / math.tan(FLIGHT.field_of_view_rad / 2)
    covered = (picture[3] / 255).sum()
    assert covered == pytest.approx(math.pi * expected_px**2, rel=0.02)
    edge = (picture[3] > 0) & (picture[3] < 255)
    assert 0.005 < edge.mean() < 0.1  # anti-aliased rim
    lit = picture[:3, 40:88, 40:88].astype(float)
    ratio = lit[1] / lit[0]
    assert abs(ratio.mean() - 0.5) < 0.02  # the ball's colour under white light


def test_a_projected_point_lands_where_the_camera_says():
    mesh, rotation = marker(), SO3().rotation(torch.tensor([[0.2, 1.0, 0.1]]), torch.tensor([0.7]))
    (picture,) = rendering.render(mesh, rotation.numpy(), TURNTABLE, side=128)
    center = mesh.vertices[mesh.faces[mesh.colors[:, 0] == 1.0].ravel()].mean(0)
    axes = TURNTABLE.axes(torch.zeros(1))[0].numpy()
    seen = (rotation[0].numpy() @ center) @ axes  # in camera axes, still around the origin
    depth = TURNTABLE.distance - seen[2]
    scale = 64 / math.tan(TURNTABLE.field_of_view_rad / 2)
    column, row = 64 + scale * seen[0] / depth - 0.5, 64 - scale * seen[1] / depth - 0.5
    bright = (picture[0] > 110) & (picture[3] == 255)
    rows, columns = np.nonzero(bright)
    assert abs(rows.mean() - row) < 2.5 and abs(columns.mean() - column) < 2.5


def test_turning_the_object_is_turning_what_the_camera_sees():
    """camera.turn: the group element as a rotation in camera axes, for turntable and flight."""
    g = Cyclic(24).element(torch.tensor([5]))
    seen = TURNTABLE.turn(Cyclic(24), g)[0]
    axes = TURNTABLE.axes(torch.zeros(1))[0]
    vertical = axes.T @ torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(seen @ vertical, vertical)  # the axis of the turntable stays
    assert float(seen.trace()) == pytest.approx(1 + 2 * math.cos(math.radians(75)), abs=1e-5)
    R = SO3().sample(2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(FLIGHT.turn(SO3(), R), R)
    # A camera at azimuth −φ sees what a camera at 0 sees of the object turned by +φ.
    angle = torch.tensor([0.6])
    turned = SO3().rotation(torch.tensor([[0.0, 1.0, 0.0]]), angle)
    torch.testing.assert_close(
        TURNTABLE.axes(-angle).mT, TURNTABLE.axes(torch.zeros(1)).mT @ turned, rtol=0, atol=1e-6
    )


def test_a_camera_sits_where_azimuth_and_elevation_say():
    right, up, backwards = TURNTABLE.axes(torch.tensor([math.radians(90)]))[0].T
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    torch.testing.assert_close(backwards, torch.tensor([cos, sin, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(right, torch.tensor([0.0, 0.0, -1.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(up, torch.tensor([-sin, cos, 0.0]), atol=1e-6, rtol=0)
    assert float(FLIGHT.axes(torch.zeros(1))[0].sub(torch.eye(3)).abs().max()) < 1e-6


def test_rays_go_through_pixel_centres():
    rays = Camera(2, 0.0, math.radians(90)).rays(2)
    torch.testing.assert_close(rays[0, 0] / -rays[0, 0, 2], torch.tensor([-0.5, 0.5, -1.0]))
    torch.testing.assert_close(rays[1, 1] / -rays[1, 1, 2], torch.tensor([0.5, -0.5, -1.0]))


def test_a_lamp_that_turns_makes_a_turned_ball_look_different():
    R = SO3().rotation(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([2.0])).numpy()
    still, turning = (
        rendering.render(ball(), R, FLIGHT, lamp_turns=flag)[0, 0].astype(int) for flag in (0, 1)
    )
    at_rest = rendering.render(ball(), np.eye(3)[None], FLIGHT)[0, 0].astype(int)
    assert np.abs(still - at_rest).mean() < 1 < 5 < np.abs(turning - at_rest).mean()


@pytest.fixture
def meshes(tmp_path):
    """Good and broken meshes in every layout."""
    root = tmp_path / "meshes"
    box = trimesh.creation.box((1, 2, 3))
    for k in range(5):
        (root / "box").mkdir(parents=True, exist_ok=True)
        box.export(root / "box" / f"b{k}.{['ply', 'off', 'obj', 'glb', 'stl'][k]}")
    deep = root / "02691156" / "a1b2" / "models"
    deep.mkdir(parents=True)
    trimesh.creation.icosphere().export(deep / "model_normalized.obj")
    two = root / "02691156" / "two"
    two.mkdir()
    box.export(two / "a.ply"), box.export(two / "b.ply")
    (root / "box" / "empty.off").write_text("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n")
    (root / "box" / "torn.ply").write_bytes((root / "box" / "b0.ply").read_bytes()[:90])
    return root


def test_meshes_of_every_layout_are_found_and_broken_ones_are_told(meshes):
    found, wrong = rendering.find_meshes(meshes)
    names = {(mesh.category, mesh.name) for mesh in found}
    assert ("02691156", "a1b2") in names and ("box", "b3") in names
    assert len(wrong) == 1 and "two holds 2 meshes (a.ply, b.ply)" in wrong[0]
    with pytest.raises(rendering.MeshError, match=r"empty\.off has no faces"):
        rendering.load_mesh(meshes / "box" / "empty.off", "empty")
    with pytest.raises(rendering.MeshError, match=r"torn\.ply"):
        rendering.load_mesh(meshes / "box" / "torn.ply", "torn")
    assert len(rendering.find_meshes(meshes, "b*")[0]) == 5
    with pytest.raises(FileNotFoundError, match="holds no meshes"):
        rendering.find_meshes(meshes, "z*")


def test_every_format_gives_the_same_picture(meshes):
    boxes = [
        rendering.load_mesh(meshes / "box" / file, "box")
        for file in ("b0.ply", "b1.off", "b2.obj", "b4.stl")
    ]
    pictures = [rendering.render(box, np.eye(3)[None], TURNTABLE)[0, 3] for box in boxes]
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_meshes_without_colours_get_one_each_by_their_objects_name(tmp_path):
    for name in ("a1b2", "c3d4"):  # ShapeNetCore's layout, where all files have one name
        folder = tmp_path / "02691156" / name / "models"
        folder.mkdir(parents=True)
        trimesh.creation.icosphere().export(folder / "model_normalized.obj")
    one, other = rendering.find_meshes(tmp_path)[0]
    assert one.name != other.name and one.path.name == other.path.name
    assert not np.allclose(one.load().colors[0], other.load().colors[0])
    (copy,) = rendering.copies([one], 1)
    assert np.allclose(copy.load().colors, one.load().colors)


@pytest.mark.slow
def test_prepare_nmr_renders_skips_and_resumes(meshes, tmp_path, capsys):
    prepare_dataset("nmr", tmp_path, meshes=meshes, title="boxes")
    shown = capsys.readouterr().out
    assert "skipped: " in shown and "empty.off has no faces" in shown and "two holds 2" in shown
    assert "class 02691156 has 1 objects" in shown
    dataset = lga.load_dataset("nmr", "real", tmp_path)
    assert dataset.source.startswith("boxes:") and not dataset.is_stand_in
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [3, 1, 1]
    (kept,) = (tmp_path / "nmr" / ".parts").glob("box--b0--*.npy")
    before = kept.stat().st_mtime_ns
    prepare_dataset("nmr", tmp_path, meshes=meshes, title="boxes", copies=2)
    assert kept.stat().st_mtime_ns == before
    more = lga.load_dataset("nmr", "real", tmp_path)
    assert more.source.endswith("views, 6 upright stretched copies to train on")
    assert [more.size(s) for s in ("train", "validation", "test")] == [9, 1, 1]
    assert_same_tests(dataset, more)
    trimesh.creation.box((3, 2, 1)).export(meshes / "box" / "b0.ply")
    prepare_dataset("nmr", tmp_path, meshes=meshes, title="boxes")
    anew = lga.load_dataset("nmr", "real", tmp_path)
    changed = (anew.images != dataset.images).flatten(1).any(1).view(-1, 24).any(1)
    assert changed.sum() == 1  # the mesh that is another now is rendered again


@pytest.mark.slow
def test_prepare_planes_composites_over_a_fixed_sky(meshes, tmp_path, monkeypatch):
    monkeypatch.setattr(planes_module, "ROTATIONS", 12)
    sky = tmp_path / "sky"
    sky.mkdir()
    Image.new("RGB", (80, 70), (10, 200, 30)).save(sky / "fit.png")
    Image.new("RGB", (80, 40)).save(sky / "low.png")
    (sky / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    prepare_dataset("plane_in_the_sky", tmp_path, meshes=meshes, sky=sky, only="b*", title="boxes")
    dataset = lga.load_dataset("plane_in_the_sky", "real", tmp_path)
    assert dataset.source == "boxes: 5 aircraft" and dataset.image_shape == (3, 64, 64)
    pairs = dataset.pairs("train", 8, torch.Generator().manual_seed(0))
    corner = torch.tensor([10, 200, 30]) / 255
    for x in (pairs.x1, pairs.x2):
        torch.testing.assert_close(x[:, :, 0, 0], corner.expand(8, 3), rtol=0, atol=1e-6)
    dataset.group.check(pairs.g)
    prepare_dataset(
        "plane_in_the_sky", tmp_path, meshes=meshes, sky=sky, only="b*", title="boxes", copies=1
    )
    more = lga.load_dataset("plane_in_the_sky", "real", tmp_path)
    assert more.source == "boxes: 5 aircraft, 3 stretched copies to train on"
    assert [more.size(s) for s in ("train", "validation", "test")] == [6, 1, 1]
    assert_same_tests(dataset, more)
    with pytest.raises(ValueError, match="planes need --meshes DIR and --sky DIR"):
        prepare_dataset("plane_in_the_sky", tmp_path, meshes=meshes)


def test_a_stretched_mesh_is_another_shape_of_the_same_size():
    mesh = ball()
    copies = [rendering.stretched(mesh, np.random.default_rng(k)) for k in range(20)]
    sides = np.stack([np.ptp(copy.vertices, axis=0) for copy in copies])
    np.testing.assert_allclose(np.linalg.norm(sides, axis=1), 1, rtol=1e-6)
    ratios = sides.max(1) / sides.min(1)
    assert 1.2 < ratios.mean() and ratios.max() < 1.01 * rendering.LARGEST_STRETCH**2
    maps = [np.linalg.lstsq(mesh.vertices, copy.vertices, rcond=None)[0] for copy in copies]
    mirrored = [np.linalg.det(scale) < 0 for scale in maps]
    assert len(set(mirrored)) == 2


def test_copies_of_what_stands_stand_too(tmp_path):
    trimesh.creation.cone(radius=1, height=2).apply_transform(  # its tip along y
        trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
    ).export(tmp_path / "cone.ply")
    (cone,) = rendering.find_meshes(tmp_path)[0]
    tips = {
        upright: {
            # All but one of a cone's corners lie at its foot.
            -float(np.sign(np.median(copy.load().vertices[:, 1])))
            for copy in rendering.copies([cone], 12, upright)
        }
        for upright in (False, True)
    }
    assert tips == {False: {-1.0, 1.0}, True: {1.0}}


def test_copies_of_aircraft_that_do_not_train_are_refused():
    dataset = lga.load_dataset("plane_in_the_sky", "stand-in", objects=8, views=2)
    turned = dataset.elements.view(8, 2, 3, 3)
    arrays = dataset.images.view(8, 2, 4, 64, 64), turned, dataset.skies
    alone = torch.arange(8)
    test = int(dataset.objects["test"][0])

    def with_copies(copy_of):
        more = (torch.cat([array, array[: len(copy_of) - 8]]) for array in arrays)
        return planes_module.PlaneInTheSky(*more, "planes", copy_of)

    train = int(dataset.objects["train"][0])
    both = with_copies(torch.cat([alone, torch.tensor([train, train])]))
    assert both.size("train") == dataset.size("train") + 2
    assert torch.equal(both.objects["test"], dataset.objects["test"])
    for wrong in (torch.cat([alone, torch.tensor([test])]), alone.roll(1)):
        with pytest.raises(ValueError, match="copies come last, and only of aircraft that train"):
            with_copies(wrong)


def test_channels_change_places_in_training_pairs_only():
    images = torch.rand(8, 4, 3, 16, 16)
    turns = Cyclic(4).element(torch.arange(4)).repeat(8, 1, 1)
    owners = np.repeat(np.arange(8), 4)
    plain, mixed = (
        StoredOrbits(images.flatten(0, 1), turns, owners, Cyclic(4), permuted_channels=flag)
        for flag in (False, True)
    )
    objects = torch.arange(200) % plain.size("train")
    drawn = [d.draw("train", objects, torch.Generator().manual_seed(3)) for d in (plain, mixed)]
    order = [
        [int((x1[k] - y1).abs().flatten(1).amax(1).argmin()) for k in range(3)]
        for x1, y1 in zip(drawn[0].x1[:, :, None], drawn[1].x1, strict=True)
    ]
    assert len({tuple(o) for o in order}) == 6  # every order of three channels
    order = torch.tensor(order)[..., None, None]
    assert torch.equal(drawn[1].x1.take_along_dim(order, 1), drawn[0].x1)
    assert torch.equal(drawn[1].x2.take_along_dim(order, 1), drawn[0].x2)
    assert_same_tests(plain, mixed)


def test_unfit_photographs_are_told(tmp_path):
    Image.new("RGB", (80, 40)).save(tmp_path / "low.png")
    with pytest.raises(FileNotFoundError, match="no photograph of at least 64×64"):
        planes_module.sky_crops(tmp_path, 3)
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "fit.png")
    crops, unfit = planes_module.sky_crops(tmp_path, 3)
    assert crops.shape == (3, 3, 64, 64) and (crops == 9).all()
    assert any("80×40, smaller than the crop" in line for line in unfit)


def test_prepare_takes_only_the_inputs_of_its_dataset(tmp_path):
    with pytest.raises(ValueError, match="unknown input of brain_mri 'meshes'"):
        prepare_dataset("brain_mri", tmp_path, meshes=tmp_path)


@pytest.fixture(scope="module")
def nmr():
    return lga.load_dataset("nmr", "stand-in", objects=12)


def test_nmr_elements_turn_view_i_into_view_j(nmr):
    pairs = nmr.pairs("train", 64, torch.Generator().manual_seed(0))
    nmr.group.check(pairs.g)
    assert (nmr.group.distance(pairs.g, nmr.group.identity(64)) > 0.1).all()  # never g = e
    shown = nmr.show(torch.arange(len(nmr.images))).flatten(1)
    for x1, x2, g in zip(pairs.x1, pairs.x2, pairs.g, strict=True):
        i, j = (int((shown - x.flatten()).abs().amax(1).argmin()) for x in (x1, x2))
        assert i // 24 == j // 24
        step = nmr.group.element(torch.tensor([j - i]))[0]
        torch.testing.assert_close(step, g, rtol=0, atol=1e-5)


@pytest.mark.parametrize("view", [1, 7])
def test_nmr_views_show_the_object_turned(view):
    """View i is view 0 of the object turned by 15°·i about the vertical, lamp and all."""
    mesh = marker()
    pictures = rendering.render(mesh, nmr_module.turntable(), TURNTABLE, lamp_turns=True)
    angle_rad = torch.tensor([math.radians(15 * view)])
    turned = SO3().rotation(torch.tensor([[0.0, 1.0, 0.0]]), angle_rad)[0]
    moved = rendering.Mesh(mesh.vertices @ turned.double().numpy().T, mesh.faces, mesh.colors)
    again = rendering.render(moved, np.eye(3)[None], TURNTABLE, lamp_turns=True)[0]
    assert np.abs(pictures[view, 3].astype(int) - again[3]).mean() < 0.5
    assert np.abs(pictures[view, 3].astype(int) - pictures[0, 3]).mean() > 2


def test_splits_share_no_object(nmr):
    parts = [set(nmr.objects[split].tolist()) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 12


def write_packed(folder, n=2, views=24):
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        images = generator.integers(0, 256, (n, views, 4, 64, 64), np.uint8)
        np.savez(folder / f"02958343_{split}_images.npz", images)


def test_the_softras_packing_is_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"NMR_Dataset\.zip is missing"):
        prepare_dataset("nmr", tmp_path)
    write_packed(tmp_path / "nmr")
    prepare_dataset("nmr", tmp_path)
    dataset = lga.load_dataset("nmr", "real", tmp_path, categories="02958343")
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [2, 2, 2]
    assert dataset.source == "NMR (ShapeNet)"
    with pytest.raises(FileNotFoundError, match="03001627_train_images"):
        lga.load_dataset("nmr", "real", tmp_path, categories="03001627")


def test_missing_views_and_torn_files_are_named(tmp_path):
    write_packed(tmp_path / "nmr", views=23)
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 24, 4, 64, 64\)"):
        prepare_dataset("nmr", tmp_path)
    with pytest.raises(ValueError, match=r"expected uint8 \(N, 24, 4, 64, 64\)"):
        lga.load_dataset("nmr", "real", tmp_path)
    path = tmp_path / "nmr" / "02958343_train_images.npz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"02958343_train_images\.npz is damaged"):
        lga.load_dataset("nmr", "real", tmp_path)


def write_public(root, missing=False):
    """The DVR packing with one object per split."""
    for split in ("train", "val", "test"):
        folder = root / "02958343" / f"car-{split}"
        (folder / "image").mkdir(parents=True)
        (root / "02958343" / f"softras_{split}.lst").write_text(f"car-{split}\n")
        for view in range(24):
            if not (missing and view == 7):
                Image.new("RGB", (64, 64), (view, 0, 0)).save(folder / "image" / f"{view:04d}.png")


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_the_public_packing_is_packed(tmp_path, zipped):
    root = tmp_path / "NMR_Dataset"
    write_public(root)
    if zipped:
        with zipfile.ZipFile(tmp_path / "NMR_Dataset.zip", "w") as archive:
            for path in root.rglob("*"):
                archive.write(path, path.relative_to(tmp_path))
        root.rename(tmp_path / "away")
    prepare_dataset("nmr", tmp_path)
    dataset = lga.load_dataset("nmr", "real", tmp_path)
    assert dataset.size("test") == 1
    reds = (dataset.show(torch.arange(24)) * 255).round()[:, 0, 0, 0]
    assert reds.tolist() == list(range(24))


def test_renderings_of_several_origins_are_not_packed_together(tmp_path, meshes):
    write_packed(tmp_path / "nmr")
    with pytest.raises(ValueError, match=r"nmr holds other data \(02958343\): remove it"):
        prepare_dataset("nmr", tmp_path, meshes=meshes)
    note = tmp_path / "nmr" / nmr_module.NOTE
    note.write_text(json.dumps({"source": "boxes"}))
    with pytest.raises(ValueError, match="holds other data"):  # of a class that is no more
        prepare_dataset("nmr", tmp_path, meshes=meshes)
    write_public(tmp_path / "NMR_Dataset")
    with pytest.raises(ValueError, match="holds other data"):
        prepare_dataset("nmr", tmp_path)
    for path in note.parent.glob("*.npz"):
        path.unlink()
    prepare_dataset("nmr", tmp_path)
    assert lga.load_dataset("nmr", "real", tmp_path).source == "NMR (ShapeNet)"


def test_a_truncated_zip_and_a_missing_view_are_named(tmp_path):
    (tmp_path / "NMR_Dataset.zip").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match=r"NMR_Dataset\.zip is truncated"):
        prepare_dataset("nmr", tmp_path)
    write_public(tmp_path / "NMR_Dataset", missing=True)
    with pytest.raises(FileNotFoundError, match=r"lacks view 02958343/car-test/image/0007\.png"):
        prepare_dataset("nmr", tmp_path)


def test_planes_stand_in_has_one_sky_per_aircraft():
    dataset = lga.load_dataset("plane_in_the_sky", "stand-in", objects=6, views=5)
    pairs = dataset.pairs("train", 32, torch.Generator().manual_seed(0))
    corners = pairs.x1[:, :, :3, :3] - pairs.x2[:, :, :3, :3]
    assert corners.abs().max() < 1e-6 and not torch.equal(pairs.x1, pairs.x2)
    a, b = dataset.show(torch.tensor([0])), dataset.show(torch.tensor([5]))
    assert (a - b)[..., :3, :3].abs().max() > 0.01


# ---------------------------------------------------------------------------------------------
# One's own arrays


pytestmark = pytest.mark.filterwarnings("ignore:only . objects train")


def own(n_objects=10, per_object=3, **changes):
    generator = torch.Generator().manual_seed(0)
    n = n_objects * per_object
    group = lga.groups.SO2()
    arrays = {
        "images": torch.rand(n, 1, 28, 28, generator=generator),
        "elements": group.sample(n, generator),
        "object_ids": [f"object {k // per_object}" for k in range(n)],
        "group": group,
    } | changes
    return arrays, lga.OrbitDataset.from_arrays(**arrays)


def test_own_arrays_make_pairs_on_orbits():
    arrays, dataset = own()
    pairs = dataset.pairs("train", 50, torch.Generator().manual_seed(1))
    images, elements = arrays["images"], arrays["elements"]
    for x1, x2, g in zip(pairs.x1, pairs.x2, pairs.g, strict=True):
        i, j = (int((images - x).abs().flatten(1).amax(1).argmin()) for x in (x1, x2))
        assert i != j and arrays["object_ids"][i] == arrays["object_ids"][j]
        torch.testing.assert_close(g @ elements[i], elements[j])
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [7, 1, 2]


def test_g_turns_what_the_first_picture_shows_into_the_second():
    """Rotations of space do not commute: only R2 R1⁻¹ turns R1's picture into R2's."""
    rotations = SO3().sample(10, torch.Generator().manual_seed(0))
    pictures = torch.from_numpy(rendering.render(marker(), rotations.numpy(), FLIGHT, side=32))
    owner = [k // 2 for k in range(10)]
    dataset = lga.OrbitDataset.from_arrays(pictures, rotations, owner, SO3())
    pairs = dataset.pairs("train", 6, torch.Generator().manual_seed(0))
    for x1, x2, g in zip(pairs.x1, pairs.x2, pairs.g, strict=True):
        first = int((pictures / 255 - x1).abs().flatten(1).amax(1).argmin())
        turned = (g @ rotations[first])[None].numpy()
        (again,) = rendering.render(marker(), turned, FLIGHT, side=32)
        assert np.abs(again / 255 - x2.numpy()).mean() < 0.01
        assert (x1 - x2).abs().mean() > 0.03


def test_own_arrays_train_an_action():
    _, dataset = own()
    settings = lga.settings_for("quick", train_pairs=64, batch_size=16, validations=1, test_pairs=8)
    system = lga.build_system("jin2024", dataset)
    lga.fit(system, dataset, settings)
    assert math.isfinite(lga.evaluate(system, dataset, settings)["psnr_db"])


def test_uint8_images_are_scaled():
    arrays, _ = own()
    bytes_ = (arrays["images"] * 255).to(torch.uint8)
    _, dataset = own(images=bytes_)
    assert float(dataset.pairs("train", 4, torch.Generator()).x1.max()) <= 1


@pytest.mark.parametrize("changes, message", [
    ({"images": torch.full((30, 1, 28, 28), 2.0)}, r"images lie in \[0, 1\]"),
    ({"images": torch.zeros(30, 1, 28, 28, dtype=torch.int64)}, "uint8 or floating point"),
    ({"images": torch.zeros(29, 1, 28, 28)}, "belong together"),
    ({"images": torch.zeros(30, 28, 28, 3)}, "channels come first"),
    ({"elements": torch.ones(30, 2, 2)}, "no element of SO2"),
    ({"object_ids": list(range(30))}, "an orbit needs 2 images"),
])  # fmt: skip
def test_bad_own_arrays_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        own(**changes)


def test_source_note_is_json(tmp_path):
    write_packed(tmp_path / "nmr")
    (tmp_path / "nmr" / "source.json").write_text(json.dumps({"source": "mine"}))
    assert lga.load_dataset("nmr", "real", tmp_path).source == "mine"
