"""Train, validation and test: which objects are in which."""

from typing import Literal

import torch
from torch import Tensor

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def split_objects(n: int, test_share: float, seed: int = 0) -> dict[Split, Tensor]:
    """Object indices of the three splits: a random test share, then one eighth for validation.

    Small sets keep at least one object for test, where a share is asked for, and then for
    validation; of one or two none are left to train.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    n_test = max(1, round(test_share * n)) if test_share else 0
    n_validation = min(max(1, (n - n_test) // 8), n - n_test)
    test, validation, train = order.split([n_test, n_validation, n - n_test - n_validation])
    return {"train": train, "validation": validation, "test": test}
