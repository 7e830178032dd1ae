"""Our own system: harmonics, polar networks, what stays, and the three settings of it."""

import math
from dataclasses import replace

import pytest
import torch
from skimage.transform import rotate

import lga
from lga.groups import SO2, SO3, Affine, Product, Translation, rotate_maps, shift_maps
from lga.metrics import psnr_db
from lga.networks import (
    CompositeAutoencoder,
    DiscHarmonics,
    Encoding,
    HarmonicAutoencoder,
    PlaneWaves,
    PolarAutoencoder,
)
from lga.networks.composite import Layers, StillMap, StillNumbers
from lga.networks.polar import Circle, FrequencyLinear, FrequencyStack
from lga.representations import Irreps, Waves
from lga.runs import latent_numbers, parameter_count

QUARTER = SO2().rotation(torch.full((4,), math.pi / 2, dtype=torch.float64))


@pytest.fixture(scope="module")
def blocked():
    return lga.load_dataset("blocked_mnist", "stand-in")


def perturbed(module, by=0.05):
    """A module whose layers that begin as zero say something."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(by * torch.randn_like(weight))
    return module.double().eval()


def smooth_pictures(n, side=28, channels=1):
    """Random pictures without detail near the pixel grid, dark at the rim."""
    coarse = torch.rand(n, channels, 6, 6, dtype=torch.float64)
    pictures = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1)
    place = torch.linspace(-1, 1, side, dtype=torch.float64)
    radius = torch.hypot(place[:, None], place)
    return pictures * ((1 - radius).clamp(0, 0.3) / 0.3)


def test_harmonics_say_what_a_picture_is_and_turn_as_irreps():
    harmonics = DiscHarmonics((1, 28, 28)).double()
    irreps = Irreps(SO2(), harmonics.multiplicities)
    assert irreps.channels == sum(harmonics.spans()) == 496
    x = smooth_pictures(4)
    z = harmonics.analyse(x)
    again = harmonics.synthesise(z)
    assert psnr_db(again, x).min() > 45
    turned = harmonics.synthesise(irreps.act(QUARTER, z))
    torch.testing.assert_close(turned, again.rot90(1, (2, 3)), rtol=0, atol=1e-6)
    # Any angle, in the sense of scikit-image: degrees, counter-clockwise.
    g = SO2().rotation(torch.full((4,), math.radians(33), dtype=torch.float64))
    turned = harmonics.synthesise(irreps.act(g, z))
    expected = torch.stack([torch.from_numpy(rotate(a[0].numpy(), 33, order=5))[None] for a in x])
    assert psnr_db(turned, expected).min() > 40


@pytest.mark.parametrize("channels", [1, 3])
def test_stacks_hold_every_number_once(channels):
    stack = FrequencyStack((3, 2, 2, 1))
    numbers = torch.arange(1.0, 1 + 2 * len(stack.places)).view(2, -1)
    spread = stack.spread(numbers)
    assert torch.equal(spread[:, stack.places], numbers)
    assert spread.count_nonzero() == numbers.numel()
    flat = spread[:, None] + 100 * torch.arange(channels)[:, None]
    assert torch.equal(stack.flat(stack.stacked(flat), channels), flat)


def test_frequency_matrices_commute_with_turns():
    inputs, outputs = (3, 2, 1), (2, 2, 2)
    linear = FrequencyLinear(inputs, outputs).double()
    before, after = FrequencyStack(inputs), FrequencyStack(outputs)

    def mapped(z):
        return after.flat(linear(before.stacked(before.spread(z)[:, None])))[:, 0, after.places]

    z, g = torch.randn(4, 9, dtype=torch.float64), SO2().sample(4, dtype=torch.float64)
    turned = mapped(Irreps(SO2(), inputs).act(g, z))
    torch.testing.assert_close(turned, Irreps(SO2(), outputs).act(g, mapped(z)))


def test_circles_keep_frequencies_and_turn_by_shifts():
    circle = Circle(16, 5).double()
    stack = torch.randn(5, 3, 8, dtype=torch.float64)
    stack[0, :, 4:] = 0
    samples = circle.sample(stack)
    torch.testing.assert_close(circle.analyse(samples), stack, rtol=0, atol=1e-5)
    frequencies = FrequencyStack((4,) * 5)
    flat = frequencies.flat(stack)[:, 0, frequencies.places]
    g = SO2().rotation(torch.full((3,), 2 * math.pi / 16, dtype=torch.float64))
    turned = Irreps(SO2(), (4,) * 5).act(g, flat)
    shifted = circle.sample(frequencies.stacked(frequencies.spread(turned)[:, None]))
    torch.testing.assert_close(shifted, samples.roll(1, 0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "shape, group",
    [((1, 28, 28), SO2()), ((3, 64, 64), SO3()), ((1, 64, 64), Affine()), ((1, 8, 8, 8), SO3())],
    ids=("plane", "object", "pixels", "volume"),
)
def test_every_network_is_as_wide_as_it_is_told(shape, group):
    narrow, wide = (
        parameter_count(lga.SYSTEMS["lga"](shape, group, width=width)) for width in (8, 16)
    )
    assert wide > narrow


def test_a_volume_begins_by_turning_its_voxels_with_fields_beside_them():
    system = lga.SYSTEMS["lga"]((2, 6, 6, 6), SO3(), fields="1,2")
    assert system.action.representation.sizes == (1, 1, 1, 3, 3)
    x, g = torch.rand(4, 2, 6, 6, 6), SO3().sample(4)
    z = system.encode(x).z
    assert z.shape == (4, 9, 6, 6, 6) and torch.equal(z[:, :2], x)
    assert torch.equal(system.transform(x, g), rotate_maps(g, x))
    with pytest.raises(ValueError, match="not negative"):
        lga.SYSTEMS["lga"]((2, 6, 6, 6), SO3(), fields="-1,2")


@pytest.mark.parametrize("channels", [1, 3])
def test_polar_networks_are_equivariant(channels):
    """To rounding under quarter turns, whatever the weights; nearly so at any angle."""
    network = perturbed(PolarAutoencoder((channels, 28, 28), (4, 3, 3, 2, 2), width=24, depth=2))
    irreps = Irreps(SO2(), network.multiplicities)
    x = smooth_pictures(4, channels=channels)
    z = network.encode(x).z
    assert z.shape == (4, 24) and z.std() > 0.01
    quarter = network.encode(x.rot90(1, (2, 3))).z
    torch.testing.assert_close(quarter, irreps.act(QUARTER, z), rtol=0, atol=1e-5)
    painted = network.decode(Encoding(z))
    turned = network.decode(Encoding(irreps.act(QUARTER, z)))
    torch.testing.assert_close(turned, painted.rot90(1, (2, 3)), rtol=0, atol=1e-5)
    g = SO2().sample(4, dtype=torch.float64)
    moved = network.encode(rotate_maps(g, x)).z
    assert (moved - irreps.act(g, z)).norm() < 0.1 * z.norm()
    assert (moved - z).norm() > 0.3 * z.norm()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24)], ids=str)
def test_waves_say_what_a_picture_is_and_shift_as_irreps(shape):
    """Off the picture and back, too: the canvas keeps what is not seen."""
    group, waves = Translation(2), PlaneWaves(shape).double()
    irreps = Irreps(group, waves.multiplicities, Waves(group, waves.vectors))
    x = smooth_pictures(4, side=48, channels=shape[0])[..., : shape[1], : shape[2]]
    z = waves.analyse(x)
    assert z.shape == (4, irreps.channels)
    assert irreps.channels == shape[0] * (2 * shape[1] - 1) * (2 * shape[2] - 1)
    torch.testing.assert_close(z.norm(), x.norm(), rtol=1e-2, atol=0)
    again = waves.synthesise(z)
    assert psnr_db(again, x).min() > 40
    pixel = torch.tensor([2 / shape[2], 2 / shape[1]], dtype=torch.float64)
    there = group.element(torch.tensor([[3, -2], [-7, 0], [0, 5], [-8, -6]]) * pixel)
    shifted = waves.synthesise(irreps.act(there, z))
    expected = shift_maps(group.vector(there), x)
    assert psnr_db(shifted, expected).min() > 35
    # Where the picture came from the canvas was dark, and what has left the picture is not lost.
    assert psnr_db(shifted, x).max() < 25
    back = irreps.act(group.inverse(there), irreps.act(there, z))
    torch.testing.assert_close(back, z)
    half_way = torch.full((4, 2), 0.25, dtype=torch.float64) * pixel
    gradual = waves.synthesise(irreps.act(group.element(half_way), z))
    assert 0 < (gradual - again).norm() < (shifted - again).norm()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_harmonic_network_begins_as_a_turn_of_the_picture(channels):
    shape = (channels, 28, 28)
    network = HarmonicAutoencoder(shape, DiscHarmonics(shape)).double()
    irreps = Irreps(SO2(), network.multiplicities)
    x = smooth_pictures(4, channels=channels)
    z = network.encode(x).z
    assert z.shape == (4, irreps.channels) == (4, *network.latent_shape)
    painted = network.decode(Encoding(irreps.act(QUARTER, z)))
    assert psnr_db(painted, x.rot90(1, (2, 3))).min() > 40


def test_what_stays_is_a_mask_and_a_picture_before_what_moves():
    image_shape = (3, 28, 28)
    for still in (StillMap(image_shape), StillNumbers(image_shape, 5)):
        moving = HarmonicAutoencoder(image_shape, DiscHarmonics(image_shape), channels_in=4)
        network = perturbed(CompositeAutoencoder(still, moving))
        x = smooth_pictures(4, channels=3)
        encoding = network.encode(x)
        assert encoding.z.shape == (4, *network.latent_shape)
        layers = network.layers(encoding)
        assert layers.alpha.shape == (4, 1, 28, 28)
        assert layers.still.shape == layers.moved.shape == x.shape
        assert 0 <= layers.alpha.min() < layers.alpha.max() <= 1
        torch.testing.assert_close(network.decode(encoding), layers.composed())
        # The moving part sees neither what the mask covers nor its colours.
        behind = x + 0.5 * (layers.alpha > 2)
        torch.testing.assert_close(network.encode(behind).z, encoding.z)
        g = SO2().sample(4, dtype=torch.float64)
        moved = Irreps(SO2(), network.multiplicities).act(g, encoding.z)
        after = network.layers(Encoding(moved))
        assert torch.equal(after.alpha, layers.alpha) and torch.equal(after.still, layers.still)
        assert not torch.allclose(after.moved, layers.moved)


def test_a_full_mask_hides_what_moves():
    black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert torch.equal(Layers(white, white / 2, black).composed(), white / 2)
    assert torch.equal(Layers(black, white / 2, white).composed(), white)


def test_it_says_what_share_of_the_light_stays(blocked, monkeypatch):
    pairs = next(blocked.fixed_pairs("test", 2))
    system, ones = lga.build_system("lga", blocked).eval(), torch.ones(2, 1, 28, 28)
    left = (torch.arange(28) < 14).float().expand(2, 1, 28, 28)
    layers = Layers(left, 0.3 * ones, 0.9 * ones)
    monkeypatch.setattr(system.network, "layers", lambda _: layers)
    torch.testing.assert_close(system.diagnose(pairs)["still_share"], torch.full((2,), 0.25))
    assert not lga.build_system("lga_generic", blocked).diagnose(pairs)


def test_what_stays_may_have_a_price(blocked):
    pairs = next(blocked.fixed_pairs("train", 4))
    free, priced = (lga.build_system("lga", blocked, still_price=p) for p in (0.0, 0.5))
    pixel, terms = free.loss(pairs)["pixel"], priced.loss(pairs)
    torch.testing.assert_close(terms["pixel"], pixel)
    both = torch.cat([pairs.x1, pairs.x2])
    layers = priced.network.layers(priced.encode(both))
    torch.testing.assert_close(terms["still"], (layers.alpha * layers.still).mean() / 2)
    assert free.loss(pairs).keys() == {"pixel"} and terms["still"] > 0
    with pytest.raises(ValueError, match=r"still_price=0\.5 is for a plane"):
        lga.build_system("lga", blocked, still=False, still_price=0.5)


@pytest.mark.parametrize(
    "dataset, parameters, numbers",
    [
        ("rotated_mnist", 329_433, 24),
        ("blocked_mnist", 329_433, 24),
        ("brain_mri", 407_105, 1_024),
        ("brain_3d", 867_489, 96),
        ("adrenal_3d", 867_489, 96),
    ],
)
def test_matched_is_no_larger_than_the_paper(dataset, parameters, numbers):
    run = lga.configure(dataset, "lga_matched", "standard")
    system = lga.SYSTEMS["lga_matched"].for_dataset(lga.DATASETS[dataset], **run.system_options)
    assert parameter_count(system) <= parameters and latent_numbers(system) == numbers
    options = lga.configure(dataset, "jin2024", "paper").system_options
    paper = lga.SYSTEMS["jin2024"].for_dataset(lga.DATASETS[dataset], **options)
    assert parameter_count(paper) == parameters and latent_numbers(paper) == numbers


def test_a_patch_is_said_by_its_own_numbers():
    """Numbers of one patch paint it and what is near, and nothing far away."""
    system = lga.SYSTEMS["lga_matched"]((1, 128, 128), Affine()).eval()
    z = torch.randn(1, 4, 16, 16)
    other = z.clone()
    other[:, :, 2, 3] += 1
    with torch.no_grad():
        changed = (system.decode(Encoding(z)) - system.decode(Encoding(other))).abs()[0, 0]
    row, column = divmod(int(changed.argmax()), 128)
    assert abs(row - 20) < 12 and abs(column - 28) < 12
    assert changed[64:, 64:].max() < 0.2 * changed.max()


@pytest.mark.parametrize("dataset", lga.DATASETS)
def test_generic_is_the_network_of_the_paper(dataset):
    def network(system):
        options = lga.configure(dataset, system, "paper").system_options
        built = lga.SYSTEMS[system].for_dataset(lga.DATASETS[dataset], **options)
        return {name: tuple(w.shape) for name, w in built.network.named_parameters()}

    assert network("lga_generic") == network("jin2024")


def test_generic_has_the_published_counts():
    system = lga.SYSTEMS["lga_generic"].for_dataset(lga.DATASETS["rotated_mnist"])
    assert parameter_count(system) == 329_433 and latent_numbers(system) == 24


@pytest.mark.parametrize("name", ["lga", "lga_matched", "lga_generic"])
def test_latent_laws_hold_to_rounding(blocked, name):
    system = lga.build_system(name, blocked)
    measured = lga.evaluate(system, blocked, lga.settings_for("quick", test_pairs=50))
    for law in ("identity", "inverse", "compatibility"):
        assert measured[f"law_{law}"] < 2e-6
    assert 0 < measured["mask_fraction"] < 1


def shifted_blobs(group):
    """Twelve objects of two blobs each, seen at twelve shifts of up to half of the picture."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(1, -1, 24), torch.linspace(-1, 1, 24), indexing="ij")
    t = torch.rand(12 * 12, 2, generator=generator) * 1.2 - 0.6
    centres = torch.rand(2, 12, 2, generator=generator).repeat_interleave(12, 1) * 0.8 - 0.4 + t
    blobs = [(-((x - c[:, :1, None]) ** 2 + (y - c[:, 1:, None]) ** 2) / 0.05).exp()
             for c in centres]  # fmt: skip
    images = torch.stack(blobs).amax(0)[:, None]
    with pytest.warns(UserWarning, match="only 9 objects train"):
        return lga.OrbitDataset.from_arrays(
            images, group.element(t), torch.arange(12).repeat_interleave(12), group
        )


def test_it_takes_shifts_of_the_plane_for_what_they_are():
    """In pictures of one's own, from a first step on; a latent of points is far behind."""
    dataset = shifted_blobs(Translation(2))
    settings = lga.settings_for("quick", "own", "lga", train_pairs=160, validations=1)
    system = lga.build_system("lga", dataset)
    (row,) = lga.fit(system, dataset, settings)
    pairs = next(dataset.fixed_pairs("test", 50))
    copied = float(psnr_db(pairs.x1, pairs.x2).mean())
    assert row["validation_psnr_db"] > copied + 10
    measured = lga.evaluate(system, dataset, replace(settings, test_pairs=20))
    assert max(measured[f"law_{law}"] for law in ("identity", "inverse", "compatibility")) < 2e-6
    moved = lga.build_system("act_on_image", dataset).predict(pairs)
    assert torch.equal(moved, shift_maps(dataset.group.vector(pairs.g), pairs.x1))
    assert float(psnr_db(moved, pairs.x2).mean()) > copied + 10
    with pytest.raises(ValueError, match="of shifts there is none"):
        lga.build_system("orbit_mean", dataset)


def test_networks_are_refused_to_groups_that_do_not_move_what_they_hold():
    for group in (SO3(), Affine(), Translation(3), Product(SO2(), Affine())):
        with pytest.raises(ValueError, match="network=plane is for turns or shifts of the plane"):
            lga.SYSTEMS["lga"]((1, 28, 28), group, network="plane")
    with pytest.raises(ValueError, match="network=volume is for turns of space, not for SO2"):
        lga.SYSTEMS["lga"]((1, 8, 8, 8), SO2())
    with pytest.raises(ValueError, match="plane waves are for pictures with even sides, got 27×28"):
        lga.SYSTEMS["lga"]((1, 27, 28), Translation(2))


def test_numbers_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="still=4 is for turns of the plane"):
        lga.SYSTEMS["lga_matched"]((1, 128, 128), Affine(), still=4)
    with pytest.raises(ValueError, match="whole numbers with commas, got '4,x'"):
        lga.SYSTEMS["lga_generic"]((1, 28, 28), SO2(), multiplicities="4,x")


@pytest.mark.parametrize("shape", [(1, 28, 30), (1, 27, 27), (1, 128, 128)], ids=str)
def test_pictures_that_have_no_harmonics_are_refused(shape):
    for name in ("lga", "lga_matched"):
        with pytest.raises(ValueError, match="square pictures with even sides up to 64"):
            lga.SYSTEMS[name](shape, SO2())
