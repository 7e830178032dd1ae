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


def test_letters_of_a_grid_are_larger_only_while_it_is_shown(monkeypatch):
    grid = figures.image_grid([torch.rand(2, 1, 8, 8)], ["x₁"], torch.zeros(2))
    label = grid.axes[0].yaxis.label
    before, shown = label.get_fontsize(), []
    monkeypatch.setattr(grid, "savefig", lambda *_, **__: shown.append(label.get_fontsize()))
    grid._repr_jpeg_()
    assert shown == [pytest.approx(1.4 * before)] and label.get_fontsize() == before


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
    assert is_png(figures.learning_curve(HISTORY))


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


def test_orbits_of_systems_have_a_row_each(digits):
    systems = {name: lga.build_system(name, digits) for name in ("jin2024", "copy_input")}
    x = next(digits.fixed_pairs("test", 1)).x1[0]
    figure = figures.orbits(systems, x, digits.group.path(4))
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["jin2024", "copy_input"] and len(figure.axes) == 10
    copied = figure.axes[-1].images[0].get_array()
    assert abs(copied - x[0].numpy()).max() < 1e-6


def test_swaps_have_a_row_for_each_system_and_each_image_that_moves():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    x1, x2, _ = dataset.swapped("test", 3)
    systems = {
        "copy_input": lga.build_system("copy_input", dataset),
        "lga": lga.load("blocked_mnist/lga"),
    }
    figure = figures.swaps(systems, x1[:2], x2)
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["moves ↓   stays →", "copy_input", "copy_input", "lga", "lga"]
    shown = torch.stack([torch.tensor(axis.images[0].get_array()) for axis in figure.axes])
    above, *copied, _, swapped = shown.unflatten(0, (5, 4))
    torch.testing.assert_close(above[1:], x2[:, 0])
    for row, image in zip(copied, x1[:2], strict=True):
        torch.testing.assert_close(row, image.expand(4, -1, -1))  # what lends it, then copies
    torch.testing.assert_close(swapped[0], x1[1, 0])
    assert not torch.allclose(swapped[1], swapped[2])


def test_layers_show_what_stays_under_what_moves():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    system = lga.load("blocked_mnist/lga")
    batch = next(dataset.fixed_pairs("test", 3))
    figure = figures.layers(system, batch)
    assert len(figure.axes) == 15 and is_jpeg(figure)
    # The committed weights find the square: what stays is white where both pictures are.
    stays = torch.stack([torch.tensor(axis.images[0].get_array()) for axis in figure.axes[9:12]])
    square = (batch.x1 * batch.x2 > 0.999).float()
    whole = torch.nn.functional.avg_pool2d(square, 7, 1).flatten(1).amax(1) > 0.99
    assert whole.any() and (stays[whole].flatten(1).sum(1) > 40).all()


def test_ablations_leave_out_what_was_not_run():
    import pandas

    frame = pandas.DataFrame({"variant": ["a", "b", "c"], "figure": ["psnr_db"] * 3,
                              "mean": [12.0, None, 20.0], "sd": [0.5, None, None]})  # fmt: skip
    (axis,) = figures.ablation(frame, "what", published_db=18.0).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["c", "a"]
    assert len(axis.patches) == 2
    with pytest.raises(ValueError, match="`lga ablate` does"):
        figures.ablation(frame[1:2], "what")
