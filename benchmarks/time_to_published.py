"""Seconds and pairs until a run's validation PSNR first reached its dataset's published figure.

Read off the committed records, not measured anew: a run's device stands beside its figures, and
runs of one machine may have shared it. Runs with overrides are left out but for those of the
`budget` ablation, which are no longer than they need be: `lga bench time_to_published`.
"""

from itertools import product

from lga.ablations import ABLATIONS, variant_root
from lga.paths import RESULTS
from lga.profiles import PROFILES
from lga.records import read_history, read_record
from lga.tables import PUBLISHED

# The paper's own figure, which all systems are held against.
PUBLISHED_DB = {
    dataset: cells["jin2024"]["psnr_db"]
    for dataset, cells in PUBLISHED.items()
    if "psnr_db" in cells["jin2024"]
}


def measure() -> dict[str, list[dict]]:
    """By profile, dataset and system: seed, budget, seconds, pairs, best validation, device."""
    measured: dict[str, list[dict]] = {}
    short = (variant_root(None, "budget", variant) for variant in ABLATIONS["budget"].variants)
    for root, profile in product((RESULTS, *short), PROFILES):
        for path in sorted((root / profile).glob("*/*/seed-*/metrics.json")):
            record, history = read_record(path), read_history(path.with_name("history.csv"))
            varied = root == RESULTS and record["overrides"]
            if varied or len(history) < 2 or "stand-in" in record["source"]:
                continue
            published_db = PUBLISHED_DB.get(record["dataset"])
            if published_db is None:
                continue
            reached = [row for row in history if row["validation_psnr_db"] >= published_db]
            first = reached[0] if reached else {}
            name = f"{profile} {record['dataset']} {record['system']}"
            measured.setdefault(name, []).append({
                "seed": record["seed"], "train_pairs": record["train_pairs"],
                "published_db": published_db,
                "seconds": first.get("seconds"), "pairs": first.get("pairs"),
                "best_validation_db": max(row["validation_psnr_db"] for row in history),
                "source": record["source"], "device": record.get("device"),
            })  # fmt: skip
    return measured
