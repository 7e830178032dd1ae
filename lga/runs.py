"""One run: its parameters in, its record out. The notebooks and `lga train` take these steps.

run = configure("rotated_mnist", "jin2024")
dataset = run.load_dataset()
system = run.build_system(dataset)
history = fit(system, dataset, run.settings, run.folder)
record = run.publish(system, dataset, history, evaluate(system, dataset, run.settings))
"""

import dataclasses
import math
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lga import figures
from lga.datasets import (
    DATASETS,
    SOURCES,
    OrbitDataset,
    OwnPictures,
    dataset_options,
    load_dataset,
)
from lga.evaluation import evaluate
from lga.lookup import check_name
from lga.metrics import WITHOUT_LPIPS, lpips_weights
from lga.options import check_numbers, keyword_options
from lga.paths import RESULTS, shown
from lga.precision import precision_for, subnormals_flushed
from lga.profiles import OWN, PROFILES, SETTING_NAMES, Settings, profile_values
from lga.records import (
    RunFolder,
    add_to_record,
    read_config,
    read_record,
    read_run,
    run_folder,
    write_weights,
)
from lga.sources import tested_on
from lga.systems import SYSTEMS, System, build_system, check_serves
from lga.training import History, fit

# How a run is computed changes no figure beyond rounding; its record and its config say it.
HOW = ("compile", "cuda_graph", "device")
HARDLY_DB = 0.01  # by so much the test PSNR may change when weights are kept in half precision


@dataclass(frozen=True)
class Run:
    """Everything that decides a run's numbers, resolved. See `configure`."""

    dataset: str
    system: str
    profile: str
    source: str
    data_root: str | None
    overrides: str
    settings: Settings
    dataset_options: Mapping[str, Any]
    system_options: Mapping[str, Any]
    folder: RunFolder
    started_at: str
    own: OwnPictures | None = None

    def config(self) -> dict[str, Any]:
        """Every resolved setting, as `config.json` holds it."""
        return {
            "dataset": self.dataset,
            "system": self.system,
            "profile": self.profile,
            "source": self.source,
            "settings": dataclasses.asdict(self.settings),
            "dataset_options": dict(self.dataset_options),
            "system_options": dict(self.system_options),
        }

    def overview(self):
        """The settings that matter most, as a pandas DataFrame of one column."""
        import pandas

        names = ("train_pairs", "batch_size", "optimizer", "learning_rate", "precision", "seed")
        settings = {name: getattr(self.settings, name) for name in names}
        rows = {"system": self.system, "profile": self.profile, **settings, **self.system_options}
        column = {name: str(value) for name, value in rows.items()}
        return pandas.DataFrame({self.dataset: column})

    def load_dataset(self) -> OrbitDataset:
        """The run's dataset, on the CPU until it is trained on."""
        if self.own is not None:
            return self.own.load()
        return load_dataset(
            self.dataset, self.source, self.data_root, self.profile, **self.dataset_options
        )

    def build_system(self, dataset: OrbitDataset) -> System:
        """The run's system with fresh weights; opens the run's folder."""
        system = build_system(self.system, dataset, self.settings.seed, **self.system_options)
        if is_main_process():
            # With other data, or LPIPS' weights that were missing, a run is another one.
            met = {"image_shape": list(dataset.image_shape), "found": found_here(dataset, system)}
            self.folder.start(self.config() | met)
        return system

    def publish(
        self,
        system: System,
        dataset: OrbitDataset,
        history: History,
        measured: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Writes the run's folder in one step and returns its record."""
        train_pairs, train_seconds = history[-1]["pairs"], history[-1]["seconds"]
        record = {
            "dataset": self.dataset,
            "system": self.system,
            "profile": self.profile,
            "seed": self.settings.seed,
            "overrides": self.overrides,
            "parameters": parameter_count(system),
            "latent_numbers": latent_numbers(system),
            "optimizer": self.settings.optimizer,
            "compiled": self.settings.compile,
            "train_pairs": train_pairs,
            "train_seconds": train_seconds,
            "pairs_per_second": round(train_pairs / train_seconds, 1) if train_seconds else None,
            "device": device_name(dataset.device),
            "precision": precision_for(self.settings.precision, dataset.device.type),
            "torch": torch.__version__,
            "lga": version("lga"),
            "commit": commit(),
            "started_at": self.started_at,
            **found_here(dataset, system),
            **measured,
        }
        picture = figures.pairs(system, next(dataset.fixed_pairs("test", 8)))
        folder = self.folder.publish(record, system.state_dict(), history, {"pairs.png": picture})
        print(f"recorded in {shown(folder)}", flush=True)
        return record


def configure(
    dataset: str | OwnPictures,
    system: str = "lga",
    profile: str = "quick",
    seed: int = 0,
    source: str = "auto",
    data_root: str | Path | None = None,
    results_dir: str | Path | None = None,
    overrides: str | Mapping[str, Any] = "",
) -> Run:
    """Resolves the parameters of a run; nothing is computed or written yet.

    Args:
        dataset, system, profile: by name; a dataset may be one's own pictures.
        seed: of weights and training pairs.
        source: "real", "stand-in" or "auto" (see `load_dataset`).
        data_root: folder of the real data.
        results_dir: root of the results; `results/` by default.
        overrides: changes to settings or to options of the dataset or the system, as a mapping or
            as "key=value key=value". What the profile says anyway is no change and not recorded,
            nor is how a run is computed (`HOW`).

    Raises:
        ValueError: for an unknown name, key or value, naming the known ones, for another seed among
            the overrides, and for a perceptual loss that would never take part.
    """
    check_name("system", system, SYSTEMS)
    check_name("profile", profile, PROFILES)
    check_name("source", source, SOURCES)
    own = dataset if isinstance(dataset, OwnPictures) else None
    if own is None:
        check_serves(system, DATASETS[check_name("dataset", dataset, DATASETS)])
        dataset_defaults = dataset_options(DATASETS[dataset])
        ruled = dataset
    else:
        dataset, dataset_defaults, ruled = own.name, {}, OWN
    system_defaults = keyword_options(SYSTEMS[system])
    setting_defaults = dataclasses.asdict(Settings())
    known = {**setting_defaults, **dataset_defaults, **system_defaults}

    given = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    for key in given:
        check_name("setting", key, known)
    changes = {key: typed(key, value, known[key]) for key, value in given.items()}
    unchanged = known | profile_values(profile, ruled, system) | {"seed": int(seed)}
    changes = {key: value for key, value in changes.items() if value != unchanged[key]}
    values = unchanged | changes
    check_numbers(values, dataset_defaults | system_defaults)
    settings = Settings(**{k: v for k, v in values.items() if k in SETTING_NAMES})
    if "seed" in changes:
        raise ValueError(f"seed={changes['seed']} is no change of settings: it has its own --seed")
    after = values.get("perceptual_after", 0)
    if values.get("perceptual_weight") and after >= settings.train_pairs:
        raise ValueError(
            f"LPIPS would join the loss after {after:,} pairs, of which there are "
            f"{settings.train_pairs:,}: set perceptual_after, too, or perceptual_weight=0"
        )
    return Run(
        dataset=dataset,
        system=system,
        profile=profile,
        source=source,
        data_root=str(data_root) if data_root else None,
        overrides=" ".join(f"{k}={v}" for k, v in sorted(changes.items()) if k not in HOW),
        settings=settings,
        dataset_options=own.options() if own else {k: values[k] for k in dataset_defaults},
        system_options={k: values[k] for k in system_defaults},
        folder=run_folder(results_dir, profile, dataset, system, settings.seed),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        own=own,
    )


@subnormals_flushed()  # before the data start PyTorch's threads, which inherit it
def execute(run: Run, on_step: Callable[[int], None] | None = None) -> dict[str, Any] | None:
    """Trains, evaluates and records a run.

    Returns:
        Its record; None in all but the first process of a `torchrun`.
    """
    dataset = run.load_dataset()
    if is_main_process():
        print(f"{run.system} on {run.dataset}: {dataset.source}", flush=True)
    system = run.build_system(dataset)
    history = fit(system, dataset, run.settings, run.folder, on_step)
    if not is_main_process():
        return None
    print(f"evaluating on {run.settings.test_pairs:,} test pairs", flush=True)
    return run.publish(system, dataset, history, evaluate(system, dataset, run.settings))


def made_otherwise(run: Run) -> str:
    """How the finished run in the run's folder, if there is one, was set otherwise, in words.

    What its version did not know, what is left to the system (None) and how it was computed (`HOW`)
    do not count, nor do the data where a run takes what there is. A perceptual loss that it lacked
    counts where LPIPS' weights have come since.

    Raises:
        ValueError: when its record is damaged.
    """
    path = run.folder.path
    if not (path / "metrics.json").is_file():
        return ""
    record = read_record(path / "metrics.json")
    now, then = (every_setting(c) for c in (run.config(), read_config(path / "config.json")))
    if run.source != "auto":
        now |= {"source": run.source}
        then |= {"source": source_of(record)}
    others = [
        f"{key}={then[key]}, not {value}"
        for key, value in now.items()
        if key not in HOW and None not in (value, then.get(key)) and value != then[key]
    ]
    if record.get("perceptual_loss") == WITHOUT_LPIPS and lpips_weights().is_file():
        others.append("its perceptual loss left out, for which LPIPS' weights are here now")
    return "; ".join(others)


def say_if_made_otherwise(run: Run) -> None:
    """Prints that a finished run is kept although it is not what is asked for."""
    if others := made_otherwise(run):
        print(
            f"{shown(run.folder.path)} was made with {others}: kept; remove it to make it again",
            flush=True,
        )


def found_here(dataset: OrbitDataset, system: System) -> dict[str, Any]:
    """What a run trains on and with beyond its settings, as far as this machine has it."""
    return {"source": dataset.source, **dataset.remarks, **system.remarks}


def every_setting(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `config.json` holds in three parts, as one."""
    return {**config["settings"], **config["dataset_options"], **config["system_options"]}


def is_main_process() -> bool:
    """Whether this is the first, or the only, process of a training."""
    return int(os.environ.get("RANK", 0)) == 0


def evaluate_run(folder: Path, data_root: str | Path | None = None) -> list[str]:
    """Evaluates a finished run again and fills in what its record lacks (LPIPS, say).

    Args:
        folder: the run's folder.
        data_root: where its data are, when they are real.

    Returns:
        The names of the fields that were filled in.

    Raises:
        FileNotFoundError, ValueError: when it is no finished run, or its data differ.
    """
    config, record, weights = read_run(folder)
    measured = measured_again(folder, config, record, weights, data_root)
    missing = {k: v for k, v in measured.items() if record.get(k) is None and v is not None}
    if "lpips" in missing:
        missing["lpips_reason"] = None
    add_to_record(folder, missing)
    return sorted(missing)


def halve_weights(folder: Path, data_root: str | Path | None = None) -> float:
    """Keeps a finished run's weights in half precision, if its test PSNR hardly changes.

    Args:
        folder: the run's folder.
        data_root: where its data are, when they are real.

    Returns:
        By how much the test PSNR changes, in dB.

    Raises:
        FileNotFoundError: when it is no finished run.
        ValueError: when its data differ, or PSNR changes by `HARDLY_DB`: nothing is written.
    """
    config, record, weights = read_run(folder)
    weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    measured = measured_again(folder, config, record, weights, data_root)
    change = measured["psnr_db"] - record["psnr_db"]
    if abs(change) >= HARDLY_DB:
        raise ValueError(f"half precision would change {folder} by {change:+.4f} dB; nothing done")
    add_to_record(folder, {"weights_sha256": write_weights(folder, weights)})
    return change


def source_of(record: Mapping[str, Any]) -> str:
    """Which data a run on one of the datasets was made on, "real" or "stand-in"."""
    _, stand_in = DATASETS[record["dataset"]].sources
    return "stand-in" if record["source"] == stand_in else "real"


def measured_again(
    folder: Path,
    config: Mapping[str, Any],
    record: Mapping[str, Any],
    weights: dict[str, Tensor],
    data_root: str | Path | None,
) -> dict[str, Any]:
    """The test figures of a finished run with weights that may have been changed.

    Stretched copies, which only train, may be fewer or more than the run has seen.

    Raises:
        ValueError: when its data differ, or the weights do not fit.
    """
    if config["dataset"] in DATASETS:
        dataset = load_dataset(
            config["dataset"], source_of(record), data_root, config["profile"],
            **config["dataset_options"],
        )  # fmt: skip
    else:
        dataset = own_pictures(folder, config).load()
    if tested_on(dataset.source) != tested_on(record["source"]):
        raise ValueError(f"the run was made on {record['source']}, these data are {dataset.source}")
    system = rebuilt(folder, config, weights, dataset)
    known = {k: v for k, v in config["settings"].items() if k in SETTING_NAMES}
    return evaluate(system, dataset, Settings(**known))


def load(
    run: str | Path,
    profile: str = "standard",
    seed: int = 0,
    results: Path | str | None = None,
) -> System:
    """A trained system from its record, in evaluation mode on the CPU.

    Example: `lga.load("rotated_mnist/jin2024").transform(x, g)`

    Args:
        run: "dataset/system", or the folder of a finished run.
        profile, seed, results: which of its runs; not used for a folder.

    Raises:
        FileNotFoundError: when there is no such run, naming those that there are.
        ValueError: for damaged weights or a damaged record.
    """
    folder = Path(run)
    if not (folder / "metrics.json").is_file():
        dataset, _, system = str(run).partition("/")
        folder = run_folder(results, profile, dataset, system, seed).path
        if not folder.is_dir():
            check_name("dataset", dataset, DATASETS)
            check_name("system", system, SYSTEMS)
    if not (folder / "model.safetensors").is_file():
        there = ", ".join(loadable(profile, results)) or "none"
        raise FileNotFoundError(
            f"{shown(folder)} holds no trained system; with weights in this profile: {there}"
        )
    config, _, weights = read_run(folder)
    if config["dataset"] in DATASETS:
        dataset = DATASETS[config["dataset"]].for_options(**config["dataset_options"])
    else:
        shape = tuple(config.get("image_shape", ()))
        dataset = own_pictures(folder, config).described(shape)
    system = rebuilt(folder, config, weights, dataset)
    return system.eval()


def own_pictures(folder: Path, config: Mapping[str, Any]) -> OwnPictures:
    """The pictures of a run on one's own data.

    Raises:
        ValueError: when the configuration says nothing of them.
    """
    try:
        return OwnPictures(**config["dataset_options"])
    except TypeError as error:
        raise ValueError(f"{folder} was made by another version: {error}") from error


def loadable(profile: str = "standard", results: Path | str | None = None) -> list[str]:
    """The finished runs of a profile that `load` takes, as "dataset/system"."""
    root = Path(results or RESULTS) / profile
    found = sorted(root.glob("*/*/seed-*/model.safetensors"))
    return sorted({f"{path.parts[-4]}/{path.parts[-3]}" for path in found})


def trained_seeds(
    dataset: str,
    profile: str = "standard",
    results: Path | str | None = None,
    source: str | None = None,
) -> dict[str, list[int]]:
    """The systems of a dataset whose weights are there, each with the seeds of its runs.

    Runs with overrides are left out: they are variants. So are runs on other data than `source`,
    as records name it, where one is given; stretched copies, which only train, do not count.
    """
    found: dict[str, list[int]] = {}
    asked = None if source is None else tested_on(source)
    root = Path(results or RESULTS) / profile / dataset
    for path in sorted(root.glob("*/seed-*/model.safetensors")):
        record = read_record(path.with_name("metrics.json"))
        if not record["overrides"] and asked in (None, tested_on(record["source"])):
            seed = int(path.parent.name.removeprefix("seed-"))
            found.setdefault(path.parts[-3], []).append(seed)
    return {system: found[system] for system in SYSTEMS if system in found}


def rebuilt(folder: Path, config: Mapping[str, Any], weights: dict, dataset) -> System:
    """The system of a finished run, for a dataset (or its class), with the run's weights.

    Raises:
        ValueError: when weights and configuration do not fit each other.
    """
    try:
        system = build_system(config["system"], dataset, **config["system_options"])
        system.load_state_dict(weights)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{folder} was made by another version: {error}") from error
    return system


def parse_overrides(text: str) -> dict[str, str]:
    """`"key=value key=value"` as a mapping.

    Raises:
        ValueError: for a word without an equals sign.
    """
    words = text.split()
    for word in words:
        if "=" not in word:
            raise ValueError(f"an override reads key=value, got {word!r}")
    return dict(word.split("=", 1) for word in words)


def typed(key: str, value: Any, default: Any) -> Any:
    """A value as the type of its default; YAML and command lines give strings.

    Raises:
        ValueError: when it does not read as that type.
    """
    try:
        if default is None and str(value).lower() == "none":
            return None
        if isinstance(default, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(default, int) or default is None:
            number = float(value)
            if number != int(number):
                raise ValueError
            return int(number)
        return type(default)(value)
    except (KeyError, ValueError, TypeError, OverflowError):
        kind = "a whole number" if default is None else f"of type {type(default).__name__}"
        raise ValueError(f"{key} must be {kind}, got {value!r}") from None


def parameter_count(system: System) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in system.parameters() if p.requires_grad)


def latent_numbers(system: System) -> int | None:
    """How many numbers the group acts on or leaves alone; None for what has no latent."""
    network = getattr(system, "network", None)
    return math.prod(network.latent_shape) if network is not None else None


def device_name(device: torch.device) -> str:
    """The GPU's name, or "cpu" with its thread count."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"


def commit() -> str | None:
    """The commit of the code, with "-dirty" where it was changed since; None outside a clone.

    `LGA_COMMIT` names it where the code travels without its history.
    """
    if given := os.environ.get("LGA_COMMIT"):
        return given
    package = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
