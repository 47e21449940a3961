"""Sentences on a run: who was sooner, how sure that is, and what cannot be decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from claims.curves import readings
from runs.text import plural
from sim.prediction import clocks_of, time_to_target_table
from sim.rates import compared_at
from sim.summary import crossing, paired_ratio
from sim.times_text import outcome_in_words
from theory.intervals import mean_interval
from theory.schemes import in_order, title

HALFWAY = 0.5
"""Success at which the training of language models is timed."""

COLLAPSED = 0.5
"""A run has collapsed if it ends below this share of the success it started from."""


def simulation_findings(
    metrics: pd.DataFrame, config: Mapping[str, Any], *, reference: str = "grpo"
) -> list[str]:
    """Who reached the target sooner than the reference, as far as the intervals tell.

    Args:
        metrics: Metrics of a simulation.
        config: Its configuration.
        reference: Scheme that the others are compared with.

    Returns:
        Sentences.

    Raises:
        ValueError: Success was not measured.
    """
    table = time_to_target_table(metrics, config, reference=reference)
    compared = compared_at(config)
    sentences = []
    clocks = clocks_of(config)
    for clock, counted in clocks.items():
        part = table[(table["clock"] == clock) & (table["scheme"] != reference)]
        verdicts = [
            f"{title(str(row['scheme']))} {_compared(row)}"
            for row in part.sort_values("ratio").to_dict("records")
        ]
        sentences.append(
            f"Counted in {counted}, all schemes at {compared}, with {title(reference)}'s time as "
            f"1: {'; '.join(verdicts)}."
        )
    predicted = table[table["predicted"].notna() & (table["scheme"] != reference)]
    predicted = predicted[np.isfinite(predicted["ratio"])]
    if len(predicted):
        gap = (predicted["ratio"] / predicted["predicted"] - 1).abs()
        worst = predicted.loc[gap.idxmax()]
        sentences.append(
            f"The theory for groups of this size predicts these ratios with a mean error of "
            f"{gap.mean():.1%}; it is furthest off for {title(str(worst['scheme']))}, counted in "
            f"{clocks[str(worst['clock'])]}: {worst['ratio']:.2f} measured, "
            f"{worst['predicted']:.2f} predicted. It assumes small steps, while the simulation "
            "takes steps of finite size."
        )
    failed = table[(table["reached"] < table["seeds"]) & (table["clock"] == next(iter(clocks)))]
    for row in failed.to_dict("records"):
        sentences.append(
            f"{title(str(row['scheme']))} reached the target in {row['reached']} of "
            f"{row['seeds']} seeds only: {outcome_in_words(row)}."
        )
    return sentences


def simulation_headline(
    metrics: pd.DataFrame, config: Mapping[str, Any], *, reference: str = "grpo"
) -> str:
    """What a simulation found, in one sentence with its number and interval.

    It is of the scheme that is soonest on what its updates pay for.

    Args:
        metrics: Metrics of a simulation.
        config: Its configuration.
        reference: Scheme that the others are compared with.

    Raises:
        ValueError: Success was not measured.
    """
    table = time_to_target_table(metrics, config, reference=reference)
    clock, counted = next(iter(clocks_of(config).items()))
    others = table[(table["clock"] == clock) & (table["scheme"] != reference)]
    others = others[np.isfinite(others["ratio"])].sort_values("ratio")
    base = title(reference)
    if others.empty:
        return f"No simulated scheme can be compared with {base}."
    row = others.iloc[0]
    name, ratio = title(str(row["scheme"])), f"{row['ratio']:.2f} times"
    among = f"{config['prompts']} simulated prompts"
    interval = f"95% interval {row['ratio_low']:.2f} to {row['ratio_high']:.2f}"
    if row["ratio_high"] < 1:
        return (
            f"{name} brings {among} to {config['target']:g} soonest, with {ratio} as many "
            f"{counted} as {base} ({interval})."
        )
    found = f"brings {among} to {config['target']:g} sooner than {base}"
    if row["ratio_low"] > 1:
        return f"No scheme {found}; the next, {name}, takes {ratio} its {counted} ({interval})."
    return f"No scheme surely {found}: {name} takes {ratio} its {counted} ({interval})."


def training_findings(metrics: pd.DataFrame, *, reference: str = "grpo") -> list[str]:
    """Where the training of a language model ended, and whether the schemes can be told apart.

    Args:
        metrics: Metrics of a training run.
        reference: Scheme that the others are compared with.

    Returns:
        Sentences.

    Raises:
        ValueError: Neither success nor reward was measured.
    """
    measured = set(metrics["metric"])
    metric = "success" if "success" in measured else "reward"
    if metric not in measured:
        raise ValueError("the run has neither success nor reward")
    word = "success probability on held-out prompts" if metric == "success" else "mean reward"
    ends = {
        scheme: _first_and_last(metrics[metrics["scheme"] == scheme], metric)
        for scheme in in_order(metrics["scheme"].unique())
    }
    sentences = []
    for scheme, (first, last) in ends.items():
        collapsed = int(np.sum(last < COLLAPSED * first))
        sentence = (
            f"{title(scheme)}: {word} from {first.mean():.1%} to {last.mean():.1%} on average over "
            f"{plural(len(last), 'seed')}"
        )
        if len(last) > 1:
            sentence += f", from {last.min():.1%} in the worst to {last.max():.1%} in the best"
        if collapsed:
            sentence += (
                f"; in {collapsed} of {len(last)} it collapsed, that is, ended below half of where "
                "it started"
            )
        sentences.append(sentence + ".")
    if metric == "success":
        sentences += _halfway(metrics, list(ends), reference)
    if reference in ends:
        sentences += [
            _at_the_end(scheme, reference, ends[scheme][1], ends[reference][1])
            for scheme in ends
            if scheme != reference
        ]
    wrong = _all_wrong(metrics)
    if wrong:
        sentences.append(wrong)
    return sentences


def _halfway(metrics: pd.DataFrame, schemes: Sequence[str], reference: str) -> list[str]:
    """Steps until success is 50%, relative to the reference."""
    success = readings(metrics, "success").sort_values("reading")
    steps = {
        scheme: np.array(
            [
                crossing(run["reading"].to_numpy(), run["value"].to_numpy(), HALFWAY)
                for _, run in success[success["scheme"] == scheme].groupby("seed")
            ]
        )
        for scheme in schemes
    }
    if reference not in steps or not np.all(np.isfinite(np.concatenate(list(steps.values())))):
        reached = [
            f"{title(scheme)} in {int(np.isfinite(times).sum())} of {len(times)}"
            for scheme, times in steps.items()
        ]
        return [f"A success probability of {HALFWAY:.0%} was reached by {' and '.join(reached)}."]
    sentences = []
    for scheme in schemes:
        if scheme == reference or np.all(steps[reference] == 0):
            continue
        ratio, low, high = paired_ratio(steps[scheme], steps[reference])
        row = {"ratio": ratio, "ratio_low": low, "ratio_high": high}
        seeds = len(steps[scheme])
        sentences.append(
            f"Steps until that probability is {HALFWAY:.0%}: {title(reference)} "
            f"{steps[reference].mean():.0f}, {title(scheme)} {steps[scheme].mean():.0f}; with "
            f"{title(reference)}'s as 1, {title(scheme)} {_compared(row)}, "
            + ("one seed." if seeds == 1 else f"95% interval over {seeds} paired seeds.")
        )
    return sentences


def _compared(row: Mapping[Any, Any]) -> str:
    ratio, low, high = row["ratio"], row["ratio_low"], row["ratio_high"]
    if row.get("diverged") and not math.isfinite(ratio):
        return "is not compared, as a run diverged"
    if row.get("too_soon"):
        return "was there within 5 updates, too soon to be compared"
    if not math.isfinite(ratio) and row.get("reached", 0) == row.get("seeds"):
        return "is not compared"
    if not math.isfinite(ratio):
        return "did not reach the target in every seed"
    numbers = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
    if low <= 1 <= high:
        return f"cannot be told apart, {numbers}"
    return f"{'sooner' if ratio < 1 else 'later'}, {numbers}"


def _first_and_last(metrics: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """First and last values of every seed; rewards, which scatter, averaged over a tenth."""
    chosen = metrics[metrics["metric"] == metric].sort_values("step")
    runs = [run["value"].to_numpy() for _, run in chosen.groupby("seed")]
    size = [1 if metric == "success" else max(1, len(run) // 10) for run in runs]
    first = [run[:n].mean() for run, n in zip(runs, size, strict=True)]
    last = [run[-n:].mean() for run, n in zip(runs, size, strict=True)]
    return np.array(first), np.array(last)


def _at_the_end(scheme: str, reference: str, values: np.ndarray, base: np.ndarray) -> str:
    names = f"{title(scheme)} and {title(reference)}"
    if len(values) != len(base) or len(values) == 1:
        return f"{names} were run with too few seeds to be compared."
    difference, low, high = (100 * end for end in mean_interval(values - base))
    numbers = (
        f"{difference:+.2f} points (95% interval over {len(values)} paired seeds: {low:+.2f} to "
        f"{high:+.2f})"
    ).replace("-", "−")
    if low <= 0 <= high:
        return (
            f"{names}: the difference at the end is {numbers}, which includes 0: a run this short "
            "does not tell them apart."
        )
    return f"{names}: the difference at the end is {numbers}, which does not include 0."


def _all_wrong(metrics: pd.DataFrame) -> str:
    chosen = metrics[metrics["metric"] == "groups_all_wrong"]
    if chosen.empty:
        return ""
    steps = np.sort(chosen["step"].unique())
    tenth = max(1, len(steps) // 10)
    first = chosen[chosen["step"].isin(steps[:tenth])]["value"].mean()
    parts = [
        f"{part[part['step'].isin(steps[-tenth:])]['value'].mean():.0%} with {title(str(scheme))}"
        for scheme, part in chosen.groupby("scheme", sort=False)
    ]
    return (
        f"At the start {first:.0%} of the groups had no correct response at all, and hence taught "
        f"nothing to schemes that ignore them; at the end {' and '.join(parts)}."
    )
