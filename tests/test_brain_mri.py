"""Contrast on brain pixels only; slices found in world coordinates; damaged and swapped files."""

import nibabel
import numpy as np
import pytest
import torch
from conftest import assert_same_tests

import lga
from lga.datasets import prepare_dataset
from lga.datasets.brain_mri import CLAMP, warp
from lga.pictures import heads
from lga.pictures.phantoms import synthesize


@pytest.fixture(scope="module")
def brains():
    return lga.load_dataset("brain_mri", "stand-in", subjects=24)


def test_contrast_acts_through_the_logit_on_the_brain_alone(brains):
    slices, masks = brains.slices[:4], brains.masks[:4]
    a, b = torch.tensor([1.5, 0.7, 1.0, 2.0]), torch.tensor([0.3, -0.4, 0.0, 0.1])
    moved = brains.contrast(brains.group.element(a, b), slices, masks)
    assert torch.equal(moved[~masks], slices[~masks])
    x = slices.clamp(CLAMP, 1 - CLAMP)
    expected = 1 / (
        1 + torch.exp(-(a.view(-1, 1, 1, 1) * torch.log(x / (1 - x)) + b.view(-1, 1, 1, 1)))
    )
    torch.testing.assert_close(moved[masks], expected[masks])


def test_g_carries_the_first_contrast_to_the_second(brains):
    pairs = brains.pairs("train", 16, torch.Generator().manual_seed(0))
    brains.group.check(pairs.g)
    same = pairs.x1 == pairs.x2
    inside = (
        ~same
        & (pairs.x1 > 1e-4)
        & (pairs.x1 < 1 - 1e-4)
        & (pairs.x2 > 1e-4)
        & (pairs.x2 < 1 - 1e-4)
    )
    a, b = (part.view(-1, 1, 1, 1) for part in brains.group.scale_shift(pairs.g))
    moved = (a * pairs.x1.double().logit() + b).sigmoid()
    assert inside.float().mean() > 0.2
    torch.testing.assert_close(moved[inside].float(), pairs.x2[inside], rtol=0, atol=5e-3)


def test_sigma_widens_the_contrasts():
    narrow = lga.load_dataset("brain_mri", "stand-in", subjects=24, sigma=0.1)
    pairs = narrow.pairs("train", 200, torch.Generator().manual_seed(0))
    a, _ = narrow.group.scale_shift(pairs.g)
    assert 0.1 < a.log().std() < 0.2  # two draws: σ√2


def test_warped_slices_train_and_nothing_else_is_touched(brains):
    warped = lga.load_dataset("brain_mri", "stand-in", subjects=24, warped=True)
    assert "training slices warped" in warped.remarks["protocol"]
    assert_same_tests(brains, warped)
    first, second = (
        data.pairs("train", 16, torch.Generator().manual_seed(0)) for data in (brains, warped)
    )
    assert torch.equal(first.g, second.g)
    assert ((first.x1 - second.x1).abs().flatten(1).mean(1) > 0.01).all()
    # Both pictures of a pair are warped alike: what shows no brain is the same in both.
    assert ((second.x1 != second.x2).float().mean((1, 2, 3)) < 0.6).all()


def test_a_warp_takes_the_mask_along_and_keeps_the_head_in_the_picture(brains):
    slices, masks = brains.slices[:8], brains.masks[:8]
    ink, brain = warp(masks.float(), masks, torch.Generator().manual_seed(0))
    # The mask warped as a picture is the mask warped as a mask, but for pixels at its rim.
    assert ((ink > 0.5) == brain).float().mean() > 0.99
    area = brain.float().mean((1, 2, 3)) / masks.float().mean((1, 2, 3))
    assert (area > 0.5).all() and (area < 1.7).all() and area.std() > 0.05
    again, _ = warp(slices, masks, torch.Generator().manual_seed(0))
    assert torch.equal(again, warp(slices, masks, torch.Generator().manual_seed(0))[0])
    assert again.min() >= 0 and again.max() <= 1


def test_fixed_contrasts_are_few_and_never_the_same_in_a_pair(brains):
    fixed = lga.load_dataset("brain_mri", "stand-in", subjects=24, contrasts=3)
    pairs = fixed.pairs("train", 300, torch.Generator().manual_seed(0))
    # Three contrasts make six ordered pairs of different ones, and as many g.
    assert len({tuple(g.round(decimals=4).flatten().tolist()) for g in pairs.g}) == 6
    fresh = brains.pairs("train", 300, torch.Generator().manual_seed(0))
    assert len({tuple(g.flatten().tolist()) for g in fresh.g}) == 300
    shown = next(fixed.fixed_pairs("test", 4))
    assert shown.x3 is not None and "3 fixed contrasts" in fixed.remarks["protocol"]
    with pytest.raises(ValueError, match="two contrasts"):
        lga.load_dataset("brain_mri", "stand-in", subjects=24, contrasts=1)


def test_synthetic_subjects_differ_and_have_a_head_around_the_brain():
    slices, masks = synthesize(6)
    assert slices.shape == (6, 1, 128, 128) and slices.min() >= 0 and slices.max() <= 1
    share = masks.float().mean((1, 2, 3))
    assert (share > 0.15).all() and (share < 0.6).all()
    differing = (masks[0] ^ masks[1:]).float().mean((1, 2, 3))
    assert (differing > 0.005).all()
    outside = torch.where(masks, torch.zeros(()), slices)
    assert (outside.amax((1, 2, 3)) > 0.4).all()  # scalp
    again, _ = synthesize(6)
    assert torch.equal(slices, again)


def write_subject(
    folder, axes=(0, 1, 2), flips=(1, 1, 1), t1_name="T1w.nii.gz", mask_name="brainmask.nii.gz"
):
    """A head whose brain is brighter to the subject's right and top, stored along any axes."""
    shape = (60, 80, 70)
    x, y, z = np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij")
    brain = (x / 22) ** 2 + ((y - 5) / 30) ** 2 + ((z - 3) / 25) ** 2 < 1
    t1 = np.where(brain, 100 + x + 2 * z, 0).astype(np.float32)
    affine = np.diag([3.0, 2.5, 2.5, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) / 2)
    images = []
    for volume in (t1, brain.astype(np.uint8)):
        image = nibabel.Nifti1Image(volume, affine)
        orientation = np.array(list(zip(axes, flips, strict=True)), float)
        images.append(image.as_reoriented(orientation))
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.save(images[0], folder / t1_name)
    nibabel.save(images[1], folder / mask_name)
    return folder


def test_the_same_slice_whatever_way_the_voxels_run(tmp_path):
    straight = heads.read_slice(write_subject(tmp_path / "a"))
    for k, (axes, flips) in enumerate(
        [((1, 2, 0), (1, 1, 1)), ((0, 2, 1), (-1, 1, -1)), ((2, 0, 1), (1, -1, 1))]
    ):
        turned = heads.read_slice(write_subject(tmp_path / str(k), axes, flips))
        np.testing.assert_allclose(turned[0], straight[0], atol=0.02)
        assert (turned[1] != straight[1]).mean() < 0.01
    t1, mask = straight
    rows, columns = np.nonzero(mask)
    top, bottom = t1[rows.min() + 5, 64], t1[rows.max() - 5, 64]
    left, right = t1[64, columns.min() + 5], t1[64, columns.max() - 5]
    assert top > bottom + 0.5 and right > left + 0.1  # z up, x to the right
    # The mask is 44 voxels of 3 mm wide: 132 mm of 220 mm, of 128 pixels.
    assert abs((columns.max() - columns.min() + 1) - 44 * 3 / 220 * 128) < 4


def test_a_folder_of_subjects_is_a_dataset(tmp_path, capsys):
    for k in range(4):
        write_subject(tmp_path / "brain" / f"subject-{k}")
    prepare_dataset("brain_mri", tmp_path)
    shown = capsys.readouterr().out
    assert [line.split(":")[0] for line in shown.splitlines()] == [f"subject-{k}" for k in range(4)]
    dataset = lga.load_dataset("brain_mri", "real", tmp_path)
    assert [dataset.size(s) for s in ("train", "validation", "test")] == [2, 1, 1]
    assert not dataset.is_stand_in
    assert dataset.source.startswith("4 NIfTI subjects (subject-0")
    pairs = dataset.pairs("train", 8, torch.Generator().manual_seed(0))
    assert pairs.x1.shape == (8, 1, 128, 128)


def test_the_human_connectome_projects_layout(tmp_path):
    folder = tmp_path / "brain" / "100307"
    write_subject(
        folder / "MNINonLinear", t1_name="T1w_restore.nii.gz", mask_name="brainmask_fs.nii.gz"
    )
    assert heads.read_slice(folder)[1].any()


def test_bad_volumes_are_named(tmp_path):
    folder = write_subject(tmp_path / "s")
    (folder / "brainmask.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match="holds no brain mask"):
        heads.read_slice(folder)

    write_subject(folder)
    t1 = nibabel.load(folder / "T1w.nii.gz")
    swapped = nibabel.Nifti1Image(t1.get_fdata().transpose(2, 0, 1), t1.affine)
    swapped.affine[:3, 3] += 400
    nibabel.save(nibabel.Nifti1Image(swapped.get_fdata(), swapped.affine), folder / "T1w.nii.gz")
    with pytest.raises(ValueError, match="axes of one of them swapped"):
        heads.read_slice(folder)

    write_subject(folder)
    path = folder / "T1w.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"T1w\.nii\.gz is damaged"):
        heads.read_slice(folder)

    write_subject(folder)
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9, 2), np.float32), np.eye(4)), path)
    with pytest.raises(ValueError, match="three axes"):
        heads.read_slice(folder)


def test_no_subjects_says_what_belongs_where(tmp_path):
    for attempt in (lambda: lga.load_dataset("brain_mri", "real", tmp_path),
                    lambda: prepare_dataset("brain_mri", tmp_path)):  # fmt: skip
        with pytest.raises(FileNotFoundError, match=r"T1w\.nii\.gz and brainmask\.nii\.gz"):
            attempt()
