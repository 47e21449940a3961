"""Tidy tables of a run's rollouts: a row per step or bin of steps, and gradient mass by difficulty.

The *gradient mass* of a group under a scheme is Σ_i |A_i| over its responses: the sum of the
absolute advantages with which their score functions enter the update. A table gives sums over
groups and their shares. A response with A_i = 0 has *zero advantage* and teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rollouts.groups import Integers
from rollouts.outcomes import DIFFICULTIES, KEYS, PASS_RATES, add_up, in_bins, scheme_mass
from rollouts.tally import Rollouts, bins_of_steps
from theory.schemes import Scheme

MOST_ROWS = 1000
"""With more steps than these a row is a bin of steps."""


def step_table(rollouts: Rollouts, scheme: Scheme, *, rows: int = MOST_ROWS) -> pd.DataFrame:
    """What happened at each step, or in each of at most ``rows`` bins of equally many steps.

    Args:
        rollouts: What is known.
        scheme: The scheme that was trained with.
        rows: At most so many rows.

    Returns:
        Columns step and last_step; groups, responses, smallest_group, largest_group; pass_rate
        (share of correct responses); all_wrong, mixed and all_right (shares of the groups);
        zero_advantage (share of the responses with advantage 0 under the scheme); of those that are
        known: logged_zero_advantage (the same share by the advantages in the log),
        logged_mass_all_wrong (share of their Σ|A| in all-wrong groups), logged_outcome and
        logged_noise (shares of outcome and noise in it); length or characters; truncated (share of
        responses that were cut off); age (mean updates since sampling); restated (share of the
        correct boxed answers that only say the problem again);
        repeated (share of responses whose text stands in their group already);
        confidence (mean π̄), confidence_correct, confidence_wrong, entropy (−Σ ln π over tokens, per
        token); log_ratio (mean δ), log_ratio_absolute (mean |δ|), log_ratio_largest,
        log_ratio_per_token (Σ|δ| over tokens), k3 and effective_sample_size ((Σw)²/(n Σw²), a
        share); and ``groups 0``, ``groups (0, 0.1]``, ...: groups by pass rate.

    Source: definitions; k3 as in ``rollouts.responses``.
    """
    outcomes = rollouts.outcomes
    start = bins_of_steps(outcomes["step"].to_numpy(), rows)
    table = _group_columns(outcomes, start)
    mass = _mass(rollouts, scheme)
    summed = mass.groupby(_bins_of(mass["step"], outcomes["step"], rows))
    table["zero_advantage"] = _ratio(summed["zero_advantage"].sum(), summed["responses"].sum())
    sums = rollouts.responses.assign(
        step=_bins_of(rollouts.responses["step"], outcomes["step"], rows)
    )
    table = table.join(_response_columns(add_up([sums], ["step"]).set_index("step")))
    if rollouts.advantages is not None:
        table = table.join(_logged(rollouts.advantages, outcomes["step"], rows))
    place = in_bins(outcomes["size"].to_numpy(), outcomes["correct"].to_numpy(), 10)
    for number, name in enumerate(PASS_RATES):
        counted = outcomes["groups"].where(place == number, 0)
        table[f"groups {name}"] = counted.groupby(start).sum()
    return table.rename_axis("step").reset_index()


def _bins_of(steps: pd.Series, among: pd.Series, rows: int) -> Integers:
    """First step of each step's bin, the bins being those of the steps ``among``."""
    every = np.unique(among.to_numpy())
    first = bins_of_steps(every, rows)
    return first[np.searchsorted(every, steps.to_numpy())]


def _group_columns(outcomes: pd.DataFrame, start: Integers) -> pd.DataFrame:
    size, correct, groups = (outcomes[name] for name in ("size", "correct", "groups"))
    rows = pd.DataFrame(
        {
            "groups": groups,
            "responses": groups * size,
            "pass_rate": groups * correct,
            "all_wrong": groups * (correct == 0),
            "all_right": groups * (correct == size),
        }
    ).groupby(start)
    total = rows.sum()
    mixed = total["groups"] - total["all_wrong"] - total["all_right"]
    return pd.DataFrame(
        {
            "last_step": outcomes["step"].groupby(start).max(),
            "groups": total["groups"],
            "responses": total["responses"],
            "smallest_group": size.groupby(start).min(),
            "largest_group": size.groupby(start).max(),
            "pass_rate": total["pass_rate"] / total["responses"],
            "all_wrong": total["all_wrong"] / total["groups"],
            "mixed": mixed / total["groups"],
            "all_right": total["all_right"] / total["groups"],
        }
    )


def _response_columns(sums: pd.DataFrame) -> pd.DataFrame:
    table: dict[str, pd.Series] = {}
    if "lengths" in sums:
        table["length"] = _ratio(sums["length"], sums["lengths"])
    if "texts" in sums:
        table["repeated"] = _ratio(sums["repeated"], sums["texts"])
    if "confidences" in sums:
        known, right = sums["confidences"], sums["confidences_correct"]
        table["confidence"] = _ratio(sums["confidence"], known)
        table["confidence_correct"] = _ratio(sums["confidence_correct"], right)
        wrong = sums["confidence"] - sums["confidence_correct"]
        table["confidence_wrong"] = _ratio(wrong, known - right)
        table["entropy"] = _ratio(sums["surprise"], sums["tokens"])
    if "boxed_correct" in sums:
        table["restated"] = _ratio(sums["restated_correct"], sums["boxed_correct"])
    for name in ("truncated", "age", "characters"):
        if name in sums:
            table[name] = _ratio(sums[name], sums[f"{name}_known"])
    if "log_ratios" in sums:
        known = sums["log_ratios"]
        table |= _ratio_columns(sums)
        if "compared_tokens" in sums:
            table["log_ratio_per_token"] = _ratio(
                sums["log_ratio_absolute"], sums["compared_tokens"]
            )
    return pd.DataFrame(table, index=sums.index)


def _ratio_columns(sums: pd.DataFrame) -> dict[str, pd.Series]:
    known = sums["log_ratios"]
    return {
        "log_ratio": _ratio(sums["log_ratio"], known),
        "log_ratio_absolute": _ratio(sums["log_ratio_absolute"], known),
        "log_ratio_largest": sums["log_ratio_largest"].where(known > 0),
        "k3": _ratio(sums["k3"], known),
        "effective_sample_size": _ratio(sums["ratio"] ** 2, known * sums["ratio_square"]),
    }


def _logged(advantages: pd.DataFrame, among: pd.Series, rows: int) -> pd.DataFrame:
    """What the advantages in the log came to in each bin of steps."""
    wrong = advantages["mass"].where(advantages["correct"] == 0, 0.0)
    sums = (
        advantages.assign(step=_bins_of(advantages["step"], among, rows), wrong=wrong)
        .groupby("step")
        .sum()
    )
    return pd.DataFrame(
        {
            "logged_zero_advantage": _ratio(sums["zero"], sums["responses"]),
            "logged_mass_all_wrong": _ratio(sums["wrong"], sums["mass"]),
            "logged_outcome": _ratio(sums["outcome"], sums["split"]),
            "logged_noise": _ratio(sums["noise"], sums["split"]),
        }
    )


def age_table(rollouts: Rollouts) -> pd.DataFrame | None:
    """Responses by the number of updates since they were sampled; None where it is not known.

    Returns:
        Columns age, responses, share of the responses, pass_rate, and with log-probabilities of
        trainer and sampler those of :func:`step_table` that compare them.
    """
    if rollouts.ages is None:
        return None
    ages = rollouts.ages
    table = pd.DataFrame(
        {
            "age": ages["age"],
            "responses": ages["responses"],
            "share": ages["responses"] / ages["responses"].sum(),
            "pass_rate": ages["correct"] / ages["responses"],
        }
    )
    return table.assign(**_ratio_columns(ages)) if "log_ratios" in ages else table


def _ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """Quotient, NaN where there is nothing to divide by."""
    return numerator / denominator.where(denominator > 0)


def _mass(rollouts: Rollouts, scheme: Scheme) -> pd.DataFrame:
    """Outcomes with their mass, zero-advantage responses and all responses under a scheme."""
    if scheme.needs_confidence:
        if rollouts.lens is None:
            raise ValueError(
                f"{scheme.name} needs log-probabilities and lengths of the responses: name their "
                "columns with --log-prob and --length"
            )
        found = rollouts.lens[[*KEYS, "groups", "mass", "zero_advantage"]]
    else:
        outcomes = rollouts.outcomes
        found = pd.concat([outcomes, scheme_mass(scheme, outcomes)], axis=1)
    return found.assign(responses=found["groups"] * found["size"])


def mass_table(
    rollouts: Rollouts, schemes: Mapping[str, Scheme], *, rows: int = MOST_ROWS
) -> pd.DataFrame:
    """Gradient mass by difficulty under schemes, for each step or bin of steps.

    Under LENS only groups whose responses' confidences are all known count.

    Args:
        rollouts: What is known.
        schemes: Name in the table → scheme.
        rows: At most so many bins of steps; 1 for the whole run.

    Returns:
        Columns step, scheme, difficulty (a bin of the pass rate), groups, responses, mass = Σ|A_i|,
        share of the step's mass under the scheme (NaN if there is none), and zero_advantage, the
        number of responses with A_i = 0.

    Raises:
        ValueError: A scheme that needs what is not known.

    Source: exact from the table of outcomes; LENS from its advantages.
    """
    tables = [_mass_of_scheme(rollouts, name, scheme, rows) for name, scheme in schemes.items()]
    return pd.concat(tables, ignore_index=True)


def _mass_of_scheme(rollouts: Rollouts, name: str, scheme: Scheme, rows: int) -> pd.DataFrame:
    mass = _mass(rollouts, scheme)
    place = in_bins(mass["size"].to_numpy(), mass["correct"].to_numpy(), 4)
    start = _bins_of(mass["step"], rollouts.outcomes["step"], rows)
    steps, row = np.unique(start, return_inverse=True)
    sums = {}
    for column in ("groups", "responses", "mass", "zero_advantage"):
        table = np.zeros((steps.size, len(DIFFICULTIES)))
        np.add.at(table, (row, place), mass[column].to_numpy(np.float64))
        sums[column] = table
    total = sums["mass"].sum(axis=1, keepdims=True)
    share = np.divide(sums["mass"], total, out=np.full_like(sums["mass"], np.nan), where=total > 0)
    return pd.DataFrame(
        {
            "step": np.repeat(steps, len(DIFFICULTIES)),
            "scheme": name,
            "difficulty": np.tile(DIFFICULTIES, steps.size),
            "groups": sums["groups"].ravel().astype(np.int64),
            "responses": sums["responses"].ravel().astype(np.int64),
            "mass": sums["mass"].ravel(),
            "share": share.ravel(),
            "zero_advantage": sums["zero_advantage"].ravel().astype(np.int64),
        }
    )


def lens_on_all_wrong(rollouts: Rollouts, *, rows: int = 1) -> pd.DataFrame | None:
    """What LENS would do with the groups that are all wrong; None without log-probabilities.

    Returns:
        Columns step; groups; confidence (mean over groups of max_j π̄_j, half of D);
        advantage (mean |A_i|) and advantage_largest; raised (share of the responses with A_i > 0:
        those less confident than their group's mean penalty); and share of LENS's whole gradient
        mass that lies in them.

    Source: arXiv 2510.08696, sections 3 and 4.
    """
    if rollouts.lens is None:
        return None
    lens = rollouts.lens.assign(
        step=_bins_of(rollouts.lens["step"], rollouts.outcomes["step"], rows)
    )
    everything = lens.groupby("step")["mass"].sum()
    wrong = lens[lens["correct"] == 0]
    if wrong.empty:
        return pd.DataFrame(
            columns=[
                "step",
                "groups",
                "confidence",
                "advantage",
                "advantage_largest",
                "raised",
                "share",
            ]
        )
    responses = (wrong["groups"] * wrong["size"]).groupby(wrong["step"]).sum()
    sums = wrong.groupby("step")[["groups", "confidence", "mass", "raised"]].sum()
    return pd.DataFrame(
        {
            "groups": sums["groups"],
            "confidence": sums["confidence"] / sums["groups"],
            "advantage": sums["mass"] / responses,
            "advantage_largest": wrong.groupby("step")["advantage_largest"].max(),
            "raised": sums["raised"] / responses,
            "share": _ratio(sums["mass"], everything.reindex(sums.index)),
        }
    ).reset_index()
