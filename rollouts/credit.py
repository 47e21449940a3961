"""What the advantages in a log are made of: outcome, shaping by component, and neither.

In every group the logged advantages are written as

    A_i = m + a (o_i − ō) + Σ_k b_k (s_ik − s̄_k) + e_i,

o the outcome, s_k the components of the reward beside it, with coefficients of the group's own by
least squares: a scheme may scale groups as it likes. m + a (o_i − ō) is the outcome's part, b_k
(s_ik − s̄_k) that of component k and e_i what neither explains, noise. As

    |A_i| = sign(A_i) · (the sum of the parts),

each part has a share of Σ|A|, its *pull*; they add up to 1, and one that pulls against the
advantages is negative. What outcome and component explain alike counts for the outcome. A component
that a response was not given adds nothing to its reward, as in TRL's sum. A group is
split if it has more responses than coefficients; noise then seems smaller than it is, by the share
of the residuals' degrees of freedom that the coefficients take.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from rollouts.groups import Booleans, Floats, Groups, Integers
from rollouts.outcomes import DIFFICULTIES, KEYS, add_up, in_bins

ROUNDING = 1e-8
"""Advantages nearer to 0 than this are 0: what equal rewards leave of rounding."""


def advantage_sums(groups: Groups) -> pd.DataFrame:
    """Sums of the logged advantages over the groups of each outcome.

    Returns:
        Columns step, size, correct; ``groups``, ``responses`` and ``zero`` (A = 0) whose advantage
        is known; ``mass`` = Σ|A| and ``mass_square`` = Σ over groups of (Σ|A|)²; ``split``, the
        part of the mass in groups that are split, of it ``outcome``, ``noise`` and
        ``component_0``, ....

    >>> from rollouts.groups import whole_groups
    >>> step, prompt = np.ones(4, np.int64), np.ones(4, np.uint64)
    >>> bonus = np.array([[1.0, 0, 1, 0]])
    >>> phantom = whole_groups(step, prompt, step < 0, advantage=bonus[0] - 0.5, components=bonus)
    >>> advantage_sums(phantom)[["mass", "outcome", "component_0"]].values.tolist()
    [[2.0, 0.0, 2.0]]
    """
    assert groups.advantage is not None
    components = groups.components
    count = 0 if components is None else components.shape[0]
    tables = []
    for size in np.unique(groups.size):
        alike = np.flatnonzero(groups.size == size)
        rows = groups.start[alike][:, None] + np.arange(size)
        advantage = groups.advantage[rows]
        known = ~np.isnan(advantage)
        advantage = np.where(known, advantage, 0.0)
        absolute = np.abs(advantage)
        mass = absolute.sum(axis=1)
        table: dict[str, np.ndarray] = {
            "step": groups.step[alike],
            "size": groups.size[alike],
            "correct": groups.correct[alike],
            "groups": np.any(known, axis=1).astype(np.int64),
            "responses": known.sum(axis=1),
            "zero": (known & (absolute <= ROUNDING)).sum(axis=1),
            "mass": mass,
            "mass_square": mass**2,
        }
        shaping = (
            np.zeros((alike.size, int(size), 0))
            if components is None
            else np.moveaxis(components[:, rows], 0, 2)
        )
        outcome, added = groups.success[rows].astype(np.float64), np.nan_to_num(shaping)
        pulls = _pulls(advantage, outcome, added, np.all(known, axis=1))
        names = ("outcome", "noise", *(f"component_{k}" for k in range(count)))
        table["split"] = pulls.sum(axis=1)
        table |= dict(zip(names, pulls.T, strict=True))
        tables.append(pd.DataFrame(table))
    return add_up(tables, KEYS)


def _pulls(advantage: Floats, outcome: Floats, shaping: Floats, whole: Booleans) -> Floats:
    """Pull of outcome, noise and each component in each group, shape (groups, 2 + components).

    Args:
        advantage: Shape (groups, size).
        outcome: Outcomes 0 and 1, of the same shape.
        shaping: Components, shape (groups, size, components).
        whole: Groups of which everything is known; the others get 0.
    """
    size = advantage.shape[1]
    correct = outcome.sum(axis=1)
    mixed = (correct > 0) & (correct < size)
    # Less their means among correct and among wrong responses, components tell what they do
    # beside the outcome.
    right, wrong = outcome, 1 - outcome
    inside = shaping - _means(shaping, right) - _means(shaping, wrong)
    scale = np.abs(shaping).max(axis=(1, 2), initial=0.0)[:, None, None]
    inside = np.where(np.abs(inside) <= 1e-12 * scale, 0.0, inside)
    # Columns of unit length, so that a component in other units is not taken for rounding.
    length = np.sqrt((inside**2).sum(axis=1))
    unit = inside / np.where(length > 0, length, 1.0)[:, None, :]
    gram = np.einsum("gik,gil->gkl", unit, unit)
    against = np.einsum("gik,gi->gk", unit, advantage)
    weight = np.einsum("gkl,gl->gk", np.linalg.pinv(gram, rcond=1e-9, hermitian=True), against)
    weight /= np.where(length > 0, length, 1.0)
    parts = weight[:, None, :] * (shaping - shaping.mean(axis=1, keepdims=True))
    left = (advantage - parts.sum(axis=2))[:, :, None]
    explained = _means(left, right) + _means(left, wrong)
    noise = (left - explained)[:, :, 0]
    sign = np.sign(advantage)
    pulls: Floats = np.concatenate(
        [
            (sign * explained[:, :, 0]).sum(axis=1, keepdims=True),
            (sign * noise).sum(axis=1, keepdims=True),
            (sign[:, :, None] * parts).sum(axis=1),
        ],
        axis=1,
    )
    used = 1 + mixed + np.any(inside != 0, axis=1).sum(axis=1)
    pulls[~whole | (size <= used)] = 0.0
    return pulls


def _means(values: Floats, among: Floats) -> Floats:
    """Means over the responses marked 1, on those responses, and 0 on the others.

    Args:
        values: Shape (groups, size, columns).
        among: 0 and 1, shape (groups, size).
    """
    count = np.maximum(among.sum(axis=1), 1.0)[:, None]
    mean = np.einsum("gik,gi->gk", values, among) / count
    spread: Floats = mean[:, None, :] * among[:, :, None]
    return spread


def credit_table(advantages: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """What the logged advantages came to, by difficulty and over the whole run.

    Args:
        advantages: Sums of :func:`advantage_sums`.
        names: Names of the components.

    Returns:
        Columns difficulty (a bin of the pass rate, last ``all``), groups, responses,
        zero_advantage (share of the responses), mass = Σ|A|, share of all mass, and of the mass
        that could be split: ``outcome``, ``shaping``, ``noise``, and a column for every
        component, shares that add up to 1; ``split``, the share of the mass that could be.
    """
    place = in_bins(advantages["size"].to_numpy(), advantages["correct"].to_numpy(), 4)
    bins: Integers = np.arange(len(DIFFICULTIES))
    sums = advantages.drop(columns=KEYS).groupby(place).sum().reindex(bins, fill_value=0)
    sums.loc[len(bins)] = sums.sum()
    split = sums["split"].where(sums["split"] > 0)
    parts = {
        name: sums[f"component_{place}"] / split
        for place, name in enumerate(names)
        if f"component_{place}" in sums
    }
    total = sums["mass"].iloc[-1]
    shares = {
        "outcome": sums["outcome"] / split,
        "shaping": sum(parts.values(), 0.0 * split),
        "noise": sums["noise"] / split,
        **parts,
    }
    table = pd.DataFrame(
        {
            "difficulty": [*DIFFICULTIES, "all"],
            "groups": sums["groups"].astype(np.int64),
            "responses": sums["responses"].astype(np.int64),
            "zero_advantage": sums["zero"] / sums["responses"].where(sums["responses"] > 0),
            "mass": sums["mass"],
            "share": sums["mass"] / (total if total > 0 else np.nan),
            "split": sums["split"] / sums["mass"].where(sums["mass"] > 0),
        }
    )
    # What rounding leaves is no share.
    return pd.concat([table, pd.DataFrame(shares).round(9) + 0.0], axis=1).reset_index(drop=True)


def parts_of(credit: pd.DataFrame) -> list[str]:
    """Names of the components in a table of :func:`credit_table`: its last columns."""
    columns = list(credit.columns)
    return columns[columns.index("noise") + 1 :]
