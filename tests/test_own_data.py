"""One's own pictures: held-out objects or images, folders with a table, and what may be wrong."""

import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

import lga
from lga.datasets import OwnPictures
from lga.datasets.base import StoredOrbits
from lga.groups import SO2, SO3, Affine, Cyclic, Product, Translation


def arrays(objects=3, per_object=10):
    n = objects * per_object
    images = torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    elements = SO2().sample(n, torch.Generator().manual_seed(1))
    return images, elements, [k // per_object for k in range(n)], SO2()


def test_held_out_images_are_never_trained_on_and_pairs_lead_to_them():
    images, elements, owner, group = arrays()
    dataset = lga.OrbitDataset.from_arrays(images, elements, owner, group, split="images")
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [3, 3, 3]

    def index(x):
        return int((images - x).abs().flatten(1).amax(1).argmin())

    seen = {}
    for split in ("train", "validation", "test"):
        pairs = dataset.pairs(split, 200, torch.Generator().manual_seed(2))
        firsts = [index(x) for x in pairs.x1]
        seconds = [index(x) for x in pairs.x2]
        for i, j, g in zip(firsts, seconds, pairs.g, strict=True):
            assert i != j and owner[i] == owner[j]
            torch.testing.assert_close(g @ elements[i], elements[j])
        seen[split] = set(firsts), set(seconds)
    trained = seen["train"][0] | seen["train"][1]
    assert len(trained) == 21  # seven of each object's ten
    for split, count in (("validation", 3), ("test", 6)):
        firsts, seconds = seen[split]
        assert firsts <= trained and not seconds & trained and len(seconds) == count


def test_pairs_are_any_two_images_of_an_object_and_g_leads_from_one_to_the_other():
    """Under SO(3), where the order of composition is seen."""
    owner = [k // 4 for k in range(80)]
    images = torch.arange(80).div(80).view(80, 1, 1, 1).expand(80, 1, 28, 28)
    elements = SO3().sample(80, torch.Generator().manual_seed(0))
    dataset = StoredOrbits(images, elements, owner, SO3())
    pairs = dataset.pairs("train", 4000, torch.Generator().manual_seed(1))
    seen = set()
    for x1, x2, g in zip(pairs.x1, pairs.x2, pairs.g, strict=True):
        i, j = (round(80 * float(x.mean())) for x in (x1, x2))
        assert i != j and owner[i] == owner[j]
        torch.testing.assert_close(g @ elements[i], elements[j])
        seen.add((i, j))
    assert len(seen) == dataset.size("train") * 4 * 3

    g = elements[2] @ elements[0].T  # from the first image of object 0 to its third
    split = next(s for s in dataset.objects if 0 in dataset.objects[s])
    index = dataset.objects[split].tolist().index(0)
    assert torch.equal(dataset.view(split, index, g[None])[0], images[2])
    assert dataset.view(split, index, SO3().sample(1)) is None


def test_few_objects_are_told_what_to_do():
    with pytest.warns(UserWarning, match=r"only 7 objects train.*split='images'"):
        lga.OrbitDataset.from_arrays(*arrays(objects=10))
    with pytest.raises(ValueError, match="an orbit needs 4 images; object 0 has 3"):
        lga.OrbitDataset.from_arrays(*arrays(per_object=3), split="images")
    with pytest.raises(ValueError, match="unknown split 'views'"):
        lga.OrbitDataset.from_arrays(*arrays(), split="views")
    for few in (1, 2):
        with pytest.raises(ValueError, match=f"{few} objects leave none.*split='images'"):
            lga.OrbitDataset.from_arrays(*arrays(objects=few))
    given = {"train": [0, 1], "validation": [2], "test": []}  # whose choice is not split='images'
    with pytest.raises(ValueError, match=r"leave none for the test split$"):
        StoredOrbits(*arrays(), splits=given)
    images, elements, owners, group = arrays()
    with pytest.raises(ValueError, match="there are no images"):
        lga.OrbitDataset.from_arrays(images[:0], elements[:0], owners[:0], group)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of three objects in two formats, and their table."""
    lines = ["file,object,angle_deg"]
    for k in range(12):
        name = f"p{k}.{'png' if k % 2 else 'bmp'}"
        Image.fromarray(np.full((20, 30), 20 * k, np.uint8)).save(tmp_path / name)
        lines.append(f"{name},{'abc'[k // 4]},{30 * (k % 4)}")
    (tmp_path / "turns.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_folder_with_a_table_is_a_dataset(folder):
    dataset = lga.OrbitDataset.from_folder(
        folder, folder / "turns.csv", SO2(), split="images", side=16
    )
    assert dataset.image_shape == (1, 16, 16) and len(dataset.images) == 12
    angles = dataset.group.angle(dataset.elements)
    expected = torch.tensor([0, 30, 60, 90] * 3) * math.pi / 180
    torch.testing.assert_close(angles, expected)
    assert dataset.images[7].unique().tolist() == [140]


def test_matrices_stand_row_by_row(folder):
    g = SO3().sample(12, torch.Generator().manual_seed(0))
    columns = [f"g{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)]
    rows = [",".join(["file", "object", *columns])]
    for k, matrix in enumerate(g):
        name = f"p{k}.{'png' if k % 2 else 'bmp'}"
        rows.append(",".join([name, str(k // 4), *map(str, matrix.flatten().tolist())]))
    (folder / "turns.csv").write_text("\n".join(rows))
    dataset = lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO3(), split="images")
    torch.testing.assert_close(dataset.elements, g)
    assert dataset.image_shape == (1, 20, 30)


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace("object", "thing"), "needs a column 'object'"),
    (lambda text: text.replace("angle_deg", "turn"), "'angle_deg' or g11, g12, g21, g22"),
    (lambda text: text.replace("p3.png,a,90", "p3.png,a,"), "matrix 3 of 12 is no element"),
    (lambda text: text.replace("p3.png", "p99.png"), r"p99\.png is missing"),
    (lambda text: text.replace("p3.png", "turns.csv"), r"turns\.csv is damaged or no picture"),
    (lambda text: "", "is no CSV file"),
    (lambda text: text.splitlines()[0], "lists no pictures"),
], ids=["object", "angle", "gap", "missing", "no picture", "empty", "no rows"])  # fmt: skip
def test_bad_tables_are_named(folder, change, message):
    table = folder / "turns.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        lga.OrbitDataset.from_folder(folder, table, SO2(), split="images")


def test_pictures_of_several_sizes_need_a_side(folder):
    Image.new("RGB", (9, 9)).save(folder / "p1.png")
    with pytest.raises(ValueError, match="pictures have 2 sizes"):
        lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), split="images")
    dataset = lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), "images", side=8)
    assert dataset.image_shape == (3, 8, 8)  # one of them has colours
    with pytest.raises(FileNotFoundError, match=r"none\.csv is missing"):
        lga.OrbitDataset.from_folder(folder, folder / "none.csv", SO2())


def test_pictures_of_16_bits_keep_their_greys_and_unknown_ranges_are_refused(folder):
    for k in range(1, 12, 2):
        Image.fromarray(np.full((20, 30), 257 * 20 * k, np.uint16)).save(folder / f"p{k}.png")
    dataset = lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), split="images")
    assert dataset.image_shape == (1, 20, 30)
    assert dataset.images.flatten(1).unique(dim=1).flatten().tolist() == [20 * k for k in range(12)]
    Image.fromarray(np.ones((20, 30), np.float32)).save(folder / "p3.png", format="TIFF")
    with pytest.raises(ValueError, match=r"p3\.png has 32 bits a pixel"):
        lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), split="images")


def test_pictures_are_read_as_viewers_show_them(folder):
    # Held on its side by a camera: the file's 30×20 pixels are shown as 20×30.
    held = np.zeros((30, 20), np.uint8)
    held[0] = 200
    note = Image.Exif()
    note[0x0112] = 8  # turn it counter-clockwise to show it
    Image.fromarray(held).save(folder / "p1.png", exif=note)
    # Black that is transparent on the left, and no longer so on the right.
    veiled = Image.new("LA", (30, 20), (0, 0))
    veiled.paste((0, 255), (15, 0, 30, 20))
    veiled.save(folder / "p3.png")
    images = lga.OrbitDataset.from_folder(
        folder, folder / "turns.csv", SO2(), split="images"
    ).images[:, 0]
    assert images.shape[1:] == (20, 30)
    assert images[1, :, 0].unique().tolist() == [200] and images[1, :, 1:].max() == 0
    assert images[3, :, :15].unique().tolist() == [255] and images[3, :, 15:].max() == 0
    Image.new("RGBA", (30, 20), (9, 9, 9, 0)).save(folder / "p3.png")
    dataset = lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), split="images")
    assert dataset.image_shape == (3, 20, 30) and dataset.images[3].unique().tolist() == [255]


def test_lga_train_takes_a_folder_and_records_it_like_any_dataset(folder, tmp_path):
    from typer.testing import CliRunner

    from lga.cli import app

    results = tmp_path / "results"
    command = ["train", str(folder), "--table", str(folder / "turns.csv"), "--group", "SO2",
               "--split", "images", "--side", "16", "--system", "jin2024", "--results",
               str(results), "--set", "train_pairs=64", "--set", "validations=1", "--set",
               "validation_pairs=8", "--set", "test_pairs=8"]  # fmt: skip
    outcome = CliRunner().invoke(app, command)
    assert outcome.exit_code == 0, outcome.output
    (path,) = results.rglob("metrics.json")
    record = lga.records.read_record(path)
    assert record["dataset"] == path.parts[-4] and record["dataset"].startswith("own_")
    assert record["source"].startswith("own pictures (") and record["train_pairs"] == 64
    system = lga.load(path.parent)
    by_name = lga.load(f"{record['dataset']}/jin2024", "quick", results=results)
    assert by_name.image_shape == system.image_shape
    x = lga.OrbitDataset.from_folder(folder, folder / "turns.csv", SO2(), "images", 16).images[:2]
    painted = system.transform(x.float() / 255, SO2().sample(2))
    assert painted.shape == (2, 1, 16, 16)
    assert lga.runs.evaluate_run(path.parent) == []
    lga.tables.write_tables("quick", results)  # its row is in no published table


@pytest.mark.parametrize("profile, width", [("quick", 16), ("standard", 16), ("paper", 64)])
def test_pictures_of_ones_own_have_budgets_of_their_own(folder, profile, width):
    """Whatever their folder's name: those of digits would take hours for larger pictures."""
    own = OwnPictures(str(folder), str(folder / "turns.csv"), "SO2")
    run = lga.configure(own, "jin2024", profile)
    assert run.settings == lga.settings_for(profile, "own", "jin2024")
    assert run.settings.train_pairs < lga.settings_for(profile).train_pairs
    assert run.system_options["width"] == width


def test_a_dataset_says_what_it_holds():
    with pytest.warns(UserWarning, match="only 7 objects train"):
        dataset = lga.OrbitDataset.from_arrays(*arrays(objects=10))
    assert repr(dataset) == (
        "<own: 1×28×28 under SO2(); objects: 7 train, 1 validate, 2 test; own images>"
    )


@pytest.mark.parametrize("name, expected", [
    ("SO2", SO2()), ("SO3()", SO3()), ("Affine", Affine()), ("Cyclic(24)", Cyclic(24)),
    ("Product(SO2,Translation(2))", Product(SO2(), Translation(2))),
])  # fmt: skip
def test_groups_have_names(name, expected):
    assert type(lga.groups.named(name)) is type(expected)
    assert lga.groups.named(name) == expected


@pytest.mark.parametrize(
    "name", ["SU2", "SO2(3)", "Cyclic", "Cyclic(-1)", "Translation(x)", "Product", "SO2)", ""]
)
def test_an_unknown_group_is_named_with_the_known(name):
    known = r"known: SO2, SO3, Affine, Cyclic\(k\), Translation"
    with pytest.raises(ValueError, match=f"unknown group {re.escape(repr(name))}; {known}"):
        lga.groups.named(name)
