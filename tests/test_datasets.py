"""Pairs: their sense, their splits, their repeatability, and what damaged files get."""

import gzip
import math
import shutil

import numpy as np
import pytest
import scipy.ndimage
import torch
from conftest import SMALL

import lga
from lga.groups import SO2
from lga.pictures import digits as digits_module


def test_g_turns_the_first_image_into_the_second(digits):
    """Against SciPy, which turns counter-clockwise as seen; both images were interpolated once."""
    pairs = digits.pairs("test", 32, torch.Generator().manual_seed(0))
    degrees = SO2().angle(pairs.g) * 180 / math.pi

    def error(sign: int) -> float:
        turned = [
            scipy.ndimage.rotate(image.numpy(), sign * float(angle), reshape=False, order=1)
            for image, angle in zip(pairs.x1[:, 0], degrees, strict=True)
        ]
        return float(np.square(np.stack(turned) - pairs.x2[:, 0].numpy()).mean())

    assert error(+1) < 0.002 < 0.02 < error(-1)


def test_pairs_are_images_and_elements(digits):
    pairs = digits.pairs("train", 64, torch.Generator().manual_seed(0))
    assert pairs.x1.shape == pairs.x2.shape == (64, 1, 28, 28) and len(pairs) == 64
    assert pairs.x1.min() >= 0 and pairs.x1.max() <= 1
    digits.group.check(pairs.g)


def test_fixed_pairs_are_the_same_for_all_and_go_through_every_object(digits):
    whole = list(digits.fixed_pairs("test", 700))
    again = list(lga.load_dataset("rotated_mnist", "stand-in").fixed_pairs("test", 700))
    assert [len(batch) for batch in whole] == [500, 200]
    assert all(torch.equal(a.x2, b.x2) and torch.equal(a.g, b.g)
               for a, b in zip(whole, again, strict=True))  # fmt: skip
    fewer = next(digits.fixed_pairs("test", 20))
    assert torch.equal(fewer.x1, whole[0].x1[:20])
    validation = next(digits.fixed_pairs("validation", 20))
    assert not torch.equal(validation.g, fewer.g)
    # The objects are visited in order: a turned digit keeps its ink.
    ink = digits.originals.images["test"].double().mean((1, 2, 3)) / 255
    seen = torch.cat([batch.x1 for batch in whole]).double().mean((1, 2, 3))
    torch.testing.assert_close(seen[: len(ink)], ink, rtol=0.03, atol=2e-3)


@pytest.mark.parametrize("name", lga.DATASETS)
def test_a_stand_in_says_that_it_is_one(name):
    dataset = lga.load_dataset(name, "stand-in", **SMALL.get(name, {}))
    assert dataset.is_stand_in and "stand-in" in dataset.source


def test_splits_share_no_digit(digits):
    images = digits.originals.images
    keys = {split: {x.numpy().tobytes() for x in images[split]} for split in images}
    assert sum(len(part) for part in images.values()) == 1797
    assert not keys["train"] & keys["test"] and not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]


def test_quarter_turns_come_from_the_cyclic_group():
    dataset = lga.load_dataset("rotated_mnist", "stand-in", turns=4)
    pairs = dataset.pairs("train", 16, torch.Generator().manual_seed(0))
    assert dataset.group == lga.groups.Cyclic(4)
    steps = (SO2().angle(pairs.g) / (math.pi / 2)).round().long().tolist()
    for x1, x2, k in zip(pairs.x1, pairs.x2, steps, strict=True):
        torch.testing.assert_close(x1.rot90(k, (1, 2)), x2, rtol=0, atol=1e-4)


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Four files in MNIST's own format, with 16 training and 8 test digits."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    sums = {}
    for name in digits_module.FILES:
        n = 16 if name.startswith("train") else 8
        images = "images" in name
        body = generator.integers(0, 256 if images else 10, n * (784 if images else 1), np.uint8)
        (folder / name).write_bytes(gzip.compress(bytes(16 if images else 8) + body.tobytes()))
        sums[name] = digits_module.hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(digits_module, "FILES", sums)
    return tmp_path


def test_real_mnist_is_read_in_its_original_split(small_mnist):
    dataset = lga.load_dataset("rotated_mnist", "real", small_mnist)
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [14, 2, 8]
    assert dataset.source == "MNIST" and not dataset.is_stand_in
    raw = gzip.decompress((small_mnist / "MNIST/raw/t10k-images-idx3-ubyte.gz").read_bytes())
    first = torch.tensor(list(raw[16 : 16 + 784]), dtype=torch.uint8).view(1, 28, 28)
    assert torch.equal(dataset.originals.images["test"][0], first)


def test_a_damaged_or_missing_file_is_named_with_its_mend(small_mnist):
    path = small_mnist / "MNIST/raw/train-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    mend = f"lga data prepare rotated_mnist --data-root {small_mnist}"
    with pytest.raises(ValueError, match=r"train-labels.*damaged: expected MD5") as caught:
        lga.load_dataset("rotated_mnist", "real", small_mnist)
    assert mend in str(caught.value)
    assert path.read_bytes() == whole[:-5]  # nothing is deleted
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels.*is missing") as caught:
        lga.load_dataset("rotated_mnist", "real", small_mnist)
    assert mend in str(caught.value)


def test_auto_takes_real_data_only_where_they_are(small_mnist, tmp_path):
    load = lga.load_dataset
    assert load("rotated_mnist", "auto", small_mnist).source == "MNIST"
    assert load("rotated_mnist", "auto", tmp_path / "empty").is_stand_in
    assert load("rotated_mnist").is_stand_in
    shutil.rmtree(small_mnist / "MNIST")
    assert load("rotated_mnist", "auto", small_mnist).is_stand_in


def test_a_download_without_a_network_says_where_files_belong(tmp_path, monkeypatch):
    from torchvision.datasets import utils

    def refuse(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_url", refuse)
    with pytest.raises(OSError, match=r"no mirror gave train-images.*MNIST/raw by hand"):
        lga.DATASETS["rotated_mnist"].prepare(tmp_path)


def test_unknown_names_are_errors_that_help():
    with pytest.raises(ValueError, match="did you mean 'rotated_mnist'"):
        lga.load_dataset("rotated-mnist")
    with pytest.raises(ValueError, match="unknown source 'fake'"):
        lga.load_dataset("rotated_mnist", "fake")


def test_the_public_scripts_protocol_leaves_x1_upright():
    dataset = lga.load_dataset("rotated_mnist", "stand-in", turns=4, upright=True)
    pairs = dataset.pairs("test", 40, torch.Generator().manual_seed(0))
    quarters = torch.round(torch.atan2(pairs.g[:, 1, 0], pairs.g[:, 0, 0]) / (torch.pi / 2)) % 4
    assert set(quarters.tolist()) == {0, 1, 2, 3}
    upright = {image.numpy().tobytes() for image in dataset.originals.images["test"].float() / 255}
    for x1, x2, k in zip(pairs.x1, pairs.x2, quarters, strict=True):
        assert (x1 * 255).round().div(255).numpy().tobytes() in upright
        torch.testing.assert_close(x2, torch.rot90(x1, int(k), (1, 2)), rtol=0, atol=1e-5)


def test_views_of_one_first_image_share_it_and_keep_their_elements():
    dataset = lga.load_dataset("plane_in_the_sky", "stand-in", objects=6, views=5)
    one = dataset.pairs("train", 6, torch.Generator().manual_seed(3))
    many = dataset.pairs("train", 6, torch.Generator().manual_seed(3), views=3)
    assert one.views == 1 and many.views == 3 and many.to("cpu").views == 3
    for first in (0, 3):
        assert torch.equal(many.x1[first], many.x1[first + 2])
        assert not torch.allclose(many.g[first], many.g[first + 1])
    digits = lga.load_dataset("rotated_mnist", "stand-in")
    with pytest.raises(ValueError, match="several second images"):
        digits.pairs("train", 4, torch.Generator(), views=2)
