"""`fit`: the only training loop.

A step is a pure function of the weights, the optimiser's state, the seed and the step's number:
its pairs and its noise are drawn from generators seeded by (seed, step, process). So a run that
was killed and resumed ends with the same numbers as one that was not.
"""

import logging
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lga.datasets.base import OrbitDataset
from lga.metrics import psnr_db
from lga.optimizers import build_optimizers, load_optimizer_state, optimizer_state
from lga.pairs import Pairs
from lga.precision import precision_for, subnormals_flushed
from lga.profiles import Settings
from lga.systems.base import System

History = list[dict[str, float]]


class Checkpoints(Protocol):
    """Where a training keeps its state; `lga.records.RunFolder` is one."""

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None: ...

    def save_checkpoint(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None: ...


@subnormals_flushed()
def fit(
    system: System,
    dataset: OrbitDataset,
    settings: Settings,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int], None] | None = None,
) -> History:
    """Trains a system on pairs of a dataset; it ends with the weights that `selection` keeps.

    Args:
        system: trained in place; ends on the device and in evaluation mode.
        dataset: moved to the device.
        settings: budget, optimiser, precision, seed.
        checkpoints: keeps the state after every validation and gives it back to resume from.
        on_step: called with the number of steps done, after each.

    A system without weights has nothing to learn: its history is one row, at step 0.

    Returns:
        One row per validation: step, pairs, seconds, loss and its terms, validation_psnr_db, and
        mask_fraction where there is a mask.

    Raises:
        FloatingPointError: when the loss is not finite.
        ValueError: when a batch holds images outside [0, 1] or matrices that are no elements.
    """
    fabric = launch(settings)
    dataset.to(fabric.device)
    if not any(True for _ in system.parameters()):
        system.eval()
        return [measure_untrained(system, dataset, settings)]
    optimizers = build_optimizers(
        system.to(fabric.device),
        settings.optimizer,
        settings.learning_rate,
        settings.muon_learning_rate,
    )
    if settings.compile:
        compile_networks(system)
    model, *steppers = fabric.setup(system, *optimizers)
    model.mark_forward_method("loss")
    batch_size = max(1, settings.batch_size // fabric.world_size)
    if batch_size % system.target_views:
        raise ValueError(
            f"{system.target_views} pairs in a row share their x1, "
            f"into which a batch of {batch_size} does not divide"
        )

    fabric.barrier()  # the first process may have cleared a stale checkpoint
    history: History = []
    done, seconds_before = 0, 0.0
    best = {name: value.clone() for name, value in system.state_dict().items()}
    if checkpoints is not None and (found := checkpoints.load_checkpoint()) is not None:
        tensors, state = found
        done, seconds_before, history = state["step"], state["seconds"], state["history"]
        best = unpack(tensors, "best.", fabric.device)
        system.load_state_dict(unpack(tensors, "system.", fabric.device))
        load_optimizer_state(optimizers, unpack(tensors, "optimizer.", "cpu"))

    def plain_step(pairs: Pairs) -> dict[str, Tensor]:
        with fabric.autocast():
            terms = model.loss(pairs)
        loss = torch.stack(list(terms.values())).sum()
        for stepper in steppers:
            stepper.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if settings.gradient_clip:
            torch.nn.utils.clip_grad_norm_(system.parameters(), settings.gradient_clip)
        for stepper in steppers:
            stepper.step()
        return {"loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}

    rates = LearningRates(optimizers)
    take_step: Callable[[Pairs], dict[str, Tensor]] = plain_step
    graphed = settings.cuda_graph and fabric.device.type == "cuda" and fabric.world_size == 1
    if graphed:
        rates.keep_on(fabric.device)
        take_step = GraphedStep(plain_step)

    validate_at = {
        round(settings.steps * k / settings.validations) for k in range(1, settings.validations + 1)
    }
    log_every = max(1, min(50, settings.steps // settings.validations))
    progress = Progress(settings, done, enabled=fabric.is_global_zero)
    started = time.perf_counter()
    with torch.random.fork_rng():
        for step in range(done, settings.steps):
            generator = generator_for(settings.seed, step, fabric.global_rank)
            torch.manual_seed(generator.initial_seed())
            pairs = dataset.pairs("train", batch_size, generator, system.target_views)
            if step == done:
                check_pairs(pairs, dataset)

            rates.scale(schedule(settings, step))
            pairs_seen = (step + 1) * batch_size * fabric.world_size
            if system.begin_step(pairs_seen) and graphed:
                take_step = GraphedStep(plain_step)  # the recorded one lacks the new terms
            terms = take_step(pairs)

            # Reading the loss waits for the device, so it is not read at every step.
            if (step + 1) % log_every == 0 or step + 1 in validate_at:
                value = float(terms["loss"])
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the loss is {value} at step {step + 1}: lower the learning rate "
                        f"({settings.learning_rate:g}) or look at the data"
                    )
                progress.update(step + 1, loss=value)
            if step + 1 in validate_at:
                seconds = seconds_before + time.perf_counter() - started
                row = {
                    "step": step + 1,
                    "pairs": pairs_seen,
                    "seconds": round(seconds, 3),
                    **{name: float(term) for name, term in terms.items()},
                    "validation_psnr_db": validate(system, dataset, settings),
                }
                if hasattr(system, "mask_fraction"):
                    row["mask_fraction"] = system.mask_fraction()
                if settings.selection == "loss":
                    row["validation_loss"] = validation_loss(system, dataset, settings)
                if is_best(row, history, settings.selection):
                    best = {name: value.clone() for name, value in system.state_dict().items()}
                history.append(row)
                progress.validated(row)
                if checkpoints is not None and fabric.is_global_zero:
                    tensors = pack(best, "best.") | pack(system.state_dict(), "system.")
                    tensors |= pack(optimizer_state(optimizers), "optimizer.")
                    state = {"step": step + 1, "seconds": seconds, "history": history}
                    checkpoints.save_checkpoint(tensors, state)
            if on_step is not None:
                on_step(step + 1)
    progress.close()
    system.load_state_dict(best)
    system.eval()
    return history


class LearningRates:
    """The learning rates of optimisers, as shares of their peaks."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        self.peaks = [float(group["lr"]) for group in self.groups]

    def keep_on(self, device: torch.device) -> None:
        """Keeps them on a device, where a graph reads them."""
        for group, peak in zip(self.groups, self.peaks, strict=True):
            group["lr"] = torch.full((), peak, device=device)

    def scale(self, share: float) -> None:
        """Sets every rate to a share of its peak."""
        for group, peak in zip(self.groups, self.peaks, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(share * peak)
            else:
                group["lr"] = share * peak


class GraphedStep:
    """A step of training as one CUDA graph: small networks compute faster than they are launched.

    The first steps are taken as they are, for what they set up; then one is recorded, and replayed
    from there on. A step that waits for the GPU cannot be recorded: all are then taken as they are.

    Args:
        step: takes pairs of always the same shapes to terms of the loss.
    """

    PLAIN_STEPS = 3

    def __init__(self, step: Callable[[Pairs], dict[str, Tensor]]) -> None:
        self.step, self.taken = step, 0
        self.stream = torch.cuda.Stream()  # the default one cannot be recorded
        self.graph: torch.cuda.CUDAGraph | None = None
        self.pairs: Pairs | None = None
        self.terms: dict[str, Tensor] = {}

    def __call__(self, pairs: Pairs) -> dict[str, Tensor]:
        self.taken += 1
        if self.taken == self.PLAIN_STEPS + 1:
            self.record(pairs)
        if self.graph is not None:
            self.pairs.copy_(pairs)
            self.graph.replay()
            return self.terms
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            terms = self.step(pairs)
        torch.cuda.current_stream().wait_stream(self.stream)
        return terms

    def record(self, pairs: Pairs) -> None:
        """Records a step without taking it, if it can be recorded."""
        own, graph = pairs.clone(), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                terms = self.step(own)
        except RuntimeError as reason:
            (line, *_) = str(reason).splitlines()
            print(f"steps are launched one by one, for no CUDA graph holds them: {line}")
            return
        self.graph, self.pairs, self.terms = graph, own, terms


def compile_networks(system: System) -> None:
    """Compiles a system's E and D in place, for training; names of weights stay.

    Pictures are painted by the plain network, whatever the size of their batch.

    Raises:
        ValueError: for a system that has no such networks.
    """
    network = getattr(system, "network", None)
    if network is None:
        raise ValueError(f"{type(system).__name__} has no encoder and decoder to compile")

    def in_training(plain: Callable) -> Callable:
        compiled = torch.compile(plain)
        return lambda argument: (compiled if system.training else plain)(argument)

    for name in ("encode", "decode"):
        setattr(network, name, in_training(getattr(network, name)))


def measure_untrained(
    system: System, dataset: OrbitDataset, settings: Settings
) -> dict[str, float]:
    """The row of history of a system without weights."""
    pairs = dataset.pairs("train", settings.batch_size, generator_for(settings.seed, 0))
    terms = {name: float(term) for name, term in system.loss(pairs).items()}
    return {
        "step": 0,
        "pairs": 0,
        "seconds": 0.0,
        "loss": sum(terms.values()),
        **terms,
        "validation_psnr_db": validate(system, dataset, settings),
    }


def launch(settings: Settings):
    """A Lightning Fabric on the asked device; under torchrun, one process of its group."""
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments import TorchElasticEnvironment

    # What it would say, the record says: the precision.
    for part in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(part).setLevel(logging.WARNING)
    devices, nodes = 1, 1
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    # Left to itself, Fabric would take Apple's mps, which lacks operations that systems need.
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        fabric = Fabric(
            accelerator=device, devices=devices, num_nodes=nodes,
            precision=precision_for(settings.precision, device),
        )  # fmt: skip
    except (ValueError, RuntimeError, ImportError) as error:
        raise ValueError(
            f"device {settings.device!r} with precision {settings.precision!r} is not to be had: "
            f"{error}"
        ) from error
    fabric.launch()
    return fabric


def generator_for(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The CPU generator of one training step of one process."""
    (mixed,) = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed >> 1))


def schedule(settings: Settings, step: int) -> float:
    """The share of its peak that a step's learning rate has, in [0, 1].

    Linear warm-up first. Then constant; "exponential", × decay every `decay_steps` steps; or
    "cosine", to zero, which warms up for 2 % unless told otherwise.
    """
    warmup = settings.warmup_steps
    if settings.schedule == "cosine":
        warmup = warmup or max(1, settings.steps // 50)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "exponential":
        return settings.decay ** ((step - warmup) / settings.decay_steps)
    phase = (step - warmup) / max(1, settings.steps - warmup)
    return (1 + math.cos(math.pi * phase)) / 2


def check_pairs(pairs, dataset: OrbitDataset) -> None:
    """Raises ValueError for images outside [0, 1] or matrices that are no group elements."""
    for name in ("x1", "x2"):
        low, high = (float(edge) for edge in getattr(pairs, name).aminmax())
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ValueError(f"images lie in [0, 1]; {name} spans [{low:g}, {high:g}]")
    dataset.group.check(pairs.g)


@torch.no_grad()
def validate(system: System, dataset: OrbitDataset, settings: Settings) -> float:
    """Mean PSNR in dB on the fixed validation pairs, images clipped to [0, 1]."""
    was_training = system.training
    system.eval()
    scores = [
        psnr_db(system.predict(pairs).clamp(0, 1), pairs.x2)
        for pairs in dataset.fixed_pairs("validation", settings.validation_pairs)
    ]
    system.train(was_training)
    return float(torch.cat(scores).mean())


@torch.no_grad()
def validation_loss(system: System, dataset: OrbitDataset, settings: Settings) -> float:
    """Mean loss on the fixed validation pairs (`jin2024`, appendix C, selects by it)."""
    was_training = system.training
    system.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)  # losses may draw noise
        batches = list(dataset.fixed_pairs("validation", settings.validation_pairs))
        total = sum(len(batch) * float(sum(system.loss(batch).values())) for batch in batches)
    system.train(was_training)
    return total / settings.validation_pairs


def is_best(row: dict[str, float], history: History, selection: str) -> bool:
    """Whether a validation beats all before it: by PSNR, by loss, or by being the last."""
    if selection == "last":
        return True
    if selection == "loss":
        return all(row["validation_loss"] < earlier["validation_loss"] for earlier in history)
    return all(row["validation_psnr_db"] > earlier["validation_psnr_db"] for earlier in history)


def pack(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Copies on the CPU, in the memory layout that files have."""
    return {
        prefix + name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def unpack(tensors: dict[str, Tensor], prefix: str, device) -> dict[str, Tensor]:
    return {
        k.removeprefix(prefix): v.to(device) for k, v in tensors.items() if k.startswith(prefix)
    }


class Progress:
    """One bar in a terminal; elsewhere (papermill, log files) one line per validation."""

    def __init__(self, settings: Settings, done: int, enabled: bool) -> None:
        self.settings, self.enabled, self.first = settings, enabled, done
        self.started = time.perf_counter()
        self.psnr_db = math.nan
        self.bar = tqdm(
            total=settings.steps, initial=done, unit="step", desc="training", dynamic_ncols=True,
            disable=not (enabled and sys.stderr.isatty()),
        )  # fmt: skip
        if enabled and self.bar.disable and done:
            print(f"resumed at step {done:,} of {settings.steps:,}", flush=True)

    def update(self, step: int, loss: float) -> None:
        self.bar.set_postfix(loss=f"{loss:.4f}", validation=f"{self.psnr_db:.2f} dB")
        self.bar.update(step - self.bar.n)

    def validated(self, row: dict[str, float]) -> None:
        self.psnr_db = row["validation_psnr_db"]
        if not (self.enabled and self.bar.disable):
            return
        elapsed = time.perf_counter() - self.started
        per_step = elapsed / (row["step"] - self.first)
        left = per_step * (self.settings.steps - row["step"])
        mask = f" | mask {row['mask_fraction']:.2f}" if "mask_fraction" in row else ""
        print(
            f"step {row['step']:>7,}/{self.settings.steps:,} | loss {row['loss']:.4f} | "
            f"validation {self.psnr_db:5.2f} dB{mask} | "
            f"{self.settings.batch_size / per_step:,.0f} pairs/s | {left:,.0f} s left",
            flush=True,
        )

    def close(self) -> None:
        self.bar.close()
