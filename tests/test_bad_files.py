"""Every reader against damaged files: refused in one line, or read as if nothing had happened.

Each file is cut, overwritten and flipped at random places. An outcome is "refused" (an error that
names the file) or "same" (what was damaged says nothing, an unused byte of a header); anything else
fails. The counts stand at the end of the tests' report.
"""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import publish, record

import lga
from lga import charts, figures, records
from lga.datasets.nmr import read_packed, read_source
from lga.pictures import digits, heads, rendering

DAMAGES = 60


def damaged(data: bytes, r: np.random.Generator) -> bytes:
    """A file cut short, or with a stretch of it zeroed, flipped, or replaced by noise."""
    start = int(r.integers(len(data)))
    length = int(r.integers(1, max(2, min(64, len(data) - start))))
    stretch = data[start : start + length]
    replaced = [
        b"",
        bytes(length),
        bytes(byte ^ (1 << int(r.integers(8))) for byte in stretch),
        r.bytes(length),
    ]
    kind = int(r.integers(4))
    rest = b"" if kind == 0 else data[start + length :]
    return data[:start] + replaced[kind] + rest


def packed_views(folder: Path) -> Path:
    views = np.random.default_rng(0).integers(0, 256, (2, 24, 4, 64, 64), np.uint8)
    views[:, :, :, 8:] = 0
    path = folder / "nmr" / "car_train_images.npz"
    path.parent.mkdir()
    np.savez_compressed(path, views)
    return path


def planes(folder: Path) -> Path:
    path = folder / "plane_in_the_sky" / "planes.npz"
    path.parent.mkdir()
    r = np.random.default_rng(0)
    foreground = np.zeros((8, 3, 4, 64, 64), np.uint8)
    foreground[..., :4, :] = r.integers(0, 256, (8, 3, 4, 4, 64))
    rotations = lga.groups.SO3().sample(24).view(8, 3, 3, 3).numpy()
    skies = np.full((8, 3, 64, 64), 9, np.uint8)
    np.savez_compressed(
        path,
        foreground=foreground,
        rotations=rotations,
        skies=skies,
        copy_of=np.arange(len(skies)),
        source=np.array("boxes"),
    )
    return path


def volume(folder: Path, suffix: str) -> Path:
    import nibabel

    path = folder / f"T1w{suffix}"
    content = np.random.default_rng(0).integers(0, 200, (12, 12, 12)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(content, np.eye(4)), path)
    return path


def mesh(folder: Path) -> Path:
    import trimesh

    path = folder / "box.ply"
    trimesh.creation.box().export(path)
    return path


def small_idx(folder: Path, monkeypatch) -> Path:
    raw = digits.mnist_folder(folder)
    raw.mkdir(parents=True)
    sums = {}
    for name in digits.FILES:
        header, size = (16, 784) if "images" in name else (8, 1)
        data = gzip.compress(bytes(header) + bytes(range(256)) * size, mtime=0)
        (raw / name).write_bytes(data)
        sums[name] = digits.hashlib.md5(data).hexdigest()
    monkeypatch.setattr(digits, "FILES", sums)
    return raw / "train-images-idx3-ubyte.gz"


def run_file(folder: Path, name: str) -> Path:
    return publish(folder, record()) / name


def pairs_picture(folder: Path) -> Path:
    path = folder / "pairs.png"
    row = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    figures.image_grid([row] * 4, figures.PAIR_ROWS, row[:, 0, 0, 0]).savefig(path, dpi=100)
    return path


def read_planes(path: Path):
    dataset = lga.load_dataset("plane_in_the_sky", "real", path.parents[1])
    return dataset.images, dataset.elements, dataset.skies, dataset.source


# What is written, how it is read, and whether the format can tell that a value was changed.
READERS = {
    "MNIST gz": (small_idx, lambda p: digits.read_mnist(p.parents[2]).images["train"], True),
    "nmr npz": (packed_views, lambda p: read_packed(p, p.parents[1]), True),
    "planes npz": (planes, read_planes, True),
    "NIfTI gz": (lambda f: volume(f, ".nii.gz"), heads.read_volume, True),
    "NIfTI": (lambda f: volume(f, ".nii"), heads.read_volume, False),
    "mesh ply": (mesh, lambda p: rendering.load_mesh(p, p.stem).vertices, False),
    "weights": (
        lambda f: run_file(f, "model.safetensors"),
        lambda p: records.read_run(p.parent)[2], True,
    ),
    "record": (
        lambda f: run_file(f, "metrics.json"), lambda p: records.read_run(p.parent)[1], False
    ),
    "config": (
        lambda f: run_file(f, "config.json"), lambda p: records.read_run(p.parent)[0], False
    ),
    "history": (lambda f: run_file(f, "history.csv"), records.read_history, False),
    "picture": (pairs_picture, charts.kept_pairs, True),
}  # fmt: skip


def plain(content) -> str:
    """What was read, in a form that can be compared."""
    if isinstance(content, dict):
        return str({name: plain(value) for name, value in content.items()})
    if isinstance(content, tuple | list):
        return str([plain(value) for value in content])
    if isinstance(content, torch.Tensor | np.ndarray):
        array = np.asarray(content)
        return f"{array.dtype} {array.shape} {hash(array.tobytes())}"
    return repr(content)


@pytest.mark.parametrize("name", READERS)
def test_damage_is_refused_or_does_not_matter(name, tmp_path, monkeypatch, record_property):
    make, read, checks_values = READERS[name]
    path = make(tmp_path, monkeypatch) if make is small_idx else make(tmp_path)
    whole = path.read_bytes()
    expected = plain(read(path))
    r = np.random.default_rng(7)
    outcomes: Counter[str] = Counter()
    for _ in range(DAMAGES):
        path.write_bytes(damaged(whole, r))
        try:
            with np.errstate(all="ignore"):
                outcome = "same" if plain(read(path)) == expected else "changed value"
        except (ValueError, FileNotFoundError) as error:
            assert path.name in str(error) or path.parent.name in str(error), error
            outcome = "refused"
        outcomes[outcome] += 1
    record_property("damaged files", f"{name}: {dict(sorted(outcomes.items()))}")
    assert outcomes["refused"] > DAMAGES / 6
    assert not (checks_values and outcomes["changed value"]), outcomes


@pytest.mark.parametrize("change, message", [
    (lambda a: a | {"foreground": a["foreground"][:, :, :3]}, "foreground is uint8 (8, 3, 3, 64"),
    (lambda a: a | {"foreground": a["foreground"] / 255}, "foreground is float64"),
    (lambda a: a | {"skies": a["skies"][:5]}, "skies is uint8 (5, 3, 64, 64); expected uint8 (N"),
    (lambda a: a | {"rotations": a["rotations"][:, :2]}, "rotations is float32 (8, 2, 3, 3)"),
    (lambda a: a | {"source": np.arange(2)}, "source is int64 (2,); expected str"),
    (lambda a: {k: v for k, v in a.items() if k != "skies"}, "is damaged (KeyError"),
], ids=["channels", "floats", "few skies", "few rotations", "no source", "no skies"])  # fmt: skip
def test_wrong_arrays_are_named(tmp_path, change, message):
    path = planes(tmp_path)
    with np.load(path) as arrays:
        wrong = change(dict(arrays))
    np.savez_compressed(path, **wrong)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_planes(path)


@pytest.mark.parametrize("content, message", [
    ("[1, 2]", "holds no JSON object"),
    ("{", "is damaged"),
    ('{"dataset": "rotated_mnist"}', "system is None, expected str"),
    (json.dumps(record() | {"psnr_db": "20.0"}), "psnr_db is '20.0', expected float"),
    (json.dumps(record() | {"seed": True}), "seed is True, expected int"),
    (json.dumps(record() | {"ssim": []}), r"ssim is \[\], expected float"),
], ids=["list", "torn", "missing", "text", "truth", "list for a number"])  # fmt: skip
def test_wrong_records_are_named(tmp_path, content, message):
    path = publish(tmp_path, record()) / "metrics.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"metrics.json.*{message}"):
        lga.tables.table("table_1", "quick", tmp_path)


def test_a_damaged_note_of_a_source_is_named(tmp_path):
    note = tmp_path / "source.json"
    assert read_source(note) == "NMR (ShapeNet)"
    for content in ("{", "[]", "{}", "1"):
        note.write_text(content)
        with pytest.raises(ValueError, match=r"source.json is damaged"):
            read_source(note)


def test_a_refused_pair_is_found_out_before_anything_is_rendered():
    with pytest.raises(ValueError, match="winter2022 cannot run on nmr: it needs an encoder"):
        lga.configure("nmr", "winter2022")


def test_weights_of_another_network_are_one_line(tmp_path):
    from lga.runs import evaluate_run

    run = lga.configure("rotated_mnist", "mean_image", results_dir=tmp_path,
                        overrides="train_pairs=64 validations=1 test_pairs=2")  # fmt: skip
    lga.execute(run)
    config = run.folder.path / "config.json"
    config.write_text(config.read_text().replace("mean_image", "jin2024", 1))
    with pytest.raises(ValueError, match="was made by another version"):
        evaluate_run(run.folder.path)
