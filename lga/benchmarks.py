"""Benchmarks: what the scripts under `benchmarks/` measure, and on which machine.

A script defines `measure()`, which returns its figures by name; what one machine gave lies beside
it as `benchmarks/<name>.json`.
"""

import json
import platform
import re
import runpy
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga.paths import BENCHMARKS, require_clone
from lga.records import write_whole


def benchmark_names() -> list[str]:
    """Those there are, in alphabetical order.

    Raises:
        FileNotFoundError: where the package is installed without its repository.
    """
    require_clone("the benchmarks")
    return sorted(path.stem for path in BENCHMARKS.glob("*.py"))


def measure(name: str) -> dict[str, Any]:
    """The figures of one benchmark."""
    return runpy.run_path(str(BENCHMARKS / f"{name}.py"))["measure"]()


def keep(name: str, figures: dict[str, Any]) -> None:
    """Writes figures beside their benchmark, over those of before."""
    text = json.dumps(figures, indent=2) + "\n"
    write_whole(BENCHMARKS / f"{name}.json", text.encode())


def training_step(
    loss: Callable[[], Mapping[str, Tensor]], optimizers: Sequence[torch.optim.Optimizer]
) -> Callable[[], float]:
    """Takes one step by a loss, given as its terms, and tells its seconds.

    Reading the loss waits for the device.
    """

    def step() -> float:
        started = time.perf_counter()
        total = torch.stack(list(loss().values())).sum()
        total.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        float(total.detach())
        return time.perf_counter() - started

    return step


def machine() -> str:
    """The GPU by name, or the processor with its widest instructions and how many threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")  # of Linux, where platform knows the architecture only
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    named = found[1] if found else platform.processor()
    return f"{named} ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} threads"
