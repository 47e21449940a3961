"""Times to a target that the theory predicts for a simulation, beside those that were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sim.summary import THEORY_CLOCKS, time_to_target
from theory.optimal import optimal_weight
from theory.schemes import schemes_by_name


def predicted_ratios(
    config: Mapping[str, Any], clock: str, *, reference: str = "grpo"
) -> dict[str, float]:
    """Predicted times to the target relative to a scheme, for a simulation's configuration.

    The prediction is T·B/T*B* of theory.md, sections 3 and 4, with the weights of finite groups;
    it holds for one success probability at the start, the mirror or natural learner, fixed groups,
    small steps and equal budgets. On the clock 1/ρ there is one for the population alone: groups
    that are used as they come have not waited.

    Args:
        config: Configuration of a simulation, as in its ``config.json``.
        clock: ``updates``, ``responses`` or ``first_success``.
        reference: Scheme that the others are compared with.

    Returns:
        Ratio by scheme; empty where the theory makes no prediction.

    Raises:
        ValueError: An unknown scheme.

    Source: theory.md, sections 3 and 4.

    >>> config = {"schemes": ["grpo", "sqrt_r"], "start": 0.01, "target": 0.9, "group_size": None,
    ...           "learner": "mirror", "comparison": "same_budget"}
    >>> round(predicted_ratios(config, "first_success")["sqrt_r"], 3)
    0.643
    """
    predicts = (
        isinstance(config["start"], int | float)
        and config["learner"] in ("mirror", "natural")
        and config["comparison"] == "same_budget"
        and config.get("sampling", "fixed") == "fixed"
        and reference in config["schemes"]
        and (config["group_size"] is None) >= (clock == "first_success")
    )
    if not predicts:
        return {}
    # Every update of fixed groups draws as many responses.
    paid = THEORY_CLOCKS["updates" if clock == "responses" else clock]
    best = optimal_weight(config["start"], config["target"], clock=paid)
    schemes = [n for n, scheme in schemes_by_name(config["schemes"]).items() if scheme.has_table]
    excess = best.excess_of_all(schemes, group_size=config["group_size"])
    return {name: excess[name] / excess[reference] for name in schemes}


def clocks_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Clocks that the updates of a simulation pay for, and what they count.

    Groups are paid for by the responses that were drawn; in the population, and where the mirror
    learner follows the expected drift, nothing is drawn, and the clock is a model's own.

    >>> clocks_of({"learner": "softmax", "group_size": 16, "sampling": "until_mixed"})
    {'responses': 'responses drawn', 'updates': 'updates'}
    >>> clocks_of({"learner": "mirror", "group_size": None})
    {'first_success': 'responses, one correct per update', 'updates': 'updates'}
    """
    words = {name: clock.title for name, clock in THEORY_CLOCKS.items()}
    if config["learner"] != "mirror":
        words["responses"] = "responses drawn"
        # Updates with fixed groups are responses but for a factor.
        names = ["responses"] + ["updates"] * (config.get("sampling", "fixed") != "fixed")
    else:
        names = ["first_success"] * (config["group_size"] is None) + ["updates"]
    return {name: words[name] for name in names}


def time_to_target_table(
    metrics: pd.DataFrame, config: Mapping[str, Any], *, reference: str = "grpo"
) -> pd.DataFrame:
    """Times to the target of a simulation, with the theory's prediction where there is one.

    Args:
        metrics: Metrics of a simulation.
        config: Its configuration.
        reference: Scheme that the others are compared with.

    Returns:
        The columns of :func:`sim.summary.time_to_target` and ``predicted``, the predicted ratio.

    Raises:
        ValueError: Success was not measured.

    Source: theory.md, sections 3 and 4.
    """
    times = time_to_target(metrics, config["target"], reference=reference)
    clocks = list(clocks_of(config))
    times = times[times["clock"].isin(clocks)].reset_index(drop=True)
    predictions = {c: predicted_ratios(config, c, reference=reference) for c in clocks}
    times["predicted"] = [
        predictions[clock].get(scheme, math.nan)
        for clock, scheme in zip(times["clock"], times["scheme"], strict=True)
    ]
    return times
