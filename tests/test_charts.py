"""Charts from records: what they show, and that equal records make equal files."""

import pandas
import pytest
from conftest import publish, record

import lga
from lga import charts


@pytest.fixture
def results(tmp_path):
    laws = {"latent_inverse_error": 0.3, "latent_deviation": 4.0, "law_compatibility_db": 32.0}
    for seed, psnr in ((0, 23.0), (1, 24.0)):
        publish(tmp_path, record(seed=seed, psnr_db=psnr, **laws))
    publish(tmp_path, record("copy_input", psnr_db=11.0))
    publish(tmp_path, record("lga", psnr_db=35.0, dataset="nmr"))
    publish(tmp_path, record("lga", seed=1, psnr_db=99.0, overrides="width=9"))
    return tmp_path


def test_psnr_has_a_panel_per_dataset_with_its_own_systems_and_published_marks(results):
    left, right = charts.psnr("quick", results).axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["jin2024", "copy_input"]
    assert [t.get_text() for t in right.get_yticklabels()] == ["lga"]
    widths = sorted(bar.get_width() for bar in left.patches)
    assert widths == pytest.approx([11.0, 23.5])
    marks = [line.get_xdata()[0] for line in left.lines if line.get_xdata()[0] == 26.07]
    assert marks == [26.07]


def test_laws_have_a_dot_per_system_that_reports_them(results):
    (axis,) = charts.law_errors("quick", results).axes
    (dots,) = axis.collections
    assert dots.get_offsets().tolist() == [[pytest.approx(0.075), 32.0]]


def test_every_chart_is_written_twice_and_equal_records_make_equal_files(results):
    rows = [
        ("rotated_mnist", system, part, probe, "moved", 100, 1, 0.5, None, "MNIST")
        for system in ("jin2024",) for part in ("z", "z_v", "z_i") for probe in ("logistic", "pose")
    ]  # fmt: skip
    columns = ["dataset", "system", "part", "probe", "tested_on", "labels", "seeds", "mean", "sd",
               "source"]  # fmt: skip
    pandas.DataFrame(rows, columns=columns).to_csv(results / "quick" / "probes.csv", index=False)
    written = charts.write_charts("quick", results)
    names = {path.stem for path in written}
    assert names == {"psnr", "laws", "probes", "learning_rotated_mnist", "learning_nmr"}
    before = {path: path.read_bytes() for path in written[0].parent.iterdir()}
    assert len(before) == 2 * len(names)
    charts.write_charts("quick", results)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_nothing_run_is_an_empty_chart_and_no_error(tmp_path):
    assert {path.stem for path in charts.write_charts("paper", tmp_path)} == {"psnr", "laws"}


def test_every_system_has_a_colour_of_its_own_and_only_controls_are_grey():
    colors = charts.system_colors()
    assert set(colors) == set(lga.SYSTEMS)
    told_apart = [colors[name] for name in colors if name not in charts.CONTROLS]
    assert len(set(told_apart)) == len(told_apart)
    assert {name for name in colors if len(set(colors[name])) == 1} == set(charts.CONTROLS)
