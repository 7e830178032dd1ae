"""Nothing in a step of training waits for a device, and a step can be one graph."""

import contextlib
from dataclasses import replace

import pytest
import torch
from conftest import NARROW, WITHOUT_WEIGHTS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lga
from lga.catalogue import refusals
from lga.devices import constant, sent
from lga.training import GraphedStep, LearningRates

LEARNING = [
    (dataset, system)
    for system in lga.SYSTEMS
    for dataset in lga.DATASETS
    if system not in WITHOUT_WEIGHTS and dataset not in refusals(system)
]


class Crossings(TorchDispatchMode):
    """Every operation that has tensors on more than one device."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, made)) if torch.is_tensor(x)]
        if len({tensor.device.type for tensor in tensors}) > 1:
            self.found.append(str(operation))
        return made


def pairs_for(dataset, views, n=2):
    kind = lga.DATASETS[dataset]
    x1, x2, x3, x4 = torch.rand(4, n * views, *kind.image_shape)
    g = kind.group.sample(n * views, torch.Generator().manual_seed(0))
    return lga.Pairs(x1, x2, g, x3, x4, views=views)


@pytest.mark.parametrize("dataset, name", LEARNING)
def test_a_step_reads_nothing_from_its_device_and_copies_nothing_there(dataset, name, monkeypatch):
    # Tensors without data stand in for a GPU's: reading one is an error.
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    system = lga.SYSTEMS[name].for_dataset(lga.DATASETS[dataset], **NARROW.get(name, {}))
    pairs = pairs_for(dataset, system.target_views)
    sum(system.loss(pairs).values())  # a first step may read what it sets up
    system, pairs = system.to("meta"), pairs.to("meta")
    sum(system.loss(pairs).values())  # constants are copied once
    with Crossings() as crossings:
        sum(system.loss(pairs).values()).backward()
    assert not crossings.found


def test_a_crossing_is_seen():
    with Crossings() as crossings:
        torch.ones(3).to("meta")
    assert crossings.found


def test_a_constant_is_made_once_for_each_device_and_precision():
    made = []

    def ones(n):
        made.append(n)
        return torch.ones(n)

    with torch.device("meta"):  # whoever asks first
        first = constant(ones, 3, device=torch.device("cpu"))
    assert constant(ones, 3, device=torch.device("cpu")) is first and first.device.type == "cpu"
    double = constant(ones, 3, device=torch.device("cpu"), dtype=torch.float64)
    assert double.dtype == torch.float64 and made == [3, 3]
    assert constant(ones, 3, device=torch.device("meta")).device.type == "meta"


def test_what_is_sent_arrives():
    tensor = torch.rand(3)
    assert torch.equal(sent(tensor, torch.device("cpu")), tensor)


@pytest.mark.parametrize("kept", [False, True])
def test_learning_rates_are_shares_of_their_peaks_wherever_they_are_kept(kept):
    weights = [torch.nn.Parameter(torch.randn(4, 4)) for _ in range(2)]
    optimizers = [torch.optim.SGD(weights[:1], lr=0.5), lga.optimizers.Muon(weights[1:], lr=0.1)]
    rates = LearningRates(optimizers)
    if kept:
        rates.keep_on(torch.device("cpu"))
    for share in (1.0, 0.25):
        rates.scale(share)
        found = [float(optimizer.param_groups[0]["lr"]) for optimizer in optimizers]
        assert found == pytest.approx([0.5 * share, 0.1 * share])
        assert torch.is_tensor(optimizers[1].param_groups[0]["lr"]) == kept


def test_muon_steps_alike_with_a_rate_on_the_device():
    plain, kept = (torch.nn.Parameter(torch.ones(6, 4)) for _ in range(2))
    optimizers = [lga.optimizers.Muon([plain], lr=0.1), lga.optimizers.Muon([kept], lr=0.1)]
    LearningRates(optimizers[1:]).keep_on(torch.device("cpu"))
    for _ in range(3):
        plain.grad = torch.randn(6, 4)
        kept.grad = plain.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(plain, kept)
    assert not torch.equal(plain, torch.ones(6, 4))


class Tape:
    """Stands in for a CUDA graph: what is run while it records is not done, but on each replay."""

    recording = None

    def replay(self):
        self.step()


@pytest.fixture
def cuda(monkeypatch):
    """Streams that do nothing, and graphs that are tapes."""

    class Stream:
        def wait_stream(self, other):
            pass

    @contextlib.contextmanager
    def record(tape, stream):
        Tape.recording = tape
        try:
            yield
        finally:
            Tape.recording = None

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", record)


def test_a_graphed_step_sees_each_batch_once(cuda):
    seen = []

    def step(pairs):
        total = torch.zeros(())

        def work():
            seen.append(float(pairs.x1.mean()))
            total.copy_(pairs.x1.mean())

        if Tape.recording is None:
            work()
        else:
            Tape.recording.step = work
        return {"loss": total}

    graphed = GraphedStep(step)
    for k in range(6):
        batch = pairs_for("rotated_mnist", 1)
        terms = graphed(replace(batch, x1=torch.full_like(batch.x1, k)))
        assert float(terms["loss"]) == k
    assert seen == [0, 1, 2, 3, 4, 5]
    assert graphed.graph is not None


def test_a_step_that_cannot_be_recorded_is_taken_as_it_is(cuda, capsys):
    def step(pairs):
        if Tape.recording is not None:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return {"loss": pairs.x1.mean()}

    graphed = GraphedStep(step)
    for _ in range(6):
        batch = pairs_for("rotated_mnist", 1)
        assert graphed(batch)["loss"] == batch.x1.mean()
    assert capsys.readouterr().out.count("no CUDA graph holds them: operation not permitted") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "optimizer, options",
    [("adam", {}), ("muon", {}), ("muon", {"perceptual_weight": 1.0, "perceptual_after": 320})],
)
@pytest.mark.usefixtures("cheap_lpips")
def test_graphed_training_is_plain_training(optimizer, options, digits):
    settings = lga.settings_for(
        "quick", train_pairs=640, batch_size=32, validations=1, validation_pairs=8,
        optimizer=optimizer,
    )  # fmt: skip
    trained = []
    for graph in (True, False):
        system = lga.build_system("lga" if options else "jin2024", digits, 0, **options)
        (row,) = lga.fit(system, digits, replace(settings, cuda_graph=graph))
        assert ("perceptual" in row) == bool(options)
        trained.append(torch.cat([weight.detach().flatten() for weight in system.parameters()]))
    torch.testing.assert_close(*trained, rtol=0, atol=1e-3)
