"""Tensors on a device without waiting for it.

A copy from the processor's memory waits until a GPU has done all that it was told before, and a
CUDA graph cannot hold one. What never changes is copied once, what changes is handed over.
"""

import functools
from collections.abc import Callable, Hashable

import torch
from torch import Tensor


@functools.cache
def constant(
    make: Callable[..., Tensor],
    *arguments: Hashable,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """What a function makes of its arguments, on a device, made and copied there once.

    Args:
        make: always makes the same of the same arguments, which are hashable.
        device, dtype: of the tensor; by default it keeps its dtype.
    """
    with torch.device("cpu"):
        return make(*arguments).to(device, dtype)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor's on a device, which takes it when it gets there."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
