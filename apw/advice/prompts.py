"""Success probabilities of a set of prompts: one number, a histogram, or a file of pass rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runs.pass_rates import check_count, read_pass_rates, repeated


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Prompts by their success probability.

    Attributes:
        success: ρ of each prompt in (0, 1], shape (prompts,).
        unsolved: Prompts that were left out because no response to them was ever correct.
    """

    success: np.ndarray
    unsolved: int = 0


def prompts_from(
    *,
    start: float,
    rates: Path | None = None,
    histogram: Sequence[str] = (),
    column: str = "pass_rate",
    count: str | None = None,
    tries: int | None = None,
) -> Prompts:
    """Success probabilities from the options of ``apw advise``.

    With K of n responses correct, ``tries`` = n makes (K + ½)/(n + 1) of K/n, the posterior mean
    under Jeffreys' prior: no prompt is impossible or certain. Without it prompts with pass rate 0
    are left out.

    Args:
        start: ρ of every prompt, in (0, 1), if neither rates nor a histogram are given.
        rates: File of pass rates, as :func:`runs.pass_rates.read_pass_rates` reads them, or
            outcomes of responses, as :func:`rollouts.diagnose` does: lists or counts of correct
            responses by prompt, or the log of a training run, of which the latest steps count.
        histogram: RATE:PROMPTS, the number of prompts with a pass rate, such as ``0.25:40``.
        column: Column of the pass rates in the file.
        count: Column of the number of prompts with each; every row is one prompt without it.
        tries: Responses that each pass rate was measured with.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: What was given is no set of pass rates, in a sentence.

    >>> prompts_from(start=0.5, histogram=["0:3", "0.25:2"])
    Prompts(success=array([0.25, 0.25]), unsolved=3)
    >>> prompts_from(start=0.5, histogram=["0:1", "1:1"], tries=4).success
    array([0.1, 0.9])
    """
    if tries is not None and tries < 1:
        raise ValueError(f"tries must be at least 1; got {tries}")
    if rates is not None and histogram:
        raise ValueError("give pass rates by --rates or by --histogram, not by both")
    if rates is None and not histogram:
        if not 0 < start < 1:
            raise ValueError(f"start must lie in (0, 1); got {start:g}")
        return Prompts(np.array([start]))
    measured = _from_file(rates, column, count) if rates is not None else _from_histogram(histogram)
    if tries is not None:
        return Prompts((measured * tries + 0.5) / (tries + 1))
    solved = measured[measured > 0]
    if solved.size == 0:
        raise ValueError(
            f"no prompt of {rates or 'the histogram'} was ever solved; with --tries the number of "
            "responses they were measured with, 0 can be taken as rare"
        )
    return Prompts(solved, int(measured.size - solved.size))


def _from_file(path: Path, column: str, count: str | None) -> np.ndarray:
    """Pass rates as a column tells them, or as the outcomes of responses do."""
    try:
        return read_pass_rates(path, column, count)
    except (ValueError, FileNotFoundError) as error:
        if column != "pass_rate" or count is not None or not path.exists():
            raise
        from rollouts import diagnose

        try:
            diagnosis = diagnose(path)
        except (ValueError, FileNotFoundError):
            raise error from None
        return diagnosis.rollouts.recent["pass_rate"].to_numpy()


def _from_histogram(bins: Sequence[str]) -> np.ndarray:
    rates, counts = [], []
    for text in bins:
        rate, _, prompts = text.partition(":")
        try:
            pair = float(rate), float(prompts)
        except ValueError:
            pair = (-1.0, 0.0)
        if not 0 <= pair[0] <= 1:
            raise ValueError(
                f"a bin of the histogram is RATE:PROMPTS, such as 0.25:40, with a rate in [0, 1]; "
                f"got {text!r}"
            )
        rates.append(pair[0])
        counts.append(check_count(pair[1], "the histogram"))
    return repeated(rates, counts, "the histogram")
