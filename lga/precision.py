"""Which numbers a device computes in well."""

import functools

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
