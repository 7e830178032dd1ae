"""fit: determinism, resuming after a kill, the best validation weights, and bad numbers."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace

import pytest
import torch
from conftest import NARROW, WITHOUT_WEIGHTS
from safetensors.torch import load_file

import lga
from lga.catalogue import refusals
from lga.precision import faster_in_bf16
from lga.training import generator_for, schedule

TINY = lga.settings_for("quick", train_pairs=640, batch_size=32, validations=5, validation_pairs=40)


def trained(digits, settings=TINY, name="swarnali2025", **kwargs):
    options = NARROW[name] if name == "winter2022" else {}
    system = lga.build_system(name, digits, settings.seed, **options)
    history = lga.fit(system, digits, settings, **kwargs)
    return system, history


def weights(system):
    return torch.cat([p.detach().flatten() for p in system.parameters()])


def test_a_seed_decides_everything(digits):
    (a, history), (b, _) = trained(digits), trained(digits)
    other, _ = trained(digits, replace(TINY, seed=1))
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(other))
    assert [row["step"] for row in history] == [4, 8, 12, 16, 20]
    assert history[-1]["pairs"] == 640 and "mask_fraction" in history[0]


class KilledError(Exception):
    pass


def killed(at):
    """Ends a training after so many steps."""

    def kill(step):
        if step == at:
            raise KilledError

    return kill


class Noisy(lga.SYSTEMS["jin2024"]):
    """A system whose loss draws noise, as variational ones do."""

    def loss(self, pairs):
        noisy = replace(pairs, x1=(pairs.x1 + 0.1 * torch.rand_like(pairs.x1)).clamp(0, 1))
        return super().loss(noisy)


LEARNING = [
    s for s in lga.SYSTEMS if s not in WITHOUT_WEIGHTS and "rotated_mnist" not in refusals(s)
]


@pytest.mark.parametrize("kill_at", [3, 8, 13])
@pytest.mark.parametrize("name", [*LEARNING, "noisy", "muon"])
def test_a_resumed_run_ends_with_the_same_numbers(digits, tmp_path, name, kill_at, monkeypatch):
    monkeypatch.setitem(lga.SYSTEMS, "noisy", Noisy)
    monkeypatch.setitem(lga.SYSTEMS, "muon", lga.SYSTEMS["jin2024"])
    settings = replace(TINY, train_pairs=80, batch_size=4, validation_pairs=8)
    settings = replace(settings, optimizer="muon" if name == "muon" else "adam")
    whole, expected = trained(digits, settings, name=name)
    folder = lga.records.run_folder(tmp_path, "quick", "rotated_mnist", name, 0)
    folder.start({"same": True})

    with pytest.raises(KilledError):
        trained(digits, settings, name=name, checkpoints=folder, on_step=killed(kill_at))
    folder.start({"same": True})
    steps = []
    resumed, history = trained(
        digits, settings, name=name, checkpoints=folder, on_step=steps.append
    )
    assert steps[0] == kill_at // 4 * 4 + 1  # the last validation is not done again
    assert torch.equal(weights(resumed), weights(whole))

    def without_time(rows):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    assert without_time(history) == without_time(expected)


@pytest.mark.parametrize("kill_at", [7, 14])
@pytest.mark.usefixtures("cheap_lpips")
def test_lpips_joins_late_in_a_run_and_in_one_that_goes_on(digits, tmp_path, kill_at):
    settings = replace(TINY, train_pairs=80, batch_size=4, validation_pairs=8, selection="last")
    folder = lga.records.run_folder(tmp_path, "quick", "rotated_mnist", "lga", 0)

    def train(**options):
        system = lga.build_system(
            "lga", digits, width=8, depth=1, perceptual_weight=1, perceptual_after=40
        )
        return system, lga.fit(system, digits, settings, **options)

    whole, history = train()
    assert ["perceptual" in row for row in history] == [False, False, True, True, True]
    folder.start({"same": True})
    with pytest.raises(KilledError):
        train(checkpoints=folder, on_step=killed(kill_at))
    folder.start({"same": True})
    resumed, again = train(checkpoints=folder)
    assert torch.equal(weights(resumed), weights(whole))
    assert [row.keys() for row in again] == [row.keys() for row in history]


@pytest.mark.parametrize("float32, bf16, faster", [(3.0, 1.0, True), (1.2, 1.0, False)])
def test_a_processor_is_faster_in_bf16_where_its_products_clearly_are(
    monkeypatch, float32, bf16, faster
):
    taken = {torch.float32: float32, torch.bfloat16: bf16}
    monkeypatch.setattr("lga.precision.product_seconds", taken.get)
    assert faster_in_bf16.__wrapped__("cpu") == faster


def test_a_gpu_that_emulates_bf16_trains_in_float32(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    turing = types.SimpleNamespace(major=7)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: turing)
    assert not faster_in_bf16.__wrapped__("cuda")


@pytest.mark.parametrize(
    "precision, able, mixed",
    [("bf16-mixed", True, True), ("bf16-mixed", False, False), ("32-true", True, False)],
)
def test_mixed_precision_reaches_the_loss_where_it_is_faster(
    digits, monkeypatch, precision, able, mixed
):
    monkeypatch.setattr("lga.precision.faster_in_bf16", lambda device: able)
    seen = set()
    loss = lga.SYSTEMS["jin2024"].loss

    def spy(self, pairs):
        seen.add(torch.is_autocast_enabled("cpu"))
        return loss(self, pairs)

    monkeypatch.setattr(lga.SYSTEMS["jin2024"], "loss", spy)
    trained(digits, replace(TINY, precision=precision), name="jin2024")
    assert seen == {mixed}


def test_a_system_without_weights_has_nothing_to_learn(digits):
    system, history = trained(digits, name="copy_input")
    (row,) = history
    assert row["step"] == row["pairs"] == 0 and row["loss"] == row["pixel"] > 0
    batches = list(digits.fixed_pairs("validation", TINY.validation_pairs))
    copied = torch.cat([lga.metrics.psnr_db(batch.x1, batch.x2) for batch in batches])
    assert row["validation_psnr_db"] == pytest.approx(float(copied.mean()))
    assert not system.training


def test_the_mean_image_is_found(digits):
    settings = replace(TINY, train_pairs=32 * 150, learning_rate=2e-2, schedule="cosine")
    system, _ = trained(digits, settings, name="mean_image")
    mean = digits.pairs("train", 4000, torch.Generator().manual_seed(0)).x2.mean(0)
    assert (system.picture - mean).abs().mean() < 0.02


def test_the_mean_over_an_orbit_knows_neither_g_nor_where_on_it_x1_was(digits):
    system = lga.build_system("orbit_mean", digits)
    pairs = digits.pairs("test", 8, torch.Generator().manual_seed(0))
    mean = system.transform(pairs.x1, pairs.g)
    assert torch.equal(mean, system.transform(pairs.x1, pairs.g.roll(1, 0)))
    elsewhere = system.transform(pairs.x2, pairs.g)
    assert (elsewhere - mean).abs().mean() < (pairs.x2 - pairs.x1).abs().mean() / 10
    torch.testing.assert_close(mean.mean(), pairs.x1.mean(), rtol=0.03, atol=0)


def test_a_checkpoint_of_other_settings_is_not_resumed(tmp_path):
    folder = lga.records.run_folder(tmp_path, "quick", "rotated_mnist", "jin2024", 0)
    folder.start({"learning_rate": 1})
    folder.save_checkpoint({"a": torch.ones(1)}, {"history": []})
    folder.start({"learning_rate": 1})
    assert folder.load_checkpoint() is not None
    folder.start({"learning_rate": 2})
    assert folder.load_checkpoint() is None


def test_what_a_machine_lacked_at_first_begins_a_run_anew(tmp_path, monkeypatch, capsys):
    """LPIPS' weights, fetched between two halves of a training, would change its loss."""
    from lga import losses

    def missing():
        raise OSError("not here")

    def begun() -> bool:
        few = {"objects": 12, "width": 4, "train_pairs": 4, "perceptual_weight": 5e-4}
        run = lga.configure(
            "nmr", "jin2024", source="stand-in", results_dir=tmp_path, overrides=few
        )
        run.build_system(dataset)
        kept = run.folder.load_checkpoint() is not None
        run.folder.save_checkpoint({"a": torch.ones(1)}, {"history": []})
        return kept

    dataset = lga.load_dataset("nmr", "stand-in", objects=12)
    monkeypatch.setattr(losses, "lpips_network", missing)
    with pytest.warns(UserWarning, match="without the perceptual loss"):
        assert not begun() and begun()
    assert "begun" not in capsys.readouterr().out
    monkeypatch.setattr(losses, "lpips_network", lambda: None)
    assert not begun() and "begun anew" in capsys.readouterr().out
    dataset.source = "other meshes"
    assert not begun() and begun()


def test_the_best_validation_weights_are_kept(digits, monkeypatch):
    scores = iter([1.0, 3.0, 2.0, 3.0, 2.5])
    monkeypatch.setattr("lga.training.validate", lambda *_: next(scores))
    system = lga.build_system("jin2024", digits)
    after = {}
    lga.fit(system, digits, TINY, on_step=lambda step: after.setdefault(step, weights(system)))
    assert torch.equal(weights(system), after[8])  # the second of five validations in 20 steps
    assert not torch.equal(weights(system), after[20])


def test_the_best_validation_loss_may_decide_instead(digits, monkeypatch):
    scores, losses = iter([1.0, 3.0, 2.0, 3.0, 2.5]), iter([0.5, 0.4, 0.3, 0.6, 0.3])
    monkeypatch.setattr("lga.training.validate", lambda *_: next(scores))
    monkeypatch.setattr("lga.training.validation_loss", lambda *_: next(losses))
    system = lga.build_system("jin2024", digits)
    after = {}
    settings = replace(TINY, selection="loss")
    history = lga.fit(
        system, digits, settings, on_step=lambda k: after.setdefault(k, weights(system))
    )
    assert torch.equal(weights(system), after[12])  # the third of five validations
    assert [row["validation_loss"] for row in history] == [0.5, 0.4, 0.3, 0.6, 0.3]


def test_the_last_weights_may_be_kept_whatever_their_score(digits, monkeypatch):
    scores = iter([1.0, 3.0, 2.0, 3.0, 2.5])
    monkeypatch.setattr("lga.training.validate", lambda *_: next(scores))
    system = lga.build_system("jin2024", digits)
    after = {}
    settings = replace(TINY, selection="last")
    lga.fit(system, digits, settings, on_step=lambda k: after.setdefault(k, weights(system)))
    assert torch.equal(weights(system), after[20])
    assert not torch.equal(weights(system), after[8])


def test_validation_loss_is_the_mean_over_the_validation_pairs(digits):
    from lga.training import validation_loss

    system = lga.build_system("copy_input", digits)
    batch = next(digits.fixed_pairs("validation", 40))
    expected = float((batch.x1 - batch.x2).square().mean())
    assert validation_loss(system, digits, TINY) == pytest.approx(expected, rel=1e-5)


def test_training_sees_no_validation_or_test_digit(digits, monkeypatch):
    asked = []
    draw = type(digits).draw
    monkeypatch.setattr(
        type(digits),
        "draw",
        lambda self, split, *rest: asked.append(split) or draw(self, split, *rest),
    )
    monkeypatch.setattr("lga.training.validate", lambda *_: 0.0)
    trained(digits)
    assert set(asked) == {"train"}


def test_a_loss_that_is_not_finite_stops_the_run(digits):
    class Broken(lga.SYSTEMS["jin2024"]):
        def loss(self, pairs):
            return {"pixel": super().loss(pairs)["pixel"] * float("nan")}

    with pytest.raises(FloatingPointError, match="loss is nan at step 4: lower the learning rate"):
        lga.fit(Broken((1, 28, 28), digits.group), digits, TINY)


def test_images_out_of_range_and_false_elements_stop_the_run(digits, monkeypatch):
    draw = type(digits).draw

    def bright(self, *args):
        pairs = draw(self, *args)
        return replace(pairs, x2=pairs.x2 * 255)

    def skewed(self, *args):
        pairs = draw(self, *args)
        return replace(pairs, g=pairs.g * 2)

    monkeypatch.setattr(type(digits), "draw", bright)
    with pytest.raises(ValueError, match=r"images lie in \[0, 1\]; x2 spans"):
        trained(digits)
    monkeypatch.setattr(type(digits), "draw", skewed)
    with pytest.raises(ValueError, match="no element of SO2"):
        trained(digits)


def test_bf16_trains_and_evaluates_in_full_precision(digits):
    system, history = trained(digits, replace(TINY, precision="bf16-mixed"), name="jin2024")
    assert weights(system).dtype == torch.float32
    assert history[-1]["validation_psnr_db"] > history[0]["validation_psnr_db"]


def test_numbers_next_to_zero_are_flushed_while_it_trains_and_no_longer(digits):
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush them")

    def half_of_the_least_normal_number() -> float:
        return torch.tensor(1.2e-38).mul(0.5).item()

    while_training = []
    trained(digits, on_step=lambda step: while_training.append(half_of_the_least_normal_number()))
    assert set(while_training) == {0.0}
    assert half_of_the_least_normal_number() > 0


def test_a_device_that_is_not_there_is_an_error(digits):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ValueError, match="device 'cuda'"):
        trained(digits, replace(TINY, device="cuda"))


def test_schedule():
    settings = replace(TINY, train_pairs=3200 * 100, schedule="cosine")
    shares = [schedule(settings, step) for step in range(settings.steps)]
    warmup = settings.steps // 50
    assert shares[warmup - 1] == shares[warmup] == max(shares) == 1
    assert shares[0] == 1 / warmup and shares[-1] < 1e-3
    assert schedule(replace(settings, schedule="constant"), 7) == 1
    slow = replace(settings, warmup_steps=50)
    assert schedule(slow, 24) == 0.5 and schedule(slow, 49) == schedule(slow, 50) == 1


def test_steps_and_processes_draw_different_pairs():
    draws = {generator_for(seed, step, rank).initial_seed()
             for seed in range(3) for step in range(50) for rank in range(2)}  # fmt: skip
    assert len(draws) == 300


@pytest.mark.slow
def test_a_process_killed_outright_leaves_no_record_and_resumes(tmp_path):
    command = [sys.executable, "-m", "lga.cli", "train", "rotated_mnist",
               "--results", str(tmp_path),
               "--system", "swarnali2025", "--set", "train_pairs=3200",
               "--set", "validations=25", "--set", "validation_pairs=20",
               "--set", "test_pairs=20"]  # fmt: skip
    folder = tmp_path / "quick" / "rotated_mnist" / "swarnali2025"
    history = folder / ".seed-0" / "history.csv"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    while not history.exists() or len(history.read_text().splitlines()) < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "seed-0").exists()
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "resumed at step" in shown
    names = {path.name for path in (folder / "seed-0").iterdir()}
    assert names == {"metrics.json", "config.json", "history.csv", "model.safetensors", "pairs.png"}
    with open(folder / "seed-0" / "history.csv") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(2, 51, 2))


@pytest.mark.slow
def test_threads_of_a_run_flush_as_well(tmp_path):
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush numbers next to zero")
    code = """
import sys, torch, lga
def look(step):
    halves = torch.full((1_000_000,), 1.2e-38) * 0.5
    print("flushed everywhere:", torch.get_num_threads(), bool((halves == 0).all()))
lga.runs.execute(lga.configure("rotated_mnist", "swarnali2025", results_dir=sys.argv[1],
    overrides="train_pairs=64 validations=1 validation_pairs=8 test_pairs=8"), look)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    shown = subprocess.run(command, capture_output=True, text=True, env=env)
    assert "flushed everywhere: 2 True" in shown.stdout, shown.stderr


@pytest.mark.slow
def test_two_processes_train_together(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "lga.cli", "train", "rotated_mnist",
               "--system", "hwang2023", "--results", str(tmp_path), "--set", "train_pairs=1280",
               "--set", "validations=2", "--set", "device=cpu", "--set", "hidden=8",
               "--set", "selection=last"]  # fmt: skip
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    shown = subprocess.run(command, capture_output=True, text=True, env=env)
    assert shown.returncode == 0, shown.stderr
    folder = tmp_path / "quick/rotated_mnist/hwang2023/seed-0"
    assert lga.records.read_json(folder / "metrics.json")["train_pairs"] == 1280
    assert load_file(folder / "model.safetensors")["pairs_seen"] == 1280  # by both
    assert shown.stdout.count("PSNR") == 1


@pytest.mark.slow
def test_an_interrupted_run_ends_with_one_line_that_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "lga.cli", "train", "rotated_mnist", "--results",
               str(tmp_path), "--system", "jin2024", "--set", "validations=200"]  # fmt: skip
    process = subprocess.Popen(  # what a shell starts in the background ignores interrupts
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    history = tmp_path / "quick/rotated_mnist/jin2024/.seed-0/history.csv"
    while not history.exists():
        assert process.poll() is None
        time.sleep(0.02)
    shown = ""
    for _ in range(5):  # Python drops an interrupt that falls into a finaliser; one presses again
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, shown = process.communicate(timeout=20)
            break
    assert process.returncode == 130
    assert shown.strip() == "lga: stopped; the same command goes on from the last checkpoint"


def test_exponential_schedule_warms_up_in_steps():
    settings = replace(TINY, schedule="exponential", warmup_steps=10, decay=0.5, decay_steps=100)
    assert schedule(settings, 0) == pytest.approx(0.1) and schedule(settings, 9) == 1
    assert schedule(settings, 10) == 1 and schedule(settings, 110) == pytest.approx(0.5)
    assert schedule(settings, 210) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="decay"):
        replace(TINY, decay=0.0)


def test_gradients_are_clipped_before_the_step(digits, monkeypatch):
    """With Adam's first step blind to size, a clipped gradient is seen in its moments."""
    norms = {}
    for clip in (0.0, 1e-3):
        system = lga.build_system("jin2024", digits)
        settings = replace(TINY, train_pairs=32, batch_size=32, validations=1, gradient_clip=clip)
        seen = []
        monkeypatch.setattr(
            torch.optim.Adam, "step",
            lambda self, closure=None, seen=seen: seen.append(
                torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]).norm()
            ),
        )  # fmt: skip
        lga.fit(system, digits, settings)
        norms[clip] = float(seen[0])
    assert norms[0.0] > 2e-3 and norms[1e-3] == pytest.approx(1e-3, rel=1e-3)


def test_a_batch_holds_whole_rows_of_views():
    dataset = lga.load_dataset("nmr", "stand-in", objects=12)
    system = lga.build_system("sajjadi2022", dataset, tokens=64, depth=1, rays=64, target_views=4)
    batches, draw = [], dataset.pairs
    dataset.pairs = lambda *arguments: batches.append(draw(*arguments)) or batches[-1]
    settings = replace(TINY, train_pairs=8, batch_size=8, validations=1, validation_pairs=2)
    lga.fit(system, dataset, settings)
    (pairs,) = batches
    assert pairs.views == 4 and len(pairs) == 8
    assert torch.equal(pairs.x1[0], pairs.x1[3]) and not torch.equal(pairs.x1[3], pairs.x1[4])
    assert not torch.equal(pairs.x2[0], pairs.x2[1])
    with pytest.raises(ValueError, match="share their x1"):
        lga.fit(system, dataset, replace(settings, batch_size=6))


@pytest.mark.slow
def test_compiled_networks_learn_the_same_under_the_same_names(digits):
    settings = replace(TINY, train_pairs=64, batch_size=32, validations=1, validation_pairs=8)
    plain, compiled = (lga.build_system("swarnali2025", digits) for _ in range(2))
    lga.fit(plain, digits, settings)
    lga.fit(compiled, digits, replace(settings, compile=True))
    for (name, a), (other, b) in zip(
        plain.state_dict().items(), compiled.state_dict().items(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="no encoder and decoder to compile"):
        lga.fit(lga.build_system("mean_image", digits), digits, replace(settings, compile=True))
