"""Shared settings and data of the tests."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings

import lga
from lga.cli import main

settings.register_profile("same", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("same")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))

SMALL = {  # few objects, so that a test waits for no rendering
    "brain_mri": {"subjects": 24},
    "nmr": {"objects": 12},
    "plane_in_the_sky": {"objects": 6, "views": 5},
    "adrenal_3d": {"bodies": 24},
    "brain_3d": {"subjects": 10},
}
NARROW = {  # what learns in seconds; layouts and counts have tests of their own
    "winter2022": {"fields": 8, "width": 16},
    "hwang2023": {"hidden": 8},
    "dupont2020": {"width": 8},
    "sajjadi2022": {"tokens": 64, "depth": 1, "rays": 256, "target_views": 1},
    "jin2024": {"width": 12},
    "swarnali2025": {"width": 12},
    "lga_generic": {"width": 12},
    "lga": {"width": 24},
}
WITHOUT_WEIGHTS = ("copy_input", "orbit_mean", "act_on_image")
ROOT = Path(__file__).parents[1]


def assert_same_tests(dataset, other):
    """What is done to the objects that train leaves validation and test as they were."""
    for split in ("validation", "test"):
        for ours, theirs in zip(
            dataset.fixed_pairs(split, 8), other.fixed_pairs(split, 8), strict=True
        ):
            assert torch.equal(ours.x1, theirs.x1) and torch.equal(ours.x2, theirs.x2)


def pytest_runtest_setup():
    torch.manual_seed(0)


def pytest_runtest_call():
    """Tests draw what they drew the last time, whatever ran and which fixtures stood before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits():
    """Rotated MNIST's stand-in."""
    return lga.load_dataset("rotated_mnist", "stand-in")


@pytest.fixture
def cheap_lpips(monkeypatch):
    """The mean absolute error in the place of LPIPS in losses, whose weights a test lacks."""
    monkeypatch.setattr("lga.losses.lpips_network", lambda: None)
    monkeypatch.setattr("lga.losses.lpips", lambda a, b: (a - b).abs().mean((1, 2, 3)))


@pytest.fixture
def cli(monkeypatch, capfd):
    """Runs `lga` with arguments; gives its exit status and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lga", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return SimpleNamespace(status=stop.value.code or 0, out=out, err=err)

    return run


HISTORY_ROW = {"step": 1, "pairs": 64, "seconds": 0.5, "loss": 0.5, "validation_psnr_db": 12.0}


def record(system="jin2024", seed=0, psnr_db=20.0, dataset="rotated_mnist", source="MNIST", **more):
    """What `metrics.json` holds, as far as tables read it."""
    return {"dataset": dataset, "system": system, "profile": "quick", "seed": seed, "overrides": "",
            "source": source, "psnr_db": psnr_db, "ssim": 0.9, "ssim_range255": 0.99,
            "lpips": None, **more}  # fmt: skip


def publish(root, entry, figures=None):
    """A finished run of such a record, with figures by file name."""
    keys = (entry[k] for k in ("profile", "dataset", "system", "seed"))
    folder = lga.records.run_folder(root, *keys)
    names = {key: entry[key] for key in ("dataset", "system", "profile")}
    options = {"settings": {"seed": entry["seed"]}, "dataset_options": {}, "system_options": {}}
    folder.start({**names, **options})
    return folder.publish(entry, {"w": torch.arange(3.0)}, [HISTORY_ROW], figures or {})


def pytest_terminal_summary(terminalreporter):
    """What became of the damaged files (`test_bad_files`)."""
    lines = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "damaged files"
    ]
    if lines:
        terminalreporter.section("damaged files, of each kind")
        for line in lines:
            terminalreporter.write_line(line)
