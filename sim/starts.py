"""Initial success probabilities ρ₀ of the prompts: a point, a spread, or a file of pass rates.

A start is written as a number or as a reference: ``0.01``, ``"beta:1,9"``,
``"loguniform:0.001,0.5"``, ``"file:results/base/pass_rates.csv"``.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from runs.pass_rates import Floats, read_pass_rates

LEAST = 1e-12
"""Smallest ρ₀ a prompt may have: at ρ = 0 no learner here ever sees a correct response."""

_FORMS = "a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or 'file:path'"


def initial_success(start: float | str, prompts: int, generator: np.random.Generator) -> Floats:
    """Draw the initial success probability of each prompt, hardest first.

    A distribution is represented by its quantiles at (i + u)/n with one common u ~ U(0, 1), so
    that every set of prompts has the distribution's spread; a file is resampled with replacement
    unless it has exactly as many rows as there are prompts. Rates of 0 and 1 in a file become
    1e-12 from either end: a prompt never solved in a measurement is not one that cannot be solved.

    Args:
        start: A number in (0, 1), ``"beta:a,b"``, ``"loguniform:low,high"`` or ``"file:path"``.
        prompts: Number of prompts, at least 1.
        generator: Source of randomness.

    Returns:
        float64 array of shape (prompts,), ascending, inside (0, 1).

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: A start that cannot be read; the message says what is allowed.

    Source: systematic (stratified) sampling.

    >>> initial_success("loguniform:0.01,0.5", 3, np.random.default_rng(0)).round(3).tolist()
    [0.023, 0.085, 0.311]
    """
    check_start(start)
    if isinstance(start, str) and not _is_number(start):
        kind, _, rest = start.partition(":")
        if kind == "file":
            rates = read_pass_rates(rest)
            if len(rates) != prompts:
                rates = generator.choice(rates, size=prompts)
            return np.clip(np.sort(rates), LEAST, 1 - LEAST)
        first, second = (float(part) for part in rest.split(","))
        levels = (np.arange(prompts) + generator.random()) / prompts
        distribution = (
            stats.beta(first, second) if kind == "beta" else stats.loguniform(first, second)
        )
        quantiles: Floats = np.asarray(distribution.ppf(levels), dtype=np.float64)
        return np.clip(quantiles, LEAST, 1 - LEAST)
    return np.full(prompts, float(start))


def check_start(start: float | str) -> None:
    """Raise a ``ValueError`` saying what is allowed unless ``start`` can be read.

    >>> check_start(1.5)
    Traceback (most recent call last):
    ...
    ValueError: start must be a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or \
'file:path'; got 1.5
    """
    if not isinstance(start, str) or _is_number(start):
        if not 0 < float(start) < 1:
            raise ValueError(f"start must be {_FORMS}; got {start}")
        return
    kind, _, rest = start.partition(":")
    if kind == "file" and rest:
        read_pass_rates(rest)
        return
    parts = rest.split(",")
    if kind not in ("beta", "loguniform") or len(parts) != 2 or not all(map(_is_number, parts)):
        raise ValueError(f"start must be {_FORMS}; got {start!r}")
    first, second = (float(part) for part in parts)
    if kind == "beta" and not (0 < first < np.inf and 0 < second < np.inf):
        raise ValueError(f"both shape parameters of a beta start must be positive; got {start!r}")
    if kind == "loguniform" and not 0 < first < second < 1:
        raise ValueError(f"a loguniform start needs 0 < low < high < 1; got {start!r}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
