"""Run folders and the records in them: what a run leaves under `results/`.

results/<profile>/<dataset>/<system>/seed-<n>/      one finished run, whole or not there
results/<profile>/<dataset>/<system>/.seed-<n>/     a run under way, from which it resumes
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout
from torch import Tensor

from lga.paths import RESULTS, shown

RECORD_FIELDS = (
    "dataset", "system", "profile", "seed", "source", "protocol", "overrides",
    "psnr_db", "psnr_of_mean_mse_db", "ssim", "ssim_range255", "lpips", "lpips_net", "lpips_reason",
    "test_pairs",
    "parameters", "latent_numbers", "preset", "mask_fraction", "still_share", "swap_psnr_db",
    "perceptual_loss", "law_identity", "law_inverse", "law_compatibility",
    "law_identity_db", "law_inverse_db", "law_compatibility_db",
    "latent_inverse_error", "latent_deviation",
    "demonstration_cosine", "psnr_own_element_db", "attended_distance_px", "psnr_other_skip_db",
    "optimizer", "compiled", "train_pairs", "train_seconds", "pairs_per_second", "device",
    "precision", "torch", "lga", "commit", "started_at", "weights_sha256",
)  # fmt: skip


NUMBERS = (
    "psnr_of_mean_mse_db", "ssim", "ssim_range255", "lpips", "mask_fraction", "still_share",
    "swap_psnr_db", "law_identity",
    "law_inverse", "law_compatibility", "law_identity_db", "law_inverse_db",
    "law_compatibility_db", "latent_inverse_error", "latent_deviation",
    "demonstration_cosine", "psnr_own_element_db", "attended_distance_px", "psnr_other_skip_db",
    "train_pairs", "train_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: written under a hidden name, then moved to its own in one step."""

    path: Path
    _locks: ClassVar[dict[Path, FileLock]] = {}

    @property
    def partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}")

    @property
    def checkpoint(self) -> Path:
        return self.partial / "checkpoint.safetensors"

    @property
    def finished(self) -> bool:
        """Whether the run is there, with its notebook."""
        return all((self.path / name).is_file() for name in ("metrics.json", "notebook.ipynb"))

    def turn(self) -> FileLock:
        """A lock for processes that would do the same run: one works, the others wait."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(f".{self.path.name}.turn"))

    def start(self, config: Mapping[str, Any]) -> None:
        """Opens the folder for this process, with the checkpoint of the same configuration if any.

        A checkpoint of another is dropped, which is said, and what a killed process began to write.

        Raises:
            RuntimeError: when another process is at work on the same run.
            OSError: when the folder cannot be written.
        """
        self.partial.mkdir(parents=True, exist_ok=True)
        self._lock()
        text = json.dumps(config, indent=2) + "\n"
        config_file = self.partial / "config.json"
        kept = {config_file, self.checkpoint, self.partial / "history.csv"}
        if not config_file.exists() or config_file.read_text() != text:
            if self.checkpoint.exists():
                said = "was begun with other settings or data: begun anew"
                print(f"{shown(self.path)} {said}", flush=True)
            kept = set()
        for stale in set(self.partial.iterdir()) - kept:
            stale.unlink()
        write_whole(config_file, text.encode())

    def _lock(self) -> None:
        # The system drops a lock when its process dies, however it dies.
        if self.path in self._locks:
            return
        lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RuntimeError(f"another process is at work on {self.path}") from None
        self._locks[self.path] = lock

    def save_checkpoint(self, tensors: dict[str, Tensor], state: Mapping[str, Any]) -> None:
        """Writes what a run goes on from, straight to the file: it may hold gigabytes.

        Raises:
            OSError: when it cannot be written; the checkpoint before it stays.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        try:
            with whole(self.checkpoint) as part:
                save_file(tensors, part, metadata={"state": json.dumps(state)})
        except SafetensorError as error:
            raise OSError(f"{self.checkpoint}: {error}") from error
        self._write_history(state["history"])

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last checkpoint, or None before the first.

        Raises:
            ValueError: when the file is damaged.
        """
        if not self.checkpoint.exists():
            return None
        tensors, metadata = read_safetensors(self.checkpoint)
        try:
            return tensors, json.loads(metadata["state"])
        except (KeyError, ValueError) as error:
            raise ValueError(f"{self.checkpoint} is damaged ({error}); move it away") from error

    def _write_history(self, history: list[dict[str, float]]) -> None:
        import pandas

        text = pandas.DataFrame(history).to_csv(index=False)
        write_whole(self.partial / "history.csv", text.encode())

    def publish(
        self,
        record: Mapping[str, Any],
        weights: dict[str, Tensor],
        history: list[dict[str, float]],
        figures: Mapping[str, Any],
    ) -> Path:
        """Writes a finished run and moves it into place, over an earlier one.

        Args:
            record: what `metrics.json` holds, in the order of `RECORD_FIELDS`.
            weights: what `model.safetensors` holds.
            history: the rows of `history.csv`.
            figures: matplotlib figures by file name.
        """
        self._write_history(history)
        fingerprint = write_weights(self.partial, weights)
        for name, figure in figures.items():
            figure.savefig(self.partial / name, dpi=100)
        write_record(self.partial / "metrics.json", {**record, "weights_sha256": fingerprint})
        self.checkpoint.unlink(missing_ok=True)
        old = self.path.with_name(f".{self.path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        self.partial.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)
        if lock := self._locks.pop(self.path, None):
            lock.release()
        return self.path

    def add_notebook(self, executed: Path) -> Path:
        """Moves the executed notebook into the finished run; returns its folder."""
        os.replace(executed, self.path / "notebook.ipynb")
        return self.path


def run_folder(
    results: Path | str | None, profile: str, dataset: str, system: str, seed: int
) -> RunFolder:
    """Where a run lives; the default root is `results/`."""
    root = Path(results or RESULTS)
    return RunFolder(root / profile / dataset / system / f"seed-{seed}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file so that a reader sees the old one or the new one, never a part."""
    part = path.with_name(f"{path.name}.part")
    yield part
    os.replace(part, path)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file's bytes, `whole`."""
    with whole(path) as part:
        part.write_bytes(data)


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> str:
    """Writes a run's `model.safetensors`, whole; returns its SHA-256 for the record."""
    from safetensors.torch import save

    packed = save({name: value.cpu().contiguous() for name, value in weights.items()})
    write_whole(folder / "model.safetensors", packed)
    return hashlib.sha256(packed).hexdigest()


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ValueError: when the file is damaged, naming it and what to do.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({error}); move it away and start the run again"
        ) from error


def read_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """The configuration, the record and the weights of a finished run.

    Raises:
        FileNotFoundError: when the folder holds no finished run, or one without its weights.
        ValueError: when a file is damaged.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        raise FileNotFoundError(f"{folder} holds no finished run (no metrics.json)")
    config, record = read_config(folder / "config.json"), read_record(folder / "metrics.json")
    path = folder / "model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds a record without weights")
    weights, _ = read_safetensors(path)
    expected = record.get("weights_sha256")
    if expected and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError(f"{path} was changed since its record was written; start the run again")
    return config, record, weights


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a learning curve.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when the file is damaged, naming it.
    """
    import pandas

    try:
        frame = pandas.read_csv(path).astype(float)
        frame[["step", "pairs", "seconds", "validation_psnr_db"]]
    except (ValueError, KeyError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{path} is damaged ({error}); start the run again") from error
    return frame.to_dict("records")


def add_to_record(folder: Path, fields: Mapping[str, Any]) -> None:
    """Adds fields to the record of a finished run."""
    path = Path(folder) / "metrics.json"
    write_record(path, read_json(path) | dict(fields))


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record in the order of `RECORD_FIELDS`, then what one's own system adds."""
    ordered = {field: record[field] for field in RECORD_FIELDS if field in record} | record
    write_whole(path, (json.dumps(ordered, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: when the file is damaged or holds something else, naming it.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); start the run again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object; start the run again")
    return content


def read_record(path: Path) -> dict[str, Any]:
    """A finished run's record, its fields checked as far as tables use them.

    Raises:
        ValueError: when the file is damaged or a field is missing or of another type, naming it.
    """
    record = read_json(path)
    check_fields(path, record, {name: str for name in ("dataset", "system", "profile", "source")})
    check_fields(path, record, {"seed": int, "psnr_db": float})
    for name in NUMBERS:
        if record.get(name) is not None:
            check_fields(path, record, {name: float})
    return {"overrides": "", **record}


def read_config(path: Path) -> dict[str, Any]:
    """A run's resolved settings.

    Raises:
        ValueError: when the file is damaged or a part is missing, naming it.
    """
    config = read_json(path)
    parts = ("settings", "dataset_options", "system_options")
    check_fields(path, config, {name: str for name in ("dataset", "system", "profile")})
    check_fields(path, config, dict.fromkeys(parts, dict))
    return config


def check_fields(path: Path, content: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Raises ValueError for a field that is missing or of another type than said."""
    for name, kind in kinds.items():
        value = content.get(name)
        wanted = (int, float) if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise ValueError(
                f"{path} is damaged: {name} is {value!r}, expected {kind.__name__}; "
                "start the run again"
            )


def read_records(profile: str, results: Path | str | None = None) -> list[dict[str, Any]]:
    """The records of every finished run of a profile, in the order of their folders.

    Raises:
        ValueError: for a damaged record, naming its file.
    """
    folder = Path(results or RESULTS) / profile
    return [read_record(path) for path in sorted(folder.glob("*/*/seed-*/metrics.json"))]


def main_records(profile: str, results: Path | str | None = None) -> list[dict[str, Any]]:
    """The records of a profile's own settings: those of `read_records` without overrides."""
    return [record for record in read_records(profile, results) if not record["overrides"]]
