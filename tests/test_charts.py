"""Charts from records: what they show, and that equal records make equal files."""

import numpy as np
import pandas
import pytest
from conftest import publish, record

import lga
from lga import charts, figures

PROBED = ["dataset", "system", "part", "probe", "tested_on", "labels", "seeds", "mean", "sd",
          "source"]  # fmt: skip


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


def test_laws_have_a_dot_per_run_that_reports_them(results):
    (axis,) = charts.law_errors("quick", results).axes
    (dots,) = axis.collections
    assert dots.get_offsets().tolist() == [[pytest.approx(0.075), 32.0]] * 2


def test_labels_have_a_panel_for_each_part_and_pixels_in_all(results):
    rows = [
        ("rotated_mnist", system, part, "logistic", tested_on, n, 3, score, 0.1, "MNIST")
        for system, part, score in (("jin2024", "z", 0.4), ("jin2024", "z_i", 0.6),
                                    ("jin2024, untrained", "z_i", 0.9), ("pixels", "pixels", 0.2))
        for n in (10, 100) for tested_on in ("moved", "upright")
    ]  # fmt: skip
    pandas.DataFrame(rows, columns=PROBED).to_csv(results / "quick" / "probes.csv", index=False)
    panels = charts.labels("rotated_mnist", "quick", results).axes
    heights = [
        {float(line.get_ydata()[0]) for line in axis.lines if len(line.get_xdata()) == 2}
        for axis in panels
    ]
    assert heights == [{0.4, 0.2}, {0.2}, {0.6, 0.2}]


@pytest.fixture
def seen(results, digits):
    """Runs that keep their pictures: two of the same pairs, one of others."""
    batch, (_, others) = next(digits.fixed_pairs("test", 8)), digits.fixed_pairs("test", 508)
    for name, pairs in (("copy_input", batch), ("act_on_image", batch), ("mean_image", others)):
        drawn = figures.pairs(lga.build_system(name, digits), pairs)
        publish(results, record(name, dataset="blocked_mnist"), {"pairs.png": drawn})
    return results, batch


def test_a_page_shows_what_every_system_paints_of_the_same_pairs(seen, digits):
    results, batch = seen
    page = charts.page("blocked_mnist", "quick", results, pairs=3)
    labels = [axis.get_ylabel() for axis in page.axes if axis.get_ylabel()]
    assert labels == ["x₁", "x₂ = g·x₁", "copy_input", "act_on_image"]
    turned = lga.build_system("act_on_image", digits).predict(batch)
    rows = (batch.x1, batch.x2, batch.x1, turned)
    for axis, image in zip(page.axes, [i for row in rows for i in row[:3]], strict=True):
        shown = axis.images[0].get_array()
        middle = (np.arange(28) + 0.5) / 28 * shown.shape[0]  # of the pixels of the image
        at_pixels = shown[np.ix_(middle.astype(int), middle.astype(int))][..., 0]
        assert abs(at_pixels - image[0].numpy()).max() < 0.01


def test_a_page_names_what_is_damaged_and_what_is_missing(seen):
    results, _ = seen
    with pytest.raises(FileNotFoundError, match="no run of nmr in the quick profile keeps"):
        charts.page("nmr", "quick", results)
    path = results / "quick/blocked_mnist/copy_input/seed-0/pairs.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"pairs\.png is damaged"):
        charts.page("blocked_mnist", "quick", results)
    figures.Chart(figsize=(1, 1)).savefig(path)
    with pytest.raises(ValueError, match=r"pairs\.png is damaged .*no figure of pairs"):
        charts.page("blocked_mnist", "quick", results)


def test_every_chart_is_written_twice_and_equal_records_make_equal_files(seen):
    results, _ = seen
    rows = [
        ("rotated_mnist", system, part, probe, "moved", n, 1, 0.5, None, "MNIST")
        for system in ("jin2024",) for part in ("z", "z_v", "z_i")
        for probe in ("logistic", "pose") for n in (10, 100)
    ]  # fmt: skip
    pandas.DataFrame(rows, columns=PROBED).to_csv(results / "quick" / "probes.csv", index=False)
    written = charts.write_charts("quick", results)
    names = {path.stem for path in written}
    learned = {f"learning_{name}" for name in ("rotated_mnist", "blocked_mnist", "nmr")}
    probed = {"probes", "labels_rotated_mnist"}
    assert names == {"psnr", "laws", "page_blocked_mnist"} | probed | learned
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


def test_learning_shows_the_best_so_far_and_seeds_of_a_system_share_a_colour(results):
    for system, seed, last in (("jin2024", 0, 12.0), ("jin2024", 1, 3.0), ("lga", 1, 12.0)):
        rows = [f"{k},{100 * k},{10 * k},{psnr}" for k, psnr in enumerate((11.0, 12.0, last), 1)]
        path = results / f"quick/rotated_mnist/{system}/seed-{seed}/history.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["step,pairs,seconds,validation_psnr_db", *rows]))
    chart = charts.learning("rotated_mnist", "quick", results)
    lga_seed_1, *jin, published = chart.axes[0].lines
    assert lga_seed_1.get_color() != jin[0].get_color() == jin[1].get_color()
    assert list(jin[1].get_xdata()) == [100, 200, 300]
    assert list(jin[1].get_ydata()) == [11.0, 12.0, 12.0]
    assert set(published.get_ydata()) == {26.07}
    (legend,) = chart.legends
    assert [text.get_text() for text in legend.get_texts()] == ["lga", "jin2024", "published"]
    chart = charts.learning("rotated_mnist", "quick", results, ["jin2024"])
    assert list(chart.axes[1].lines[1].get_xdata()) == [10, 20, 30]
    assert len(chart.axes[1].lines) == 3


def test_learning_names_devices_where_there_are_several(results):
    for system, device in (("jin2024", "cpu (1 threads)"), ("lga", "a GPU")):
        publish(results, record(system, device=device))
        path = results / f"quick/rotated_mnist/{system}/seed-0/history.csv"
        path.write_text("step,pairs,seconds,validation_psnr_db\n1,2,3,4\n2,4,6,8\n")
    (legend,) = charts.learning("rotated_mnist", "quick", results).legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["lga, a GPU", "jin2024, cpu (1 threads)", "published"]
