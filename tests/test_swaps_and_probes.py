"""What the latents know: swaps with a known truth, probes that must and must not succeed."""

from functools import partial

import numpy as np
import pandas
import pytest
import torch
from conftest import publish, record
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lga
from lga import probes
from lga.evaluation import PSNR_CEILING_DB, swap_psnr_db
from lga.networks import Encoding
from lga.sources import with_copies
from lga.systems import SYSTEMS, LatentSystem

SMALL_PLANES = {"objects": 6, "views": 5}


def test_the_truth_of_a_swap_on_blocked_mnist_has_one_digit_and_the_other_square():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    x1, x2, truth = dataset.swapped("test", 40)
    assert len(x1) == len(x2) == len(truth) == 40
    square = (truth == 1) & (x2 == 1)
    assert (square.flatten(1).sum(1) >= 49).all()  # the whole square of x2 is there
    # Away from both squares the truth is x1.
    away = (x1 < 1) & (x2 < 1)
    torch.testing.assert_close(truth[away], x1[away])
    assert torch.equal(dataset.swapped("test", 40)[2], truth)


def test_the_truth_of_a_swap_on_planes_has_one_aircraft_and_the_other_sky():
    dataset = lga.load_dataset("plane_in_the_sky", "stand-in", **SMALL_PLANES)
    x1, x2, truth = dataset.swapped("test", 3)
    corner = (slice(None), slice(None), slice(0, 3), slice(0, 3))
    torch.testing.assert_close(truth[corner], x2[corner])
    middle = (slice(None), slice(None), 32, 32)
    assert (truth[middle] - x1[middle]).abs().mean() <= (truth[middle] - x2[middle]).abs().mean()
    assert lga.load_dataset("rotated_mnist", "stand-in").swapped("test", 3) is None


@pytest.mark.parametrize("name", ["jin2024", "swarnali2025", "lga_matched", "lga"])
@torch.no_grad()
def test_a_swap_with_itself_changes_nothing_and_moves_what_moves(name):
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    options = {"still": 4} if name == "lga_matched" else {}
    system = lga.build_system(name, dataset, **options).eval()
    x1, x2, _ = dataset.swapped("test", 4)
    one, other = system.encode(x1), system.encode(x2)
    torch.testing.assert_close(system.swap(one, one).z, one.z)
    mixed = system.swap(one, other).z
    assert not torch.equal(mixed, one.z) and not torch.equal(mixed, other.z)
    varying = system.action.varying(one.z).expand_as(one.z[0]) > 0.5
    torch.testing.assert_close(mixed[:, varying], one.z[:, varying])
    painted = system.decode(Encoding(one.z)).clamp(0, 1)
    torch.testing.assert_close(system.mixed(x1, x1).clamp(0, 1), painted)


def test_the_swap_of_the_truth_is_perfect_and_a_copy_is_not():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    truth = dataset.swapped("test", 20)[2]

    class Knowing(SYSTEMS["copy_input"]):
        def mixed(self, x1, x2):
            return truth[: len(x1)]

    assert swap_psnr_db(Knowing(dataset.group), dataset, 20) == PSNR_CEILING_DB
    assert 8 < swap_psnr_db(SYSTEMS["copy_input"](dataset.group), dataset, 20) < 14
    assert swap_psnr_db(SYSTEMS["act_on_image"](dataset.group), dataset, 20) is None
    turned = lga.load_dataset("rotated_mnist", "stand-in")
    assert swap_psnr_db(SYSTEMS["copy_input"](turned.group), turned, 20) is None


@torch.no_grad()
def test_a_swap_on_planes_takes_the_other_sky_and_keeps_the_color_of_the_aircraft():
    dataset = lga.load_dataset("plane_in_the_sky", "stand-in", **SMALL_PLANES)
    x1, x2, _ = dataset.swapped("test", 2)
    system = lga.build_system("lga", dataset, width=32).eval()
    one, other = system.encode(x1), system.encode(x2)
    swapped = system.swap(one, other)
    assert torch.equal(swapped.z, one.z)
    (sky, color), (own_sky, own_color), (other_sky, other_color) = (
        e.skip.chunk(2, 1) for e in (swapped, one, other)
    )
    assert torch.equal(sky, other_sky) and not torch.equal(sky, own_sky)
    assert torch.equal(color, own_color) and not torch.equal(color, other_color)


@torch.no_grad()
def test_a_swap_of_brains_takes_the_other_head():
    dataset = lga.load_dataset("brain_mri", "stand-in", subjects=24)
    x1, x2 = next(dataset.fixed_pairs("test", 2)).x1.split(1)
    system = lga.build_system("lga", dataset).eval()
    swapped = system.swap(system.encode(x1), system.encode(x2))
    assert torch.equal(swapped.z, system.encode(x1).z) and torch.equal(swapped.skip, x2)


class Transparent(LatentSystem):
    """z_i says the class, z_v the pose: what the probes must find."""

    def __init__(self, classes, angles, images):
        from lga.groups import SO2
        from lga.latents import FixedSplit, LatentAction
        from lga.networks import MNISTAutoencoder
        from lga.representations import Irreps

        network = MNISTAutoencoder((1, 28, 28), 12)
        super().__init__(network, LatentAction(Irreps(SO2(), (10, 1)), FixedSplit(11, 11)))
        self.known = {image.numpy().tobytes(): k for k, image in enumerate(images)}
        self.codes = torch.cat([torch.eye(10)[classes], angles], 1)

    def loss(self, pairs):
        return {}

    def encode(self, x):
        index = [self.known[image.numpy().tobytes()] for image in x]
        return Encoding(self.codes[index])


def test_probes_find_the_class_in_one_part_and_the_pose_in_the_other(monkeypatch, digits):
    monkeypatch.setattr(probes, "TRAIN", 300)
    monkeypatch.setattr(probes, "TEST", 100)
    found = [digits.labelled(split, n, moved) for split, n in (("train", 300), ("test", 100))
             for moved in (False, True)]  # fmt: skip
    images, labels, elements = (
        torch.cat([getattr(f, name) for f in found]) for name in ("images", "labels", "elements")
    )
    system = Transparent(labels, elements[:, :, 0], images)
    rows = {row[:4]: row[4] for row in probes.probed(partial(probes.parts, system), digits, [0])}
    assert rows["z_i", "logistic", "moved", 300] > 0.99
    assert rows["z_i", "knn", "upright", 100] > 0.9
    assert rows["z_v", "logistic", "moved", 300] < 0.3
    assert rows["z_v", "pose", "moved", 300] > 0.99 and rows["z_i", "pose", "moved", 300] < 0.1
    assert rows["z", "pose", "moved", 300] > 0.95
    chance = {row[:4]: row[4] for row in probes.probed(probes.pixels, digits, [0])}
    assert chance["pixels", "logistic", "upright", 300] > 0.7
    assert chance["pixels", "logistic", "moved", 300] < 0.7


def test_sets_with_classes_say_what_they_show():
    for name, options, classes in (("rotated_mnist", {}, 10), ("adrenal_3d", {"bodies": 24}, 2),
                                   ("nmr", {"objects": 24}, 6)):  # fmt: skip
        dataset = lga.load_dataset(name, "stand-in", **options)
        upright, moved = (dataset.labelled("train", 60, moved=m) for m in (False, True))
        assert torch.equal(upright.labels, moved.labels) and int(upright.labels.max()) < classes
        assert len(set(upright.labels.tolist())) > 1
        e = dataset.group.identity(len(upright.images))
        assert dataset.group.distance(upright.elements, e).abs().max() < 1e-3
        seen = dataset.view("train", 3, moved.elements[3:4])
        torch.testing.assert_close(seen, moved.images[3:4], rtol=0, atol=1e-5)
    assert not probes.has_classes(lga.load_dataset("brain_3d", "stand-in", subjects=10))


def test_some_labels_of_a_set_in_order_are_of_all_its_classes():
    dataset = lga.load_dataset("nmr", "stand-in", objects=60)
    dataset.objects["train"] = dataset.objects["train"][dataset.labels["train"].argsort()]
    dataset.labels["train"] = dataset.labels["train"].sort().values
    few = dataset.labelled("train", 12, moved=True)
    assert len(few.labels) == 12 and len(set(few.labels.tolist())) == 6


def trained(root, name, dataset, seed=0, overrides=""):
    few = "train_pairs=64 validations=1 validation_pairs=8 test_pairs=8"
    lga.execute(lga.configure(dataset, name, "quick", seed, "stand-in", None, root,
                              f"{few} {overrides}"))  # fmt: skip


def test_tables_have_a_row_per_trained_system(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "TRAIN", 60)
    monkeypatch.setattr(probes, "TEST", 40)
    # Runs with overrides are variants and have no row; these become plain ones for the test.
    for seed in (0, 1):
        trained(tmp_path, "jin2024", "blocked_mnist", seed)
    assert lga.runs.trained_seeds("blocked_mnist", "quick", tmp_path) == {}
    for path in tmp_path.rglob("metrics.json"):
        lga.records.add_to_record(path.parent, {"overrides": ""})
    ready = partial(lga.runs.trained_seeds, "blocked_mnist", "quick", tmp_path)
    assert ready() == {"jin2024": [0, 1]}
    source = lga.records.read_records("quick", tmp_path)[0]["source"]
    assert ready("other data") == {} and ready(source) == ready()
    assert ready(with_copies(source, 14)) == ready()

    lga.tables.write_tables("quick", tmp_path)
    (row,) = lga.tables.read_csv("swaps", "quick", tmp_path).to_dict("records")
    assert row["system"] == "jin2024" and row["seeds"] == 2 and row["sd"] >= 0
    records = lga.records.read_records("quick", tmp_path)
    assert row["mean"] == pytest.approx(sum(r["swap_psnr_db"] for r in records) / 2, rel=1e-5)

    probe = partial(probes.measure, "quick", source="stand-in", results=tmp_path, draws=2)
    path = probe()
    frame = lga.tables.read_csv("probes", "quick", tmp_path)
    assert path == tmp_path / "quick" / "probes.csv"
    assert set(frame["system"]) == {"pixels", "jin2024", "jin2024, untrained"}
    assert set(frame["part"]) == {"pixels", "z", "z_v", "z_i"}
    assert set(frame["probe"]) == {"logistic", "knn", "pose"}
    assert frame["mean"].between(0, 1).all()
    # Ten labels are drawn, all of them are not: pixels are then seen once, two networks twice.
    assert frame.query("sd.isna()")["system"].unique() == ["pixels"]
    assert set(frame.query("system == 'pixels' and sd.isna()")["labels"]) == {60}
    assert set(frame.columns) >= {"dataset", "system", "seeds", "mean", "sd", "source"}
    assert not frame.duplicated(list(probes.COLUMNS)).any()
    shown = probes.summary(frame)
    assert list(shown.index) == [("blocked_mnist", system) for system in frame["system"].unique()]
    (row,) = frame.query("system == 'jin2024' and part == 'z_v' and probe == 'pose'").to_dict(
        "records"
    )
    text = f"{row['mean']:.2f} ± {row['sd']:.2f}"
    assert shown.loc[("blocked_mnist", "jin2024"), "pose from z_v"] == text
    assert shown.loc[("blocked_mnist", "pixels"), "class from z"] == ""
    with pytest.raises(FileNotFoundError, match="`lga tables`, `lga probes` or `lga ablate`"):
        lga.tables.read_csv("ablation_mask", "quick", tmp_path)
    (tmp_path / "quick" / "laws.csv").write_text("")
    with pytest.raises(ValueError, match=r"laws\.csv is damaged"):
        lga.tables.read_csv("laws", "quick", tmp_path)


def test_probed_again_rows_take_the_place_of_their_predecessors_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "TRAIN", 20)
    monkeypatch.setattr(probes, "TEST", 20)
    for name in ("jin2024", "swarnali2025"):
        trained(tmp_path, name, "rotated_mnist")
    for path in tmp_path.rglob("metrics.json"):
        lga.records.add_to_record(path.parent, {"overrides": ""})
    probe = partial(probes.measure, "quick", source="stand-in", results=tmp_path, draws=1)
    table = pandas.read_csv(probe())
    of = table.groupby("system").groups
    table["mean"] = -1.0
    lga.tables.write_csv(table, "probes", "quick", tmp_path)
    again = pandas.read_csv(probe(systems="jin2024"))
    assert list(again["system"]) == list(table["system"])  # and in its place
    assert set(again.loc[again["mean"] < 0, "system"]) == {s for s in of if "swarnali" in s}
    for names in ({"datasets": "nmr"}, {"systems": "hwang2023"}):
        with pytest.raises(FileNotFoundError, match="lga train"):
            probe(**names)
    with pytest.raises(ValueError, match=r"unknown system 'jin2042'.*'jin2024'"):
        probe(systems="jin2042")


def test_rows_of_a_new_system_follow_those_of_their_dataset(tmp_path):
    def table(*rows):
        return pandas.DataFrame(rows, columns=["dataset", "system", "mean"])

    update = partial(lga.tables.update_csv, name="probes", keys=["dataset", "system"])
    old = table(("nmr", "lga", 1), ("nmr", "lga", 2), ("brain_3d", "lga", 3))
    for rows in (old, table(("nmr", "jin2024", 4), ("nmr", "lga", 5))):
        path = update(rows, profile="quick", results=tmp_path)
    expected = [["nmr", "lga", 5], ["nmr", "jin2024", 4], ["brain_3d", "lga", 3]]
    assert pandas.read_csv(path).to_numpy().tolist() == expected


def test_networks_are_probed_on_data_that_they_were_trained_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(probes, "TRAIN", 20)
    monkeypatch.setattr(probes, "TEST", 20)
    for name, changes in (("jin2024", {"source": "MNIST"}), ("lga_generic", {})):
        trained(tmp_path, name, "rotated_mnist")
        folder = tmp_path / "quick" / "rotated_mnist" / name / "seed-0"
        lga.records.add_to_record(folder, {"overrides": "", **changes})
    table = pandas.read_csv(probes.measure("quick", source="stand-in", results=tmp_path, draws=1))
    assert set(table["system"]) == {"pixels", "lga_generic", "lga_generic, untrained"}
    assert "rotated_mnist: jin2024 learned from other data than" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="--data-root"):
        probes.measure("quick", "all", "jin2024", "stand-in", results=tmp_path)


def test_more_features_than_objects_are_reduced_to_the_same_main_components():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 360)
    features = rng.standard_normal((360, 700)) + 1.5 * np.eye(3, 700)[classes]
    train, test = slice(0, 240), slice(240, 360)
    tests = {"upright": (features[test], classes[test])}
    rows = {row[:2]: row[2] for row in probes.scores(features[train], classes[train], tests)}
    main = make_pipeline(StandardScaler(), PCA(probes.COMPONENTS, svd_solver="full"))
    x = main.fit_transform(features[train])
    for name, probe in (("knn", KNeighborsClassifier(5)), ("logistic", LogisticRegression(C=0.1))):
        expected = probe.fit(x, classes[train]).score(main.transform(features[test]), classes[test])
        assert rows[name, "upright"] == pytest.approx(expected, abs=1e-9)


def test_the_pose_is_found_among_many_features_that_say_nothing():
    rng = np.random.default_rng(0)
    poses = rng.standard_normal((400, 4))
    features = np.concatenate([np.repeat(poses, 5, 1), rng.standard_normal((400, 500))], 1)
    score = partial(probes.pose_score, features[:300], test=features[300:], truth=poses[300:])
    assert score(poses[:300]) > 0.6
    assert score(rng.permutation(poses[:300])) < 0.02


def test_laws_of_records_become_a_table(tmp_path):
    for seed, error in ((0, 1e-7), (1, 3e-7)):
        publish(tmp_path, record(seed=seed, law_compatibility=error, law_inverse_db=30.0))
    publish(tmp_path, record("copy_input", overrides="x=1", law_compatibility=1.0))
    lga.tables.write_tables("quick", tmp_path)
    text = (tmp_path / "quick" / "laws.csv").read_text()
    assert "rotated_mnist,jin2024,law_compatibility,2,2e-07,1.41421e-07,MNIST" in text
    assert "copy_input" not in text


def test_flat_elements_leave_out_what_never_changes():
    g = lga.groups.Affine().sample(20)
    found = lga.datasets.Labelled(torch.zeros(20), torch.zeros(20), g)
    assert probes.flat_elements(found).shape == (20, 2)
    assert np.isfinite(probes.flat_elements(found)).all()
