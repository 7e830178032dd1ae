"""Run folders whole or not there, records, damaged files."""

import json
import os
import resource
import subprocess
import sys

import pytest
import torch
from conftest import publish, record

from lga import records
from lga.figures import Chart


def test_a_finished_run_is_whole(tmp_path):
    path = publish(tmp_path, record(), {"pairs.png": Chart(figsize=(1, 1))})
    names = {p.name for p in path.iterdir()}
    assert names == {"metrics.json", "config.json", "history.csv", "model.safetensors", "pairs.png"}
    config, entry, weights = records.read_run(path)
    assert entry["psnr_db"] == 20 and config["settings"]["seed"] == 0
    assert torch.equal(weights["w"], torch.arange(3.0))


def test_a_failure_while_publishing_keeps_the_earlier_run(tmp_path, monkeypatch):
    path = publish(tmp_path, record(psnr_db=20.0))
    monkeypatch.setattr(Chart, "savefig", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        publish(tmp_path, record(psnr_db=30.0), {"pairs.png": Chart(figsize=(1, 1))})
    assert records.read_json(path / "metrics.json")["psnr_db"] == 20
    monkeypatch.undo()
    records.RunFolder._locks.clear()
    publish(tmp_path, record(psnr_db=30.0))
    assert records.read_json(path / "metrics.json")["psnr_db"] == 30


def test_two_processes_do_not_do_the_same_run(tmp_path):
    folder = records.run_folder(tmp_path, "quick", "rotated_mnist", "jin2024", 0)
    folder.start({})
    folder.start({})  # the same process may
    code = (
        "import sys; from lga import records;"
        "records.run_folder(sys.argv[1], 'quick', 'rotated_mnist', 'jin2024', 0).start({})"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert other.returncode != 0 and "another process is at work" in other.stderr


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path):
    folder = records.run_folder(tmp_path, "quick", "rotated_mnist", "jin2024", 0)
    folder.start({})
    folder.save_checkpoint({"a": torch.ones(1)}, {"history": [], "step": 1})
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, usual[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint\.safetensors: .*[Ff]ile too large"):
            folder.save_checkpoint({"a": torch.ones(10_000)}, {"history": [], "step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    tensors, state = folder.load_checkpoint()
    assert state["step"] == 1 and len(tensors["a"]) == 1


def test_what_a_killed_process_began_to_write_is_not_kept(tmp_path):
    folder = records.run_folder(tmp_path, "quick", "rotated_mnist", "jin2024", 0)
    folder.start({})
    folder.save_checkpoint({"a": torch.ones(1)}, {"history": [{"step": 1}]})
    (folder.partial / ".tmp0a1b2c").write_bytes(b"half a checkpoint")
    folder.start({})
    assert {path.name for path in folder.partial.iterdir()} == {
        "config.json", "checkpoint.safetensors", "history.csv",
    }  # fmt: skip


def test_weights_that_were_changed_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = publish(tmp_path, record())
    save_file({"w": torch.arange(3.0) + 1e-3}, path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors was changed since its record"):
        records.read_run(path)


def test_a_damaged_file_is_named(tmp_path):
    path = publish(tmp_path, record())
    model = path / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        records.read_run(path)
    (path / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json is damaged"):
        records.read_records("quick", tmp_path)
    with pytest.raises(FileNotFoundError, match="no finished run"):
        records.read_run(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        records.run_folder(tmp_path, "quick", "d", "s", 0).start({})


def test_records_keep_the_order_of_their_fields_and_what_a_system_of_ones_own_adds(tmp_path):
    path = publish(tmp_path, record(own_figure=3.0, mask_fraction=0.5))
    records.add_to_record(path, {"lpips": 0.1})
    *known, own = json.loads((path / "metrics.json").read_text()).items()
    keys = [key for key, _ in known]
    assert keys == [field for field in records.RECORD_FIELDS if field in keys]
    assert own == ("own_figure", 3.0) and {"lpips", "mask_fraction"} < set(keys)
