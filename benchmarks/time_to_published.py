"""How long `lga_matched` takes to the published PSNR on the digits, on one core of this machine.

MNIST must be in `data/` (or `LGA_DATA`). The budget is what the published figure asks for, not the
standard profile's. `python benchmarks/time_to_published.py` or `lga bench`.
"""

import contextlib
import io
import os
from pathlib import Path

import torch

import lga
from lga.paths import DATA
from lga.runs import device_name
from lga.tables import TABLES

BUDGETS = {"rotated_mnist": 102_400, "blocked_mnist": 153_600}
VALIDATIONS = 20


def measure() -> dict[str, dict]:
    """Seconds and pairs until the validation PSNR first reaches the published figure."""
    root = Path(os.environ.get("LGA_DATA", DATA))
    measured: dict[str, dict] = {}
    for name, budget in BUDGETS.items():
        published_db = TABLES["table_1"][name]["jin2024"]["psnr_db"]
        if not lga.DATASETS[name].has_real(root):
            measured[name] = {"reason": f"no MNIST in {root}"}
            continue
        run = lga.configure(
            name, "lga_matched", "standard", source="real", data_root=root,
            overrides={"train_pairs": budget, "validations": VALIDATIONS},
        )  # fmt: skip
        dataset = run.load_dataset()
        system = lga.build_system("lga_matched", dataset, **run.system_options)
        with contextlib.redirect_stdout(io.StringIO()):
            history = lga.fit(system, dataset, run.settings)
        reached = [row for row in history if row["validation_psnr_db"] >= published_db]
        measured[name] = {
            "system": "lga_matched", "published_db": published_db,
            "seconds": round(reached[0]["seconds"], 1) if reached else None,
            "pairs": reached[0]["pairs"] if reached else None,
            "end_db": round(history[-1]["validation_psnr_db"], 2), "budget_pairs": budget,
            "machine": f"{processor()}, {device_name(torch.device('cpu'))}",
        }  # fmt: skip
    return measured


def processor() -> str:
    """The processor's name."""
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


if __name__ == "__main__":
    import json

    print(json.dumps(measure(), indent=2))
