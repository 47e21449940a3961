"""What a probe found, as numbers with intervals and as tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llm_validation.probe.config import ProbeConfig
from llm_validation.probe.drift import (
    by_difficulty,
    measure_sharing,
    norm_exponent,
    smooth_kernel,
    spread_of_odds,
)
from llm_validation.probe.gains import law_effects, scheme_gains
from llm_validation.probe.kernel import Kernel, measure_kernel
from llm_validation.probe.resampling import Resamples
from llm_validation.probe.rollouts import Sampled
from llm_validation.probe.steps import change_of_success, effective_share, first_order_change
from runs.files import read_json, read_table, write_json, write_text
from runs.folder import Run
from theory._arrays import Floats
from theory.intervals import Interval, mean_interval

REFERENCE = "grpo"
"""Scheme that costs are over."""

PROMPTS, KERNEL, DIFFICULTY = "prompts.csv", "kernel.csv", "difficulty.csv"
SCHEMES, STEPS, SUMMARY = "schemes.csv", "steps.csv", "probe.json"

_STEP_COLUMNS = ("optimizer", "scheme", "size", "group", "law", "predicted", "measured", "exact")
"""What the table of steps has at least, where none was taken."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that was taken, and what it did.

    Attributes:
        optimizer: ``sgd`` or ``adam``.
        scheme: Whose update it ascends.
        size: Root mean square change of log-probabilities that was asked for, in nats.
        rate: Learning rate that gives it.
        length: ‖Δθ‖.
        first_order: ⟨∇ln π, Δθ⟩ of held-out responses, shape (prompts, responses).
        log_ratio: ln π′/π of the same.
        exact: Change of each prompt's success where it is known, else empty.
    """

    optimizer: str
    scheme: str
    size: float
    rate: float
    length: float
    first_order: Floats
    log_ratio: Floats
    exact: Floats


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a probe found.

    Attributes:
        path: The run folder.
        summary: Numbers of the kernel, with intervals; what ``probe.json`` holds.
        prompts: A row per prompt: counts, K̂_ii and the unbiased ‖∇ρ‖².
        difficulty: Mean kernel between difficulties.
        schemes: Worth and noise of each scheme's update, a row per quantity.
        steps: Steps, predicted and measured.
    """

    path: Path
    summary: dict[str, Any]
    prompts: pd.DataFrame
    difficulty: pd.DataFrame
    schemes: pd.DataFrame
    steps: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """JSON types, with None for what is not known."""
        tables = {
            "prompts": self.prompts,
            "difficulty": self.difficulty,
            "schemes": self.schemes,
            "steps": self.steps,
        }
        rows = {
            name: table.astype(object)
            .where(table.notna() & ~table.isin([np.inf]), None)
            .to_dict("records")
            for name, table in tables.items()
        }
        return {"run": str(self.path), **self.summary, **rows}


def make_report(
    run: Run,
    config: ProbeConfig,
    sampled: Sampled,
    scores: Floats,
    steps: Sequence[Step],
    parameters: int,
    sampler_gap: float,
) -> Probe:
    """Estimate everything, write the tables and finish the run.

    Args:
        run: The run folder.
        config: The configuration.
        sampled: The rollouts.
        scores: Projected scores, shape (prompts, responses, width).
        steps: Steps that were taken.
        parameters: Coordinates of a gradient.
        sampler_gap: Mean distance of the sampler's log-probabilities, in nats per token.
    """
    rollouts = sampled.rollouts
    many = len(scores)
    rewards = rollouts.rewards.reshape(many, -1)
    drawn = Resamples.draw(many, config.resamples, seed=config.seed, level=config.level)
    kernel = measure_kernel(scores, rewards)
    sharing = measure_sharing(kernel, drawn, config.training_prompts)
    summary: dict[str, Any] = {
        "config": config.to_dict(),
        "prompts_probed": many,
        "left_out": sampled.left_out,
        "responses": int(rewards.size),
        "pass_rate": float(rewards.mean()),
        "mixed": float(np.mean(kernel.variance > 0)),
        "mean_tokens": float(rollouts.length.mean()),
        "retokenised": sampled.retokenised,
        "sampler_gap": sampler_gap,
        "parameters": parameters,
        "width": int(scores.shape[-1]),
        "projection_error": 0.0 if scores.shape[-1] == parameters else scores.shape[-1] ** -0.5,
        "spread": _ends(spread_of_odds(kernel)),
        **{name: _ends(getattr(sharing, name)) for name in ("own", "others", "ratio", "sharing")},
        "sharing_in_training": _ends(sharing.in_training),
        "training_prompts": config.training_prompts or many,
        "norm_exponent": _ends(norm_exponent(kernel, drawn)),
        "hard": float(np.mean(rollouts.rewards[:, 0].mean(axis=1) <= config.hard)),
    }
    found = Probe(
        path=run.path,
        summary=summary,
        prompts=_prompts(kernel, sampled),
        difficulty=pd.DataFrame(by_difficulty(kernel, drawn)),
        schemes=_schemes(config, sampled, scores, drawn),
        steps=_steps(config, sampled, scores, drawn, steps),
    )
    smooth = smooth_kernel(kernel, drawn)
    if np.all(np.isfinite(smooth)):
        text = "\n".join(",".join(f"{value:.9g}" for value in row) for row in smooth)
        write_text(run.path / KERNEL, text + "\n")
    for name, table in (
        (PROMPTS, found.prompts),
        (DIFFICULTY, found.difficulty),
        (SCHEMES, found.schemes),
        (STEPS, found.steps),
    ):
        write_text(run.path / name, table.to_csv(index=False, float_format="%.9g"))
    write_json(run.path / SUMMARY, summary)
    _log(run, config, found)
    run.finish()
    return read_probe(run.path)


def read_probe(path: Path) -> Probe:
    """What a finished probe found, as its folder has it.

    Args:
        path: The run folder.

    Raises:
        ValueError: A table is broken or not there, or the summary is broken.
        FileNotFoundError: The summary is not there.
    """
    return Probe(
        path,
        read_json(path / SUMMARY),
        prompts=read_table(path / PROMPTS, dtype={"id": str}),
        difficulty=read_table(path / DIFFICULTY),
        schemes=read_table(path / SCHEMES),
        steps=read_table(path / STEPS),
    )


def _ends(found: Interval) -> dict[str, float | None]:
    return {
        name: float(value) if math.isfinite(value) else None
        for name, value in zip(("estimate", "low", "high"), found, strict=True)
    }


def _prompts(kernel: Kernel, sampled: Sampled) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [example.id for example in sampled.examples],
            "level": [example.metadata.get("level") for example in sampled.examples],
            "n_correct": kernel.correct.astype(int),
            "n_samples": kernel.responses,
            "kernel": np.diag(kernel.matrix),
            "squared_norm": np.diag(kernel.success_products),
        }
    )


def _schemes(
    config: ProbeConfig, sampled: Sampled, scores: Floats, drawn: Resamples
) -> pd.DataFrame:
    gains = scheme_gains(
        sampled.rollouts,
        scores,
        config.schemes,
        drawn,
        hard=config.hard,
        reference=REFERENCE,
    )
    rows = [
        {
            "scheme": gain.scheme,
            "quantity": name,
            **dict(zip(("estimate", "low", "high"), getattr(gain, name), strict=True)),
        }
        for gain in gains
        for name in ("gain", "hard", "noise", "signal", "cost", "hard_cost")
    ]
    return pd.DataFrame(rows)


def _steps(
    config: ProbeConfig,
    sampled: Sampled,
    scores: Floats,
    drawn: Resamples,
    steps: Sequence[Step],
) -> pd.DataFrame:
    size = config.group_size
    rewards = sampled.rollouts.rewards
    own, held = rewards[:, 0], rewards[:, 1:].reshape(len(rewards), -1)
    # From the responses of the update alone: independent of what steps are measured on.
    kernel = measure_kernel(scores[:, :size], own)
    laws = {scheme: law_effects(kernel, scheme, size) for scheme in config.schemes}
    groups = {"all": np.ones(len(rewards), bool), "hard": own.mean(axis=1) <= config.hard}
    rows = []
    for step in steps:
        predicted = first_order_change(held, step.first_order)
        measured = change_of_success(held, step.log_ratio)
        for group, inside in groups.items():
            if inside.sum() < 2:
                continue
            row: dict[str, Any] = {
                "optimizer": step.optimizer,
                "scheme": step.scheme,
                "size": step.size,
                "group": group,
                "prompts": int(inside.sum()),
                "rate": step.rate,
                "length": step.length,
                "rms_log_ratio": float(np.sqrt(np.mean(step.log_ratio**2))),
                "effective_share": effective_share(step.log_ratio),
            }
            law = laws[step.scheme] if step.optimizer == "sgd" else None
            if law is not None:
                effect = drawn.effect(step.rate * law, inside.astype(float))
                row |= _named("law", drawn.interval(effect))
            else:
                row |= _named("law", Interval(math.nan, math.nan, math.nan))
            for name, values in (
                ("predicted", predicted),
                ("measured", measured),
                ("difference", measured - predicted),
            ):
                row |= _named(name, mean_interval(values[inside], level=config.level))
            row["exact"] = float(step.exact[inside].mean()) if step.exact.size else math.nan
            rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else list(_STEP_COLUMNS))


def _named(name: str, found: Interval) -> dict[str, float]:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _log(run: Run, config: ProbeConfig, found: Probe) -> None:
    """The numbers in the table that every run has."""
    for name in ("spread", "ratio", "sharing", "sharing_in_training", "norm_exponent"):
        ends = {f"{name}/{end}": v for end, v in found.summary[name].items() if v is not None}
        run.log(scheme="base", seed=config.seed, step=0, **ends)
    for row in found.schemes.to_dict("records"):
        ends = {
            f"{row['quantity']}/{end}": float(row[end])
            for end in ("estimate", "low", "high")
            if math.isfinite(row[end])
        }
        run.log(scheme=str(row["scheme"]), seed=config.seed, step=0, **ends)
    for row in found.steps.to_dict("records"):
        where = f"{row['optimizer']}/{row['size']:g}/{row['group']}"
        ends = {
            f"{where}/{name}": float(row[name])
            for name in ("law", "predicted", "measured", "difference", "exact")
            if math.isfinite(row[name])
        }
        run.log(scheme=str(row["scheme"]), seed=config.seed, step=1, **ends)
