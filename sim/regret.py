"""What choosing prompts without knowing their pass rates loses, as the rates move.

An update takes B of N prompts, in groups of M. A response to a prompt at ρ is worth v = ρ(1−ρ), the
variance of its verdict; who knows all ρ takes the B prompts of most worth. The others have counts
that fade by a factor at every update, K and n, and a prior that is the set's own spread:
Beta(a + K, b + n − K). Of each prompt they take

    the mean:      E[v] = αβ/((α+β)(α+β+1)),
    Thompson:      v at a draw of ρ from the posterior,
    the optimist:  the largest v within the central 90 % of the posterior,

and then the B largest. Log-odds walk at random by σ an update, whoever is chosen, so that all face
the same rates. Nothing learns here: training moves rates by what is chosen, which the simulator of
policies has (claim S3).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.special import betaincinv, expit, logit

from runs.seeds import stream
from theory._arrays import Floats
from theory.intervals import mean_interval

Index = Callable[[Floats, Floats, np.random.Generator], Floats]

_CENTRAL = (0.05, 0.95)
"""Ends of the central part of a posterior."""


def mean_worth(right: Floats, wrong: Floats, generator: np.random.Generator) -> Floats:
    """E[ρ(1−ρ)] under Beta(right, wrong).

    >>> mean_worth(np.array([1.0]), np.array([1.0]), np.random.default_rng(0)).round(3).tolist()
    [0.167]
    """
    total = right + wrong
    return right * wrong / (total * (total + 1))


def drawn_worth(right: Floats, wrong: Floats, generator: np.random.Generator) -> Floats:
    """ρ(1−ρ) of a draw from Beta(right, wrong)."""
    rho = generator.beta(right, wrong)
    return np.asarray(rho * (1 - rho))


def hoped_worth(right: Floats, wrong: Floats, generator: np.random.Generator) -> Floats:
    """The largest ρ(1−ρ) within the central 90 % of Beta(right, wrong).

    >>> hoped_worth(np.array([3.0, 0.2]), np.array([3.0, 90.0]), np.random.default_rng(0)).round(2)
    array([0.25, 0.01])
    """
    low, high = (betaincinv(right, wrong, end) for end in _CENTRAL)
    rho = np.clip(0.5, low, high)
    return np.asarray(rho * (1 - rho))


INDICES: Mapping[str, Index] = {
    "mean": mean_worth,
    "Thompson": drawn_worth,
    "optimist": hoped_worth,
}
"""What prompts are ranked by, largest first."""


@dataclasses.dataclass(frozen=True)
class RegretSetting:
    """A set of prompts, and how it is sampled.

    Attributes:
        prior: (a, b) of the Beta distribution that pass rates start from, known to all.
        prompts: N.
        batch: B.
        group_size: M.
        updates: Updates.
        seeds: Sets of prompts that are tried.

    The defaults are the rates of Qwen2.5-Coder-0.5B on MATH, and eight epochs.

    Raises:
        ValueError: A batch of all prompts, or of none.
    """

    prior: tuple[float, float] = (0.137, 1.52)
    prompts: int = 512
    batch: int = 64
    group_size: int = 16
    updates: int = 64
    seeds: int = 20

    def __post_init__(self) -> None:
        """Check that there is something to choose."""
        if not 1 <= self.batch < self.prompts:
            raise ValueError(
                f"batch must lie in [1, prompts), with {self.prompts} prompts; got {self.batch}"
            )


def shares(index: Index, drift: float, keep: float, setting: RegretSetting) -> Floats:
    """Share of the oracle's lead over chance that an index has, one per seed.

    Args:
        index: What prompts are ranked by.
        drift: σ, the standard deviation of what logit ρ moves by from one update to the next.
        keep: Factor by which counts fade at every update.
        setting: Prompts and batches.
    """
    found = np.empty(setting.seeds)
    for seed in range(setting.seeds):
        world, own = (stream(seed, "regret", who) for who in (0, 1))
        a, b = setting.prior
        levels = world.beta(a, b, setting.prompts)
        odds = logit(np.clip(levels, 1e-12, 1 - 1e-12))
        seen = np.zeros((2, setting.prompts))
        mine = oracle = chance = 0.0
        for _ in range(setting.updates):
            rho = expit(odds)
            worth = rho * (1 - rho)
            ranks = index(a + seen[0], b + seen[1] - seen[0], own)
            # Equal ranks in random order.
            order = np.lexsort((own.random(setting.prompts), -ranks))[: setting.batch]
            mine += worth[order].sum()
            oracle += np.sort(worth)[-setting.batch :].sum()
            chance += setting.batch * worth.mean()
            seen *= keep
            seen[0, order] += own.binomial(setting.group_size, rho[order])
            seen[1, order] += setting.group_size
            odds = odds + drift * world.standard_normal(setting.prompts)
        found[seed] = (mine - chance) / (oracle - chance)
    return found


def regret_table(
    drifts: tuple[float, ...] = (0.0, 0.1, 0.3),
    keeps: tuple[float, ...] = (1.0, 0.9),
    setting: RegretSetting | None = None,
) -> pd.DataFrame:
    """Shares of the oracle's lead that are lost, with 95 % intervals over seeds.

    Args:
        drifts: Values of σ.
        keeps: Factors by which counts fade.
        setting: Prompts and batches.

    Returns:
        Columns drift, keep, index, regret, low, high, seeds.
    """
    chosen = setting or RegretSetting()
    rows = []
    for drift in drifts:
        for keep in keeps:
            for name, index in INDICES.items():
                lost = 1 - shares(index, drift, keep, chosen)
                rows.append((drift, keep, name, *mean_interval(lost), lost.size))
    columns = ["drift", "keep", "index", "regret", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description="Lost shares of the oracle's lead, by index.")
    options.add_argument("--seeds", type=int, default=RegretSetting.seeds, help="sets of prompts")
    setting = RegretSetting(seeds=options.parse_args().seeds)
    print(regret_table(setting=setting).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
