"""A tiny grid end to end: Snakemake, papermill, records, tables."""

import json
import subprocess
import sys

import pytest

from lga import catalogue
from lga.runs import configure, execute


@pytest.mark.slow
def test_a_tiny_grid_makes_what_is_missing_and_ends_with_tables(tmp_path):
    kept = configure("rotated_mnist", "copy_input", results_dir=tmp_path, overrides="test_pairs=20")
    started = execute(kept)["started_at"]
    (kept.folder.path / "notebook.ipynb").touch()
    left = tmp_path / "quick" / "rotated_mnist" / "jin2024" / "seed-0"  # a run without its record
    left.mkdir(parents=True)
    (left / "notebook.ipynb").touch()
    command = [
        sys.executable, "-m", "lga.cli", "reproduce", "--datasets", "rotated_mnist",
        "--systems", "jin2024,copy_input", "--results", str(tmp_path), "--cores", "2",
        "--set", "train_pairs=256", "--set", "validations=2", "--set", "test_pairs=20",
    ]  # fmt: skip
    grid = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert grid.returncode == 0, grid.stderr
    records = sorted(tmp_path.glob("quick/rotated_mnist/*/seed-0/metrics.json"))
    assert [p.parts[-3] for p in records] == ["copy_input", "jin2024"]
    assert json.loads(records[0].read_text())["started_at"] == started
    assert (records[1].parent / "notebook.ipynb").stat().st_size
    assert "# Table 1, quick profile" in grid.stdout and "(stand-in for MNIST)" in grid.stdout
    assert f"{kept.folder.path} was made with train_pairs=40000, not 256; " in grid.stdout
    assert "runs: 2, side by side: 2, threads for each: 1" in grid.stdout
    assert "step" in grid.stderr  # progress is seen while it runs
    assert (tmp_path / "quick" / "table_1.csv").exists()


def test_a_grid_starts_with_what_takes_longest_or_is_worth_most():
    cells = catalogue.grid("standard", "rotated_mnist,nmr", "copy_input,jin2024,winter2022")
    standard = [cell[:2] for cell in catalogue.in_order(cells, "standard")]
    assert standard[0] == ("nmr", "jin2024")  # the fewest pairs, and a perceptual loss
    assert set(standard[1:3]) == {("rotated_mnist", "jin2024"), ("rotated_mnist", "winter2022")}
    assert {system for _, system in standard[-2:]} == {"copy_input"}
    paper = catalogue.in_order(catalogue.grid("paper"), "paper")
    first = [(d, s) for d, s, _ in paper[:18]]
    assert {d for d, _ in first} == {"rotated_mnist", "blocked_mnist"}
    assert [s for _, s in first[::6]] == ["lga_matched", "lga", "jin2024"] and len(set(first)) == 6
    assert paper[18][1] == "lga_matched" and paper[-1][1] not in catalogue.WORTH
    assert [seed for _, _, seed in paper].count(2) == len(paper) // 3
    assert catalogue.gpu_shares("rotated_mnist") < catalogue.gpu_shares("nmr")


@pytest.mark.slow
def test_two_grids_at_once_do_a_run_once(tmp_path):
    command = [
        sys.executable, "-m", "lga.cli", "reproduce", "--datasets", "rotated_mnist",
        "--systems", "copy_input", "--results", str(tmp_path), "--cores", "1",
        "--set", "test_pairs=20",
    ]  # fmt: skip
    grids = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         cwd=tmp_path)
        for _ in range(2)
    ]  # fmt: skip
    shown = [grid.communicate(timeout=300)[0] for grid in grids]
    assert [grid.returncode for grid in grids] == [0, 0], shown
    did = ["rotated_mnist/copy_input/seed-0 | " in lines for lines in shown]
    assert sorted(did) == [False, True], shown
    (record,) = tmp_path.glob("quick/rotated_mnist/copy_input/seed-*/metrics.json")
    assert (record.parent / "notebook.ipynb").exists()


@pytest.mark.slow
def test_a_failing_run_fails_the_grid(tmp_path):
    command = [
        sys.executable, "-m", "lga.cli", "reproduce", "--datasets", "rotated_mnist",
        "--systems", "jin2024", "--results", str(tmp_path), "--set", "varying=7",
    ]  # fmt: skip
    failed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert failed.returncode == 1 and "cannot vary" in failed.stderr
    assert "some runs failed" in failed.stderr
