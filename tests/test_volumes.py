"""Volumes under SO(3): what they are, how they turn, which networks they get."""

import numpy as np
import pytest
import torch
from conftest import assert_same_tests
from skimage.metrics import structural_similarity

import lga
from lga.datasets.brain_3d import warps
from lga.groups import SO3
from lga.metrics import ssim
from lga.networks import MapAutoencoder, MNISTAutoencoder
from lga.pictures.bodies import synthesize
from lga.pictures.heads import read_cube

FEW = {"adrenal_3d": {"bodies": 24}, "brain_3d": {"subjects": 10}}


@pytest.mark.parametrize("name", FEW)
def test_pairs_are_originals_turned_twice(name):
    dataset = lga.load_dataset(name, "stand-in", **FEW[name])
    assert dataset.is_stand_in and "stand-in" in dataset.source
    assert lga.DATASETS[name].image_shape == dataset.image_shape
    pairs = dataset.pairs("train", 6, torch.Generator().manual_seed(0))
    SO3().check(pairs.g)
    assert pairs.x1.shape == (6, *dataset.image_shape)
    assert pairs.x1.min() >= 0 and pairs.x2.max() <= 1
    # g takes x1 to x2, up to a second interpolation; its inverse does not.
    turned, wrong = (lga.groups.rotate_maps(g, pairs.x1) for g in (pairs.g, pairs.g.mT))
    right = lga.metrics.psnr_db(turned, pairs.x2)
    assert right.min() > 25 and (right > lga.metrics.psnr_db(wrong, pairs.x2) + 5).all()


def test_bodies_of_two_classes_differ_in_volume_and_follow_the_seed():
    volumes, labels = synthesize(40)
    again, _ = synthesize(40)
    other, _ = synthesize(40, seed=1)
    assert torch.equal(volumes, again) and not torch.equal(volumes, other)
    size = volumes.double().mean((1, 2, 3, 4))
    assert size[labels == 1].mean() > 1.3 * size[labels == 0].mean()
    edge = torch.cat([volumes[:, :, 0].flatten(), volumes[..., 0].flatten()]).double()
    assert edge.mean() < 5


@pytest.fixture
def medmnist(tmp_path):
    """A file in MedMNIST's layout."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 5), ("val", 2), ("test", 3)):
        shape = (n, 28, 28, 28)
        arrays[f"{split}_images"] = random.integers(0, 2, shape).astype(np.uint8)
        arrays[f"{split}_labels"] = random.integers(0, 2, (n, 1)).astype(np.uint8)
    path = tmp_path / "adrenal_3d" / "adrenalmnist3d.npz"
    path.parent.mkdir()
    np.savez(path, **arrays)
    return tmp_path, arrays


def test_the_public_file_is_read_in_its_own_splits(medmnist):
    root, arrays = medmnist
    dataset = lga.load_dataset("adrenal_3d", "real", root)
    assert dataset.source == "AdrenalMNIST3D" and not dataset.is_stand_in
    assert [dataset.size(split) for split in lga.datasets.SPLITS] == [5, 2, 3]
    seen = dataset.view("test", 1, SO3().identity(1))[0, 0]
    np.testing.assert_allclose(seen.numpy(), arrays["test_images"][1], atol=1e-5)
    assert dataset.originals.labels["test"].tolist() == [
        int(label) for label in arrays["test_labels"][:, 0]
    ]


def test_a_public_file_that_is_missing_or_wrong_is_named(medmnist):
    root, arrays = medmnist
    path = root / "adrenal_3d" / "adrenalmnist3d.npz"
    np.savez(path, **(arrays | {"val_images": arrays["val_images"][:, :20]}))
    with pytest.raises(ValueError, match=r"val_images is uint8 .*lga data prepare adrenal_3d"):
        lga.load_dataset("adrenal_3d", "real", root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="lga data prepare adrenal_3d"):
        lga.load_dataset("adrenal_3d", "real", root)


@pytest.fixture
def subject(tmp_path):
    """A bright blob to the right, up and to the front of the brain's middle, voxels flipped."""
    import nibabel

    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [79.0, -79.0, -79.0]
    world = np.stack(np.meshgrid(*[np.arange(80)] * 3, indexing="ij"), -1) @ affine[:3, :3].T
    world = world + affine[:3, 3]
    brain = np.linalg.norm(world, axis=-1) < 70
    blob = np.linalg.norm(world - [30, 20, 40], axis=-1) < 15
    folder = tmp_path / "brain" / "one"
    folder.mkdir(parents=True)
    for name, array in (("T1w", 100.0 * brain + 100 * blob), ("brainmask", 1.0 * brain)):
        nibabel.save(
            nibabel.Nifti1Image(array.astype(np.float32), affine), folder / f"{name}.nii.gz"
        )
    return folder


def test_a_nifti_cube_lies_in_world_coordinates(subject):
    cube = read_cube(subject, 32)
    assert cube.shape == (32, 32, 32) and cube.min() >= 0 and cube.max() <= 1
    bright = np.argwhere(cube > 0.8).mean(0)
    millimetres = ((bright + 0.5) / 32 - 0.5) * 220
    np.testing.assert_allclose(millimetres, [20, -40, 30], atol=4)  # depth to the front, rows down


def test_brains_in_space_have_the_side_that_is_asked_for(subject):
    root = subject.parent
    for name in ("two", "three", "four"):
        (root / name).symlink_to(subject)
    for side in (32, 24):
        dataset = lga.load_dataset("brain_3d", "real", root.parent, side=side)
        assert dataset.image_shape == (1, side, side, side)
        assert lga.DATASETS["brain_3d"].for_options(side=side).image_shape == dataset.image_shape
        seen = dataset.view("test", 0, SO3().identity(1))[0, 0]
        np.testing.assert_allclose(seen.numpy(), read_cube(subject, side), atol=0.003)


@pytest.fixture(scope="module")
def heads():
    return lga.load_dataset("brain_3d", "stand-in", subjects=10)


def test_warped_heads_train_and_nothing_else_is_touched(heads):
    warped = lga.load_dataset("brain_3d", "stand-in", subjects=10, warped=True)
    assert warped.remarks["protocol"] == "training volumes warped" and not heads.remarks
    assert_same_tests(heads, warped)
    first, second = (
        data.pairs("train", 12, torch.Generator().manual_seed(0)) for data in (heads, warped)
    )
    assert torch.equal(first.g, second.g)
    assert ((first.x1 - second.x1).abs().flatten(1).mean(1) > 0.005).all()
    # Both volumes of a pair are warped alike: g takes one to the other.
    turned = lga.groups.rotate_maps(second.g, second.x1)
    assert lga.metrics.psnr_db(turned, second.x2).min() > 30


def test_warps_mirror_half_of_the_heads_and_keep_them_in_the_ball(heads):
    pull_back = warps(200, torch.Generator().manual_seed(0))
    assert 0.3 < (pull_back.det() < 0).float().mean() < 0.7
    volume = pull_back.det().abs()
    assert 0.69 < volume.min() and volume.max() < 1.45 and volume.std() > 0.05
    head = heads.originals.images["train"][:1].float() / 255
    warped = lga.groups.resample_maps(pull_back, head.expand(200, -1, -1, -1, -1))
    place = torch.linspace(-1, 1, 33)[1:] - 1 / 32
    radius = (place[:, None, None] ** 2 + place[:, None] ** 2 + place**2).sqrt()
    assert (warped * (radius > 1)).sum() < 0.003 * warped.sum()


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_ssim_in_space_is_scikit_images(data_range):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 1, 16, 18, 14, generator=generator, dtype=torch.float64)
    y = (x + 0.3 * torch.rand(x.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    theirs = [
        structural_similarity(a[0].numpy(), b[0].numpy(), data_range=data_range,
                              gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for a, b in zip(x, y, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(x, y, data_range).numpy(), theirs, rtol=0, atol=1e-9)


def test_volumes_get_the_published_layers_in_space():
    with torch.device("meta"):
        flat = MNISTAutoencoder((1, 28, 28))
        space = MNISTAutoencoder((1, 28, 28, 28))
    planes, volumes = (
        [m.weight.shape for m in net.modules() if isinstance(m, torch.nn.modules.conv._ConvNd)]
        for net in (flat, space)
    )
    assert [tuple(s[:2]) for s in planes] == [tuple(s[:2]) for s in volumes]
    network = MapAutoencoder((1, 28, 32, 24))
    encoding = network.encode(torch.rand(2, 1, 28, 32, 24))
    assert encoding.z.shape == (2, 64, 7, 8, 6)
    assert network.decode(encoding).shape == (2, 1, 28, 32, 24)


@pytest.mark.parametrize(
    "name",
    ["lga", "lga_matched", "lga_generic", "jin2024", "swarnali2025", "orbit_mean", "act_on_image"],
)
@torch.no_grad()
def test_laws_hold_on_volumes(name):
    dataset = lga.load_dataset("adrenal_3d", "stand-in", bodies=12)
    system = lga.build_system(name, dataset).eval()
    pairs = dataset.pairs("train", 3, torch.Generator().manual_seed(0))
    report = lga.laws.law_report(system, pairs.x1, pairs.g, pairs.g.roll(1, 0))
    if name in ("jin2024", "lga_matched", "lga_generic"):
        assert report["law_compatibility"] < 1e-5 and report["law_inverse"] < 1e-5
    assert system.transform(pairs.x1, pairs.g).shape == pairs.x1.shape
    if name == "swarnali2025":
        assert system.network.latent_shape == (64, 7, 7, 7)  # volumes of features turn
    if name == "lga":  # it begins by turning the voxels
        turned = lga.groups.rotate_maps(pairs.g, pairs.x1)
        torch.testing.assert_close(system.transform(pairs.x1, pairs.g), turned, rtol=0, atol=1e-5)
    if name == "jin2024":
        assert set(system.action.representation.sizes) == {3}


@pytest.mark.parametrize("name", ["jin2024", "swarnali2025"])
def test_nothing_paints_black_for_good(name):
    dataset = lga.load_dataset("adrenal_3d", "stand-in", bodies=24)
    system = lga.build_system(name, dataset)
    settings = lga.settings_for(
        "quick", "adrenal_3d", name, train_pairs=320, validations=1, validation_pairs=8
    )
    reached = lga.fit(system, dataset, settings)[-1]["validation_psnr_db"]
    pairs = next(dataset.fixed_pairs("validation", 8))
    assert reached > float(lga.metrics.psnr_db(torch.zeros_like(pairs.x2), pairs.x2).mean()) + 0.1


def test_who_serves_volumes():
    from lga.catalogue import refusals

    served = {s for s in lga.SYSTEMS if "adrenal_3d" not in refusals(s)}
    controls = {"copy_input", "mean_image", "orbit_mean", "act_on_image"}
    ours = {"lga", "lga_matched", "lga_generic"}
    assert served == {"jin2024", "swarnali2025"} | controls | ours
    assert "brain_3d" in refusals("hwang2023")


def test_figures_show_three_central_slices():
    volumes = torch.zeros(2, 1, 8, 8, 8)
    volumes[:, :, 4, 1, 2] = 1  # depth 4, row 1, column 2
    volumes[:, :, 6, 4, 3] = 0.5
    volumes[:, :, 5, 7, 4] = 0.25
    picture = lga.figures.as_pictures(volumes)[0, 0]
    assert picture.shape == (24, 8)
    assert picture[1, 2] == 1 and picture[8 + 6, 3] == 0.5 and picture[16 + 7, 5] == 0.25
    assert lga.figures.image_grid([volumes, volumes], ["x", "y"]).axes
