"""Ablations: variants resolve, a tiny one runs, resumes and becomes a table."""

import dataclasses
from pathlib import Path

import pytest

from lga import ablations


@pytest.mark.parametrize("name", ablations.ABLATIONS)
def test_every_variant_resolves_and_has_a_folder_of_its_own(name):
    ablation = ablations.ABLATIONS[name]
    folders = [variant.folder for variant in ablation.variants]
    assert len(set(folders)) == len(folders) and all(folders)
    for variant in ablation.variants:
        run = ablations.variant_run(name, variant)
        for_a_gpu = name == "published_rate"
        assert run.settings.train_pairs <= (8_000_000 if for_a_gpu else 200_000)


def test_a_tiny_ablation_becomes_a_table_and_trains_nothing_twice(tmp_path, monkeypatch, capsys):
    tiny = dataclasses.replace(
        ablations.ABLATIONS["ingredients"],
        budget="train_pairs=64 validations=1 validation_pairs=20 test_pairs=20",
        variants=(ablations.Variant("copy", "copy_input"),
                  ablations.Variant("+ jin", "jin2024", "batch_size=32")),
        figures=("psnr_db", "ssim"),
    )  # fmt: skip
    monkeypatch.setitem(ablations.ABLATIONS, "tiny", tiny)
    path = ablations.ablate("tiny", "quick", (0, 1), "stand-in", None, tmp_path)
    assert path == tmp_path / "quick" / "ablation_tiny.csv"
    capsys.readouterr()
    ablations.ablate("tiny", "quick", (0, 1), "stand-in", None, tmp_path)
    assert not capsys.readouterr().out
    changed = dataclasses.replace(tiny, budget=tiny.budget.replace("test_pairs=20", "test_pairs=9"))
    monkeypatch.setitem(ablations.ABLATIONS, "tiny", changed)
    ablations.ablate("tiny", "quick", (0,), "real", None, tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "made with test_pairs=20, not 9; source=stand-in, not real" in said[0]
    assert "kept; remove it to make it again" in said[1]
    frame = ablations.table("tiny", "quick", tmp_path).query("figure == 'psnr_db'")
    frame = frame.set_index("variant")
    assert frame.loc["copy", "sd"] == 0 and frame.loc["+ jin", "seeds"] == 2
    assert frame.loc["+ jin", "parameters"] == 329_433
    assert "stand-in" in frame.loc["copy", "source"]
    people = ablations.overview("tiny", "quick", tmp_path)
    assert list(people.index) == ["copy", "+ jin"]
    assert list(people.columns) == ["seeds", "psnr_db", "ssim"]
    assert people.loc["copy", "psnr_db"].endswith(" ± 0.00")
    assert people.loc["copy", "ssim"].endswith(" ± 0.000")


def test_a_variant_that_needs_lpips_weights_is_left_out_without_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablations, "lpips_weights", lambda: tmp_path / "nowhere")
    tried = []
    monkeypatch.setattr(ablations, "execute", tried.append)
    ablations.ablate("skip", "quick", (0,), "stand-in", None, tmp_path)
    assert {run.system_options["perceptual_weight"] for run in tried} == {0.0} and len(tried) == 2
    assert "no skip, LPIPS left out" in capsys.readouterr().out
    frame = ablations.table("skip", "quick", tmp_path)
    assert len(frame) == 12 and not frame["seeds"].any()


def test_a_finished_variant_is_kept_whether_or_not_lpips_weights_are_here(monkeypatch, capsys):
    monkeypatch.setattr(ablations, "lpips_weights", lambda: Path("nowhere"))
    monkeypatch.setattr(ablations, "execute", lambda run: pytest.fail(f"{run} is finished"))
    monkeypatch.setattr(ablations, "write_csv", lambda *args: None)
    ablations.ablate("perceptual", source="real")  # the committed runs
    assert "left out" not in capsys.readouterr().out


def test_a_variant_may_have_pictures_of_its_own(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(ablations, "execute", tried.append)
    ablations.ablate("contrast", "quick", (0,), "real", None, tmp_path)
    assert [run.source for run in tried] == ["real"] * 6 + ["stand-in"]
    tried.clear()
    ablations.ablate("budget", "quick", (0,), "real", None, tmp_path)
    assert [run.dataset for run in tried] == ["rotated_mnist", "blocked_mnist"]
    rows = ablations.table("budget", "quick", tmp_path)
    assert list(rows["dataset"]) == ["rotated_mnist", "blocked_mnist"]


def test_an_interrupted_ablation_says_how_to_go_on(cli, tmp_path, monkeypatch):
    def interrupted(run):
        raise KeyboardInterrupt

    monkeypatch.setattr(ablations, "execute", interrupted)
    stopped = cli("ablate", "budget", "--source", "stand-in", "--results", tmp_path)
    assert stopped.status == 130
    assert stopped.err == "lga: stopped; the same command goes on from the last checkpoint\n"


def test_an_unknown_ablation_is_an_error_that_helps():
    with pytest.raises(ValueError, match="did you mean 'ingredients'"):
        ablations.ablate("ingredient")
