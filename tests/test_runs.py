"""One run from parameters to record: settings resolved in one place, every profile ready."""

import subprocess
from contextlib import nullcontext

import pytest
import torch
from conftest import ROOT, SMALL, WITHOUT_WEIGHTS

import lga
from lga.catalogue import grid, refusals
from lga.options import keyword_options
from lga.profiles import PROFILES
from lga.runs import made_otherwise
from lga.sources import with_copies

CELLS = [(d, s) for s in lga.SYSTEMS for d in lga.DATASETS if d not in refusals(s)]
FIRST_STEPS = [  # a control without weights has no network that a dataset could change
    (d, s) for d, s in CELLS if s not in WITHOUT_WEIGHTS or d == "rotated_mnist"
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_every_cell_of_every_profile_resolves(cell, profile):
    run = lga.configure(*cell, profile)
    assert run.settings.train_pairs >= 100 and run.settings.steps >= 37
    config = run.config()
    assert config["settings"]["seed"] == 0 and (
        config["system_options"].keys() == keyword_options(lga.SYSTEMS[cell[1]]).keys()
    )


@pytest.mark.slow
@pytest.mark.parametrize("cell", FIRST_STEPS, ids="-".join)
def test_the_paper_profile_takes_its_first_steps(cell, tmp_path, monkeypatch):
    """The published networks and settings, for two steps of two pairs on stand-ins."""

    def missing(net="vgg"):
        raise OSError("not downloaded in tests")

    monkeypatch.setattr("lga.losses.lpips_network", missing)
    monkeypatch.setattr("lga.evaluation.lpips_network", missing)
    few = {"train_pairs": 4, "batch_size": 2, "validations": 1, "validation_pairs": 2,
           "test_pairs": 2} | SMALL.get(cell[0], {})  # fmt: skip
    if cell[1] == "sajjadi2022":
        few |= {"target_views": 2, "rays": 256, "validation_pairs": 1, "test_pairs": 1}
    run = lga.configure(*cell, "paper", source="stand-in", results_dir=tmp_path, overrides=few)
    with pytest.warns() if run.system_options.get("perceptual_weight") else nullcontext():
        record = lga.execute(run)
    assert record["profile"] == "paper" and record["train_pairs"] == (
        0 if cell[1] in WITHOUT_WEIGHTS else 4
    )
    if cell == ("nmr", "jin2024"):
        assert record["perceptual_loss"] == "left out: LPIPS is missing"
        assert record["lpips"] is None and record["lpips_reason"] == "not downloaded in tests"
        assert record["parameters"] == 28_656_071
        monkeypatch.setattr("lga.runs.lpips_weights", lambda: tmp_path / "nowhere")
        assert not made_otherwise(run)
        monkeypatch.setattr("lga.runs.lpips_weights", lambda: run.folder.path / "config.json")
        assert made_otherwise(run).startswith("its perceptual loss left out")


def test_overrides_are_typed_and_recorded():
    text = "varying=0.5 train_pairs=1e5 learning_rate=1e-3 turns=4 fetch_weights=true"
    run = lga.configure("rotated_mnist", "jin2024", overrides=text)
    assert run.system_options["varying"] == 0.5 and run.dataset_options["turns"] == 4
    assert run.settings.train_pairs == 100_000 and run.settings.learning_rate == 1e-3
    assert run.settings.fetch_weights is True
    same = {"varying": "0.5", "train_pairs": 1e5, "learning_rate": "1e-3", "turns": "4",
            "fetch_weights": True}  # fmt: skip
    again = lga.configure("rotated_mnist", "jin2024", overrides=same)
    assert again.config() == run.config() and again.overrides == run.overrides
    assert (
        lga.configure("rotated_mnist", "jin2024", overrides="turns=none").dataset_options["turns"]
        is None
    )


def test_what_the_profile_says_anyway_is_no_override():
    usual = lga.configure("nmr", "dupont2020", seed=1)
    words = "width=8 categories=all seed=1 structural_weight=0.05"
    again = lga.configure("nmr", "dupont2020", seed=1, overrides=words)
    assert again.overrides == "" and again.config() == usual.config()


def test_option_names_never_mean_two_things():
    from lga.datasets import dataset_options
    from lga.profiles import SETTING_NAMES

    for dataset in lga.DATASETS.values():
        for system in lga.SYSTEMS.values():
            names = [*SETTING_NAMES, *dataset_options(dataset), *keyword_options(system)]
            assert len(names) == len(set(names))


def test_settings_refuse_what_cannot_be():
    for bad in ({"train_pairs": 0}, {"learning_rate": 0.0}, {"schedule": "steps"}):
        with pytest.raises(ValueError):
            lga.settings_for("quick", **bad)
    with pytest.raises(ValueError, match="unknown setting 'lr'; known"):
        lga.settings_for("quick", lr=1)
    with pytest.raises(ValueError, match=r"unknown dataset 'mnist'.*'rotated_mnist'"):
        lga.settings_for("quick", "mnist")
    with pytest.raises(ValueError, match=r"unknown system 'jin'.*'jin2024'"):
        lga.settings_for("quick", "rotated_mnist", "jin")
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        lga.configure("rotated_mnist", seed=-1)


@pytest.mark.parametrize(
    "bad, message",
    [
        ("width=0", "width must be at least 1, got 0"),
        ("depth=-1", "depth must be at least 1, got -1"),
        ("perceptual_weight=-0.5", r"perceptual_weight must be at least 0, got -0\.5"),
        ("perceptual_weight=nan", "perceptual_weight must be a finite number"),
        ("perceptual_images=-1", "perceptual_images must be at least 0"),
        ("subjects=-1", "subjects must be at least 1"),
        ("contrasts=-1", "contrasts must be at least 0"),
        ("sigma=-1", "sigma must be at least 0"),
        ("train_pairs=inf", "train_pairs must be of type int"),
        ("learning_rate=nan", "learning_rate must be positive"),
        ("learning_rate=inf", "learning_rate must be a finite number"),
        ("warmup_steps=-1", "warmup_steps must be at least 0"),
        ("seed=-1", "seed must be at least 0"),
        ("seed=3", "seed=3 is no change of settings: it has its own --seed"),
        ("train_pairs=none", "train_pairs must be of type int, got 'none'"),
        ("learning_rate=none", "learning_rate must be of type float, got 'none'"),
    ],
)
def test_numbers_out_of_range_are_refused_before_data_are_read(bad, message):
    with pytest.raises(ValueError, match=message):
        lga.configure("brain_mri", overrides=bad)


def test_numbers_out_of_range_are_refused_from_python_too(digits):
    with pytest.raises(ValueError, match="latent_dim must be at least 1, got 0"):
        lga.build_system("jin2024", digits, latent_dim=0)
    lga.build_system("swarnali2025", digits, initial_logit=-1)
    with pytest.raises(ValueError, match="turns must be at least 1, got 0"):
        lga.load_dataset("rotated_mnist", turns=0)
    with pytest.raises(ValueError, match="square_px=29 is more than a picture's side"):
        lga.load_dataset("blocked_mnist", square_px=29)
    with pytest.raises(ValueError, match=r"square_probability is at most 1, got 1\.5"):
        lga.load_dataset("blocked_mnist", square_probability=1.5)


def test_a_perceptual_loss_that_would_never_join_is_refused():
    late = lga.configure("nmr", "lga", "standard")
    assert late.system_options["perceptual_after"] < late.settings.train_pairs
    with pytest.raises(
        ValueError, match="after 216,000 pairs, of which there are 20,000: set perc"
    ):
        lga.configure("nmr", "lga", "standard", overrides="train_pairs=20000")
    for mend in ("perceptual_after=16000", "perceptual_weight=0"):
        lga.configure("nmr", "lga", "standard", overrides=f"train_pairs=20000 {mend}")


def test_the_grid_has_three_seeds_on_paper_and_only_cells_that_run():
    assert grid("paper", "nmr", "jin2024") == [("nmr", "jin2024", seed) for seed in range(3)]
    cells = grid("quick")
    assert len(cells) == len(CELLS) and len(set(cells)) == len(cells)
    assert grid("quick", "nmr", "jin2024", "4,7") == [("nmr", "jin2024", 4), ("nmr", "jin2024", 7)]


def test_a_finished_run_is_loaded_in_one_line(tmp_path):
    run = lga.configure("rotated_mnist", "swarnali2025", results_dir=tmp_path, seed=3,
                        overrides="train_pairs=64 validations=1 test_pairs=20 turns=4")  # fmt: skip
    record = lga.execute(run)
    for name in (run.folder.path, "rotated_mnist/swarnali2025"):
        system = lga.load(name, profile="quick", seed=3, results=tmp_path)
        assert not system.training and repr(system.group) == "Cyclic(4)"
        dataset = run.load_dataset()
        settings = lga.settings_for("quick", test_pairs=20)
        assert lga.evaluate(system, dataset, settings)["psnr_db"] == record["psnr_db"]
    assert lga.loadable("quick", tmp_path) == ["rotated_mnist/swarnali2025"]


def test_what_cannot_be_loaded_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no trained system; with weights .* none"):
        lga.load("rotated_mnist/jin2024", results=tmp_path)
    with pytest.raises(ValueError, match="did you mean 'jin2024'"):
        lga.load("rotated_mnist/jin2023")


def test_committed_weights_load_and_paint():
    """Every committed record with weights gives a system that paints pictures."""
    for name in lga.loadable("standard"):
        dataset, _ = name.split("/")
        x = torch.rand(2, *lga.DATASETS[dataset].image_shape)
        system = lga.load(name)
        assert system.transform(x, system.group.sample(2)).shape == x.shape


def committed(pattern):
    """The repository's files that match a pattern."""
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, text=True,
                            capture_output=True, check=True)  # fmt: skip
    return [ROOT / name for name in listed.stdout.split()]


def test_committed_weights_are_small_and_of_seed_0():
    paths = committed("results/*.safetensors")
    assert {path.parent.name for path in paths} == {"seed-0"}
    sizes = [path.stat().st_size for path in paths]
    assert max(sizes) <= 3 * 2**20 and sum(sizes) <= 60 * 2**20


def test_committed_records_tell_both_psnrs_and_know_their_weights():
    paths = committed("results/*metrics.json")
    assert len(paths) > 100
    for path in paths:
        record = lga.records.read_record(path)
        assert record["psnr_of_mean_mse_db"] <= record["psnr_db"] + 1e-6, path
        if (path.parent / "model.safetensors").exists():
            assert record["weights_sha256"], path
            lga.records.read_run(path.parent)


def test_pytorch_hub_gives_the_same():
    name = lga.loadable("standard")[0]
    system = torch.hub.load(str(ROOT), "lga", name, source="local")
    expected = lga.load(name).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in system.state_dict().items())


def test_weights_are_kept_in_half_precision_only_where_the_figures_stay(tmp_path, monkeypatch):
    run = lga.configure("rotated_mnist", "jin2024", results_dir=tmp_path,
                        overrides="train_pairs=64 validations=1 test_pairs=20")  # fmt: skip
    lga.execute(run)
    folder = run.folder.path
    path = folder / "model.safetensors"
    whole, record = path.read_bytes(), (folder / "metrics.json").read_text()
    monkeypatch.setattr(lga.runs, "HARDLY_DB", 0.0)
    with pytest.raises(ValueError, match=r"half precision would change .* nothing done"):
        lga.runs.halve_weights(folder)
    assert path.read_bytes() == whole and (folder / "metrics.json").read_text() == record
    monkeypatch.undo()
    assert abs(lga.runs.halve_weights(folder)) < 0.01
    assert len(path.read_bytes()) < 0.55 * len(whole)
    system = lga.load(folder)  # compares the fingerprint
    assert {p.dtype for p in system.parameters()} == {torch.float32}


def test_a_run_is_evaluated_on_its_test_data_whatever_copies_it_has_seen(tmp_path, monkeypatch):
    run = lga.configure("rotated_mnist", "mean_image", results_dir=tmp_path,
                        overrides="train_pairs=64 validations=1 test_pairs=2")  # fmt: skip
    lga.execute(run)
    data = run.load_dataset()
    monkeypatch.setattr(lga.runs, "load_dataset", lambda *_, **__: data)
    source = data.source
    data.source = with_copies(source, 14, upright=True)
    assert lga.runs.evaluate_run(run.folder.path) == []
    data.source = with_copies(f"other {source}", 14)
    with pytest.raises(ValueError, match="these data are other"):
        lga.runs.evaluate_run(run.folder.path)
