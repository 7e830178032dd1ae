"""Benchmarks: what the scripts under `benchmarks/` measure, and on which machine.

A script defines `measure()`, which returns its figures by name; what one machine gave lies beside
it as `benchmarks/<name>.json`.
"""

import json
import platform
import re
import runpy
from pathlib import Path
from typing import Any

import torch

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


def machine() -> str:
    """The GPU by name, or the processor with its widest instructions and how many threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")  # of Linux, where platform knows the architecture only
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    named = found[1] if found else platform.processor()
    return f"{named} ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} threads"
