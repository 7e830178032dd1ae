"""Figures draw what they are given; how they look is for eyes."""

import pytest
import torch

import lga
from lga import figures

HISTORY = [{"pairs": 100 * k, "loss": 1 / k, "validation_psnr_db": 10.0 + k, "mask_fraction": m}
           for k, m in ((1, 0.5), (2, 0.75))]  # fmt: skip


def is_png(chart) -> bool:
    return chart._repr_png_().startswith(b"\x89PNG")


def is_jpeg(grid) -> bool:
    return grid._repr_jpeg_().startswith(b"\xff\xd8\xff")


def test_pairs_show_every_row_and_the_psnr(digits):
    system = lga.build_system("jin2024", digits)
    figure = figures.pairs(system, next(digits.fixed_pairs("test", 3)))
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["x₁", "x₂ = g·x₁", "x̂₂", "|x̂₂ − x₂|"]
    assert sum("dB" in axis.get_xlabel() for axis in figure.axes) == 3 and is_jpeg(figure)


@pytest.mark.parametrize("channels", [1, 3])
def test_orbits_begin_with_the_image_itself(channels):
    group = lga.groups.SO2()
    system = lga.SYSTEMS["jin2024"]((channels, 28, 28), group, network="mnist")
    x = torch.rand(2, channels, 28, 28)
    figure = figures.orbit(system, x, group.path(5))
    assert len(figure.axes) == 12 and is_jpeg(figure)
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape[:2] == (28, 28) and abs(float(shown.ravel()[0] - x[0, 0, 0, 0])) < 1e-6


def test_learning_curves_show_the_mask_where_it_changes():
    assert len(figures.learning_curve(HISTORY).axes) == 3
    still = [row | {"mask_fraction": 1.0} for row in HISTORY]
    assert len(figures.learning_curve(still).axes) == 2
    many = figures.learning_curves({"a": HISTORY, "b": still})
    assert [len(axis.lines) for axis in many.axes] == [2, 2] and is_png(many)


def test_learning_curves_of_many_runs_can_be_told_apart():
    runs = {f"run {k}": HISTORY for k in range(12)}
    lines = figures.learning_curves(runs | {"copy_input": HISTORY[:1]}).axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 12


def test_figures_take_their_batch_to_where_the_system_is(digits):
    """Batches are drawn on the CPU before training may move the system to a GPU."""
    seen = set()

    class Elsewhere(lga.SYSTEMS["mean_image"]):
        def transform(self, x, g):
            seen.update({x.device.type, g.device.type})
            return torch.zeros(x.shape)

    system = Elsewhere((1, 28, 28), digits.group).to("meta")
    batch = next(digits.fixed_pairs("test", 2))
    assert figures.device_of(system).type == "meta"
    assert figures.device_of(lga.build_system("copy_input", digits)).type == "cpu"
    with pytest.raises((RuntimeError, NotImplementedError)):
        figures.pairs(system, batch)  # nothing on "meta" can be drawn
    assert seen == {"meta"}
