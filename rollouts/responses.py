"""Sums over responses, step by step: texts, log-probabilities, and LENS's advantages.

Every function takes whole groups and returns a table of sums, which add over batches; columns in
``rollouts.outcomes.LARGEST`` are maxima.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from rollouts.groups import Booleans, Floats, Groups, Integers, first_of_runs
from rollouts.outcomes import KEYS, add_up
from theory.advantages import group_advantages
from theory.schemes import Scheme

_LENS_KEYS = ("step", "size", "correct", "groups")
_LENS_VALUES = ("mass", "zero_advantage", "raised", "confidence", "advantage_largest")

OLDEST = 64
"""Ages from this one on are put together."""

_CACHED = 1 << 15
"""Responses at a time for which LENS's many intermediate arrays stay in a core's cache."""


def response_sums(groups: Groups) -> pd.DataFrame:
    """Sums over the responses of each step, of whatever is known of them.

    With δ the log-probability of a response under the trainer minus that under the sampler, w = e^δ
    is its importance ratio, and E[w − 1 − ln w] over the sampler's responses is the estimate k3 of
    KL(sampler ‖ trainer), of which every term is at least 0.

    Returns:
        Column ``step``, and of those that apply: ``texts``, ``repeated`` (responses whose text
        stands in their group already); ``confidences``, ``confidence`` = Σ π̄, ``surprise`` =
        −Σ ln π(response) over ``tokens`` tokens, each with its part from correct responses
        (``confidences_correct``, ``confidence_correct``); ``lengths``, ``length``;
        ``truncated``, ``age`` and ``characters`` with the number of responses in which they are
        known, ``truncated_known`` and so on; ``boxed_correct`` and ``restated_correct``;
        ``log_ratios``, ``log_ratio`` = Σ δ, ``log_ratio_absolute``, ``log_ratio_largest``,
        ``k3``, ``compared_tokens``, and Σ w = ``ratio``·e^``ratio_shift``, Σ w² =
        ``ratio_square``·e^(2 ``ratio_shift``).

    Source: k3: J. Schulman, Approximating KL divergence, 2020.
    """
    first = first_of_runs(groups.step)
    if not first.size:
        return pd.DataFrame({"step": groups.step})
    bounds = groups.start[first]
    table: dict[str, np.ndarray] = {"step": groups.step[first]}

    def add(name: str, values: Floats | Booleans) -> None:
        table[name] = np.add.reduceat(values.astype(np.float64, copy=False), bounds)

    rows = np.diff(np.append(bounds, groups.success.size)).astype(np.float64)

    def count(name: str, known: Booleans | None) -> None:
        table[name] = rows if known is None else np.add.reduceat(known.astype(np.float64), bounds)

    if groups.text is not None:
        add("texts", groups.text != 0)
        add("repeated", _repeated(groups))
    length = None
    if groups.length is not None:
        known, length = _known(groups.length)
        count("lengths", known)
        add("length", length)
    if groups.log_confidence is not None:
        known, log_confidence = _known(groups.log_confidence)
        confidence = np.exp(log_confidence)
        if known is not None:
            confidence[~known] = 0.0
        right = groups.success if known is None else groups.success & known
        count("confidences", known)
        add("confidence", confidence)
        add("confidences_correct", right)
        add("confidence_correct", confidence * right)
        # Without lengths every response weighs the same in the entropy.
        if length is None:
            add("surprise", -log_confidence)
            count("tokens", known)
        else:
            add("surprise", -log_confidence * length)
            add("tokens", length if known is None else length * known)
    for name in ("truncated", "age", "characters"):
        values = getattr(groups, name)
        if values is not None:
            known, found = _known(values)
            count(f"{name}_known", known)
            add(name, found)
    if groups.restated is not None:
        known, found = _known(groups.restated)
        count("boxed_correct", groups.success if known is None else groups.success & known)
        add("restated_correct", found * groups.success)
    if groups.log_ratio is not None:
        known, log_ratio = _known(groups.log_ratio)
        table |= _ratio_sums(log_ratio, known, bounds)
        if length is not None:
            add("compared_tokens", length if known is None else length * known)
    return pd.DataFrame(table)


def _known(values: Floats) -> tuple[Booleans | None, Floats]:
    """Which values are known, None if all, and the values with 0 in place of the others."""
    known = ~np.isnan(values)
    if known.all():
        return None, values
    return known, np.where(known, values, 0.0)


def _ratio_sums(
    log_ratio: Floats, known: Booleans | None, bounds: Integers
) -> dict[str, np.ndarray]:
    """Sums over runs of responses of δ, k3 and importance ratios, which a shift keeps finite."""
    absolute = np.abs(log_ratio)
    rows = np.diff(np.append(bounds, log_ratio.size))
    with np.errstate(over="ignore"):  # an infinite divergence is what such ratios mean
        excess = np.expm1(log_ratio)
    shift = np.maximum.reduceat(
        log_ratio if known is None else np.where(known, log_ratio, -np.inf), bounds
    )
    shift = np.where(np.isfinite(shift), shift, 0.0)
    ratio = np.exp(log_ratio - np.repeat(shift, rows))
    if known is not None:
        ratio[~known] = 0.0
    return {
        "log_ratios": rows.astype(np.float64)
        if known is None
        else np.add.reduceat(known.astype(np.float64), bounds),
        "log_ratio": np.add.reduceat(log_ratio, bounds),
        "log_ratio_absolute": np.add.reduceat(absolute, bounds),
        "log_ratio_largest": np.maximum.reduceat(absolute, bounds),
        "k3": np.add.reduceat(excess - log_ratio, bounds),
        "ratio_shift": shift,
        "ratio": np.add.reduceat(ratio, bounds),
        "ratio_square": np.add.reduceat(ratio * ratio, bounds),
    }


def age_sums(groups: Groups) -> pd.DataFrame:
    """Sums over the responses of each age, the number of updates since they were sampled.

    Returns:
        Columns age (``OLDEST`` stands for it and all above, −1 for what is below 0), responses,
        correct, and of log-ratios what :func:`response_sums` gives.
    """
    assert groups.age is not None
    known = np.flatnonzero(~np.isnan(groups.age))
    age = np.clip(np.floor(groups.age[known]), -1, OLDEST).astype(np.int64)
    order = np.argsort(age, kind="stable")
    age, chosen = age[order], known[order]
    first = first_of_runs(age)
    if not first.size:
        return pd.DataFrame({"age": age})
    table: dict[str, np.ndarray] = {
        "age": age[first],
        "responses": np.diff(np.append(first, age.size)),
        "correct": np.add.reduceat(groups.success[chosen].astype(np.int64), first),
    }
    if groups.log_ratio is not None:
        there, log_ratio = _known(groups.log_ratio[chosen])
        table |= _ratio_sums(log_ratio, there, first)
    return pd.DataFrame(table)


def _repeated(groups: Groups) -> Booleans:
    """Mark every response whose text stands in its group already."""
    text = groups.text
    assert text is not None
    group = np.repeat(np.arange(groups.size.size), groups.size)
    same = np.zeros(text.size, dtype=bool)
    same[1:] = (text[1:] == text[:-1]) & (group[1:] == group[:-1]) & (text[1:] != 0)
    if bool(np.all((text[1:] >= text[:-1]) | (group[1:] != group[:-1]))):
        return same  # sorted within groups, as the reader delivers them
    order = np.lexsort((text, group))
    text, group = text[order], group[order]
    sorted_same = (text[1:] == text[:-1]) & (group[1:] == group[:-1]) & (text[1:] != 0)
    same[:] = False
    same[order[1:][sorted_same]] = True
    return same


def lens_sums(groups: Groups, scheme: Scheme) -> pd.DataFrame:
    """What LENS does with the groups of each outcome.

    Groups in which a response's confidence is not known are left out.

    Args:
        groups: Groups with ``log_confidence``.
        scheme: LENS, with its options.

    Returns:
        Columns step, size, correct; ``groups``; ``mass`` = Σ|A_i|; ``zero_advantage`` = responses
        with A_i = 0; ``raised`` = wrong responses with A_i > 0; ``confidence`` = Σ over groups of
        max_j π̄_j, half of D where all are wrong; ``advantage_largest`` = max |A_i|.

    Source: arXiv 2510.08696, through :func:`theory.advantages.group_advantages`.

    >>> from rollouts.groups import whole_groups
    >>> from theory.schemes import resolve
    >>> step, prompt = np.array([1, 1]), np.array([5, 5], np.uint64)
    >>> wrong = whole_groups(step, prompt, step < 0, log_confidence=np.log([0.5, 0.25]))
    >>> table = lens_sums(wrong, resolve("lens"))
    >>> table["raised"].tolist(), table["mass"].round(4).tolist()
    ([1.0], [0.0833])
    """
    assert groups.log_confidence is not None
    correct = groups.correct
    known = np.flatnonzero(groups.sums(np.isnan(groups.log_confidence)) == 0)
    tables = []
    for size in np.unique(groups.size[known]):
        alike = known[groups.size[known] == size]
        few = max(1, _CACHED // int(size))
        values = [
            _lens_of_groups(groups, scheme, alike[low : low + few], int(size))
            for low in range(0, alike.size, few)
        ]
        joined = {name: np.concatenate([part[name] for part in values]) for name in values[0]}
        keys = {"step": groups.step[alike], "size": size, "correct": correct[alike], "groups": 1}
        tables.append(pd.DataFrame({**keys, **joined}))
    if not tables:
        types = dict.fromkeys(_LENS_KEYS, "int64") | dict.fromkeys(_LENS_VALUES, "float64")
        return pd.DataFrame(columns=list(types)).astype(types)
    return add_up(tables, KEYS)


def _lens_of_groups(
    groups: Groups, scheme: Scheme, chosen: Integers, size: int
) -> dict[str, Floats]:
    """LENS's measures of some groups of one size, one value per group."""
    assert groups.log_confidence is not None
    # Columns are contiguous, so that NumPy reduces over a group for many groups at a time.
    rows = groups.start[chosen] + np.arange(size)[:, None]
    success, log_confidence = groups.success[rows].T, groups.log_confidence[rows].T
    advantages = np.zeros(success.shape, order="F")
    if size >= scheme.minimum_group:
        whole = None
        if scheme.options["importance"] == "full":
            if groups.length is None:
                raise ValueError("lens with importance=full needs the responses' lengths")
            whole = log_confidence * groups.length[rows].T
        advantages = group_advantages(
            success.astype(np.float64),
            scheme,
            log_confidence=log_confidence,
            log_probability=whole,
        )
    absolute = np.abs(advantages)
    values = (
        absolute.sum(axis=1),
        (advantages == 0).sum(axis=1, dtype=np.float64),
        ((advantages > 0) & ~success).sum(axis=1, dtype=np.float64),
        np.exp(log_confidence.max(axis=1)),
        absolute.max(axis=1),
    )
    return dict(zip(_LENS_VALUES, values, strict=True))
