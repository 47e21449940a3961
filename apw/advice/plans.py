"""A plan as a file: a table by prompt, or what prime-rl's sampler of difficulty pools makes of it.

TRL takes the chances themselves (``WeightedGRPOTrainer(prompt_probability=…)``), and
``apw train --plan-counts`` and our sampler for verl plan again from counts as training goes.

prime-rl puts a task into a pool by the mean reward of its latest group, and draws tasks in
proportion to the weights of their pools; one that was not tried yet weighs 1. With a pool for each
K of M the weights can be those of a plan,

    w_K = P(low ≤ ρ < high | K of M) / P(low ≤ ρ < high),

by the distribution that the counts were fitted by: the same rule, from the latest group alone.

Source: prime-rl, ``DifficultyPoolSampler`` (docs/algorithms.md, "Curriculum").
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from runs.files import write_text
from runs.ownership import refuse_foreign
from theory.beta_binomial import PassRateModel
from theory.rollout_plan import RolloutPlan

_TABLE = "id,probability,group_size"
_POOLS = "# Written by apw advise --plan: a pool for each number of correct responses in a group."
ENDINGS = (".csv", ".toml")


def refuse_plan(path: Path) -> None:
    """Refuse a name that no plan can be written under, before anything is worked out.

    Raises:
        ValueError: Another ending, or a file there that ``apw advise`` did not write.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(
            f"--plan takes a table's name, which ends in .csv, or one for prime-rl that ends in "
            f".toml; got {path}"
        )
    begins = _TABLE if path.suffix == ".csv" else _POOLS
    refuse_foreign(path, "apw advise", begins=begins)


def write_plan(
    path: Path, rows: Sequence[Mapping[str, Any]], plan: RolloutPlan, fit: PassRateModel
) -> None:
    """Write a plan, whole or not at all.

    Args:
        path: File that ends in ``.csv`` or ``.toml``.
        rows: ``id``, ``probability`` and ``group_size`` of every prompt.
        plan: The plan they are of.
        fit: How pass rates are spread over prompts.
    """
    if path.suffix == ".toml":
        write_text(path, f"{_POOLS}\n{prime_rl_pools(plan, fit)}")
        return
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False)
    write_text(path, text.getvalue())


def prime_rl_pools(plan: RolloutPlan, fit: PassRateModel) -> str:
    """The curriculum of a train source in prime-rl's configuration.

    >>> from theory.prompt_sets import measured_set
    >>> from theory.rollout_plan import plan_rollouts
    >>> found = measured_set([0, 0, 2, 5, 8, 8], 8)
    >>> text = prime_rl_pools(plan_rollouts(found, group_size=2, target=0.8), found.fit)
    >>> text.count("threshold"), text.splitlines()[0]
    (3, '[orchestrator.train.source.curriculum.sampler]')
    """
    size = plan.group_size
    correct = np.arange(size + 1.0)
    inside = _inside(plan, fit, correct, np.full(size + 1, float(size)))
    weights = inside / _inside(plan, fit, np.zeros(1), np.zeros(1))
    # Halfway between the means of groups, which are sums of floats; the last pool takes all above.
    pools = {
        f"solved_{int(k)}_of_{size}": {"threshold": (k + 0.5) / size, "weight": float(weight)}
        for k, weight in zip(correct, weights, strict=True)
    }
    sampler = {"type": "difficulty_pool", "pools": pools}
    return tomli_w.dumps(
        {"orchestrator": {"train": {"source": {"curriculum": {"sampler": sampler}}}}}
    )


def _inside(
    plan: RolloutPlan, fit: PassRateModel, correct: np.ndarray, tries: np.ndarray
) -> np.ndarray:
    """Chance that a pass rate lies in the pool, given counts."""
    below = fit.posterior(correct, tries).below([plan.low, min(plan.high, 1 - 1e-12)])
    return np.asarray(below[:, 1] - below[:, 0])
