"""Time to the target by theory, simulation and language model, on one axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from claims.metrics import CEILING, Metrics
from claims.verdicts import Finding
from runs.files import read_table
from theory.designs import DesignName, excess_of_all
from theory.intervals import mean_interval

SETTINGS = {
    "from scratch": ("A4", 0.01, "rule-from-scratch"),
    "after fine-tuning": ("A5", 0.4, "rule-post-sft"),
}
"""Setting → the claim it belongs to, its ρ₀, and its runs of the language model."""

THEORIES: dict[str, DesignName] = {
    "theory, fixed groups": "fixed",
    "theory, groups until mixed": "until_mixed",
}
"""Series of the theory → its sampling design."""

SIMULATIONS = {
    f"{stage}{suffix}": f"simulation, {words}"
    for stage in SETTINGS
    for suffix, words in (
        (", Adam", "Adam"),
        ("", "plain steps"),
        (", tokens, Adam", "answers of tokens, Adam"),
    )
}
"""Regime of the simulation → the series it belongs to."""

LANGUAGE_MODEL = "language model, own best rates"
SERIES = (*THEORIES, *dict.fromkeys(SIMULATIONS.values()), LANGUAGE_MODEL)
SCHEMES = ("rloo", "linear_r", "sqrt_r", "uniform_r")
REFERENCE = "grpo"
TARGET, GROUP_SIZE = 0.9, 16


def sources_table(
    findings: Mapping[str, Finding] | None = None,
    outcomes: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Times to the target relative to GRPO's, of every source that has them.

    Args:
        findings: Claim → finding of the simulator, with the samples of its checks.
        outcomes: Setting of the language model → its outcomes: scheme, seed and reached.

    Returns:
        Columns setting, series, scheme, ratio (of responses, geometric mean over seeds; for the
        theory exact, of responses × path energy, in which no scheme's scale counts), low, high (95%
        Student's t over paired seeds), seeds (0 for the theory).

    Source: theory.md, section 4.

    >>> table = sources_table()
    >>> chosen = (table["scheme"] == "sqrt_r") & (table["setting"] == "from scratch")
    >>> table[chosen]["ratio"].round(3).tolist()  # fixed groups of 16, and until they are mixed
    [1.175, 1.17]
    """
    rows: list[tuple[object, ...]] = []
    for setting, (claim, start, runs) in SETTINGS.items():
        for series, design in THEORIES.items():
            excess = excess_of_all(
                [*SCHEMES, REFERENCE],
                design=design,
                group_size=GROUP_SIZE,
                start=start,
                target=TARGET,
            )
            for scheme in SCHEMES:
                ratio = excess[scheme] / excess[REFERENCE]
                rows.append((setting, series, scheme, ratio, ratio, ratio, 0))
        logs: list[tuple[str, str, Sequence[float]]] = []
        if findings and claim in findings:
            logs += _of_finding(findings[claim])
        if outcomes and runs in outcomes:
            logs += _of_outcomes(outcomes[runs])
        for series, scheme, values in logs:
            if len(values):
                clipped = np.clip(values, -CEILING, CEILING)
                numbers = (float(np.exp(x)) for x in mean_interval(clipped))
                rows.append((setting, series, scheme, *numbers, len(clipped)))
    columns = ["setting", "series", "scheme", "ratio", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


class Foretold(NamedTuple):
    """How well a simulation foretells the language model, over schemes and settings.

    Attributes:
        series: The simulation.
        pairs: Schemes in settings that both have.
        correlation: Spearman's, of the ratios; NaN below three pairs.
        miss: The larger of the two ratios over the smaller, where they differ most.
        scheme: Where that is.
        setting: The same.
    """

    series: str
    pairs: int
    correlation: float
    miss: float
    scheme: str
    setting: str


def foretold(table: pd.DataFrame) -> list[Foretold]:
    """How well each simulation in :func:`sources_table` foretells the language model.

    >>> rows = [("from scratch", name, scheme, ratio) for name, ratios in
    ...         (("simulation, Adam", (0.9, 1.0, 1.1)), (LANGUAGE_MODEL, (0.6, 1.0, 2.2)))
    ...         for scheme, ratio in zip(("sqrt_r", "linear_r", "rloo"), ratios)]
    >>> table = pd.DataFrame(rows, columns=["setting", "series", "scheme", "ratio"])
    >>> [(round(f.correlation, 3), round(f.miss, 3), f.scheme) for f in foretold(table)]
    [(1.0, 2.0, 'rloo')]
    """
    wide = table.pivot(index=["scheme", "setting"], columns="series", values="ratio")
    found = []
    for series in dict.fromkeys(SIMULATIONS.values()):
        if {series, LANGUAGE_MODEL} <= set(wide):
            pair = wide[[series, LANGUAGE_MODEL]].dropna()
            if len(pair):
                apart = np.abs(np.log(pair[series] / pair[LANGUAGE_MODEL]))
                order = pair.corr("spearman").to_numpy()[0, 1] if len(pair) > 2 else np.nan
                scheme, setting = pair.index[int(np.argmax(apart))]
                miss = float(np.exp(apart.max()))
                found.append(Foretold(series, len(pair), float(order), miss, scheme, setting))
    return found


def read_outcomes(folder: Path) -> dict[str, pd.DataFrame]:
    """Outcomes of the language model's settings, as ``claims.language_model`` publishes them.

    Args:
        folder: Folder with ``<setting>/outcomes.csv``; settings that are not there are left out.

    Raises:
        ValueError: A table without the columns scheme, seed and reached.
    """
    found = {}
    for _, _, runs in SETTINGS.values():
        file = folder / runs / "outcomes.csv"
        if file.exists():
            found[runs] = read_table(file)
            missing = {"scheme", "seed", "reached"} - set(found[runs])
            if missing:
                raise ValueError(f"{file} lacks the column {min(missing)!r}")
    return found


def _of_finding(found: Finding) -> Iterator[tuple[str, str, list[float]]]:
    """Series, scheme and log-ratios of the checks that compare a scheme with GRPO."""
    for check in found.checks:
        if check.reference == REFERENCE and check.scheme in SCHEMES:
            samples = np.asarray(check.samples, dtype=float)
            logs = samples if check.unit == "log ratio" else np.log(samples)
            yield SIMULATIONS[check.regime], check.scheme, list(logs)


def _of_outcomes(outcomes: pd.DataFrame) -> Iterator[tuple[str, str, list[float]]]:
    metrics = Metrics("", outcomes, outcomes.rename(columns={"reached": "time"}))
    there = set(metrics.schemes())
    for scheme in SCHEMES:
        if {scheme, REFERENCE} <= there:
            yield LANGUAGE_MODEL, scheme, list(metrics.log_ratio(scheme, REFERENCE))
