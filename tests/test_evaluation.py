"""Metrics against closed forms and the libraries' own; the law report against known systems."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import lga
import lga.training
from lga import evaluation, metrics
from lga.groups import SO2, SO3, rotate_maps
from lga.laws import law_report


def test_psnr_closed_form_and_scikit_image():
    x = torch.rand(4, 3, 16, 16) * 0.8
    torch.testing.assert_close(
        metrics.psnr_db(x, x + 0.1), torch.full((4,), 20.0), atol=1e-3, rtol=0
    )
    y = torch.rand(4, 3, 16, 16)
    theirs = [peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1)
              for a, b in zip(x, y, strict=True)]  # fmt: skip
    np.testing.assert_allclose(metrics.psnr_db(x, y), theirs, rtol=1e-5)
    assert metrics.psnr_db(x, x).isinf().all()


def kinds_of_images(digits):
    """Pairs of digits, of noise in colour, of flat pictures, and of equal ones."""
    pairs = digits.pairs("test", 4, torch.Generator().manual_seed(0))
    noise = torch.rand(2, 3, 20, 33)
    flat = torch.full((2, 1, 11, 11), 0.5)
    return [
        (pairs.x1, pairs.x2),
        (noise, (noise + 0.3 * torch.rand_like(noise)).clamp(0, 1)),
        (flat, flat + 0.1),
        (pairs.x1, pairs.x1),
    ]


@pytest.mark.parametrize("data_range", [1, 255])
def test_ssim_is_scikit_image_with_gaussian_weights(digits, data_range):
    for x, y in kinds_of_images(digits):
        x, y = x.double(), y.double()
        theirs = [
            structural_similarity(
                a, b, channel_axis=0, data_range=data_range, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False,
            )
            for a, b in zip(x.numpy(), y.numpy(), strict=True)
        ]  # fmt: skip
        np.testing.assert_allclose(metrics.ssim(x, y, data_range), theirs, rtol=0, atol=1e-9)


def test_ssim_is_the_same_in_mixed_precision(digits):
    pairs = digits.pairs("test", 4, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = metrics.ssim(pairs.x1, pairs.x2)
    plain = metrics.ssim(pairs.x1, pairs.x2)
    assert plain.dtype == mixed.dtype == torch.float32 and torch.equal(plain, mixed)


def test_the_published_range_of_255_hides_what_the_range_of_1_shows(digits):
    pairs = digits.pairs("test", 4, torch.Generator().manual_seed(0))
    close = metrics.ssim(pairs.x1, pairs.x2, 255)
    assert close.min() > 0.97 > 0.1 > metrics.ssim(pairs.x1, pairs.x2).min()


class TurnsTheImage(lga.System):
    """A system without a latent that turns the pixels: right, or the other way."""

    group = SO2()

    def __init__(self, sign: int = 1):
        super().__init__()
        self.sign = sign

    def transform(self, x, g):
        return rotate_maps(g if self.sign > 0 else g.mT, x)

    def loss(self, pairs):
        raise NotImplementedError


def test_evaluate_ranks_a_right_system_above_a_wrong_one(digits):
    settings = lga.settings_for("quick", test_pairs=30)
    right, wrong = (lga.evaluate(TurnsTheImage(sign), digits, settings) for sign in (1, -1))
    assert right["psnr_db"] > 26 > 18 > wrong["psnr_db"]
    assert right["ssim"] > 0.97 > wrong["ssim"] and right["test_pairs"] == 30
    assert right["lpips"] is None and "28-pixel" in right["lpips_reason"]
    assert (
        "law_identity" not in right and "law_identity_db" in right and "mask_fraction" not in right
    )


def test_evaluate_is_repeatable_and_uses_only_test_digits(digits, monkeypatch):
    asked = set()
    draw = type(digits).draw
    monkeypatch.setattr(
        type(digits),
        "draw",
        lambda self, split, *rest: asked.add(split) or draw(self, split, *rest),
    )
    system = lga.build_system("jin2024", digits)
    settings = lga.settings_for("quick", test_pairs=20)
    assert lga.evaluate(system, digits, settings) == lga.evaluate(system, digits, settings)
    assert asked == {"test"}


def test_law_report_of_a_latent_system(digits):
    system = lga.build_system("jin2024", digits)
    pairs = digits.pairs("test", 16, torch.Generator().manual_seed(0))
    report = law_report(system, pairs.x1, pairs.g, pairs.g.roll(1, 0))
    assert report["law_identity"] == 0
    assert 0 < report["law_compatibility"] < 1e-6 and 0 < report["law_inverse"] < 1e-6
    encoding = system.encode(pairs.x1)
    z = encoding.z
    expected = (z - system.encode(system.decode(encoding)).z).norm(dim=1).mean()
    assert report["latent_inverse_error"] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert report["latent_deviation"] == pytest.approx(float(z.std().detach()), rel=1e-5)


def test_law_report_sees_a_broken_law(digits):
    class Doubles(TurnsTheImage):
        def transform(self, x, g):
            return rotate_maps(g @ g, x)  # not g: T(T(x, g1), g2) is not T(x, g2 g1) …

    class Halves(TurnsTheImage):
        def transform(self, x, g):
            return 0.5 * rotate_maps(g, x)  # … and e does something

    x = digits.pairs("test", 16, torch.Generator().manual_seed(0)).x1
    g = SO2().sample(16, torch.Generator().manual_seed(1))
    good, halves = (law_report(s, x, g, g.roll(1, 0))
                    for s in (TurnsTheImage(), Halves()))  # fmt: skip
    assert good["law_identity_db"] > 90 and halves["law_identity_db"] < 25
    assert law_report(Doubles(), x, g, g)["law_identity_db"] > 90  # e e = e

    class OneStep(TurnsTheImage):
        def transform(self, x, g):
            return rotate_maps(SO2().rotation(2 * SO2().angle(g).abs()), x)

    assert law_report(OneStep(), x, g, g.roll(1, 0))["law_inverse_db"] < 18
    assert good["law_inverse_db"] > 22


def test_latent_law_errors_are_relative_to_the_latent(digits):
    """An action that doubles z breaks every law by a whole number of ‖z‖."""
    system = lga.build_system("jin2024", digits)
    system.act = lambda g, encoding: encoding._replace(z=2 * encoding.z)
    x = digits.pairs("test", 8, torch.Generator().manual_seed(0)).x1
    assert (system.encode(x).z.norm(dim=1) - 1).abs().min() > 0.1
    g = SO2().sample(8, torch.Generator().manual_seed(1))
    report = law_report(system, x, g, g.roll(1, 0))
    assert report["law_identity"] == pytest.approx(1)  # 2z − z
    assert report["law_inverse"] == pytest.approx(3)  # 4z − z
    assert report["law_compatibility"] == pytest.approx(2)  # 4z − 2z


def test_laws_that_hold_to_the_last_bit_count_as_100_db(digits):
    class Copies(TurnsTheImage):
        def transform(self, x, g):
            return x

    x = digits.pairs("test", 4, torch.Generator().manual_seed(0)).x1
    report = law_report(Copies(), x, SO2().sample(4), SO2().sample(4))
    assert set(report.values()) == {100.0}


class TurnsColors(lga.System):
    """Every pixel's colour is a vector of R³, turned about grey: an action of SO(3) on images."""

    group = SO3()

    def transform(self, x, g):
        return 0.5 + torch.einsum("nij,njhw->nihw", g, x - 0.5)

    def loss(self, pairs):
        raise NotImplementedError


def test_law_report_composes_in_the_right_order():
    """Rotations of space do not commute: g2 after g1 is g2 g1, in latent and in image space."""
    generator = torch.Generator().manual_seed(0)
    g = SO3().sample(16, generator)
    g1, g2 = g, g.roll(1, 0)
    colors = law_report(TurnsColors(), torch.rand(16, 3, 8, 8, generator=generator), g1, g2)
    assert colors["law_compatibility_db"] > 90 and colors["law_inverse_db"] > 90
    system = lga.SYSTEMS["jin2024"]((1, 28, 28), SO3(), network="mnist").eval()
    latent = law_report(system, torch.rand(16, 1, 28, 28, generator=generator), g1, g2)
    assert latent["law_compatibility"] < 1e-6 and latent["law_inverse"] < 1e-6


class Overshoots(lga.System):
    """Paints twice the contrast of a picture of black and white."""

    group = SO2()

    def transform(self, x, g):
        return 2 * x - 0.5

    def loss(self, pairs):
        raise NotImplementedError


def test_pictures_are_clipped_before_they_are_measured(digits, monkeypatch):
    draw = type(digits).draw

    def black_and_white(self, *args):
        pairs = draw(self, *args)
        return dataclasses.replace(pairs, x1=pairs.x1.round(), x2=pairs.x1.round())

    monkeypatch.setattr(type(digits), "draw", black_and_white)
    settings = lga.settings_for("quick", test_pairs=4, validation_pairs=4)
    measured = lga.evaluate(Overshoots(), digits, settings)
    assert measured["psnr_db"] == measured["psnr_of_mean_mse_db"] == evaluation.PSNR_CEILING_DB
    assert measured["ssim"] == pytest.approx(1)
    assert lga.training.validate(Overshoots(), digits, settings) == math.inf


def test_psnr_of_the_mean_error_is_no_mean_of_psnrs(digits, monkeypatch):
    class Shifts(Overshoots):
        def transform(self, x, g):
            off = torch.tensor([0.1, 0.01]).repeat(len(x))[: len(x), None, None, None]
            return x + off

    draw = type(digits).draw

    def grey(self, *args):
        pairs = draw(self, *args)
        half = torch.full_like(pairs.x1, 0.5)
        return dataclasses.replace(pairs, x1=half, x2=half)

    monkeypatch.setattr(type(digits), "draw", grey)
    measured = lga.evaluate(Shifts(), digits, lga.settings_for("quick", test_pairs=4))
    assert measured["psnr_db"] == pytest.approx(30, abs=1e-3)  # of 20 and 40 dB
    expected = -10 * math.log10((0.01 + 0.0001) / 2)
    assert measured["psnr_of_mean_mse_db"] == pytest.approx(expected, abs=1e-3)


def test_lpips_without_weights_is_a_clear_reason(monkeypatch, tmp_path):
    class Rendered:
        image_shape = (3, 64, 64)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: (_ for _ in ()).throw(
        OSError("no route")))  # fmt: skip
    metrics.lpips_network.cache_clear()
    reason = evaluation.lpips_reason(Rendered())
    assert "ImageNet weights of vgg" in reason and "no route" in reason


def test_lpips_of_equal_images_is_zero_and_takes_grey_images(monkeypatch):
    """The arithmetic around the network, with a stand-in for the network itself."""
    seen = []

    def network(a, b):
        seen.append((a, b))
        return (a - b).abs().mean((1, 2, 3), keepdim=True)

    network.to = lambda device: network
    monkeypatch.setattr(metrics, "lpips_network", lambda net: network)
    x = torch.rand(3, 1, 64, 64)
    assert metrics.lpips(x, x).tolist() == [0, 0, 0]
    (a, _), = seen  # fmt: skip
    assert a.shape == (3, 3, 64, 64) and math.isclose(float(a.min()), 2 * float(x.min()) - 1)


@pytest.mark.skipif(not metrics.lpips_weights().is_file(), reason="LPIPS' weights are not here")
def test_lpips_is_that_of_torchmetrics():
    from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity

    x, y = torch.rand(2, 2, 3, 64, 64)
    theirs = learned_perceptual_image_patch_similarity(x, y, "vgg", "mean", normalize=True)
    torch.testing.assert_close(metrics.lpips(x, y).mean(), theirs)
    assert 0.1 < theirs < 1
