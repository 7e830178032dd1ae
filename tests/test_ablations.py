"""Ablations: variants resolve, a tiny one runs, resumes and becomes a table."""

import dataclasses

import pytest

import lga
from lga import ablations


@pytest.mark.parametrize("name", ablations.ABLATIONS)
def test_every_variant_resolves_and_has_a_folder_of_its_own(name):
    ablation = ablations.ABLATIONS[name]
    folders = [variant.folder for variant in ablation.variants]
    assert len(set(folders)) == len(folders) and all(folders)
    for variant in ablation.variants:
        run = lga.configure(ablation.dataset, variant.system, "standard",
                            overrides=f"{ablation.budget} {variant.overrides}")  # fmt: skip
        assert run.settings.train_pairs == 25_600


def test_a_tiny_ablation_becomes_a_table_and_trains_nothing_twice(tmp_path, monkeypatch, capsys):
    tiny = dataclasses.replace(
        ablations.ABLATIONS["ingredients"],
        budget="train_pairs=64 validations=1 validation_pairs=20 test_pairs=20",
        variants=(ablations.Variant("copy", "copy_input"),
                  ablations.Variant("+ jin", "jin2024", "batch_size=32")),
    )  # fmt: skip
    monkeypatch.setitem(ablations.ABLATIONS, "tiny", tiny)
    path = ablations.ablate("tiny", "quick", (0, 1), "stand-in", None, tmp_path)
    assert path == tmp_path / "quick" / "ablation_tiny.csv"
    capsys.readouterr()
    ablations.ablate("tiny", "quick", (0, 1), "stand-in", None, tmp_path)
    assert "seed" not in capsys.readouterr().out
    frame = ablations.table("tiny", "quick", tmp_path).set_index("variant")
    assert frame.loc["copy", "psnr_db_sd"] == 0 and frame.loc["+ jin", "seeds"] == 2
    assert frame.loc["+ jin", "parameters"] == 329_433
    assert "stand-in" in frame.loc["copy", "source"]


def test_an_unknown_ablation_is_an_error_that_helps():
    with pytest.raises(ValueError, match="did you mean 'ingredients'"):
        ablations.ablate("ingredient")
