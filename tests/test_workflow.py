"""A tiny grid end to end: Snakemake, papermill, records, tables."""

import json
import subprocess
import sys
import time

import pytest
from conftest import publish, record

from lga import catalogue
from lga.runs import configure


@pytest.mark.slow
def test_a_tiny_grid_makes_what_is_missing_and_ends_with_tables(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = configure("rotated_mnist", "copy_input", results_dir=tmp_path, overrides="test_pairs=20")
    kept.folder.start(kept.config())
    kept.folder.publish(record("copy_input", started_at="before"), {}, [], {})
    (kept.folder.path / "notebook.ipynb").touch()
    left = tmp_path / "quick/rotated_mnist/mean_image/seed-0"  # a run without its record
    left.mkdir(parents=True)
    (left / "notebook.ipynb").touch()
    locks = tmp_path / ".snakemake" / "locks"  # as another grid has them, or one that was killed
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text(f"{left / 'metrics.json'}\n")
    grid = cli(
        "reproduce", "--datasets", "rotated_mnist", "--systems", "copy_input,mean_image",
        "--results", tmp_path, "--cores", 2,
        "--set", "train_pairs=128", "validations=2", "validation_pairs=20", "test_pairs=20",
    )  # fmt: skip
    assert grid.status == 0, grid.err
    records = sorted(tmp_path.glob("quick/rotated_mnist/*/seed-0/metrics.json"))
    assert [p.parts[-3] for p in records] == ["copy_input", "mean_image"]
    assert json.loads(records[0].read_text())["started_at"] == "before"
    assert (records[1].parent / "notebook.ipynb").stat().st_size
    assert "# Table 1, quick profile" in grid.out and "(stand-in for MNIST)" in grid.out
    assert f"{kept.folder.path} was made with train_pairs=40000, not 128; " in grid.out
    assert "runs: 2, side by side: 2, threads for each: 1" in grid.out
    assert "step" in grid.err  # progress is seen while it runs
    assert (tmp_path / "quick" / "table_1.csv").exists()


def test_a_grid_starts_with_what_takes_longest_or_is_worth_most(monkeypatch):
    speeds = {("nmr", "jin2024"): 5, ("rotated_mnist", "jin2024"): 500}  # the others': the slowest
    monkeypatch.setattr(catalogue, "recorded_speeds", lambda: speeds)
    cells = catalogue.grid("standard", "rotated_mnist,nmr", "copy_input,jin2024,winter2022")
    standard = [cell[:2] for cell in catalogue.in_order(cells, "standard")]
    assert standard[:3] == [
        ("nmr", "jin2024"), ("rotated_mnist", "jin2024"), ("rotated_mnist", "winter2022")
    ]  # fmt: skip
    assert {system for _, system in standard[-2:]} == {"copy_input"}
    paper = catalogue.in_order(catalogue.grid("paper"), "paper")
    first = [(d, s) for d, s, _ in paper[:18]]
    assert {d for d, _ in first} == {"rotated_mnist", "blocked_mnist"}
    assert [s for _, s in first[::6]] == ["lga_matched", "lga", "jin2024"] and len(set(first)) == 6
    assert paper[18][1] == "lga_matched" and paper[-1][1] not in catalogue.WORTH
    assert [seed for _, _, seed in paper].count(2) == len(paper) // 3
    assert catalogue.gpu_shares("rotated_mnist") < catalogue.gpu_shares("nmr")


@pytest.mark.slow
def test_two_grids_at_once_do_a_run_once(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["reproduce", "--datasets", "rotated_mnist", "--systems", "copy_input",
                 "--results", str(tmp_path), "--cores", "1", "--set", "test_pairs=20"]  # fmt: skip
    command = [sys.executable, "-m", "lga.cli", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        one = cli(*arguments)
        beside = other.communicate(timeout=300)[1].decode()
    assert [one.status, other.returncode] == [0, 0], one.err + beside
    did = ["rotated_mnist/copy_input/seed-0 | " in shown for shown in (one.err, beside)]
    assert sorted(did) == [False, True], one.err + beside
    (made,) = tmp_path.glob("quick/rotated_mnist/copy_input/seed-*/metrics.json")
    assert (made.parent / "notebook.ipynb").exists()


@pytest.mark.slow
def test_a_grid_keeps_what_another_finished_after_it_was_planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (configure("rotated_mnist", name, results_dir=tmp_path).folder
                     for name in ("copy_input", "mean_image"))  # fmt: skip
    with first.turn():  # the other is at work on the first
        command = [sys.executable, "-m", "lga.cli", "reproduce",
                   "--datasets", "rotated_mnist", "--systems", "copy_input,mean_image",
                   "--results", str(tmp_path), "--cores", "1"]  # fmt: skip
        grid = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        planned = tmp_path / ".snakemake" / "incomplete"  # where a job that has begun is noted
        for _ in range(3_000):
            if grid.poll() is not None or any(planned.glob("*")):
                break
            time.sleep(0.1)
        assert any(planned.glob("*"))
        for folder in (first, second):
            system = folder.path.parent.name
            publish(tmp_path, record(system, started_at="before"))
            (folder.path / "notebook.ipynb").write_text(system)
    with grid:
        said = grid.communicate(timeout=300)[1].decode()
    assert grid.returncode == 0, said
    assert " | " not in said  # no cell was executed
    for folder in (first, second):
        assert (folder.path / "notebook.ipynb").read_text() == folder.path.parent.name
        assert json.loads((folder.path / "metrics.json").read_text())["started_at"] == "before"


@pytest.mark.slow
def test_a_failing_run_fails_the_grid(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed = cli("reproduce", "--datasets", "rotated_mnist", "--systems", "jin2024",
                 "--results", tmp_path, "--set", "varying=7")  # fmt: skip
    assert failed.status == 1 and "cannot vary" in failed.err
    assert "some runs failed" in failed.err
