"""What the four baselines promise: invariance, invertibility, scenes that turn, rays that meet."""

import dataclasses
import math

import pytest
import torch
from scipy.ndimage import affine_transform

import lga
from lga.cameras import FLIGHT, TURNTABLE
from lga.catalogue import refusals
from lga.groups import SO2, SO3, Cyclic, Translation, rotate_maps
from lga.losses import structural_loss
from lga.networks import Encoding, Fields, Glow, TokenEncoder, ray_features
from lga.networks.glow import ActNorm
from lga.networks.scene import norm
from lga.networks.steerable import SteerableConv, SteerableNonlinearity
from lga.runs import parameter_count


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- winter2022 -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def winter(digits):
    """A system after a few steps: normalisation and weights are no longer at their start."""
    system = lga.build_system("winter2022", digits, fields=16, width=8)
    settings = lga.settings_for(
        "quick", train_pairs=16 * 12, batch_size=16, validations=1, validation_pairs=8
    )
    lga.fit(system, digits, settings)
    return system


def turned(fields: Fields, g, x):
    """g·x of a feature map: trivial fields move, vector fields also turn."""
    moved = rotate_maps(g, x)
    vectors = moved[:, fields.trivial :].unflatten(1, (-1, 2))
    vectors = torch.einsum("nij,nfjhw->nfihw", g, vectors).flatten(1, 2)
    return torch.cat([moved[:, : fields.trivial], vectors], 1)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_a_steerable_convolution_commutes_with_quarter_turns(size):
    before, after = Fields(2, 3), Fields(4, 2)
    layer = SteerableConv(before, after, size, padding=1).double()
    with torch.no_grad():
        layer.mirrored_to_vector.mul_(3)  # arrows mirrored at e^{iθ} take part
    x = torch.randn(4, before.channels, 13, 13, dtype=torch.float64)
    g = Cyclic(4).element(torch.arange(4), torch.float64)
    there, back = turned(after, g, layer(x)), layer(turned(before, g, x))
    torch.testing.assert_close(there, back, rtol=0, atol=1e-10)
    assert (there - layer(x))[1:].abs().max() > 0.1
    # Every part of the filter takes part, and a filter that ignored directions would be seen.
    broken = layer(turned(Fields(before.channels, 0), g, x))
    assert (there - broken)[1:].abs().max() > 0.1
    nonlinearity = SteerableNonlinearity(after).double().eval()
    there, back = turned(after, g, nonlinearity(layer(x))), nonlinearity(turned(after, g, layer(x)))
    torch.testing.assert_close(there, back, rtol=0, atol=1e-10)


@torch.no_grad()
def test_winter2022_embedding_stays_and_pose_turns_under_quarter_turns(winter, digits):
    x = digits.pairs("test", 16, seeded()).x1
    embedding, pose = winter.encode(x)
    assert embedding.std(0).max() > 0.01  # it tells digits apart
    for g in Cyclic(4).path(4):
        g = g.expand(16, 2, 2)
        same, moved = winter.encode(rotate_maps(g, x))
        assert (same - embedding).abs().max() < 1e-5 * max(1, embedding.abs().max())
        assert SO2().distance(moved, g @ pose).max() < 1e-4
        SO2().check(moved)


@torch.no_grad()
def test_winter2022_is_equivariant_at_any_angle_up_to_interpolation(winter, digits):
    x = digits.pairs("test", 64, seeded()).x1
    g = SO2().sample(64, seeded(1))
    (embedding, pose), (same, moved) = winter.encode(x), winter.encode(rotate_maps(g, x))
    other = embedding.roll(1, 0)
    assert (same - embedding).norm(dim=1).mean() < 0.35 * (other - embedding).norm(dim=1).mean()
    assert SO2().distance(moved, g @ pose).median() < 0.3
    assert SO2().distance(moved, pose).median() > 0.5  # the arrow does turn


@torch.no_grad()
def test_winter2022_paints_g_after_the_pose_it_found(winter, digits):
    pairs = digits.pairs("test", 8, seeded())
    quarter = Cyclic(4).element(torch.ones(8))
    torch.testing.assert_close(
        winter.transform(pairs.x1, quarter),
        rotate_maps(quarter, winter.transform(pairs.x1, SO2().identity(8))),
        rtol=0, atol=1e-5,
    )  # fmt: skip
    # Training does not look at g.
    wrong = lga.Pairs(pairs.x1, pairs.x2, pairs.g.mT)
    assert winter.loss(pairs)["pixel"] == winter.loss(wrong)["pixel"]


def test_winter2022_has_the_public_codes_parameters(digits):
    system = lga.SYSTEMS["winter2022"]((1, 28, 28), SO2())
    assert parameter_count(system.encoder) == 100_480
    assert parameter_count(system.decoder) == 1_120_257
    sides, x = [], torch.rand(2, 1, 28, 28)
    for block in system.encoder.blocks:
        x = block(x)
        if isinstance(block, SteerableConv):
            sides.append(x.shape[2])
    assert sides == [24] * 5 + [26, 26]
    kernels = [c.kernel_size[0] for c in system.decoder if isinstance(c, torch.nn.Conv2d)]
    assert kernels == [1, 3, 3, 5, 5, 1]
    assert sum(isinstance(layer, torch.nn.Dropout2d) for layer in system.decoder) == 4


@pytest.mark.parametrize("side, served", [(4, False), (5, True), (32, True), (33, False)])
def test_winter2022_takes_small_images_only(side, served):
    group = SO2()
    images, elements = torch.rand(20, 1, side, side), group.sample(20, seeded())
    own = lga.OrbitDataset.from_arrays(images, elements, [k // 2 for k in range(20)], group)
    if served:
        system = lga.build_system("winter2022", own)
        x = torch.rand(3, 1, side, side)
        assert system.transform(x, group.sample(3)).shape == x.shape
    else:
        with pytest.raises(ValueError, match="5 to 32 pixels"):
            lga.build_system("winter2022", own)


# -- hwang2023 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, trained",
    [
        ((1, 28, 28), 0.05),
        ((1, 128, 128), 0.05),
        ((3, 64, 64), 0.05),
        ((2, 20, 36), 0.05),
        ((1, 28, 28), 0.2),
    ],
)
def test_glow_is_exactly_invertible(shape, trained):
    flow = Glow(shape, hidden=16)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("h.6.weight"):  # long training makes them large
                parameter.normal_(std=trained)
        x = torch.rand(4, *shape)
        y = flow(x)
        assert y.numel() == x.numel() and flow.layers[1].initialised
        torch.testing.assert_close(flow.inverse(y), x, rtol=0, atol=1e-4)
        assert (flow(x + 0.1) - y).abs().max() > 0.1
    steps = 3 * {28: 2, 20: 2}.get(shape[1], 3)
    assert sum(isinstance(layer, ActNorm) for layer in flow.layers) == steps
    assert sum(isinstance(module, ActNorm) for module in flow.modules()) == 3 * steps


def test_actnorm_normalises_its_first_training_batch_and_remembers_that_it_did():
    layer = ActNorm(2)
    x = torch.randn(64, 2, 5, 5) * 3 + 7
    layer.eval()
    torch.testing.assert_close(layer(x), x)  # an untrained one does nothing
    layer.train()
    y = layer(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-4 and (y.std((0, 2, 3)) - 1).abs().max() < 0.02
    again = ActNorm(2)
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(10 * x), layer(10 * x))


@pytest.fixture(scope="module")
def hwang(digits):
    system = lga.build_system("hwang2023", digits, hidden=16)
    settings = lga.settings_for("quick", "rotated_mnist", "hwang2023", train_pairs=64 * 20,
                                validations=1, validation_pairs=8)  # fmt: skip
    lga.fit(system, digits, settings)
    return system


@torch.no_grad()
def test_hwang2023_is_an_exact_action(hwang, digits):
    x = digits.pairs("test", 8, seeded()).x1
    pairs = next(digits.fixed_pairs("test", 8))
    z1 = hwang.group.vector(hwang.element(pairs))
    z2 = z1.roll(1, 0) - 2 * z1
    assert (hwang.move(z1, x) - x).abs().max() > 1e-3
    torch.testing.assert_close(hwang.move(0 * z1, x), x, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        hwang.move(z1, hwang.move(z2, x)), hwang.move(z1 + z2, x), rtol=0, atol=1e-4
    )


@torch.no_grad()
def test_hwang2023_reads_g_off_the_demonstration_only(hwang, digits):
    pairs = next(digits.fixed_pairs("test", 8))
    painted = hwang.predict(pairs)
    told_wrong = lga.Pairs(pairs.x1, 1 - pairs.x2, pairs.g.mT, pairs.x3, pairs.x4)
    assert torch.equal(hwang.predict(told_wrong), painted)
    shown_other = lga.Pairs(pairs.x1, pairs.x2, pairs.g, pairs.x4, pairs.x3)
    assert not torch.allclose(hwang.predict(shown_other), painted)
    with pytest.raises(ValueError, match="cannot be told g"):
        hwang.transform(pairs.x1, pairs.g)
    with pytest.raises(ValueError, match="these pairs have none"):
        hwang.predict(lga.Pairs(pairs.x1, pairs.x2, pairs.g))
    path = hwang.path(pairs, 5)
    assert torch.equal(path[0], Translation(24).identity(1)[0])
    torch.testing.assert_close(path[-1], hwang.element(pairs)[0])


@pytest.mark.parametrize(
    "name, shape", [("rotated_mnist", (1, 28, 28)), ("brain_mri", (1, 96, 64))]
)
def test_hwang2023_has_the_encoder_of_jin2024_made_variational(name, shape):
    theirs = lga.SYSTEMS["jin2024"](shape, SO2()).network.encoder
    system = lga.SYSTEMS["hwang2023"](shape, hidden=8)
    for ours, layer in zip(list(system.encoder)[:-1], list(theirs)[:-1], strict=True):
        assert repr(ours) == repr(layer)
    mean, log_variance = system.code(torch.rand(2, *shape))
    assert mean.shape == log_variance.shape == theirs.eval()(torch.rand(2, *shape)).flatten(1).shape


def test_hwang2023_weighs_its_code_no_more_on_brains_than_on_digits():
    loud = {}
    for name, shape in (("rotated_mnist", (1, 28, 28)), ("brain_mri", (1, 128, 128))):
        options = lga.configure(name, "hwang2023", "standard").system_options
        system = lga.SYSTEMS["hwang2023"](shape, hidden=8)
        numbers = system.code(torch.rand(2, *shape))[0].shape[1]
        loud[name] = {key: numbers * options[key] for key in ("kl_weight", "consistency_weight")}
    assert all(0 < loud["brain_mri"][key] <= own for key, own in loud["rotated_mnist"].items())


@torch.no_grad()
def test_hwang2023_measures_what_decides_it(hwang, digits):
    pairs = next(digits.fixed_pairs("test", 8))
    told_itself = lga.Pairs(pairs.x1, pairs.x2, pairs.g, pairs.x1, pairs.x2)
    own = hwang.diagnose(told_itself)
    torch.testing.assert_close(own["demonstration_cosine"], torch.ones(8), rtol=0, atol=1e-5)
    psnr = lga.metrics.psnr_db(hwang.predict(told_itself).clamp(0, 1), pairs.x2)
    torch.testing.assert_close(own["psnr_own_element_db"], psnr)
    figures = hwang.diagnose(pairs)
    torch.testing.assert_close(figures["psnr_own_element_db"], psnr)
    assert (figures["demonstration_cosine"] < 0.999).any()


def test_a_demonstration_on_blocked_mnist_has_its_own_square():
    dataset = lga.load_dataset("blocked_mnist", "stand-in", square_probability=1.0)
    pairs = next(dataset.fixed_pairs("test", 64))
    own, shown = ((a == 1) & (b == 1) for a, b in ((pairs.x1, pairs.x2), (pairs.x3, pairs.x4)))
    together = (own & shown).flatten(1).sum(1)
    assert (together < 49).float().mean() > 0.8  # squares rarely lie in one place


@pytest.mark.parametrize("name", ["rotated_mnist", "blocked_mnist", "brain_mri"])
def test_a_demonstration_is_another_object_at_the_same_elements(name):
    dataset = lga.load_dataset(
        name, "stand-in", **({"subjects": 24} if name == "brain_mri" else {})
    )
    pairs = next(dataset.fixed_pairs("test", 12))
    again = next(dataset.fixed_pairs("test", dataset.size("test") + 12))
    assert len(pairs.x3) == len(pairs.x4) == 12
    same = (pairs.x3 - pairs.x1).abs().flatten(1).amax(1) < 1e-3
    assert not same.any()
    torch.testing.assert_close(again.x1[:12], pairs.x1)
    if name == "rotated_mnist":  # g moves x3 to x4, up to a second interpolation
        moved = rotate_maps(pairs.g, pairs.x3)
        psnr = lga.metrics.psnr_db(moved, pairs.x4)
        assert psnr.mean() > lga.metrics.psnr_db(pairs.x3, pairs.x4).mean() + 10


def test_hwang2023_refuses_a_split_with_nobody_to_demonstrate():
    heads = lga.load_dataset("brain_mri", "stand-in", subjects=24)
    subjects = slice(4)  # two train, one validates, one tests
    few = type(heads)(heads.slices[subjects], heads.masks[subjects], "four subjects")
    with pytest.raises(ValueError, match=r"hwang2023 cannot run on brain_mri: .* shown it"):
        lga.build_system("hwang2023", few)
    assert next(few.fixed_pairs("test", 2)).x3 is None
    lga.build_system("jin2024", few)
    digits = lga.load_dataset("rotated_mnist", "stand-in").originals
    one = dataclasses.replace(digits, images=digits.images | {"test": digits.images["test"][:1]})
    assert not lga.DATASETS["rotated_mnist"](one).demonstrates


# -- dupont2020 and sajjadi2022 ---------------------------------------------------------------


def layers_of(network):
    """(kind, channels in, channels out, side of the kernel, stride, bias) of every convolution."""
    kinds = {"Conv2d": "2", "Conv3d": "3", "ConvTranspose2d": "2T", "ConvTranspose3d": "3T"}
    return [
        (kinds[type(m).__name__], m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0],
         m.bias is not None)
        for m in network.modules() if type(m).__name__ in kinds
    ]  # fmt: skip


def block(kind, c):
    return [(kind, c, c, size, 1, False) for size in (1, 3, 1)]


def test_dupont2020_has_the_public_configuration_layer_by_layer():
    with torch.device("meta"):
        network = lga.SYSTEMS["dupont2020"]((3, 64, 64), SO3(), FLIGHT).network
    assert layers_of(network.encoder) == [
        ("2", 3, 64, 1, 1, True), *block("2", 64), *block("2", 64),
        ("2", 64, 128, 4, 2, True), *block("2", 128),
        ("2", 128, 128, 4, 2, True), *block("2", 128),
        ("2", 128, 256, 4, 2, True), *block("2", 256),
        ("2T", 256, 128, 4, 2, True), *block("2", 128), *block("2", 128),
        ("2", 128, 256, 1, 1, True), ("2", 256, 512, 1, 1, True), ("2", 512, 1024, 1, 1, True),
        ("3", 64, 32, 1, 1, True), *block("3", 32), *block("3", 32),
        ("3", 32, 128, 4, 2, True), *block("3", 128), *block("3", 128),
        ("3T", 128, 64, 4, 2, True), *block("3", 64), *block("3", 64),
    ]  # fmt: skip
    assert layers_of(network.decoder) == [
        ("3", 64, 64, 1, 1, True), *block("3", 64), *block("3", 64),
        ("3", 64, 128, 4, 2, True), *block("3", 128), *block("3", 128),
        ("3T", 128, 32, 4, 2, True), *block("3", 32), *block("3", 32),
        ("2", 512, 512, 1, 1, True), ("2", 512, 256, 1, 1, True), ("2", 256, 256, 1, 1, True),
        ("2", 256, 128, 1, 1, True), *block("2", 128), *block("2", 128),
        ("2", 128, 256, 4, 2, True), *block("2", 256),
        ("2T", 256, 128, 4, 2, True), *block("2", 128),
        ("2T", 128, 128, 4, 2, True), *block("2", 128),
        ("2T", 128, 64, 4, 2, True), *block("2", 64), *block("2", 64),
        ("2", 64, 3, 1, 1, True),
    ]  # fmt: skip
    assert parameter_count(network) == 11_227_907
    groups = {m.num_channels: m.num_groups for m in network.modules()
              if isinstance(m, torch.nn.GroupNorm)}  # fmt: skip
    assert groups == {32: 4, 64: 8, 128: 16, 256: 32, 512: 32}
    assert [norm(c).num_groups for c in (4, 8, 16, 1024)] == [1, 2, 2, 32]
    # No normalisation between the inverse projection and the volume.
    kinds = [type(m).__name__ for m in network.encoder]
    assert kinds[kinds.index("Unflatten") - 1] == "Conv2d"


@pytest.fixture(scope="module")
def scene():
    return lga.SYSTEMS["dupont2020"]((3, 64, 64), SO3(), FLIGHT, width=8).eval()


@torch.no_grad()
def test_dupont2020_keeps_nothing_outside_the_ball(scene):
    z = scene.encode(torch.rand(2, 3, 64, 64)).z
    assert z.shape == (2, 8, 16, 16, 16)
    place = torch.arange(16) - 7.5
    radius = torch.stack(torch.meshgrid(place, place, place, indexing="ij")).norm(dim=0)
    inside = radius <= 7.5
    assert (z[:, :, ~inside] == 0).all() and (z[:, :, inside] != 0).float().mean() > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_a_known_volume_turns_as_scipy_turns_it(scene, seed):
    """Voxels against an independent rotation: axes of the array are depth, rows, columns."""
    g = SO3().sample(1, seeded(seed))
    place = torch.arange(16.0) - 7.5
    z, y, x = torch.meshgrid(-place, -place, place, indexing="ij")  # right, up, towards the viewer
    blob = torch.exp(-((x - 3) ** 2 + (y - 1) ** 2 / 2 + (z + 2) ** 2) / 6)
    volume = blob.expand(1, 8, 16, 16, 16)
    ours = scene.act(g, Encoding(volume)).z[0, 0]
    # SciPy pulls back: output at o comes from input at M o. Array axes are (−z, −y, x).
    to_xyz = torch.tensor([[0.0, 0, 1], [0, -1, 0], [-1, 0, 0]])
    pull_back = (to_xyz.mT @ g[0].mT @ to_xyz).double().numpy()
    offset = 7.5 - pull_back @ [7.5, 7.5, 7.5]
    theirs = affine_transform(
        blob.double().numpy(), pull_back, offset, order=1, mode="grid-constant"
    )
    assert abs(ours.numpy() - theirs).max() < 1e-5
    assert (ours - blob).abs().max() > 0.1


def test_the_turntable_turns_the_scene_about_the_tilted_vertical():
    scene = lga.SYSTEMS["dupont2020"]((3, 64, 64), Cyclic(24), TURNTABLE, width=8)
    up = torch.tensor([0.0, math.cos(TURNTABLE.elevation_rad), math.sin(TURNTABLE.elevation_rad)])
    place = torch.arange(16.0) - 7.5
    z, y, x = torch.meshgrid(-place, -place, place, indexing="ij")
    height = torch.stack([x, y, z], -1) @ up
    around = torch.exp(-((height - 2) ** 2) / 4 - (x**2 + y**2 + z**2) / 12)
    volume = around.expand(1, 8, 16, 16, 16)
    moved = scene.act(Cyclic(24).element(torch.tensor([5])), Encoding(volume)).z
    assert (moved - volume).abs().max() < 0.08  # what is round about the vertical stays
    wrong = SO3().rotation(torch.eye(3)[1:2], torch.tensor([5 * math.pi / 12]))
    assert (rotate_maps(wrong, volume) - volume).abs().max() > 0.2  # the vertical is tilted


@torch.no_grad()
def test_dupont2020_obeys_the_group_laws_up_to_interpolation(scene):
    from lga.laws import law_report

    g = SO3().sample(4, seeded())
    report = law_report(scene, torch.rand(4, 3, 64, 64), g, g.roll(1, 0))
    assert report["law_identity"] < 1e-5 and 0.01 < report["law_compatibility"] < 1.5


def test_structural_loss_is_one_minus_ssim():
    x = torch.rand(3, 3, 40, 40, generator=seeded())
    y = (x + 0.2 * torch.rand(3, 3, 40, 40, generator=seeded(1))).clamp(0, 1)
    ours = 1 - float(structural_loss(x, y))
    assert ours == pytest.approx(float(lga.metrics.ssim(x, y).mean()), abs=1e-4)


def project(camera, points, side):
    """Where points (n, 3) in camera axes, the eye at 0, fall: column and row in pixels."""
    reach = math.tan(camera.field_of_view_rad / 2)
    across = points[:, :2] / -points[:, 2:] / reach
    return (across[:, 0] + 1) / 2 * side, (1 - across[:, 1]) / 2 * side


@pytest.mark.parametrize("camera, group", [(FLIGHT, SO3()), (TURNTABLE, Cyclic(24))])
def test_moved_rays_meet_the_unmoved_point(camera, group):
    """The ray of the pixel where g·p is seen passes p, in the frame of the first camera."""
    side, n = 64, 16
    centre = torch.tensor([0.0, 0.0, -camera.distance])
    p = centre + 0.25 * torch.randn(n, 3, generator=seeded())
    turn = camera.turn(group, group.sample(n, seeded(1)))
    moved = centre + ((p - centre)[:, None] @ turn.mT)[:, 0]
    column, row = project(camera, moved, side)
    place = torch.stack([column / side * 2 - 1, 1 - row / side * 2], 1)
    reach = math.tan(camera.field_of_view_rad / 2)
    direction = torch.cat([place * reach, -torch.ones(n, 1)], 1)
    direction = direction / direction.norm(dim=1, keepdim=True)
    origin, direction = (part[:, 0] for part in camera.moved_rays(turn, direction[:, None]))
    off = torch.linalg.cross(p - origin, direction).norm(dim=1)
    assert off.max() < 1e-5 and (origin.norm(dim=1) > 0.01).any()
    assert (origin - centre).norm(dim=1).sub(camera.distance).abs().max() < 1e-5


@pytest.mark.parametrize("side", [64, 17])
def test_rays_go_through_pixel_centres(side):
    rays = TURNTABLE.rays(side)
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(side, side))
    column, row = project(TURNTABLE, rays.reshape(-1, 3), side)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    torch.testing.assert_close(column, columns.flatten() + 0.5, rtol=0, atol=1e-3)
    torch.testing.assert_close(row, rows.flatten() + 0.5, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def rays():
    return lga.SYSTEMS["sajjadi2022"](
        (3, 64, 64), SO3(), FLIGHT, tokens=64, depth=1, rays=32, target_views=2
    ).eval()


@torch.no_grad()
def test_sajjadi2022_paints_pixel_by_pixel(rays):
    x, g = torch.rand(2, 3, 64, 64, generator=seeded()), SO3().sample(2, seeded())
    picture = rays.transform(x, g)
    pixels = torch.tensor([[0, 63, 64 * 10 + 7], [5, 4095, 64 * 33]])
    seen = rays.look(rays.encoder(x, rays.own_rays), g, pixels)
    for n in range(2):
        for color, pixel in zip(seen[n], pixels[n], strict=True):
            # Octaves of places enlarge rounding, differently on every processor.
            found = picture[n, :, pixel // 64, pixel % 64]
            torch.testing.assert_close(found, color, rtol=0, atol=2e-4)
    assert (rays.transform(x, SO3().identity(2)) - picture).abs().max() > 0.1


@torch.no_grad()
def test_sajjadi2022_paints_the_same_in_parts(rays, monkeypatch):
    x, g = torch.rand(5, 3, 64, 64), SO3().sample(5, seeded())
    whole, look, asked = rays.transform(x, g), rays.look, []
    monkeypatch.setattr("lga.systems.sajjadi2022.RAYS_AT_ONCE", 2 * 64 * 64)
    monkeypatch.setattr(rays, "look", lambda t, *rest: asked.append(len(t)) or look(t, *rest))
    torch.testing.assert_close(rays.transform(x, g), whole)
    assert asked == [2, 2, 1]


@torch.no_grad()
def test_sajjadi2022_rolls_the_whole_picture(rays):
    """A camera rolled about its line of sight has the same rays: no sky can stay behind."""
    x = torch.rand(2, 3, 64, 64)
    forward, quarter = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([math.pi / 2])
    roll = SO3().rotation(forward, quarter).expand(2, 3, 3)
    upright = rays.transform(x, SO3().identity(2))
    turned = torch.rot90(upright, 1, (2, 3))  # counter-clockwise
    torch.testing.assert_close(rays.transform(x, roll), turned, rtol=0, atol=1e-3)
    assert (turned - upright).abs().max() > 1e-2


@torch.no_grad()
def test_sajjadi2022_asks_for_the_rays_of_the_pixels(rays, monkeypatch):
    """For g = e they are the encoder's own: row 0 is the top, column 0 the left."""
    monkeypatch.setattr(rays.decoder, "forward", lambda features, tokens: features)
    pixels = torch.tensor([[0, 63, 64 * 10 + 7]])
    asked = rays.look(torch.zeros(1, 1, 1), SO3().identity(1), pixels)
    torch.testing.assert_close(asked[0], torch.stack([rays.own_rays[0, 0], rays.own_rays[0, 63],
                                                      rays.own_rays[10, 7]]))  # fmt: skip
    top_right = FLIGHT.rays(64)[0, 63]
    assert top_right[0] > 0 and top_right[1] > 0 and top_right[2] < 0
    torch.testing.assert_close(rays.own_rays[0, 63], ray_features(torch.zeros(3), top_right))


def test_sajjadi2022_loss_compares_rays_with_their_pixels(rays, monkeypatch):
    pairs = lga.Pairs(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), SO3().sample(2))

    def perfect(tokens, g, pixels):
        return torch.stack([pairs.x2[n].flatten(1)[:, pixels[n]].mT for n in range(2)])

    monkeypatch.setattr(rays, "look", perfect)
    assert rays.loss(pairs)["pixel"] == 0


@torch.no_grad()
def test_sajjadi2022_sees_many_views_of_one_encoded_image(rays):
    x, g = torch.rand(2, 3, 64, 64), SO3().sample(6, seeded())
    pixels = torch.randint(64 * 64, (6, 5))
    each = rays.look(rays.encoder(x.repeat_interleave(3, 0), rays.own_rays), g, pixels)
    together = rays.look(rays.encoder(x, rays.own_rays), g, pixels)
    torch.testing.assert_close(together, each, rtol=0, atol=1e-5)
    assert each.min() >= 0 and each.max() <= 1
    encoded = []
    encoder = rays.encoder.forward
    rays.encoder.forward = lambda x, own: (encoded.append(len(x)), encoder(x, own))[1]
    try:
        x1 = x.repeat_interleave(3, 0)
        terms = rays.loss(lga.Pairs(x1, torch.rand(6, 3, 64, 64), g, views=3))
    finally:
        rays.encoder.forward = encoder
    assert encoded == [2] and terms["pixel"] > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_and_rays_are_as_loud_at_first(channels):
    first = TokenEncoder(channels, 256, 1).convolutions[0].weight
    of_image, of_rays = first.split([channels, first.shape[1] - channels], 1)
    ratio = of_image.square().sum() / of_rays.square().sum()
    assert ratio.item() == pytest.approx(1, rel=0.4)


def test_ray_features_are_sines_of_octaves():
    origins, directions = torch.tensor([[0.3, 0.0, -1.0]]), torch.tensor([[0.0, 0.5, 0.25]])
    features = ray_features(origins, directions)
    assert features.shape == (1, 180)
    waves = features.view(2, 3, 30)
    torch.testing.assert_close(waves[0, 0, 5], torch.tensor(math.sin(math.pi * 0.3)))
    torch.testing.assert_close(waves[1, 1, 15 + 1], torch.tensor(math.cos(2 * math.pi * 0.5)))
    torch.testing.assert_close(waves[1, 2, 0], torch.tensor(math.sin(math.pi * 0.25)))


def test_a_reduced_preset_says_so():
    def build(**size):
        return lga.SYSTEMS["sajjadi2022"]((3, 64, 64), SO3(), FLIGHT, **size).remarks

    assert build(tokens=384, depth=4) == {"preset": "reduced: tokens of 384, 4 blocks"}
    with torch.device("meta"):
        assert build() == {}


# -- which cells there are --------------------------------------------------------------------


def test_cells_of_the_published_tables_and_no_others():
    refused = {name: set(refusals(name)) for name in lga.SYSTEMS}
    everywhere, scenes = set(lga.DATASETS), {"nmr", "plane_in_the_sky"}
    volumes = {"adrenal_3d", "brain_3d"}
    assert refused["winter2022"] == scenes | {"brain_mri"} | volumes
    assert refused["hwang2023"] == scenes | volumes
    assert refused["dupont2020"] == refused["sajjadi2022"] == everywhere - scenes
    assert not refused["copy_input"] and not refused["mean_image"] and not refused["jin2024"]
    assert "equivariant by construction" in refusals("winter2022")["brain_mri"]
    assert "shown it" in refusals("hwang2023")["nmr"]
