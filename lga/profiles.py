"""What "quick", "standard" and "paper" mean: every setting of a run, from one table of rules."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from lga.datasets import DATASETS
from lga.datasets.base import StoredOrbits
from lga.lookup import check_name
from lga.options import check_numbers
from lga.systems import SYSTEMS

PROFILES = {
    "quick": "a minute or two a run on one CPU core, on stand-ins: the story and the plumbing",
    "standard": "real data, a budget of pairs: minutes to three hours of one CPU core",
    "paper": "the published networks to convergence, three seeds, on a GPU",
}


@dataclass(frozen=True)
class Settings:
    """How a system is trained and evaluated, whichever system it is.

    The budget is counted in pairs, so that systems with different batches see as much data.
    """

    train_pairs: int = 2_000_000  # pairs drawn in all
    batch_size: int = 256  # pairs per step, over all devices
    optimizer: Literal["adam", "muon"] = "adam"  # muon: Muon for matrices, Adam for the rest
    learning_rate: float = 1e-4  # of Adam; the peak where there is a schedule
    muon_learning_rate: float = 0.02  # of Muon, likewise
    schedule: Literal["constant", "cosine", "exponential"] = "constant"  # see `schedule`
    warmup_steps: int = 0  # 0: none, or 2 % of the steps where the schedule is "cosine"
    decay: float = 1.0  # of "exponential": what is left of the rate …
    decay_steps: int = 1_000_000  # … after so many steps
    gradient_clip: float = 0.0  # the largest norm of a step's gradient; 0 for any
    precision: str = "32-true"  # or "bf16-mixed", which is float32 where bf16 is no faster
    device: str = "auto"  # "auto", "cpu", "cuda"
    compile: bool = False  # whether E and D are compiled to train
    cuda_graph: bool = True  # whether on a GPU a step of training is one graph
    validations: int = 40  # checks on the fixed validation pairs, each with a checkpoint
    validation_pairs: int = 2_000
    selection: Literal["psnr", "loss", "last"] = "psnr"  # which weights are kept; loss in jin2024
    test_pairs: int = 10_000
    fetch_weights: bool = True  # whether LPIPS may download its backbone's weights
    seed: int = 0  # of weights and training pairs; test pairs never change

    def __post_init__(self) -> None:
        for name in ("learning_rate", "muon_learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        check_numbers(asdict(self), {field.name: field.default for field in fields(self)})
        check_name("selection", self.selection, ("psnr", "loss", "last"))
        check_name("optimizer", self.optimizer, ("adam", "muon"))
        check_name("schedule", self.schedule, ("constant", "cosine", "exponential"))
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")

    @property
    def steps(self) -> int:
        """Optimiser steps that the budget of pairs makes."""
        return max(1, self.train_pairs // self.batch_size)


@dataclass(frozen=True)
class Rule:
    """Values for every run that matches; None matches all. Later rules win.

    A rule for many systems or sources may name options that only some have: the others ignore it.
    """

    values: Mapping[str, Any]
    profile: str | tuple[str, ...] | None = None
    dataset: str | tuple[str, ...] | None = None
    system: str | tuple[str, ...] | None = None

    def matches(self, profile: str, dataset: str, system: str) -> bool:
        asked = ((self.profile, profile), (self.dataset, dataset), (self.system, system))
        return all(
            mine is None or theirs in ((mine,) if isinstance(mine, str) else mine)
            for mine, theirs in asked
        )


MNISTS = ("rotated_mnist", "blocked_mnist")
RENDERED = ("nmr", "plane_in_the_sky")
VOLUMES = ("adrenal_3d", "brain_3d")
OWN = StoredOrbits.name  # one's own pictures, wherever they lie
LGA = ("lga", "lga_matched", "lga_generic")
QUARTER = ("jin2024", "swarnali2025", "lga_generic")
RULES = (
    # quick: the story and the plumbing, a minute or two on one CPU core; nothing is downloaded.
    Rule(
        {
            "train_pairs": 40_000,
            "batch_size": 64,
            "learning_rate": 2e-3,
            "schedule": "cosine",
            "validations": 10,
            "validation_pairs": 200,
            "test_pairs": 359,
            "fetch_weights": False,
        },
        profile="quick",
    ),
    Rule(
        {"train_pairs": 3_200, "batch_size": 8, "validation_pairs": 64, "test_pairs": 100,
         "subjects": 240},
        profile="quick", dataset="brain_mri",
    ),
    Rule(
        {"train_pairs": 2_400, "batch_size": 8, "validation_pairs": 64, "test_pairs": 100,
         "objects": 120, "width": 16},
        profile="quick", dataset=RENDERED,
    ),
    Rule({"views": 24}, profile="quick", dataset="plane_in_the_sky"),
    Rule(
        {"train_pairs": 1_600, "batch_size": 8, "validation_pairs": 32, "test_pairs": 50,
         "validations": 5, "bodies": 600, "subjects": 60},
        profile="quick", dataset=VOLUMES,
    ),
    # Of one's own the size is not known: these budgets hold up to 64 pixels a side.
    Rule({"train_pairs": 3_200, "batch_size": 16, "test_pairs": 200}, profile="quick", dataset=OWN),
    Rule({"width": 16}, profile=("quick", "standard"), dataset=OWN, system=QUARTER),
    # standard: minutes to three hours of one CPU core.
    Rule(
        {"train_pairs": 2_000_000, "batch_size": 128, "learning_rate": 2e-3, "schedule": "cosine"},
        profile="standard",
    ),
    # Of so few pairs more steps bring more than larger batches: chosen on validation pairs.
    Rule(
        {"train_pairs": 16_000, "batch_size": 4, "learning_rate": 1e-3, "test_pairs": 2_000,
         "validation_pairs": 200, "validations": 20},
        profile="standard", dataset="brain_mri",
    ),
    Rule(
        {"train_pairs": 16_000, "batch_size": 4, "learning_rate": 1e-3, "test_pairs": 2_000,
         "validation_pairs": 500, "validations": 20},
        profile="standard", dataset=RENDERED,
    ),
    # It makes few objects' colours many. Skies keep theirs: of permuted ones every system
    # learns more slowly (docs/findings.md, Objects). In bf16 they learn about the same in fewer
    # seconds (docs/findings.md, Sixteen bits).
    Rule(
        {"permuted_channels": True, "precision": "bf16-mixed"}, profile="standard", dataset="nmr"
    ),
    # Of planes smaller batches end no better.
    Rule({"batch_size": 16}, profile="standard", dataset="plane_in_the_sky"),
    # The perceptual loss of all images takes four fifths of the time, of one a step, which in the
    # mean is the same, a third on the turntable and less on planes.
    Rule(
        {"train_pairs": 20_000, "perceptual_images": 1},
        profile="standard", dataset=RENDERED, system="jin2024",
    ),
    # A quarter of the published width, which is the paper profile's.
    Rule({"width": 16}, profile="standard", dataset=RENDERED, system=QUARTER),
    # Its loss has no LPIPS, so that a pair takes less than half of jin2024's seconds.
    Rule({"train_pairs": 64_000}, profile="standard", dataset=RENDERED, system="swarnali2025"),
    Rule(
        {"train_pairs": 8_000, "batch_size": 4, "learning_rate": 1e-3, "test_pairs": 500,
         "validation_pairs": 100, "validations": 10},
        profile="standard", dataset=VOLUMES,
    ),
    # A few heads are soon known by heart.
    Rule({"warped": True}, profile="standard", dataset=("brain_mri", "brain_3d")),
    # After 8,000 pairs jin2024 paints little more than a ball for a head; these take it and
    # swarnali2025 about the seconds that lga takes.
    Rule(
        {"train_pairs": 32_000},
        profile="standard", dataset=VOLUMES, system=("jin2024", "swarnali2025", "lga_generic"),
    ),
    Rule(
        {"train_pairs": 64_000, "batch_size": 16, "test_pairs": 2_000, "validation_pairs": 500},
        profile="standard", dataset=OWN,
    ),
    # paper: the published optimiser settings; the number of epochs is not published.
    Rule({"train_pairs": 60_000_000, "validations": 200}, profile="paper"),
    Rule({"train_pairs": 5_000_000}, profile="paper", dataset=("brain_mri", *VOLUMES)),
    Rule(
        {"train_pairs": 10_000_000, "precision": "bf16-mixed"},
        profile="paper", dataset=RENDERED,
    ),
    Rule({"train_pairs": 2_000_000}, profile="paper", dataset=OWN),
    # At its published rate, which does not decay, jin2024 would take over a thousand epochs of
    # digits (the ablation `published_rate`); Muon, at a rate that decays, takes the published
    # network to the published figure in under two hundred. Chosen on validation pairs.
    Rule(
        {"optimizer": "muon", "learning_rate": 2e-3, "muon_learning_rate": 0.01,
         "schedule": "cosine", "train_pairs": 5_000_000, "validations": 50},
        profile="paper", dataset=MNISTS, system="jin2024",
    ),
    Rule(
        {"train_pairs": 10_000_000}, profile="paper", dataset="rotated_mnist", system="jin2024"
    ),
    # swarnali2025, public script: Adam 1e-3, batches of 64.
    Rule({"learning_rate": 1e-3, "batch_size": 64}, system="swarnali2025", dataset=MNISTS),
    Rule({"learning_rate": 1e-3}, system="swarnali2025", dataset=VOLUMES),
    # Elsewhere its mask starts with everything moving: undecided, it is all zeros, for good, before
    # the networks paint anything that a movement could improve.
    Rule({"initial_logit": 1.0}, system="swarnali2025", dataset=("brain_mri", *RENDERED)),
    # winter2022: Adam 1e-3, 128 images a batch, both of each pair, gradients clipped at 0.5; rates
    # × 0.995 every two epochs of 60,000 images. Wide maps want bf16, where that is faster.
    Rule(
        {"learning_rate": 1e-3, "batch_size": 64, "gradient_clip": 0.5,
         "precision": "bf16-mixed"},
        system="winter2022",
    ),
    Rule(
        {"schedule": "exponential", "decay": 0.995, "decay_steps": 938},
        profile="paper", system="winter2022",
    ),
    Rule({"train_pairs": 9_600, "fields": 8, "width": 32}, profile="quick", system="winter2022"),
    # A core takes it through 15 to 20 pairs a second; of so few, smaller batches bring more. On
    # blocked digits it is after 20,000 where it was after 2,000.
    Rule(
        {"train_pairs": 20_000, "batch_size": 8, "validations": 10, "validation_pairs": 500},
        profile="standard", system="winter2022",
    ),
    Rule(
        {"train_pairs": 48_000, "validations": 16},
        profile="standard", dataset="rotated_mnist", system="winter2022",
    ),
    # hwang2023: the paper's optimiser settings are not published; these are a third party's.
    Rule({"learning_rate": 1e-3, "gradient_clip": 1.0}, system="hwang2023"),
    Rule({"batch_size": 64}, dataset=MNISTS, system="hwang2023"),
    # The weights of its losses, chosen on validation demonstrations of rotated MNIST.
    Rule(
        {"kl_weight": 5e-3, "consistency_weight": 1e-3, "warmup_pairs": 25_000},
        system="hwang2023",
    ),
    # They weigh sums over the code, which on brains has 1,024 numbers for 24: the same weights
    # silence it for good.
    Rule(
        {"kl_weight": 1e-5, "consistency_weight": 2e-5}, dataset="brain_mri", system="hwang2023"
    ),
    # A core takes it through 8 pairs a second, at the published width through 2.
    Rule(
        {"train_pairs": 8_000, "warmup_pairs": 8_000, "hidden": 32},
        profile="standard", dataset="brain_mri", system="hwang2023",
    ),
    # Of as many pairs smaller batches bring more, where the weights rise all the way.
    Rule(
        {"train_pairs": 100_000, "batch_size": 8, "warmup_pairs": 100_000, "validations": 20},
        profile="standard", dataset=MNISTS, system="hwang2023",
    ),
    Rule({"warmup_pairs": 10_000, "hidden": 32}, profile="quick", system="hwang2023"),
    Rule({"train_pairs": 1_600}, profile="quick", dataset="brain_mri", system="hwang2023"),
    # dupont2020: Adam 2e-4, eight pairs a step.
    Rule({"learning_rate": 2e-4, "batch_size": 8}, profile="paper", system="dupont2020"),
    # Faster learning can leave it with one picture for all, for good.
    Rule(
        {"width": 8, "batch_size": 4, "learning_rate": 5e-4}, profile="quick", system="dupont2020"
    ),
    Rule(
        {"width": 16, "batch_size": 8, "learning_rate": 5e-4, "train_pairs": 20_000},
        profile="standard", system="dupont2020",
    ),
    # sajjadi2022: Adam 1e-4, warmed up for 2,500 steps, × 0.16 every four million. 32 objects with
    # 23 views a step, where the implementation that its authors recognise takes 256. A reduced
    # preset where the budget is small, with a warm-up slow enough that the sigmoid does not run
    # into white, from where no gradient leads back.
    Rule(
        {"schedule": "exponential", "warmup_steps": 2_500, "decay": 0.16,
         "decay_steps": 4_000_000, "batch_size": 736},
        profile="paper", system="sajjadi2022",
    ),
    Rule(
        {"tokens": 128, "depth": 2, "target_views": 4, "rays": 1_024, "batch_size": 16,
         "learning_rate": 5e-4, "warmup_steps": 600},
        profile=("quick", "standard"), system="sajjadi2022",
    ),
    Rule({"train_pairs": 16_000}, profile="quick", system="sajjadi2022"),
    Rule(
        {"train_pairs": 64_000, "validations": 10, "validation_pairs": 100},
        profile="standard", system="sajjadi2022",
    ),
    # On the turntable it still rises then, in half the seconds of the others or less; smaller
    # batches bring more, too: chosen on validation pairs.
    Rule(
        {"train_pairs": 192_000, "batch_size": 8, "validations": 20},
        profile="standard", dataset="nmr", system="sajjadi2022",
    ),
    # A picture's pixels have far to go, and nothing to overshoot.
    Rule({"learning_rate": 1e-2}, system="mean_image"),
    # Four times the steps for the same seconds: on rotated digits worth more than more pairs, on
    # blocked ones not. As many pairs as lga_matched has.
    Rule(
        {"train_pairs": 1_400_000, "batch_size": 32},
        profile="standard", dataset="rotated_mnist", system="jin2024",
    ),
    # lga: batches small enough for many steps, Muon, bf16 where that is faster.
    Rule(
        {"optimizer": "muon", "batch_size": 64, "learning_rate": 2e-3, "precision": "bf16-mixed"},
        system=LGA,
    ),
    Rule({"train_pairs": 600_000}, profile="standard", dataset=MNISTS, system=LGA),
    Rule({"train_pairs": 300_000}, profile="standard", dataset="rotated_mnist", system="lga"),
    Rule({"train_pairs": 200_000}, profile="standard", dataset="blocked_mnist", system="lga"),
    Rule({"muon_learning_rate": 0.04}, dataset="rotated_mnist", system="lga"),
    Rule({"batch_size": 32}, dataset=MNISTS, system="lga_matched"),
    Rule(
        {"train_pairs": 1_400_000},
        profile="standard", dataset="rotated_mnist", system="lga_matched",
    ),
    Rule({"muon_learning_rate": 0.04, "depth": 11}, dataset="rotated_mnist", system="lga_matched"),
    # A code needs little that rests where nothing stays, and where a square stays its place: chosen
    # on validation pairs, as the steps.
    Rule({"muon_learning_rate": 0.01, "batch_size": 16}, dataset=MNISTS, system="lga_generic"),
    Rule({"multiplicities": "2,3,3,2,2,1"}, dataset="rotated_mnist", system="lga_generic"),
    Rule({"multiplicities": "6,3,3,2,1"}, dataset="blocked_mnist", system="lga_generic"),
    Rule({"train_pairs": 2_000_000}, profile="standard", dataset=MNISTS, system="lga_generic"),
    # Longer runs want shorter steps: after 200,000 pairs half the rate is already better.
    Rule(
        {"muon_learning_rate": 0.003},
        profile=("standard", "paper"), dataset=MNISTS, system="lga_generic",
    ),
    Rule({"batch_size": 16}, dataset=RENDERED, system="lga"),
    Rule({"batch_size": 16}, profile=("quick", "standard"), dataset=OWN, system=LGA),
    # As many pairs as jin2024, whose network it has; steps chosen on validation pairs.
    Rule({"muon_learning_rate": 0.01, "batch_size": 8}, dataset=RENDERED, system="lga_generic"),
    Rule({"train_pairs": 20_000}, profile="standard", dataset=RENDERED, system="lga_generic"),
    Rule(
        {"muon_learning_rate": 0.01, "batch_size": 8},
        dataset=VOLUMES, system=("lga_generic", "lga_matched"),
    ),
    Rule({"batch_size": 8}, dataset="brain_mri", system=("lga", "lga_matched")),
    Rule({"batch_size": 16}, dataset="brain_mri", system="lga_generic"),
    Rule({"batch_size": 4}, dataset=VOLUMES, system="lga"),
    # LPIPS from the start costs decibels, at the end a tenth of one: chosen on validation pairs.
    Rule(
        {"perceptual_weight": 0.2, "perceptual_images": 2, "perceptual_after": 216_000,
         "selection": "last", "train_pairs": 240_000},
        profile="standard", dataset=RENDERED, system="lga",
    ),
    Rule(
        {"train_pairs": 432_000, "perceptual_after": 408_000},
        profile="standard", dataset="plane_in_the_sky", system="lga",
    ),
    # Of so few pairs more steps bring more than larger batches.
    Rule({"train_pairs": 100, "batch_size": 2}, profile="quick", dataset=VOLUMES, system="lga"),
    Rule({"train_pairs": 3_200, "batch_size": 16}, profile="quick", dataset=MNISTS, system="lga"),
    Rule({"train_pairs": 1_200, "batch_size": 8}, profile="quick", dataset=RENDERED, system="lga"),
    Rule(
        {"train_pairs": 400, "batch_size": 2, "width": 32},
        profile="quick", dataset="brain_mri", system="lga",
    ),
    Rule({"schedule": "cosine", "validations": 50}, profile="paper", system=LGA),
    # Small batches leave a GPU idle: larger ones, of more pairs than in the standard profile.
    Rule(
        {"train_pairs": 2_000_000, "batch_size": 128}, profile="paper", dataset=MNISTS, system=LGA
    ),
    Rule({"train_pairs": 1_000_000}, profile="paper", dataset=MNISTS, system="lga"),
    Rule({"train_pairs": 20_000_000}, profile="paper", dataset=MNISTS, system="lga_generic"),
    Rule(
        {"train_pairs": 2_000_000, "batch_size": 64}, profile="paper", dataset=RENDERED, system=LGA
    ),
    Rule(
        {"train_pairs": 500_000, "batch_size": 32},
        profile="paper", dataset=("brain_mri", *VOLUMES), system=LGA,
    ),
    Rule({"still": False}, dataset="rotated_mnist", system="lga"),
    Rule({"still": 4}, dataset="blocked_mnist", system="lga_matched"),
    # jin2024, section 6.1: the latent-inverse term is used on rotated MNIST only.
    Rule({"latent_inverse_weight": 1e-4}, dataset="rotated_mnist", system="jin2024"),
    # jin2024, section 3.2: L_x on rendered images.
    Rule(
        {"perceptual_weight": 5e-4},
        profile=("standard", "paper"), dataset=RENDERED, system="jin2024",
    ),
    # A volume says more than a digit: 32 vectors of R³.
    Rule({"latent_dim": 96}, dataset=VOLUMES, system=("jin2024", "lga_generic")),
)  # fmt: skip


def profile_values(profile: str, dataset: str, system: str) -> dict[str, Any]:
    """What the rules say for one cell of the grid, settings and options together."""
    check_name("profile", profile, PROFILES)
    values: dict[str, Any] = {}
    for rule in RULES:
        if rule.matches(profile, dataset, system):
            values |= rule.values
    return values


SETTING_NAMES = tuple(field.name for field in fields(Settings))


def settings_for(
    profile: str = "quick", dataset: str = "", system: str = "", **changes: Any
) -> Settings:
    """The training settings of a profile, with changes.

    Args:
        profile: "quick", "standard" or "paper".
        dataset: one of `DATASETS`, or "own" for one's own pictures; "" for what all have.
        system: one of `SYSTEMS`; "" for what all have, and for one's own.
        changes: settings by name.

    Raises:
        ValueError: for an unknown profile, dataset, system or setting.
    """
    if dataset:
        check_name("dataset", dataset, (*DATASETS, OWN))
    if system:
        check_name("system", system, SYSTEMS)
    for name in changes:
        check_name("setting", name, SETTING_NAMES)
    values = profile_values(profile, dataset, system) | changes
    return replace(Settings(), **{k: v for k, v in values.items() if k in SETTING_NAMES})
