"""Pictures and volumes in one pose each, which a dataset then moves."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from lga.splits import Split


@dataclass(frozen=True)
class Originals:
    """Unmoved pictures or volumes in three splits that share none.

    Attributes:
        images: uint8 (n, 1, H, W) or (n, 1, D, H, W) for each split, in [0, 255].
        labels: classes (n,) for each split; empty where there are none.
        source: what they are.
    """

    images: dict[Split, Tensor]
    labels: dict[Split, Tensor]
    source: str

    def to(self, device: torch.device) -> Self:
        return replace(self, images={split: x.to(device) for split, x in self.images.items()})
