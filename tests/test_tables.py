"""Tables: published figures beside reproduced ones, controls, learning curves."""

import itertools
import json
import subprocess

import pandas
import pytest
from conftest import publish, record

from lga import tables
from lga.ablations import ABLATIONS, variant_run
from lga.ablations import table as ablation_table
from lga.benchmarks import benchmark_names, measure
from lga.paths import BENCHMARKS, RESULTS, ROOT
from lga.records import read_records
from lga.runs import configure, made_otherwise


def test_tables_give_mean_deviation_seeds_and_source_beside_the_published(tmp_path):
    for seed, value in enumerate((20.0, 21.0, 22.0)):
        publish(tmp_path, record(seed=seed, psnr_db=value))
    publish(tmp_path, record("swarnali2025", psnr_db=19.0, train_pairs=6400))
    frame = tables.table("table_1", "quick", tmp_path)
    row = frame.loc["jin2024"]
    assert row["rotated_mnist_psnr_db_mean"] == 21 and row["rotated_mnist_psnr_db_sd"] == 1
    assert row["rotated_mnist_psnr_db_published"] == 26.07 and row["rotated_mnist_seeds"] == 3
    assert row["rotated_mnist_source"] == "MNIST" and row["blocked_mnist_seeds"] == 0
    assert frame.loc["winter2022", "rotated_mnist_ssim_published"] == 0.874
    text = tables.table_markdown("table_1", "quick", tmp_path)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert "## rotated_mnist: MNIST" in text
    assert ["jin2024", "21.00 ± 1.00", "26.07", "0.900 ± 0.000", "1.000",
            "0.990 ± 0.000", "", "3"] in cells  # fmt: skip
    assert ["swarnali2025", "19.00", "", "0.900", "", "0.990", "6,400", "1"] in cells
    assert "## blocked_mnist: not run" in text and "data range 1" in text
    paths = tables.write_tables("quick", tmp_path)
    assert [p.name for p in paths] == ["table_1.md", "table_2.md", "table_3.md"]
    assert paths[0].with_suffix(".csv").exists()


def test_tables_label_stand_ins_and_never_mix_sources_or_overrides(tmp_path):
    stand_in = "scikit-learn digits (stand-in for MNIST)"
    publish(tmp_path, record(source=stand_in, psnr_db=10.0))
    text = tables.table_markdown("table_1", "quick", tmp_path)
    assert f"## rotated_mnist: {stand_in}" in text
    publish(tmp_path, record(seed=1, psnr_db=30.0))
    publish(tmp_path, record(seed=2, psnr_db=40.0, overrides="varying=0.5"))
    means = tables.table("table_1", "quick", tmp_path)["rotated_mnist_psnr_db_mean"].dropna()
    assert sorted(means) == [10, 30, 40]
    text = tables.table_markdown("table_1", "quick", tmp_path)
    assert "jin2024 (a)" in text and "\n(a) varying=0.5 on MNIST\n" in text


def test_copies_that_train_are_said_and_part_no_rows_but_those_of_one_system(tmp_path):
    def publish_with(copies, system, seed=0, **more):
        source = f"meshes: 9 aircraft, {copies} stretched copies to train on"
        entry = record(system, seed, dataset="plane_in_the_sky", source=source, **more)
        publish(tmp_path, entry)

    publish_with(12, "copy_input")
    publish_with(12, "jin2024", psnr_db=20.0, train_pairs=100)
    text = tables.table_markdown("table_2", "quick", tmp_path)
    assert "sky: meshes: 9 aircraft, 12 stretched copies to train on\n" in text
    publish_with(1400, "lga", psnr_db=24.0, train_pairs=100)
    frame = tables.table("table_2", "quick", tmp_path)
    assert frame.loc["jin2024", "plane_in_the_sky_psnr_db_published"] == 25.24
    assert list(frame["plane_in_the_sky_psnr_db_mean"].dropna().index) == [
        "copy_input", "jin2024", "lga",
    ]  # fmt: skip
    text = tables.table_markdown("table_2", "quick", tmp_path)
    assert "sky: meshes: 9 aircraft\n" in text
    assert "\nStretched copies to train on: 12 for jin2024; 1,400 for lga.\n" in text
    publish_with("1400 upright", "lga_generic", psnr_db=22.0, train_pairs=100)
    text = tables.table_markdown("table_2", "quick", tmp_path)
    assert (
        "\nStretched copies to train on: 12 for jin2024; 1,400 for lga; 1,400 upright for" in text
    )
    publish_with(1400, "jin2024", seed=1, psnr_db=30.0)
    means = tables.table("table_2", "quick", tmp_path)["plane_in_the_sky_psnr_db_mean"].dropna()
    assert sorted(means) == [20, 20, 22, 24, 30]


def test_a_reduced_preset_is_said_in_its_row(tmp_path):
    publish(
        tmp_path, record("sajjadi2022", dataset="nmr", preset="reduced: tokens of 384, 4 blocks")
    )
    text = tables.table_markdown("table_2", "quick", tmp_path)
    assert "sajjadi2022 (a)" in text and "(a) reduced: tokens of 384, 4 blocks" in text
    assert "took millions of steps" in text


def test_a_loss_that_lacks_a_term_is_said(tmp_path):
    for seed, loss in enumerate(("LPIPS (VGG), weight 0.0005", "left out: LPIPS is missing")):
        publish(tmp_path, record(seed=seed, dataset="nmr", perceptual_loss=loss))
        text = tables.table_markdown("table_2", "quick", tmp_path)
        assert ("\nWithout its perceptual loss: jin2024.\n" in text) == bool(seed)


def test_an_optimiser_that_is_not_the_published_one_is_said(tmp_path):
    publish(tmp_path, record("lga", optimizer="muon"))
    for optimizer in ("adam", "muon"):
        publish(tmp_path, record("jin2024", optimizer=optimizer))
        text = tables.table_markdown("table_1", "quick", tmp_path)
        assert ("\nBy Muon, published by Adam: jin2024.\n" in text) == (optimizer == "muon")


def test_latex_has_a_tabular_per_dataset(tmp_path):
    for seed, psnr_db in ((0, 20.0), (1, 21.0)):
        publish(tmp_path, record(seed=seed, psnr_db=psnr_db))
    text = tables.table_latex("table_1", "quick", tmp_path)
    assert text.count(r"\begin{tabular}") == 3 and r"20.50 $\pm$ 0.71" in text
    assert "±" not in text and "% rotated_mnist: MNIST" in text and r"jin2024" in text


def test_compare_is_one_fixed_line():
    stand_in = record(source="digits (stand-in for MNIST)", psnr_db=19.2)
    assert (
        tables.compare(stand_in, {"jin2024": 19.0}, 0.5) == "test PSNR 19.0 ± 0.5 dB: as expected"
    )
    assert "NOT as expected" in tables.compare(stand_in | {"psnr_db": 18.0}, {"jin2024": 19.0}, 0.5)
    assert "no figure" in tables.compare(record(), {"jin2024": 19.0}, 0.5)


def test_tables_begin_with_the_controls_and_say_how_systems_rank(tmp_path):
    for system, psnr_db in (("jin2024", 20.0), ("winter2022", 21.0), ("copy_input", 10.0)):
        publish(tmp_path, record(system, psnr_db=psnr_db))
    publish(tmp_path, record("mean_image", psnr_db=12.0, dataset="brain_mri"))
    assert list(tables.table("table_1", "quick", tmp_path).index)[:3] == [
        "copy_input", "mean_image", "winter2022",
    ]  # fmt: skip
    text = tables.table_markdown("table_1", "quick", tmp_path)
    rotated, _, brain = text.split("\n## ")[1:]
    assert "published: jin2024 > winter2022 > hwang2023. Here, with" in rotated
    assert "of each row: winter2022 > jin2024." in rotated and "By PSNR" not in brain


def test_few_shows_what_begins_so_in_the_order_asked():
    frame = tables.few({"ssim": 0.91234, "psnr_db": 20.0, "law_a": 1e-9, "seed": 3}, "psnr", "law")
    assert list(frame.index) == ["psnr_db", "law_a"] and list(frame[""]) == ["20", "1e-09"]


@pytest.fixture
def committed_results():
    """Skips a test where `results/` holds more, or less, than was committed."""
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "results"]
    status = subprocess.run(command, capture_output=True, text=True)
    if status.returncode or status.stdout:
        pytest.skip("results were changed since the commit, or there is no git")


@pytest.mark.usefixtures("committed_results")
@pytest.mark.parametrize("profile", ["standard", "paper"])
def test_committed_tables_are_those_of_the_committed_records(profile):
    for name in tables.TABLES:
        kept = RESULTS / profile / name
        assert kept.with_suffix(".md").read_text() == tables.table_markdown(name, profile)
        assert kept.with_suffix(".tex").read_text() == tables.table_latex(name, profile)


@pytest.mark.usefixtures("committed_results")
def test_committed_benchmarks_name_their_machine_or_are_those_of_the_committed_records():
    kept = {path.stem: json.loads(path.read_text()) for path in BENCHMARKS.glob("*.json")}
    assert sorted(kept) == benchmark_names()
    assert kept.pop("time_to_published") == measure("time_to_published")
    assert all(figures["machine"] for figures in kept.values())


@pytest.mark.usefixtures("committed_results")
def test_the_readme_says_what_the_records_say():
    text = (ROOT / "README.md").read_text()
    rows = [line for line in text.splitlines() if line[:1] == "|"]
    found = tables.over_seeds(("psnr_db",), "standard", None)
    said = {(r.dataset, r.system): tables.with_spread(r.mean, r.sd) for r in found.itertuples()}
    digits = ("rotated_mnist", "blocked_mnist")
    for system in ("jin2024", "swarnali2025", "lga_generic", "lga_matched", "lga"):
        (row,) = [r for r in rows if r.startswith(f"| `{system}` |")]
        assert all(said[dataset, system] in row for dataset in digits), (row, system)
    for dataset in ("brain_mri", "nmr", "plane_in_the_sky", "brain_3d"):
        row = next(r for r in rows if r.startswith(f"| `{dataset}` |"))
        systems = {"copy_input", "jin2024", "swarnali2025", "lga_generic", "lga_matched", "lga"}
        for system in systems & {s for d, s in said if d == dataset}:
            assert said[dataset, system] in row, (row, said[dataset, system])
    equal = ablation_table("equal_pairs").query("figure == 'psnr_db'").set_index("variant")
    values = (equal.loc[f"{name}, no LPIPS"] for name in ("turntable", "planes"))
    said = [tables.with_spread(v["mean"], v["sd"]) for v in values]
    assert "on 20,000 pairs of two it is at {} and {} dB".format(*said) in text
    lpips = tables.over_seeds(("lpips",), "standard", None).set_index(["dataset", "system"])
    for dataset in ("nmr", "plane_in_the_sky"):
        values = (lpips.loc[dataset, system] for system in ("lga", "copy_input"))
        said = [tables.with_spread(v["mean"], v["sd"], 3) for v in values]
        assert "({}, copy {})".format(*said) in text


@pytest.mark.usefixtures("committed_results")
def test_the_notebook_of_latents_says_of_actions_in_image_space_what_the_records_say():
    names = ["latent_inverse_error", "latent_deviation", "law_compatibility_db"]
    runs = pandas.DataFrame(read_records("standard"), columns=["dataset", "system", "seed", *names])
    runs = runs.dropna(subset=names).sort_values("seed")
    runs["error"] = runs["latent_inverse_error"] / runs["latent_deviation"]
    means = runs.groupby(["dataset", "system"])[["error", "law_compatibility_db"]].mean()
    better = [
        (a[0] < b[0]) == (a[1] > b[1])
        for _, systems in means.groupby("dataset")
        for a, b in itertools.combinations(systems.to_numpy(), 2)
    ]
    text = (ROOT / "notebooks" / "latents.ipynb").read_text()
    assert f"better in {sum(better)} cases of {len(better)}" in text
    one = runs[(runs["dataset"] == "nmr") & (runs["system"] == "jin2024")]
    errors = "{:.0f}, {:.0f} and {:.0f}".format(*one["error"])
    laws = "{:.1f}, {:.1f} and {:.1f} dB".format(*one["law_compatibility_db"])
    assert f"`jin2024` on the turntable, with {errors}, are at {laws}" in text


@pytest.mark.usefixtures("committed_results")
def test_committed_records_are_of_the_settings_that_the_package_has_today():
    records = [r for profile in ("standard", "paper") for r in read_records(profile)]
    runs = [
        configure(r["dataset"], r["system"], r["profile"], r["seed"], overrides=r["overrides"])
        for r in records
    ]
    runs += [
        variant_run(name, variant, seed=seed)
        for name, ablation in ABLATIONS.items()
        for variant in ablation.variants
        for seed in range(3)
    ]
    assert sum((run.folder.path / "metrics.json").is_file() for run in runs) > len(records) > 80
    assert [others for run in runs if (others := made_otherwise(run))] == []
