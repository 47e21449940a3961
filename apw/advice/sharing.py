"""What ``apw advise`` says of prompts that are unequal and share parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apw.advice.prompts import Prompts
from runs.files import refuse_device
from runs.terminal import table
from runs.text import interval, number, percent
from theory._arrays import Floats
from theory._comparison import WORTH_IT
from theory.prompt_sets import PromptSet
from theory.schemes import resolve
from theory.shared_advice import SharedAdvice

MOST_PROMPTS = 1024
"""Most rows of a kernel; its paths are followed with all of them."""

_LARGEST_FILE = 64 << 20
_SYMMETRIC = 1e-3
_SHOWN = 6

_TRAINED = ("O12", "O11")
"""Claims in whose simulations schemes were trained at own rates: what the theory must answer to."""


def read_kernel(path: Path) -> Floats:
    """A matrix K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩ from a ``.csv`` or ``.npy`` file.

    Args:
        path: The file; nothing in it is run, a ``.npy`` file of objects is refused.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no symmetric matrix of finite numbers with something on its diagonal.
    """
    allowed = f"a kernel is a symmetric matrix of at most {MOST_PROMPTS:,} prompts in .csv or .npy"
    refuse_device(path)
    if path.suffix not in (".csv", ".npy"):
        raise ValueError(f"{allowed}; got {path}")
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{path} is larger than 64 MiB: {allowed}")
    try:
        if path.suffix == ".npy":
            found = np.load(path, allow_pickle=False)
        else:
            found = np.loadtxt(path, delimiter=",", ndmin=2)
        matrix = np.asarray(found, dtype=np.float64)
    except (ValueError, TypeError, EOFError, MemoryError, OverflowError) as error:
        raise ValueError(f"{path} holds no matrix of numbers: {allowed}") from error
    if matrix.ndim != 2 or not 0 < matrix.shape[0] == matrix.shape[1] <= MOST_PROMPTS:
        raise ValueError(f"{path} has the shape {matrix.shape}: {allowed}")
    if not np.all(np.isfinite(matrix)):
        raise ValueError(f"{path} has entries that are not finite: {allowed}")
    scale = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > _SYMMETRIC * scale or np.any(np.diag(matrix) < 0):
        raise ValueError(f"{path} is not symmetric with a diagonal of at least 0: {allowed}")
    if not np.any(np.diag(matrix) > 0):
        raise ValueError(f"{path} has nothing on its diagonal: {allowed}")
    return matrix


def prompts_of_kernel(prompts: Prompts, kernel: Floats) -> PromptSet:
    """The prompts of a kernel's rows, by their posterior means if they were measured.

    Raises:
        ValueError: They are not given one by one, are not as many, or one is not known to be
            solved at all.
    """
    read, posterior = prompts.measured, prompts.known.posterior
    if read is None or not prompts.named or len(read.rate) != len(kernel):
        many = 0 if read is None or not prompts.named else len(read.rate)
        raise ValueError(
            f"--kernel needs a file with a prompt a row, as many as its own {len(kernel):,}; got "
            f"{many:,}"
        )
    success = read.rate if posterior is None else posterior.mean()
    if not np.all(success > 0):
        raise ValueError("--kernel needs every pass rate above 0: give the --tries behind them")
    return PromptSet(np.minimum(success, 1 - 1e-9), 0.0, len(success))


def trained_ratios() -> list[dict[str, Any]]:
    """Sqrt-R's responses over GRPO's at own rates, as the published simulations measured them."""
    from claims.records import published_checks

    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for id in _TRAINED:
        for check in published_checks("sim", id):
            if (check.scheme, check.reference, check.unit) == ("sqrt_r", "grpo", "log ratio"):
                ends = (math.exp(value) for value in (check.measurement, check.low, check.high))
                row = dict(zip(("ratio", "low", "high"), ends, strict=True))
                rows[id, check.regime] = {"claim": id, "regime": check.regime, **row}
    return list(rows.values())


def trained_words(rows: list[dict[str, Any]]) -> str:
    """What became of the theory's predictions where schemes were trained, in sentences."""

    def ends(id: str, *, scratch: bool) -> str:
        ratios = [
            row["ratio"]
            for row in rows
            if row["claim"] == id
            and row["regime"].startswith(("spread from scratch", "0.01")) == scratch
        ]
        return f"{number(min(ratios), decimals=2)} to {number(max(ratios), decimals=2)}"

    told = ", ".join(
        f"{ends(id, scratch=True)} from scratch and {ends(id, scratch=False)} after fine-tuning "
        f"(claim {id})"
        for id in _TRAINED
    )
    return (
        "Trained at own learning rates in the simulator, Sqrt-R's responses over GRPO's were "
        f"{told}: count on no more, whatever a reading promises.{_fastest_power()}"
    )


def _fastest_power() -> str:
    """What training showed of power laws: whether one was the fastest of all that were tried."""
    from claims.records import published_checks

    checks = [
        check
        for check in published_checks("sim", "O12")
        if check.scheme.startswith("power:") and check.reference.startswith("power:")
    ]
    if not checks or any(check.verdict != "confirmed" for check in checks):
        return ""
    return (
        f" Of {len(checks) + 1} weights ρ^−a(1−ρ)^−b {checks[0].scheme} was the fastest there, "
        "whichever the readings name."
    )


def sharing_data(found: SharedAdvice, sharing: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fields of ``--json``."""
    return {
        "spread": found.spread._asdict(),
        "sharing": sharing,
        "readings": {reading: dict(costs) for reading, costs in found.cost.items()},
        "power": {
            reading: {"a": a, "b": b, "cost": cost} for reading, (a, b, cost) in found.power.items()
        },
        "steady": found.steady,
        "trained": rows,
    }


def sharing_words(
    found: SharedAdvice, sharing: float, measured: bool, rows: list[dict[str, Any]]
) -> list[str]:
    """The section of the answer.

    Args:
        found: Costs by reading.
        sharing: s, told or that of the kernel.
        measured: Whether a kernel was given.
        rows: What training showed, see :func:`trained_ratios`.
    """
    spread = number(found.spread.estimate, decimals=1)
    if found.spread.low < found.spread.high:
        spread += f" ({interval(found.spread.low, found.spread.high, decimals=1)})"
    how = (
        f"the kernel of these prompts, whose sharing is {number(sharing, decimals=2)} on the whole"
        if measured
        else f"a share of {sharing:g} of an update that acts on all alike (--sharing)"
    )
    present = resolve(found.present).label
    names = sorted(next(iter(found.cost.values())), key=lambda name: found.range(name)[1])
    others = [name for name in names if found.range(name) != (1.0, 1.0)]  # DAPO is GRPO here
    shown = [*others[: _SHOWN - 1], found.present]
    costs = [
        [resolve(name).label, *(number(by[name], decimals=2) for by in found.cost.values())]
        for name in shown
    ]
    laws = [f"{a:g}, {b:g}: {number(cost, decimals=2)}" for a, b, cost in found.power.values()]
    heads = ["long, constant", "long, equal", "few, constant", "few, equal"]
    rows_of_table = [*costs, ["best ρ^−a(1−ρ)^−b, a, b", *laws]]
    steady = found.steady
    if steady == found.present:
        verdict = (
            f"No scheme saves {WORTH_IT:.0%} over {present} by all four readings: what would be "
            "best hangs on what is not known."
        )
    else:
        low, high = found.range(steady)
        verdict = (
            f"By every reading {resolve(steady).label} saves at least {percent(1 - high)}, at most "
            f"{percent(1 - low)}."
        )
    return [
        f"Prompts that share: log-odds spread by {spread}, {how}.",
        f"Cost over {present}'s, for long responses and for few answers, whose scores fall silent "
        "where a prompt is solved, and for a constant rate and equal steps, about what Adam takes:",
        table(["scheme", *heads], rows_of_table, right="l" + "r" * len(heads)),
        verdict,
        trained_words(rows),
    ]


def hangs_on(found: SharedAdvice, recommended: str) -> str:
    """A clause for a recommendation that not every reading makes; else nothing."""
    costs: Mapping[str, float] = next(iter(found.cost.values()))
    if recommended not in costs or recommended == found.present:
        return ""
    low, high = found.range(recommended)
    if high <= 1 - WORTH_IT:
        return ""
    return (
        f"; by other readings of the noise {percent(1 - high)} to {percent(1 - low)}, see below: "
        "try it before you trust it"
    )
