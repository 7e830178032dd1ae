"""T1 volumes in world coordinates, whatever way the voxels run: mid-coronal slices and cubes."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIDE = 128
FIELD_OF_VIEW_MM = 220.0

# The first pattern that matches counts: the Human Connectome Project's names, then plain ones.
T1_PATTERNS = ("T1w_restore.nii.gz", "T1w_restore*.nii.gz", "T1w.nii.gz", "T1w*.nii*")
NIFTI2_HEADERS = tuple((540).to_bytes(4, order) for order in ("little", "big"))
MASK_PATTERNS = ("brainmask_fs.nii.gz", "brainmask_fs*.nii.gz", "brainmask.nii.gz", "*mask*.nii*")


def sample_coronal(
    volume: np.ndarray,
    affine: np.ndarray,
    centre_mm: np.ndarray,
    field_of_view_mm: float,
    side: int,
    order: int = 1,
) -> np.ndarray:
    """A square coronal slice (side, side) of a volume, by interpolation at world coordinates.

    Args:
        volume: (I, J, K).
        affine: (4, 4), voxel indices to world millimetres: x to the right, y to the front, z up.
        centre_mm: (3,), the slice's centre; its y is the slice's plane.
        field_of_view_mm: side of the square.
        side: pixels of a side.
        order: 1 interpolates linearly, 0 takes the nearest voxel.

    Returns:
        The slice with z upwards (row 0 is the top) and x to the right; 0 outside the volume.
    """
    offset = ((np.arange(side) + 0.5) / side - 0.5) * field_of_view_mm
    z, x = np.meshgrid(-offset, offset, indexing="ij")
    world = np.stack([centre_mm[0] + x, np.full_like(x, centre_mm[1]), centre_mm[2] + z])
    return sample_world(volume, affine, world, order)


def sample_cube(
    volume: np.ndarray,
    affine: np.ndarray,
    centre_mm: np.ndarray,
    field_of_view_mm: float,
    side: int,
) -> np.ndarray:
    """A cube (side, side, side) of a volume, by linear interpolation at world coordinates.

    Args:
        volume, affine, centre_mm, field_of_view_mm, side: as for `sample_coronal`.

    Returns:
        The cube seen from behind: depth runs to the front, rows downwards, columns to the right, as
        `groups.rotate_maps` has them; 0 outside the volume.
    """
    from scipy.ndimage import gaussian_filter

    offset = ((np.arange(side) + 0.5) / side - 0.5) * field_of_view_mm
    y, z, x = np.meshgrid(offset, -offset, offset, indexing="ij")
    world = np.stack([centre_mm[0] + x, centre_mm[1] + y, centre_mm[2] + z])
    # Voxels finer than the cube's are averaged first, so that none is left out.
    voxel_mm = np.abs(np.linalg.det(affine[:3, :3])) ** (1 / 3)
    coarser = field_of_view_mm / side / voxel_mm
    smooth = gaussian_filter(volume, 0.4 * coarser) if coarser > 1 else volume
    return sample_world(smooth, affine, world, order=1)


def sample_world(
    volume: np.ndarray, affine: np.ndarray, world_mm: np.ndarray, order: int
) -> np.ndarray:
    """A volume's values at world coordinates (3, …); 0 outside."""
    from scipy.ndimage import map_coordinates

    inverse = np.linalg.inv(affine)
    shift = inverse[:3, 3].reshape(3, *[1] * (world_mm.ndim - 1))
    voxels = np.tensordot(inverse[:3, :3], world_mm, 1) + shift
    return map_coordinates(volume, voxels, order=order, mode="constant", cval=0.0)


class Head(NamedTuple):
    """A subject's T1 volume and brain mask.

    Attributes:
        t1: (I, J, K) in [0, 1], the 0.5th and 99.5th percentiles of the brain at 0 and 1.
        affine: (4, 4), voxel indices of `t1` to world millimetres.
        mask: (I′, J′, K′), above 0.5 on the brain.
        mask_affine: (4, 4), likewise.
        centre_mm: (3,), the middle of the brain's extent.
    """

    t1: np.ndarray
    affine: np.ndarray
    mask: np.ndarray
    mask_affine: np.ndarray
    centre_mm: np.ndarray


def read_slice(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A subject's mid-coronal T1 slice (SIDE, SIDE) in [0, 1] and its brain mask, bool.

    The slice lies in the middle of the brain's extent from front to back. Raises as `read_head`.
    """
    head = read_head(folder)
    frame = head.centre_mm, FIELD_OF_VIEW_MM, SIDE
    brain = sample_coronal(head.mask, head.mask_affine, *frame, order=0) > 0.5
    return sample_coronal(head.t1, head.affine, *frame), brain


def read_cube(folder: Path, side: int) -> np.ndarray:
    """A subject's T1 cube (side, side, side) in [0, 1], its brain in the middle.

    Raises as `read_head`.
    """
    head = read_head(folder)
    return sample_cube(head.t1, head.affine, head.centre_mm, FIELD_OF_VIEW_MM, side).clip(0, 1)


def read_head(folder: Path) -> Head:
    """A subject's T1 volume and brain mask.

    Args:
        folder: a subject's folder; the two files may lie deeper.

    Raises:
        FileNotFoundError: when the T1 volume or the mask is missing.
        ValueError: when a file is damaged or not three-dimensional, or when the mask is empty or
            lies outside the volume.
    """
    t1_path, mask_path = find(folder, T1_PATTERNS, "T1"), find(folder, MASK_PATTERNS, "brain mask")
    (volume, affine), (mask, mask_affine) = read_volume(t1_path), read_volume(mask_path)
    inside = np.argwhere(mask > 0.5)
    if not len(inside):
        raise ValueError(f"{mask_path} marks no brain")
    world = inside @ mask_affine[:3, :3].T + mask_affine[:3, 3]
    centre_mm = (world.min(0) + world.max(0)) / 2

    voxels = np.rint((world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
    within = ((voxels >= 0) & (voxels < volume.shape)).all(1)
    if within.mean() < 0.9:
        raise ValueError(
            f"{mask_path} does not lie on {t1_path}: {within.mean():.0%} of the brain is inside "
            "the volume; are the axes of one of them swapped?"
        )
    low, high = np.percentile(volume[tuple(voxels[within].T)], [0.5, 99.5])
    if not high > low:
        raise ValueError(f"{t1_path} is constant inside the brain")
    # Scaled before any sampling: outside the volume samples are 0, which must mean black.
    scaled = np.clip((volume - low) / (high - low), 0, 1)
    return Head(scaled, affine, mask, mask_affine, centre_mm)


def find(folder: Path, patterns: tuple[str, ...], what: str) -> Path:
    """The file below a folder that matches the first pattern with a match."""
    for pattern in patterns:
        if found := sorted(folder.rglob(pattern)):
            return found[0]
    raise FileNotFoundError(f"{folder} holds no {what} volume ({', '.join(patterns)})")


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A NIfTI volume (I, J, K) and its affine (4, 4).

    Raises:
        ImportError: without nibabel.
        ValueError: when the file is damaged, has other than three axes, or has no usable affine.
    """
    try:
        import nibabel
    except ImportError as error:
        raise ImportError("NIfTI needs nibabel: uv pip install -e '.[brain]'") from error
    try:
        # Read to the end: only there does a gz file say whether it is whole.
        packed = path.read_bytes()
        data = gzip.decompress(packed) if path.suffix == ".gz" else packed
        kind = nibabel.Nifti2Image if data[:4] in NIFTI2_HEADERS else nibabel.Nifti1Image
        image = kind.from_bytes(data)
        volume = np.squeeze(image.get_fdata(dtype=np.float32))
    except Exception as error:  # gzip, zlib and nibabel's headers raise whatever they meet
        raise ValueError(
            f"{path} is damaged or no NIfTI ({error}); fetch it again from its source"
        ) from error
    if volume.ndim != 3:
        raise ValueError(f"{path} has shape {volume.shape}; a T1 volume has three axes")
    if not np.isfinite(volume).all():
        raise ValueError(f"{path} holds values that are not finite")
    if abs(np.linalg.det(image.affine[:3, :3])) < 1e-6:
        raise ValueError(f"{path} has no usable affine (voxels to millimetres)")
    return volume, image.affine
