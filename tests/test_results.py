"""Run folders whole or not there, damaged files, tables."""

import json
import os
import subprocess
import sys

import pytest
import torch

from lga import results
from lga.figures import Chart


def record(system="jin2024", seed=0, psnr_db=20.0, dataset="rotated_mnist", source="MNIST", **more):
    return {"dataset": dataset, "system": system, "profile": "quick", "seed": seed, "overrides": "",
            "source": source, "psnr_db": psnr_db, "ssim": 0.9, "ssim_range255": 0.99,
            "lpips": None, **more}  # fmt: skip


def publish(root, entry):
    keys = (entry[k] for k in ("profile", "dataset", "system", "seed"))
    folder = results.run_folder(root, *keys)
    folder.start({"entry": entry})
    figure = Chart(figsize=(1, 1))
    return folder.publish(entry, {"w": torch.arange(3.0)}, [{"step": 1, "loss": 0.5}],
                          {"pairs.png": figure})  # fmt: skip


def test_a_finished_run_is_whole(tmp_path):
    path = publish(tmp_path, record())
    names = {p.name for p in path.iterdir()}
    assert names == {"metrics.json", "config.json", "history.csv", "model.safetensors", "pairs.png"}
    config, entry, weights = results.read_run(path)
    assert entry["psnr_db"] == 20 and config["entry"]["seed"] == 0
    assert torch.equal(weights["w"], torch.arange(3.0))


def test_a_failure_while_publishing_keeps_the_earlier_run(tmp_path, monkeypatch):
    path = publish(tmp_path, record(psnr_db=20.0))
    monkeypatch.setattr(Chart, "savefig", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        publish(tmp_path, record(psnr_db=30.0))
    assert results.read_json(path / "metrics.json")["psnr_db"] == 20
    monkeypatch.undo()
    results.RunFolder._locks.clear()
    publish(tmp_path, record(psnr_db=30.0))
    assert results.read_json(path / "metrics.json")["psnr_db"] == 30


def test_two_processes_do_not_do_the_same_run(tmp_path):
    folder = results.run_folder(tmp_path, "quick", "rotated_mnist", "jin2024", 0)
    folder.start({})
    folder.start({})  # the same process may
    code = (
        "import sys; from lga import results;"
        "results.run_folder(sys.argv[1], 'quick', 'rotated_mnist', 'jin2024', 0).start({})"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert other.returncode != 0 and "another process is at work" in other.stderr


def test_weights_that_were_changed_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = publish(tmp_path, record())
    save_file({"w": torch.arange(3.0) + 1e-3}, path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors was changed since its record"):
        results.read_run(path)


def test_a_damaged_file_is_named(tmp_path):
    path = publish(tmp_path, record())
    model = path / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        results.read_run(path)
    (path / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json is damaged"):
        results.read_records("quick", tmp_path)
    with pytest.raises(FileNotFoundError, match="no finished run"):
        results.read_run(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        results.run_folder(tmp_path, "quick", "d", "s", 0).start({})


def test_tables_give_mean_deviation_seeds_and_source_beside_the_published(tmp_path):
    for seed, value in enumerate((20.0, 21.0, 22.0)):
        publish(tmp_path, record(seed=seed, psnr_db=value))
    publish(tmp_path, record("swarnali2025", psnr_db=19.0))
    frame = results.table("table_1", "quick", tmp_path)
    row = frame.loc["jin2024"]
    assert row["rotated_mnist_psnr_db_mean"] == 21 and row["rotated_mnist_psnr_db_sd"] == 1
    assert row["rotated_mnist_psnr_db_published"] == 26.07 and row["rotated_mnist_seeds"] == 3
    assert row["rotated_mnist_source"] == "MNIST" and row["blocked_mnist_seeds"] == 0
    assert frame.loc["winter2022", "rotated_mnist_ssim_published"] == 0.874
    text = results.table_markdown("table_1", "quick", tmp_path)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert "## rotated_mnist: MNIST" in text
    assert ["jin2024", "21.00 ± 1.00", "26.07", "0.900 ± 0.000", "1.000",
            "0.990 ± 0.000", "3"] in cells  # fmt: skip
    assert ["swarnali2025", "19.00", "", "0.900", "", "0.990", "1"] in cells
    assert "## blocked_mnist: not run" in text and "data range\n1" in text
    paths = results.write_tables("quick", tmp_path)
    assert [p.name for p in paths] == ["table_1.md", "table_2.md"]
    assert paths[0].with_suffix(".csv").exists()


def test_tables_label_stand_ins_and_never_mix_sources_or_overrides(tmp_path):
    stand_in = "scikit-learn digits (stand-in for MNIST)"
    publish(tmp_path, record(source=stand_in, psnr_db=10.0))
    text = results.table_markdown("table_1", "quick", tmp_path)
    assert f"## rotated_mnist: {stand_in}" in text
    publish(tmp_path, record(seed=1, psnr_db=30.0))
    publish(tmp_path, record(seed=2, psnr_db=40.0, overrides="varying=0.5"))
    means = results.table("table_1", "quick", tmp_path)["rotated_mnist_psnr_db_mean"].dropna()
    assert sorted(means) == [10, 30, 40]
    text = results.table_markdown("table_1", "quick", tmp_path)
    assert "jin2024 (a)" in text and "\n(a) varying=0.5 on MNIST\n" in text


def test_compare_is_one_fixed_line():
    stand_in = record(source="digits (stand-in for MNIST)", psnr_db=19.2)
    assert (
        results.compare(stand_in, {"jin2024": 19.0}, 0.5) == "test PSNR 19.0 ± 0.5 dB: as expected"
    )
    assert "NOT as expected" in results.compare(
        stand_in | {"psnr_db": 18.0}, {"jin2024": 19.0}, 0.5
    )
    assert "no figure" in results.compare(record(), {"jin2024": 19.0}, 0.5)


def test_records_keep_the_order_of_their_fields(tmp_path):
    path = publish(tmp_path, record(mask_fraction=0.5))
    results.add_to_record(path, {"lpips": 0.1})
    keys = list(json.loads((path / "metrics.json").read_text()))
    assert keys == [field for field in results.RECORD_FIELDS if field in keys]


def test_controls_stand_beside_the_runs(tmp_path):
    publish(tmp_path, record("swarnali2025", mask_fraction=0.8))
    publish(tmp_path / "controls" / "all-ones-mask", record("swarnali2025", mask_fraction=1.0))
    frame = results.controls("rotated_mnist", "quick", tmp_path)
    assert frame["mask_fraction"].to_dict() == {
        "swarnali2025, seed-0": 0.8, "swarnali2025, all-ones-mask, seed-0": 1.0,
    }  # fmt: skip
    curves = results.histories("rotated_mnist", "quick", tmp_path)
    assert list(curves) == list(frame.index) and curves["swarnali2025, seed-0"][0]["step"] == 1


def test_tables_begin_with_the_controls_and_say_how_systems_rank(tmp_path):
    for system, psnr_db in (("jin2024", 20.0), ("winter2022", 21.0), ("copy_input", 10.0)):
        publish(tmp_path, record(system, psnr_db=psnr_db))
    publish(tmp_path, record("mean_image", psnr_db=12.0, dataset="brain_mri"))
    assert list(results.table("table_1", "quick", tmp_path).index)[:3] == [
        "copy_input", "mean_image", "winter2022",
    ]  # fmt: skip
    text = results.table_markdown("table_1", "quick", tmp_path)
    rotated, _, brain = text.split("\n## ")[1:]
    assert "published: jin2024 > winter2022 > hwang2023. Here, with" in rotated
    assert "of each row: winter2022 > jin2024." in rotated and "By PSNR" not in brain
