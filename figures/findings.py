"""Sentences computed from results: what was seen, how sure it is, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from figures.curves import readings
from figures.style import in_order, title
from sim.prediction import time_to_target_table
from sim.summary import THEORY_CLOCKS, crossing
from theory.intervals import FEWEST_FOR_BOOTSTRAP, band_over_seeds
from theory.optimal import optimal_weight

_CLOCKS = {name: THEORY_CLOCKS[name].name for name in ("first_success", "updates")}
"""Clock of a simulation → what it counts."""

HALFWAY = 0.5
"""Success at which the training of language models is timed."""

COLLAPSED = 0.5
"""A run has collapsed if it ends below this share of the success it started from."""


def theory_table(
    schemes: Sequence[str], *, starts: Sequence[float], target: float, group_size: int
) -> pd.DataFrame:
    """Excess times: one row per start and clock, one column per scheme.

    Args:
        schemes: Names of schemes.
        starts: Success probabilities at the start.
        target: Success probability to reach.
        group_size: M of the finite-group rows.

    Returns:
        Columns start, clock, groups and one per scheme.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: theory.md, sections 3 and 4.

    >>> theory_table(["grpo"], starts=[0.01], target=0.9, group_size=16)["grpo"].round(3).tolist()
    [1.555, 2.288, 1.0]
    """
    rows = []
    for start in starts:
        for clock, size in (("responses", None), ("responses", group_size), ("updates", None)):
            best = optimal_weight(start, target, clock=clock)
            excess = best.excess_of_all(schemes, group_size=size, hypothetical=True)
            groups = "M → ∞" if size is None else f"M = {size}"
            rows.append({"start": start, "clock": clock, "groups": groups, **excess})
    return pd.DataFrame(rows)


def theory_findings(*, target: float, group_size: int) -> list[str]:
    """What the excess times say about GRPO, from scratch and after supervised training.

    Args:
        target: Success probability to reach.
        group_size: M.

    Returns:
        Sentences.

    Raises:
        ValueError: A target not above 0.4.

    Source: theory.md, sections 3 and 4.
    """
    scratch, tuned = optimal_weight(0.01, target), optimal_weight(0.4, target)
    limit, finite = scratch.excess("grpo"), scratch.excess("grpo", group_size, hypothetical=True)
    sqrt = scratch.excess("sqrt_r", group_size, hypothetical=True)
    late = tuned.excess("grpo", group_size, hypothetical=True)
    later = (
        "so there is next to nothing to win by another weight"
        if late < 1.05
        else "so another weight could still save time"
    )
    sentences = [
        f"When responses are what costs, the optimal weight is that of {title('sqrt_r')}. From a "
        f"success probability of 1%, {title('grpo')} takes {limit:.2f} times the optimal time in "
        f"the limit of large groups, and {finite:.2f} times with {group_size} responses per "
        f"prompt, where {title('sqrt_r')} takes {sqrt:.2f} times: {title('grpo')} needs "
        f"{finite / sqrt:.2f} times as long as {title('sqrt_r')}.",
        f"From a success probability of 40%, {title('grpo')} in groups of {group_size} takes "
        f"{late:.2f} times the optimal time, {later}.",
    ]
    if math.isclose(optimal_weight(0.01, target, clock="updates").excess("grpo"), 1, rel_tol=1e-6):
        sentences.append(
            f"When updates are what costs, {title('grpo')}'s own weight is the optimum."
        )
    return sentences


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

    Source: the run itself; predictions from theory.md, sections 3 and 4.
    """
    table = time_to_target_table(metrics, config, reference=reference)
    sentences = []
    for clock, counted in _CLOCKS.items():
        part = table[(table["clock"] == clock) & (table["scheme"] != reference)]
        verdicts = [
            f"{title(str(row['scheme']))} {_verdict(row)}"
            for row in part.sort_values("ratio").to_dict("records")
        ]
        sentences.append(
            f"Counted in {counted}, with {title(reference)}'s time as 1: {'; '.join(verdicts)}."
        )
    predicted = table[table["predicted"].notna() & (table["scheme"] != reference)]
    predicted = predicted[np.isfinite(predicted["ratio"])]
    if len(predicted):
        gap = (predicted["ratio"] / predicted["predicted"] - 1).abs()
        worst = predicted.loc[gap.idxmax()]
        sentences.append(
            f"The theory for groups of this size predicts these ratios with a mean error of "
            f"{gap.mean():.1%}; it is furthest off for {title(str(worst['scheme']))}, counted in "
            f"{_CLOCKS[str(worst['clock'])]}: {worst['ratio']:.2f} measured, "
            f"{worst['predicted']:.2f} predicted. It assumes small steps, while the simulation "
            "takes steps of finite size."
        )
    failed = table[(table["reached"] < table["seeds"]) & (table["clock"] == "updates")]
    for row in failed.to_dict("records"):
        sentences.append(
            f"{title(str(row['scheme']))} reached the target in {row['reached']} of "
            f"{row['seeds']} seeds only."
        )
    return sentences


def training_findings(metrics: pd.DataFrame, *, reference: str = "grpo") -> list[str]:
    """Where the training of a language model ended, and whether the schemes can be told apart.

    Args:
        metrics: Metrics of a training run.
        reference: Scheme that the others are compared with.

    Returns:
        Sentences.

    Raises:
        ValueError: Neither success nor reward was measured.

    Source: the run itself.
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
            f"{_seeds(len(last))}"
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
            _difference(scheme, reference, ends[scheme][1], ends[reference][1])
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
        ratios = np.log(steps[scheme] / steps[reference])
        if scheme == reference or np.all(steps[reference] == 0):
            continue
        low, high = (float(np.exp(end[0])) for end in band_over_seeds(ratios[:, None]))
        row = {"ratio": float(np.exp(ratios.mean())), "ratio_low": low, "ratio_high": high}
        sentences.append(
            f"Steps until that probability is {HALFWAY:.0%}: {title(reference)} "
            f"{steps[reference].mean():.0f}, {title(scheme)} {steps[scheme].mean():.0f}; with "
            f"{title(reference)}'s as 1, {title(scheme)} {_verdict(row)}, "
            + (
                "95% bootstrap interval."
                if len(ratios) >= FEWEST_FOR_BOOTSTRAP
                else f"the range of {_seeds(len(ratios))}: a hint at most."
            )
        )
    return sentences


def _verdict(row: Mapping[Any, Any]) -> str:
    ratio, low, high = row["ratio"], row["ratio_low"], row["ratio_high"]
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


def _difference(scheme: str, reference: str, values: np.ndarray, base: np.ndarray) -> str:
    names = f"{title(scheme)} and {title(reference)}"
    if len(values) != len(base) or len(values) == 1:
        return f"{names} were run with too few seeds to be compared."
    differences = values - base
    low, high = (float(end[0]) for end in band_over_seeds(differences[:, None]))
    kind = (
        f"95% interval over {len(values)} paired seeds"
        if len(values) >= FEWEST_FOR_BOOTSTRAP
        else f"range of {len(values)} paired seeds"
    )
    numbers = (
        f"{100 * differences.mean():+.2f} points ({kind}: {100 * low:+.2f} to {100 * high:+.2f})"
    )
    numbers = numbers.replace("-", "−")
    if low <= 0 <= high:
        return (
            f"{names}: the difference at the end is {numbers}, which includes 0: a run this short "
            "does not tell them apart."
        )
    if len(values) < FEWEST_FOR_BOOTSTRAP:
        return (
            f"{names}: the difference at the end is {numbers}, of one sign in every seed, which is "
            "a hint and, with so few seeds, no more."
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


def _seeds(number: int) -> str:
    return "one seed" if number == 1 else f"{number} seeds"
