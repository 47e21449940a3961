"""O9: noise dose orders the entropy kept, and PSR and NSR change places near a base of ½.

All schemes run at one common rate, which is the point: PSR and NSR have the same expected update
and different noise. They are compared where held-out pass@1 has risen by as much, see
:mod:`sim.matched`. Large dose: 4 prompts per update; small dose: 16.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family
from claims.spec import bound
from claims.verdicts import Check, Finding, compared, finding, said
from runs.text import number, percent
from sim.matched import at_place
from theory._arrays import Floats
from theory.noise import noise_dose

PLACE, GROUP = "held_out/pass@1=+0.05", 8
DOSES = {"large dose": 4, "small dose": 16}
"""Prompts per update."""

_PAIR = ("psr", "nsr")
_SIDES = dict(zip(("0.2", "0.4", "0.6", "0.8"), ("low", "below", "above", "high"), strict=True))


def theory_o9() -> list[Check]:
    """Noise dose of PSR over that of NSR, by pass rate."""
    return [
        bound("O9", "theory", name).check(
            "noise dose",
            [noise_dose("psr", rate, GROUP) / noise_dose("nsr", rate, GROUP)],
            **compared("psr", "nsr", "ratio", f"pass rate {rate:g}", exact=True),
        )
        for name, rate in (("main", 0.5), ("low", 0.2), ("high", 0.8))
    ]


def simulation_o9(lab: Lab) -> Finding:
    """Noise dose orders the entropy kept, and PSR and NSR change places near a base of ½."""
    every: list[Floats] = []
    within: list[Floats] = []
    lead: list[Check] = []
    words = []
    for regime in family("dose").fields:
        runs = [_run(lab, regime, dose) for dose in DOSES]
        found = [_kept(run) for run in runs]
        kept, doses = [pd.concat(parts, axis=1) for parts in zip(*found, strict=True)]
        every.append(_correlations(doses, kept))
        within += [_correlations(dose, entropy) for entropy, dose in found]
        large = runs[0]
        tries = at_place(large.table, PLACE, "held_out/pass@256")
        lead.append(
            bound("O9", "sim", _SIDES[regime.removeprefix("base ")]).check(
                "held-out pass@256",
                (tries["psr"] - tries["nsr"]).dropna().to_numpy(),
                **compared("psr", "nsr", "difference", f"{regime}, large dose"),
            )
        )
        words.append(_in_words(large, tries, found[0][0]))
    quantity = "rank correlation of noise dose and entropy kept"
    checks = [
        bound("O9", "sim", name).check(f"{quantity}, {over}", _mean(parts))
        for name, over, parts in (
            ("main", "schemes and doses", every),
            ("within", "schemes of one dose", within),
        )
    ]
    return finding("O9", said(simulation_o9), [*checks, *lead], words, quick=lab.quick)


def _run(lab: Lab, regime: str, dose: str) -> Metrics:
    config = family("dose").config(regime, lab, batch=DOSES[dose])
    name = f"{regime} {dose}".replace(" ", "-")
    return Metrics(f"{regime}, {dose}", lab.run(config, name), prefix="held_out/")


def _kept(run: Metrics) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share of the held-out entropy kept at the place, and noise dose at the start, by seed."""
    there = at_place(run.table, PLACE, "held_out/entropy")
    kept = {scheme: there[scheme] / run.first(scheme, "entropy") for scheme in run.schemes()}
    plain = Metrics(run.name, run.table)
    dose = {scheme: plain.first(scheme, "noise_dose") for scheme in run.schemes()}
    return pd.DataFrame(kept), pd.DataFrame(dose, index=there.index)


def _correlations(dose: pd.DataFrame, kept: pd.DataFrame) -> Floats:
    """Spearman's correlation of every seed, over the runs that got there."""
    found = []
    for one, other in zip(dose.to_numpy(), kept.to_numpy(), strict=True):
        known = np.isfinite(other)
        enough = known.sum() > 3
        found.append(stats.spearmanr(one[known], other[known])[0] if enough else np.nan)
    return np.asarray(found)


def _mean(parts: list[Floats]) -> Floats:
    """Mean over bases, one per seed; of those that have one."""
    table = np.stack(parts)
    some = table[:, np.isfinite(table).any(axis=0)]
    mean: Floats = np.nanmean(some, axis=0)
    return mean


def _in_words(run: Metrics, tries: pd.DataFrame, kept: pd.DataFrame) -> str:
    base = float(run.first("psr", "pass@256").mean())
    missing = int(tries[list(_PAIR)].isna().any(axis=1).sum())
    lost = f", {missing} of {len(tries)} pairs do not get there" if missing else ""
    shares = " and ".join(f"{percent(kept[name].mean())} under {name.upper()}" for name in _PAIR)
    return (
        f"{run.name}: held-out pass@256 {number(base, 3)} before training; of the entropy "
        f"{shares} is kept{lost}"
    )
