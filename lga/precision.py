"""Which numbers a device computes in well."""

import functools

import torch


def precision_for(precision: str, device: str) -> str:
    """The precision that a device trains in: bf16 only where it computes in it.

    Elsewhere PyTorch emulates it, up to 25 times slower than float32.

    Args:
        precision: as Lightning Fabric names it.
        device: "cpu" or "cuda".
    """
    if precision.startswith("bf16") and not computes_in_bf16(device):
        return "32-true"
    return precision


@functools.cache
def computes_in_bf16(device: str) -> bool:
    """Whether this machine's device, "cpu" or "cuda", has instructions for bf16."""
    if device != "cpu":
        return True
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
