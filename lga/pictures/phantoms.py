"""Synthetic brains: the stand-in for the Human Connectome Project.

Each subject is a coronal slice of the ICBM152 template, bent by a smooth diffeomorphism of its own,
its tissues shifted in intensity, inside a synthetic skull and scalp over background noise. So
anatomy differs from subject to subject, and outside the brain there is something that a change of
the brain's contrast must leave alone.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 128
FIELD_OF_VIEW_MM = 220.0
SLAB_MM = 12.0  # slices come from this far before and behind the middle


def icbm152(kind: str):
    """The template's "t1", "gm" or "wm" map as a NIfTI image at 1 mm, shipped with nilearn.

    Fonov et al. 2009, the non-linear symmetric ICBM152 average.

    Raises:
        ImportError: without nilearn.
    """
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ImportError(
            "the brain stand-in needs nilearn: uv pip install -e '.[brain]'"
        ) from error
    names = {"t1": "template", "gm": "gm_template", "wm": "wm_template"}
    return getattr(datasets, f"load_mni152_{names[kind]}")(resolution=1)


MIDDLE_MM = (0.0, -18.0, 8.0)  # of the template's brain


@functools.cache
def template_slab() -> dict[str, Tensor]:
    """Coronal slices (n, 1, SIDE, SIDE) of the template's T1, grey and white matter, in [0, 1]."""
    from lga.pictures.heads import sample_coronal

    maps = {"t1": icbm152("t1"), "grey": icbm152("gm"), "white": icbm152("wm")}
    middle_mm = np.array(MIDDLE_MM)
    forward_mm = np.array([0.0, 1.0, 0.0])
    centres_mm = [middle_mm + step * forward_mm for step in np.arange(-SLAB_MM, SLAB_MM + 1)]
    slab = {}
    for name, image in maps.items():
        volume = image.get_fdata(dtype=np.float32)
        slices = [
            sample_coronal(volume, image.affine, centre_mm, FIELD_OF_VIEW_MM, SIDE)
            for centre_mm in centres_mm
        ]
        slab[name] = torch.from_numpy(np.stack(slices)).float()[:, None].clamp(min=0)
        slab[name] /= slab[name].max()
    return slab


def synthesize(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n subjects: slices (n, 1, SIDE, SIDE) in [0, 1] and their brain masks, bool."""
    slab = template_slab()
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(len(slab["t1"]), (n,), generator=generator)
    grid = diffeomorphisms(n, generator, (SIDE, SIDE))

    def bent(maps: Tensor) -> Tensor:
        return F.grid_sample(maps, grid, align_corners=False)

    t1, grey, white = (bent(slab[name][pick]) for name in ("t1", "grey", "white"))
    mask = whole_brains((t1 > 0.15) & (grey + white > 0.1))
    distance = distance_px(mask)

    shift = 0.08 * torch.randn(n, 3, 1, 1, 1, generator=generator)
    gain = 1 + shift[:, 0]
    brain = (gain * t1 + shift[:, 1] * grey + shift[:, 2] * white).clamp(0.02, 1)

    # Around the brain: fluid, skull, scalp, air.
    thick = torch.rand(n, 3, 1, 1, 1, generator=generator)
    fluid = 1 + 1.5 * thick[:, 0]
    skull = fluid + 2 + 2 * thick[:, 1]
    scalp = skull + 2 + 3 * thick[:, 2]
    level = 0.55 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator)
    around = torch.where(distance <= fluid, 0.12, torch.where(distance <= skull, 0.05, level))
    around = torch.where(distance <= scalp, around, 0.0)
    around = F.avg_pool2d(F.pad(around, (1, 1, 1, 1), "replicate"), 3, 1)
    noise = 0.02 * torch.randn(n, 2, SIDE, SIDE, generator=generator).norm(dim=1, keepdim=True)
    slices = torch.where(mask, brain, (around + noise).clamp(0, 1))
    return slices, mask


def synthesize_cubes(n: int, side: int, seed: int = 0) -> Tensor:
    """n subjects as cubes (n, 1, side, side, side) in [0, 1]: the template's T1, bent in space.

    Each is bent by a smooth diffeomorphism of its own and changed in contrast.
    """
    from lga.pictures.heads import sample_cube

    image = icbm152("t1")
    volume = image.get_fdata(dtype=np.float32)
    cube = sample_cube(volume, image.affine, np.array(MIDDLE_MM), FIELD_OF_VIEW_MM, side)
    template = torch.from_numpy(cube).float().clamp(min=0)
    template = (template / template.max())[None, None]
    generator = torch.Generator().manual_seed(seed)
    grid = diffeomorphisms(n, generator, (side,) * 3)
    bent = F.grid_sample(template.expand(n, -1, -1, -1, -1), grid, align_corners=False)
    exponent = torch.exp(0.25 * torch.randn(n, 1, 1, 1, 1, generator=generator))
    return bent.clamp(0, 1) ** exponent


def whole_brains(tissue: Tensor) -> Tensor:
    """Tissue maps (n, 1, H, W), bool, without specks and with their holes filled."""
    from scipy.ndimage import binary_fill_holes, binary_opening

    brains = [binary_fill_holes(binary_opening(m, iterations=2)) for m in tissue[:, 0].numpy()]
    return torch.from_numpy(np.stack(brains))[:, None]


def distance_px(mask: Tensor) -> Tensor:
    """Distance of every pixel of (n, 1, H, W) from the True ones, in pixels."""
    from scipy.ndimage import distance_transform_edt

    return torch.from_numpy(
        np.stack([distance_transform_edt(m) for m in ~mask[:, 0].numpy()])
    ).float()[:, None]


def diffeomorphisms(
    n: int, generator: torch.Generator, sides: tuple[int, ...], steps: int = 6
) -> Tensor:
    """Sampling grids (n, *sides, k) of smooth one-to-one deformations of k-dimensional pictures.

    A smooth random velocity field is integrated for unit time by scaling and squaring.
    """
    k = len(sides)
    coarse = 0.04 * torch.randn(n, k, *[6] * k, generator=generator)
    smooth = "bicubic" if k == 2 else "trilinear"
    velocity = F.interpolate(coarse, size=sides, mode=smooth, align_corners=True)
    identity = F.affine_grid(torch.eye(k, k + 1).expand(n, -1, -1), [n, 1, *sides], False)
    displacement = velocity / 2**steps
    for _ in range(steps):
        at = identity + displacement.movedim(1, -1)
        displacement = displacement + F.grid_sample(
            displacement, at, padding_mode="border", align_corners=False
        )
    return identity + displacement.movedim(1, -1)
