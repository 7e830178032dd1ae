"""The explorer without a browser: a slider's value, the decoded picture, and `transform`."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import lga
from lga import explorer
from lga.groups import SO2, SO3, Affine, Cyclic, Product, Translation


def test_moving_the_slider_paints_what_transform_paints():
    shown = lga.explore("rotated_mnist", ["jin2024"])
    before = shown.image.value
    shown.index.value, shown.sliders["angle"].value = 5, -75
    assert shown.image.value != before
    torch.testing.assert_close(shown.g, SO2().rotation(torch.tensor([-75.0]).deg2rad()))
    picture = np.asarray(Image.open(io.BytesIO(shown.image.value)))
    x = shown.dataset.view("test", 5, SO2().identity(1))
    with torch.no_grad():
        painted = shown.systems["jin2024"].transform(x, shown.g).clamp(0, 1)[0, 0]
    left = 2 * (explorer.SIDE_PX + explorer.GAP_PX)  # x, the truth, then jin2024
    rows = slice(explorer.CAPTION_PX, explorer.CAPTION_PX + explorer.SIDE_PX)
    panel = picture[rows, left : left + explorer.SIDE_PX, 0]
    scale = explorer.SIDE_PX // 28
    np.testing.assert_allclose(panel[::scale, ::scale] / 255, painted.numpy(), atol=0.003)


GROUPS = [SO2(), Cyclic(24), SO3(), Affine(), Translation(2), Product(SO2(), Affine(), SO2())]


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_controls_make_elements(group):
    values = {name: control.value for name, control in explorer.sliders_for(group).items()}
    g = group.check(explorer.element(group, values))
    assert g.shape == (1, group.matrix_dim, group.matrix_dim)


def test_each_factor_has_controls_of_its_own():
    group = Product(SO2(), SO2(), Affine())
    values = {name: control.value for name, control in explorer.sliders_for(group).items()}
    first, second, contrast = group.blocks(explorer.element(group, values | {"1 angle": 90}))
    torch.testing.assert_close(first, SO2().rotation(torch.tensor([60.0]).deg2rad()))
    torch.testing.assert_close(second, SO2().rotation(torch.tensor([90.0]).deg2rad()))
    assert Affine().scale_shift(contrast)[0].item() == pytest.approx(1.6)


def test_ones_own_systems_are_explored_on_ones_own_data():
    group = Product(SO2(), Translation(1))
    g = group.sample(60, torch.Generator().manual_seed(0))
    images = torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    dataset = lga.OrbitDataset.from_arrays(images, g, [k // 6 for k in range(60)], group, "images")
    system = lga.build_system("jin2024", dataset).train()
    shown = lga.explore(dataset, {"mine": system})
    assert not system.training and list(shown.systems) == ["mine"]
    before = shown.image.value
    (angle, _shift) = shown.sliders.values()
    angle.value = -75
    assert shown.image.value != before


@pytest.mark.parametrize("name, options", [
    ("rotated_mnist", {}), ("blocked_mnist", {}), ("brain_mri", {"subjects": 24}),
    ("nmr", {"objects": 12}), ("plane_in_the_sky", {"objects": 6, "views": 5}),
])  # fmt: skip
def test_every_dataset_shows_its_objects_where_it_can(name, options):
    dataset = lga.load_dataset(name, "stand-in", **options)
    e = dataset.group.identity(1)
    x = dataset.view("test", 0, e)
    assert x.shape == (1, *dataset.image_shape)
    g = dataset.group.sample(1, torch.Generator().manual_seed(1))
    moved = dataset.view("test", 0, g)
    assert moved is None or (moved - x).abs().mean() > 1e-3
    assert (moved is None) == (name == "plane_in_the_sky")


def test_a_stored_view_is_the_one_at_g():
    dataset = lga.load_dataset("nmr", "stand-in", objects=12)
    owner = dataset.objects["test"][0]
    views = dataset.show(dataset.order[dataset.first[owner] :][:24])
    for j in (0, 5, 23):
        shown = dataset.view("test", 0, dataset.group.element(torch.tensor([j])))
        assert torch.equal(shown[0], views[j])


def test_without_weights_the_error_says_so():
    with pytest.raises(FileNotFoundError, match="no weights of rotated_mnist in the quick profile"):
        lga.explore("rotated_mnist", [], profile="quick")
