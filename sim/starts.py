"""Initial success probabilities ρ₀ of the prompts: a point, a spread, or a file of pass rates.

A start is written as a number or as a reference: ``0.01``, ``"beta:1,9"``,
``"loguniform:0.001,0.5"``, ``"file:results/base/pass_rates.csv"``.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import stats

from runs.pass_rates import Floats, Measured, read_measured
from runs.text import percent, plural
from theory.beta_binomial import PassRateModel, fit_pass_rates
from theory.prompt_sets import IN_REACH, PromptSet, known_set, measured_set

Start = float | str | Measured
"""A start that can be drawn from: what was measured has been read."""

LEAST = 1e-12
"""Smallest ρ₀ a prompt may have: at ρ = 0 no learner here ever sees a correct response."""

_FORMS = "a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or 'file:path'"


def initial_success(start: Start, prompts: int, generator: np.random.Generator) -> Floats:
    """Draw the initial success probability of each prompt, hardest first.

    A distribution is represented by its quantiles at (i + u)/n with one common u ~ U(0, 1), so
    that every set of prompts has the distribution's spread. Prompts that were measured are drawn
    with replacement unless there are exactly as many as are wanted; if it is known how many tries
    measured them, each gets a draw from its posterior under a Beta-binomial fit to all counts
    (:mod:`theory.beta_binomial`), and its pass rate otherwise. Probabilities below 1e-12 or above
    1 − 1e-12 become these.

    Args:
        start: What :func:`read_start` returns, or anything it takes but a file.
        prompts: Number of prompts, at least 1.
        generator: Source of randomness.

    Returns:
        float64 array of shape (prompts,), ascending, inside (0, 1).

    Raises:
        ValueError: A start that cannot be read; the message says what is allowed.

    Source: systematic (stratified) sampling.

    >>> initial_success("loguniform:0.01,0.5", 3, np.random.default_rng(0)).round(3).tolist()
    [0.023, 0.085, 0.311]
    """
    if not isinstance(start, Measured):
        start = read_start(start)
    if isinstance(start, Measured):
        return np.clip(np.sort(_drawn(start, prompts, generator)), LEAST, 1 - LEAST)
    if isinstance(start, str):
        kind, _, rest = start.partition(":")
        first, second = (float(part) for part in rest.split(","))
        levels = (np.arange(prompts) + generator.random()) / prompts
        distribution = (
            stats.beta(first, second) if kind == "beta" else stats.loguniform(first, second)
        )
        quantiles: Floats = np.asarray(distribution.ppf(levels), dtype=np.float64)
        return np.clip(quantiles, LEAST, 1 - LEAST)
    return np.full(prompts, start)


def _drawn(start: Measured, prompts: int, generator: np.random.Generator) -> Floats:
    place = np.arange(start.rate.size)
    if start.rate.size != prompts:
        place = generator.choice(start.rate.size, size=prompts)
    if start.tries is None:
        return start.rate[place]
    fit = _fit(start.correct.tobytes(), start.tries.tobytes())
    return fit.posterior(start.correct[place], start.tries[place]).sample(generator)


@functools.lru_cache(maxsize=4)
def _fit(correct: bytes, tries: bytes) -> PassRateModel:
    """Fit to counts, float64 as bytes: every seed draws from the same one."""
    return fit_pass_rates(np.frombuffer(correct), np.frombuffer(tries))


def read_start(start: float | str, column: str = "pass_rate", tries: int | None = None) -> Start:
    """Read a start: the pass rates of a file, and anything else as it is once it is checked.

    Args:
        start: A number in (0, 1), ``"beta:a,b"``, ``"loguniform:low,high"`` or ``"file:path"``.
        column: Column of the file's pass rates, as :func:`runs.pass_rates.read_measured` takes it.
        tries: Responses that measured each pass rate, where the file does not say it.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: A start that cannot be read; the message says what is allowed.

    >>> read_start("0.5")
    0.5
    >>> read_start(1.5)
    Traceback (most recent call last):
    ...
    ValueError: start must be a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or \
'file:path'; got 1.5
    """
    kind, _, rest = str(start).partition(":")
    if kind == "file" and rest:
        return read_measured(rest, column, None, tries)
    if column != "pass_rate" or tries is not None:
        raise ValueError("column and tries belong to a start from a file, 'file:path'")
    if not isinstance(start, str) or _is_number(start):
        if not 0 < float(start) < 1:
            raise ValueError(f"start must be {_FORMS}; got {start}")
        return float(start)
    parts = rest.split(",")
    if kind not in ("beta", "loguniform") or len(parts) != 2 or not all(map(_is_number, parts)):
        raise ValueError(f"start must be {_FORMS}; got {start!r}")
    first, second = (float(part) for part in parts)
    if kind == "beta" and not (0 < first < np.inf and 0 < second < np.inf):
        raise ValueError(f"both shape parameters of a beta start must be positive; got {start!r}")
    if kind == "loguniform" and not 0 < first < second < 1:
        raise ValueError(f"a loguniform start needs 0 < low < high < 1; got {start!r}")
    return start


def measured_in_words(read: Measured, known: PromptSet) -> list[str]:
    """What was read of measured prompts and what became of zeros, in sentences.

    Args:
        read: What was read.
        known: What it says of the prompts.
    """
    fit, zeros = known.fit, int(np.sum(read.rate == 0))
    count = plural(read.rate.size, "prompt")
    if fit is None or read.tries is None or known.posterior is None:
        words = [
            f"{count}, with pass rates taken as exact: how many tries they are from is not"
            " known (--tries says it)."
        ]
        if zeros:
            words.append(f"The {zeros:,} of them with pass rate 0 are taken as out of reach.")
        return words
    low, high = int(read.tries.min()), int(read.tries.max())
    tries = f"{low}" if low == high else f"{low} to {high}"
    never = float(np.mean(known.posterior.all_wrong(low)))
    spread = f"Beta({fit.a:.3g}, {fit.b:.3g})"
    if fit.never:
        spread += f", and 0 for {percent(fit.never)}"
    words = [
        f"{count}, measured with {tries} tries each: {zeros:,} "
        f"({percent(zeros / read.rate.size)}) never solved.",
        f"Their pass rates are spread as {spread}, by maximum likelihood; {low} more tries "
        f"would leave {percent(never)} of the prompts unsolved.",
    ]
    if known.out_of_reach > 0:
        words.append(
            f"By that {percent(known.out_of_reach)} are out of reach: solved less than "
            f"once in {1 / IN_REACH:,.0f} responses, which no scheme changes."
        )
    if fit.message:
        words.append(f"The counts leave open how pass rates are spread: {fit.message}.")
    if read.guessed:
        words.append(
            f"Every rate is a multiple of 1/{read.guessed}: taken as {read.guessed} tries "
            "(--tries says otherwise)."
        )
    return words


def drawn_in_words(start: Measured, success: Floats, target: float) -> list[str]:
    """What was measured and what a simulation makes of it, in sentences.

    Args:
        start: What was measured.
        success: ρ₀ of the prompts under the first seed.
        target: Mean success to reach.
    """
    if start.tries is None:
        known, drawn = known_set(start.rate), "starts at the pass rate of a prompt of the file"
    else:
        known = measured_set(start.correct, start.tries, draws=0)
        drawn = "starts at a draw from the posterior of a prompt of the file"
    words = measured_in_words(start, known)
    none, hard = int(np.sum(success <= LEAST)), int(np.sum(success < IN_REACH))
    words.append(f"Every simulated prompt {drawn}, separately under every seed.")
    if hard:
        parts = f"{hard:,} of {success.size:,} start below {IN_REACH:g}"
        if none:
            parts += f", {none:,} of them at 0, for which {LEAST:g} stands"
        words.append(f"Under the first seed {parts}.")
    others = 1 - hard / success.size
    if others < target:
        words.append(
            f"The other {percent(others)} alone cannot have a mean of {target:g}: it is reached "
            "only if prompts that are hardly ever solved are solved in the end."
        )
    return words


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
