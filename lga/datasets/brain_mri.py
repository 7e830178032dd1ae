"""Brain MRI: mid-coronal T1 slices whose brain, and nothing else, changes contrast.

The contrast group Aff(R) acts on a pixel through its logit, x ↦ σ(a·logit(x) + b), on brain pixels
only (`jin2024`, section 6.1). Both images of a pair are contrasts of the same slice by random
elements h1, h2, and g = h2 h1⁻¹. Before the logit, pixels are clamped to [0.01, 0.99]. The paper
draws 100 contrasts per slice once; here every batch draws fresh ones unless `contrasts` says so.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lga.datasets.base import OrbitDataset
from lga.devices import sent
from lga.groups import SO2, Affine
from lga.pairs import Pairs
from lga.splits import Split, split_objects

CLAMP = 0.01
TEST_SHARE = 233 / 1113
STAND_IN = "synthetic brains from the ICBM152 template (stand-in for the Human Connectome Project)"


class BrainMRI(OrbitDataset):
    """Pairs of contrasts of one slice.

    Args:
        slices: (n, 1, H, W) in [0, 1].
        masks: (n, 1, H, W), bool, True on the brain.
        source: what the slices are.
        sigma: standard deviation of log a and of b; 0.5 where the paper's "N(0, 0.25)" is a
            variance.
        contrasts: how many fixed contrasts there are, the same for every slice, so that one slice
            can demonstrate what is done to another; 100 in the paper, 0 for fresh ones.
        warped: whether slices that train are mirrored, turned, stretched and sheared at random
            (see `warp`): a few subjects are soon known by heart.
    """

    name = "brain_mri"
    group = Affine()
    image_shape = (1, 128, 128)
    demonstrates = True
    sources = ("a folder of T1 and brain mask NIfTI pairs", STAND_IN)

    def __init__(
        self,
        slices: Tensor,
        masks: Tensor,
        source: str,
        *,
        sigma: float = 0.5,
        contrasts: int = 0,
        warped: bool = False,
    ) -> None:
        self.slices, self.masks, self.warped = slices, masks, warped
        self.source = source
        self.group = Affine(sigma)
        if contrasts == 1 or contrasts < 0:
            raise ValueError(f"a pair needs two contrasts, got contrasts={contrasts}")
        generator = torch.Generator().manual_seed(0)
        self.fixed = self.group.sample(contrasts, generator) if contrasts else None
        self.remarks = {
            "protocol": f"{slices.shape[2]}×{slices.shape[3]} slices; logits of [{CLAMP:g}, "
            f"{1 - CLAMP:g}]; "
            + (f"{contrasts} fixed contrasts" if contrasts else "fresh contrasts")
            + f", σ = {sigma:g}"
            + (", training slices warped" if warped else "")
        }
        self.objects = split_objects(len(slices), TEST_SHARE)
        if not len(self.objects["train"]):
            raise ValueError(f"{len(slices)} subjects are too few for train, validation and test")
        self.demonstrates = self.has_others()

    def to(self, device: torch.device | str) -> Self:
        self.device = torch.device(device)
        self.slices, self.masks = self.slices.to(self.device), self.masks.to(self.device)
        return self

    def size(self, split: Split) -> int:
        return len(self.objects[split])

    def draw(self, split: Split, objects: Tensor, generator: torch.Generator) -> Pairs:
        h1, h2 = (sent(h, self.device) for h in self.two_contrasts(len(objects), generator))
        subject = sent(self.objects[split][objects], self.device)
        slices, masks = self.slices[subject], self.masks[subject]
        if self.warped and split == "train":
            slices, masks = warp(slices, masks, generator)
        x1, x2 = (self.contrast(h, slices, masks) for h in (h1, h2))
        return Pairs(x1, x2, self.group.compose(h2, self.group.inverse(h1)))

    def two_contrasts(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Elements h1, h2, (n, 2, 2) each: fresh, or two different ones of the fixed."""
        if self.fixed is None:
            h1, h2 = self.group.sample(2 * n, generator).chunk(2)
            return h1, h2
        count = len(self.fixed)
        first = torch.randint(count, (n,), generator=generator)
        step = torch.randint(1, count, (n,), generator=generator)
        return self.fixed[first], self.fixed[(first + step) % count]

    def contrast(self, h: Tensor, slices: Tensor, masks: Tensor) -> Tensor:
        """h·x: σ(a·logit(x) + b) where the mask is True, x elsewhere."""
        ink = slices.clamp(CLAMP, 1 - CLAMP).logit()
        moved = self.group.act(h, ink.flatten(1)[..., None]).view_as(ink).sigmoid()
        return torch.where(masks, moved, slices)

    def view(self, split: Split, index: int, g: Tensor) -> Tensor:
        """The slice with its contrast changed by g."""
        subject = self.objects[split][index][None].to(self.device)
        return self.contrast(g.to(self.device), self.slices[subject], self.masks[subject])

    @classmethod
    def real(cls, data_root: Path, **options) -> Self:
        """Every subject's folder below `data_root/brain` (see `read_slice`).

        Raises:
            FileNotFoundError: without any subject.
            ValueError, FileNotFoundError: for a subject that cannot be read, naming the file.
        """
        from lga.pictures.heads import read_slice

        folders, named = cls.subjects(data_root)
        slices, masks = (np.stack(parts) for parts in zip(*map(read_slice, folders), strict=True))
        return cls(
            torch.from_numpy(slices).float()[:, None],
            torch.from_numpy(masks)[:, None],
            named,
            **options,
        )

    @classmethod
    def subjects(cls, data_root: Path) -> tuple[list[Path], str]:
        """The subjects' folders below `data_root/brain`, and what they are, in words.

        Raises:
            FileNotFoundError: when there is none.
        """
        folders = subject_folders(data_root)
        if not folders:
            raise FileNotFoundError(
                f"{Path(data_root) / 'brain'} holds no subjects; {cls.how_to_prepare(data_root)}"
            )
        return folders, f"{len(folders)} NIfTI subjects ({folders[0].name}, …)"

    @classmethod
    def stand_in(cls, *, subjects: int = 1113, **options) -> Self:
        """Synthetic subjects (see `phantoms.synthesize`)."""
        from lga.pictures.phantoms import synthesize

        slices, masks = synthesize(subjects)
        return cls(slices, masks, STAND_IN, **options)

    @staticmethod
    def has_real(data_root: Path) -> bool:
        """Whether there is any subject."""
        return bool(subject_folders(data_root))

    @classmethod
    def how_to_prepare(cls, data_root: Path) -> str:
        return (
            f"put one folder per subject, with T1w.nii.gz and brainmask.nii.gz, into "
            f"{Path(data_root) / 'brain'}"
        )

    @classmethod
    def prepare(cls, data_root: Path) -> None:
        """Reads every subject once, so that what is missing is named now."""
        from lga.pictures.heads import read_slice

        if not cls.has_real(data_root):
            raise FileNotFoundError(f"no subjects: {cls.how_to_prepare(data_root)}")
        for folder in subject_folders(data_root):
            read_slice(folder)
            print(f"{folder.name}: T1 and brain mask read", flush=True)


def warp(slices: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Slices and their masks, (n, 1, H, W) both, each under an affine map of the plane of its own.

    About as far as heads and their poses differ: half are mirrored; turned by up to 17° either way,
    each axis stretched by up to 1.28, sheared by up to 0.2, moved by a twentieth of the picture.
    """
    n = len(slices)

    def within(reach: float) -> Tensor:
        return reach * (2 * torch.rand(n, generator=generator) - 1)

    mirror = torch.where(within(1.0) < 0, -1.0, 1.0)
    wide, high, shear = within(0.25).exp(), within(0.25).exp(), within(0.2)
    rows = torch.stack([mirror * wide, shear], 1), torch.stack([torch.zeros(n), high], 1)
    linear = SO2().rotation(within(0.3)) @ torch.stack(rows, 1)
    shift = torch.stack([within(0.1), within(0.1)], 1)
    pull_back = sent(torch.cat([linear, shift[..., None]], 2), slices.device)
    grid = F.affine_grid(pull_back, list(slices.shape), align_corners=False)
    warped = F.grid_sample(slices, grid, align_corners=False)
    on_brain = F.grid_sample(masks.float(), grid, mode="nearest", align_corners=False) > 0.5
    return warped, on_brain


def subject_folders(data_root: Path) -> list[Path]:
    """The folders directly below `data_root/brain`."""
    return sorted(path for path in (Path(data_root) / "brain").glob("*") if path.is_dir())
