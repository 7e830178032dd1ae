"""Which numbers a device computes in well."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def precision_for(precision: str, device: str) -> str:
    """The precision that a device trains in: bf16 only where that is faster.

    Elsewhere it is slower than float32, up to 25 times where PyTorch emulates it.

    Args:
        precision: as Lightning Fabric names it.
        device: "cpu" or "cuda".
    """
    if precision.startswith("bf16") and not faster_in_bf16(device):
        return "32-true"
    return precision


@functools.cache
def faster_in_bf16(device: str) -> bool:
    """Whether this machine's device, "cpu" or "cuda", multiplies matrices faster in bf16.

    AVX-512 alone does not, although it knows bf16: without AMX a step of `lga` on the turntable
    takes 1.35 times as long as in float32, one of `winter2022` 1.7 times.
    """
    if device != "cpu":
        return True
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in ("amx_bf16", "bf16"))


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Meanwhile a processor takes numbers nearer to 0 than 1.2e-38 for 0, where it can.

    It computes with those numbers many times more slowly than with others, and where a mask is all
    but shut, gradients are full of them: a step of `lga` on planes takes 2.6 times as long after
    86,000 pairs as at first. Holds for this thread and those that it starts.
    """
    flushed = torch.tensor(1e-40).item() == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
