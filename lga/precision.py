"""Which numbers a device computes in well."""

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRODUCT = 512  # rows and columns of the matrices tried
LEAST_GAIN = 1.5  # a step is more than its products, and conversions cost time


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

    A processor is asked for a product in each, once, for its list of instructions does not tell;
    what a step gains, `lga bench precision` measures. A GPU must not emulate it.
    """
    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return product_seconds(torch.float32) > LEAST_GAIN * product_seconds(torch.bfloat16)


def product_seconds(dtype: torch.dtype) -> float:
    """How long a thread takes for the product of two matrices, at its best of twenty times."""
    matrix = torch.ones(PRODUCT, PRODUCT, dtype=dtype)

    def once() -> float:
        started = time.perf_counter()
        matrix @ matrix
        return time.perf_counter() - started

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where other processes run
    try:
        return min(once() for _ in range(20))
    finally:
        torch.set_num_threads(threads)


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
