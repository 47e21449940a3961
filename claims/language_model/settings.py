"""The settings that schemes are compared in on the tiny model: tasks, learning rates, seeds.

Each task (a rule to find, answers to memorise) is run from scratch (ρ₀ ≈ 1 %) and post SFT
(ρ₀ ≈ 40 %). Every scheme is tried at every learning rate of one grid under picking seeds, and is
judged at the rate that served it best under other seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from claims.looks import LOOKS
from llm_validation.config import TrainConfig, load_recipe

SCHEMES = (
    "grpo",
    "rloo",
    "linear_r",
    "linear_r:zero_success=drop",
    "sqrt_r",
    "uniform_r",
    "lens",
    "psr",
    "nsr",
    "w_reinforce",
)
RESCALED = ("rescaled:weights=sqrt_r,scale=grpo", "rescaled:weights=grpo,scale=sqrt_r")
"""Sqrt-R's weights at GRPO's scale, and GRPO's weights at Sqrt-R's: the other half of a 2 × 2."""
DROPPED = "sqrt_r:zero_success=drop"
PLAN: Mapping[str, Any] = {"plan_every": 8, "plan_target": 0.5}
"""How prompts are chosen on Countdown: for twice the success that training starts from."""
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "": {"steps": 256, "stop_at": 0.19, "target": 0.19},
    "-train": {"steps": 48, "target": 0.26, "target_metric": "success_train", "first_seed": 7},
}
"""Where success has to rise: on held-out prompts or on those of the training."""
LENS_PARTS = ("lens:parts=mixed", "lens:parts=negative")
PICKING_SEEDS = 2
"""Seeds that learning rates are picked on; the seeds that follow judge."""
TARGET = 0.9
"""Success probability that times are taken to."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting that schemes are compared in.

    Attributes:
        name: Name of the setting's folder.
        recipe: Recipe it is made from.
        kind: Arithmetic task: ``rule`` or ``memorise``; None where the recipe has another task.
        claims: Ids of the claims it speaks to.
        schemes: Schemes compared.
        learning_rates: Grid, the same for every scheme.
        steps: Optimizer steps at most.
        stop_at: Success probability that ends a run; None for all steps, where the end matters.
        measure_every: Steps between measurements.
        initial_success: Success the warm-up aims at instead of the recipe's.
        fields: Further fields of the configuration that differ from the recipe's.
        target: Success probability that times are taken to.
        target_metric: Whose success: ``success`` of held-out prompts or ``success_train``.
        first_seed: The first seed that judges; those before pick rates, or were seen in a trial.
        looks: How many looks are run; ``claims.looks`` says how many seeds each has.
    """

    name: str
    recipe: str
    kind: str | None
    claims: tuple[str, ...]
    schemes: tuple[str, ...] = SCHEMES
    learning_rates: tuple[float, ...] = (5e-4, 1e-3)
    steps: int = 600
    stop_at: float | None = None
    measure_every: int = 10
    initial_success: float | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target: float = TARGET
    target_metric: str = "success"
    first_seed: int = PICKING_SEEDS
    looks: int = 1


SETTINGS = (
    # Asked for 1 %, which is chance among a hundred answers, the warm-up teaches nothing at all,
    # and GRPO did not learn in 600 steps; asked for 2 % it ends at 1 % with a trace of the rule.
    Setting(
        "rule-from-scratch",
        "tiny-from-scratch",
        "rule",
        ("A4", "A6", "L5", "O4"),
        steps=400,
        stop_at=TARGET,
        initial_success=0.02,
    ),
    Setting(
        "rule-post-sft",
        "tiny-post-sft",
        "rule",
        ("A5", "L3", "N2", "N3", "N4", "N5", "N6"),
        learning_rates=(1e-4, 2.5e-4, 5e-4),
        steps=100,
        measure_every=4,
    ),
    Setting("memorise-from-scratch", "tiny-from-scratch", "memorise", ("O4",), steps=200),
    Setting("memorise-post-sft", "tiny-post-sft", "memorise", ("O4",), steps=200),
    # A start at which both kinds of groups LENS treats in its own way, mixed and all-wrong, abound.
    Setting(
        "rule-one-in-ten",
        "tiny-post-sft",
        "rule",
        ("L4",),
        ("grpo", "lens", *LENS_PARTS),
        steps=100,
        measure_every=4,
        initial_success=0.1,
    ),
    # Five times the steps of rule-post-sft, at the rate that was best for both there.
    Setting(
        "rule-post-sft-long",
        "tiny-post-sft",
        "rule",
        ("N7",),
        ("nsr", "w_reinforce"),
        (5e-4,),
        steps=500,
        measure_every=20,
    ),
    *(
        Setting(
            f"length-{mode}",
            "tiny-length-penalty",
            "rule",
            ("O10",),
            ("grpo",),
            (2.25e-4, 4.5e-4),
            steps=300,
            measure_every=20,
            fields={"shaping": mode},
        )
        for mode in ("total", "gate")
    ),
    # Several right answers a prompt and many prompts never solved: what is said of diversity can
    # come out either way. All seeds start from one model; they differ in prompts and samples.
    *(
        Setting(
            name,
            "countdown-post-sft",
            None,
            claims,
            schemes,
            rates,
            steps=120,
            target=0.19,
        )
        for name, claims, schemes, rates in (
            ("countdown-post-sft", ("N2", "N3", "N4", "N6"), ("nsr", "psr"), (1e-4,)),
            ("countdown-post-sft-weighted", ("N4", "N6"), ("grpo", "w_reinforce"), (1e-4,)),
            # At the common rate NSR gained less than diversity is compared at under two seeds of
            # two; only then was this written down.
            ("countdown-post-sft-nsr", ("N2",), ("nsr",), (2e-4,)),
        )
    ),
    # Most groups are all wrong, which is where LENS differs. No time is taken: rates are picked by
    # the mean success over the run, which is what is judged.
    Setting(
        "countdown-post-sft-lens",
        "countdown-post-sft",
        None,
        ("L3", "L4", "L5"),
        ("grpo", "lens", *LENS_PARTS),
        (5e-5, 1e-4, 2e-4),
        steps=120,
    ),
    # Choosing prompts: all alike, by true pass rates, and by counts. Of 512 prompts each comes four
    # times, as the simulator's 512 do in the batches it needs there. Five seeds said that times to
    # a held-out target differ e-fold between seeds, and those of the training prompts, which theory
    # and simulator speak of, by a quarter: other seeds judge those.
    *(
        Setting(
            f"countdown-choice{on}{by and '-'}{by}",
            "countdown-post-sft",
            None,
            claims,
            schemes,
            (1e-4,),
            measure_every=4,
            fields={"task_limit": 512, **plan},
            **course,
        )
        for on, course in CHOICES.items()
        for by, claims, schemes, plan in (
            ("", ("S1", "S3"), ("grpo",), {}),
            ("rates", ("S1", "S2", "S3"), ("grpo", DROPPED), {**PLAN, "plan_by": "rates"}),
            ("counts", ("S3",), ("grpo",), PLAN),
        )
    ),
    # Numbers up to 35: seven times the prompts, so that what is learned holds for others too.
    *(
        Setting(
            name,
            "countdown-35-post-sft",
            None,
            claims,
            schemes,
            (1e-4,),
            steps=250,
            target=0.48,
        )
        for name, claims, schemes in (
            ("countdown-35-post-sft", ("N2", "N3", "N4", "N6"), ("nsr", "psr")),
            ("countdown-35-post-sft-weighted", ("N4", "N6"), ("grpo", "w_reinforce")),
        )
    ),
    # At 1e-4 and seed 0 GRPO took 200 steps to 0.03 and 525 to 0.05, by which pass@256 had halved.
    Setting(
        "countdown-from-scratch",
        "countdown-from-scratch",
        None,
        ("A4", "O7"),
        ("grpo", "sqrt_r", *RESCALED, DROPPED),
        (5e-5, 1e-4, 2e-4, 4e-4),
        steps=400,
        stop_at=0.03,
        target=0.03,
    ),
)


def tuning(setting: Setting, **changes: object) -> Iterator[tuple[str, TrainConfig]]:
    """Folder names and configurations that learning rates are picked by; none if there is one rate.

    >>> [name for name, _ in tuning(SETTINGS[0])]
    ['rule-from-scratch/tune/lr=0.0005', 'rule-from-scratch/tune/lr=0.001']
    """
    for rate in setting.learning_rates if len(setting.learning_rates) > 1 else ():
        options = {"schemes": setting.schemes, "seeds": PICKING_SEEDS, **changes}
        yield f"{setting.name}/tune/lr={rate:g}", configuration(setting, rate, **options)


def judging(
    setting: Setting, rates: Mapping[str, float], *, seeds: int = 5, **changes: object
) -> Iterator[tuple[str, TrainConfig]]:
    """Folder names and configurations of the runs that judge, every scheme at its own rate.

    Args:
        setting: The setting.
        rates: Scheme → learning rate.
        seeds: Seeds that judge at the first look; later ones go on from there.
        **changes: Fields of the configuration.

    >>> [(name, config.schemes) for name, config in
    ...  judging(SETTINGS[2], {"grpo": 1e-3, "sqrt_r": 5e-4})]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('memorise-from-scratch/judge/lr=0.0005', ('sqrt_r',)),
     ('memorise-from-scratch/judge/lr=0.001', ('grpo',))]
    """
    for rate in sorted(set(rates.values())):
        schemes = tuple(scheme for scheme in rates if rates[scheme] == rate)
        for look in range(setting.looks):
            first, last = (LOOKS["llm"][look - 1], LOOKS["llm"][look]) if look else (0, seeds)
            judges = {"first_seed": setting.first_seed + first, "seeds": last - first}
            options = {"schemes": schemes, **judges, **changes}
            place = f"judge/look={look + 1}" if look else "judge"
            yield f"{setting.name}/{place}/lr={rate:g}", configuration(setting, rate, **options)


def configuration(setting: Setting, rate: float, **options: object) -> TrainConfig:
    """A setting's configuration at one learning rate; options win over the setting's."""
    fixed = {
        "steps": setting.steps,
        "stop_at": setting.stop_at,
        "measure_every": setting.measure_every,
        "task_options": None if setting.kind is None else {"kind": setting.kind},
        "learning_rate": rate,
        "initial_success": setting.initial_success,
        **setting.fields,
    }
    return load_recipe(setting.recipe, **{**fixed, **options})
