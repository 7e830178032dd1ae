"""The command line as a user meets it: output, JSON, errors in one line, exit status."""

import errno
import json
import re

import pytest
from conftest import ROOT

import lga
from lga.profiles import LGA
from lga.records import main_records


def test_list_json_holds_the_contract(cli):
    found = json.loads(cli("list", "--json").out)
    assert {d["name"] for d in found["datasets"]} == set(lga.DATASETS)
    assert {"name", "group", "image_shape", "sources"} <= set(found["datasets"][0])
    jin = next(s for s in found["systems"] if s["name"] == "jin2024")
    assert jin["parameters"]["rotated_mnist"] == 329_433 and "rotated_mnist" in jin["datasets"]
    assert found["profiles"] == ["quick", "standard", "paper"]
    listed = cli("list").out
    assert "329,433" in listed
    for profile, names in found["trained"].items():
        assert (f'trained, for lga.load("DATASET/SYSTEM", "{profile}"):' in listed) == bool(names)
    for name in found["trained"]["standard"]:
        dataset, system = name.split("/")
        assert re.search(rf"^ +{dataset} +.*\b{system}\b", listed, re.MULTILINE)


def test_list_counts_the_parameters_that_runs_have(cli):
    found = json.loads(cli("list", "--json").out)["systems"]
    listed = {system["name"]: system["parameters"] for system in found}
    records = [r for r in main_records("standard") if r["system"] in LGA]
    assert {record["system"] for record in records} == set(LGA)

    def width(record, profile):
        run = lga.configure(record["dataset"], record["system"], profile)
        return run.system_options.get("width")

    narrow = set()
    for record in records:
        told = listed[record["system"]][record["dataset"]]
        if width(record, "standard") == width(record, "paper"):  # the one that is listed
            assert told == record["parameters"], record
        else:
            assert told > record["parameters"], record
            narrow.add((record["system"], record["dataset"]))
    assert narrow == {("lga_generic", "nmr"), ("lga_generic", "plane_in_the_sky")}


def test_doctor_names_a_mend_for_every_gap(cli, tmp_path):
    checks = json.loads(cli("doctor", "--json", "--data-root", tmp_path).out)
    missing = next(c for c in checks if c["name"] == "data: rotated_mnist")
    assert not missing["ok"] and "lga data prepare rotated_mnist" in missing["mend"]
    assert all(c["ok"] or c["mend"] for c in checks)


@pytest.mark.parametrize("faster, found", [(True, "where asked for"), (False, "float32")])
def test_doctor_says_whether_bf16_is_faster_here(cli, tmp_path, monkeypatch, faster, found):
    monkeypatch.setattr("lga.catalogue.faster_in_bf16", lambda device: faster)
    checks = json.loads(cli("doctor", "--json", "--data-root", tmp_path).out)
    assert found in next(c for c in checks if c["name"] == "bf16")["found"]


@pytest.mark.parametrize("command", [[], ["list"], ["doctor"], ["run"], ["train"], ["reproduce"],
                                     ["tables"], ["evaluate"], ["bench"],
                                     ["data", "prepare"]])  # fmt: skip
def test_every_command_has_help_with_an_example(cli, command):
    shown = cli(*command, "--help")
    assert shown.status == 0
    assert not command or "Example" in shown.out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "rotated_mnits"],
         "unknown dataset 'rotated_mnits' (did you mean 'rotated_mnist'?)"),
        (["train", "rotated_mnist", "--system", "jin"], "unknown system 'jin'"),
        (["train", "rotated_mnist", "--profile", "fast"], "unknown profile 'fast'"),
        (["train", "rotated_mnist", "--set", "lr=1"], "unknown setting 'lr'"),
        (["train", "rotated_mnist", "--set", "still=lots"], "still must be of type bool"),
        (["train", "rotated_mnist", "--set", "train_pairs=1.5"], "train_pairs must be of type int"),
        (["train", "rotated_mnist", "--set", "batch_size=0"], "batch_size must be at least 1"),
        (["train", "rotated_mnist", "--set", "still"], "an override reads key=value"),
        (["train", "rotated_mnist", "--group", "Cyclic(4)"], "--group is for one's own pictures"),
        (["train", ROOT / "docs"], "docs is a folder: --table FILE says what its pictures show"),
        (["train", "rotated_mnist", "--set", "depth=2", "lr=1", "--seed", 1], "setting 'lr'"),
        (["run", "rotated_mnist", "--system", "jin"], "unknown system 'jin'"),
        (["train", "rotated_mnist", "--source", "real", "--data-root", "nowhere"],
         "lga data prepare rotated_mnist --data-root nowhere"),
        (["reproduce", "--systems", "jin"], "unknown system 'jin'"),
        (["reproduce", "--seeds", "a"], "seeds are whole numbers"),
        (["tables", "--profile", "fast"], "unknown profile 'fast'"),
        (["evaluate", "nowhere"], "nowhere holds no finished run"),
        (["evaluate", ROOT / "results/standard/nmr/jin2024/seed-1"],
         "seed-1 holds a record without weights"),
        (["data", "prepare", "mnist"], "did you mean 'rotated_mnist'"),
        (["bench", "systems", "throughputs"], "did you mean 'throughput'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_1(cli, tmp_path, arguments, message):
    results = [] if arguments[0] in ("evaluate", "data", "bench") else ["--results", tmp_path]
    shown = cli(*arguments, *results)
    assert shown.status == 1
    assert message in shown.err and len(shown.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_bench_keeps_what_it_measured_when_told_to(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("lga.benchmarks.BENCHMARKS", tmp_path)
    (tmp_path / "speed.py").write_text("def measure():\n    print('training')\n    return {'x': 2}")
    (tmp_path / "broken.py").write_text("raise RuntimeError('not asked for')")
    assert json.loads(cli("bench", "speed", "--json").out) == {"speed": {"x": 2}}
    assert not (tmp_path / "speed.json").exists()
    assert cli("bench", "speed", "--write").status == 0
    assert json.loads((tmp_path / "speed.json").read_text()) == {"x": 2}


def test_bench_prints_a_benchmark_that_found_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("lga.benchmarks.BENCHMARKS", tmp_path)
    (tmp_path / "without_records.py").write_text("def measure():\n    return {}")
    shown = cli("bench")
    assert shown.status == 0 and shown.out.split() == ["without_records"], shown.err


def test_results_that_cannot_be_written_are_one_line(cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    shown = cli("train", "rotated_mnist", "--results", tmp_path / "file")
    assert shown.status == 1 and len(shown.err.strip().splitlines()) == 1
    assert "file" in shown.err


def test_train_records_and_evaluate_fills_in(cli, tmp_path):
    shown = cli("train", "rotated_mnist", "--results", tmp_path, "--seed", 3, "--system", "jin2024",
                "--set", "train_pairs=128", "validations=1")  # fmt: skip
    assert shown.status == 0 and "PSNR" in shown.out, shown.err
    run = tmp_path / "quick/rotated_mnist/jin2024/seed-3"
    record = json.loads((run / "metrics.json").read_text())
    assert set(record) <= set(lga.records.RECORD_FIELDS)
    assert {"dataset", "system", "profile", "seed", "source", "psnr_db", "ssim", "ssim_range255",
            "lpips", "lpips_net", "lpips_reason", "test_pairs", "parameters", "train_pairs",
            "latent_numbers", "optimizer",
            "compiled", "weights_sha256", "psnr_of_mean_mse_db",
            "train_seconds", "pairs_per_second", "device", "torch", "lga", "commit", "started_at",
            "law_identity", "law_inverse", "law_compatibility", "law_identity_db",
            "mask_fraction"} <= set(record)  # fmt: skip
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["train_pairs"] == 128 and config["settings"]["seed"] == 3
    before = record["ssim"]
    (run / "metrics.json").write_text(json.dumps(record | {"ssim": None}))
    assert "filled in: ssim" in cli("evaluate", run).out
    assert json.loads((run / "metrics.json").read_text())["ssim"] == before


def test_a_full_disk_is_one_line_and_status_1(cli, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("lga.records.write_whole", full)
    shown = cli("train", "rotated_mnist", "--results", tmp_path)
    assert shown.status == 1 and len(shown.err.strip().splitlines()) == 1
    assert "No space left on device" in shown.err and not list(tmp_path.rglob("metrics.json"))
