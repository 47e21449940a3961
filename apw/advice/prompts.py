"""The prompts that ``apw advise`` is asked about: one number, a histogram, or a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from scipy.special import expit

from runs.pass_rates import Measured, check_count, measured, read_measured, repeated
from sim.starts import measured_in_words
from theory.prompt_sets import PromptSet, known_set, measured_set
from theory.sharing import spread_odds


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Prompts as they were given, and what is known of them.

    Attributes:
        known: Their success probabilities, or what counts say of these.
        measured: What was read; None for one number.
        named: Every prompt stands for itself, so that a plan can name it.
    """

    known: PromptSet
    measured: Measured | None = None
    named: bool = False

    @property
    def words(self) -> list[str]:
        """What was read and what became of zeros, in sentences."""
        return [] if self.measured is None else measured_in_words(self.measured, self.known)


def prompts_from(
    *,
    start: float,
    rates: Path | None = None,
    histogram: Sequence[str] = (),
    column: str = "pass_rate",
    count: str | None = None,
    tries: int | None = None,
    spread: float = 0.0,
) -> Prompts:
    """Prompts from the options of ``apw advise``.

    Args:
        start: ρ of every prompt, in (0, 1), if neither rates nor a histogram are given.
        rates: File of pass rates or counts, as :func:`runs.pass_rates.read_measured` reads them, or
            outcomes of responses, as :func:`rollouts.diagnose` does: the log of a training run, of
            which the latest steps count.
        histogram: RATE:PROMPTS, the number of prompts with a pass rate, such as ``0.25:40``.
        column: Column of the pass rates in the file.
        count: Column of the number of prompts with each; every row is one prompt without it.
        tries: Responses that each pass rate was measured with, where the file does not say it.
        spread: Standard deviation of the prompts' log-odds around a mean of ``start``, at least 0.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: What was given is no set of pass rates, or no prompt was ever solved.

    >>> prompts_from(start=0.5, histogram=["0:3", "0.25:2"]).known.prompts
    5
    """
    if tries is not None and tries < 1:
        raise ValueError(f"tries must be at least 1; got {tries}")
    if rates is not None and histogram:
        raise ValueError("give pass rates by a file or by --histogram, not by both")
    if rates is None and not histogram:
        if not 0 < start < 1:
            raise ValueError(f"start must lie in (0, 1); got {start:g}")
        return Prompts(known_set(expit(spread_odds(start, spread)) if spread else start))
    if spread:
        raise ValueError("--spread goes with --start: measured prompts are spread as they are")
    if rates is not None:
        read = _from_file(rates, column, count, tries)
    else:
        read = _from_histogram(histogram, tries)
    try:
        known = (
            known_set(read.rate) if read.tries is None else measured_set(read.correct, read.tries)
        )
    except ValueError as error:
        raise ValueError(f"{rates or 'the histogram'}: {error}") from error
    return Prompts(known, read, rates is not None and count is None)


def _from_file(path: Path, column: str, count: str | None, tries: int | None) -> Measured:
    """Pass rates as a column tells them, or as the outcomes of responses do."""
    try:
        return read_measured(path, column, count, tries)
    except (ValueError, FileNotFoundError) as error:
        if column != "pass_rate" or count is not None or not path.exists():
            raise
        from rollouts import diagnose

        try:
            diagnosis = diagnose(path)
        except (ValueError, FileNotFoundError):
            raise error from None
        recent = diagnosis.rollouts.recent
        names = [str(number) for number in range(1, len(recent) + 1)]
        known, rates = recent["responses"].tolist(), recent["pass_rate"].tolist()
        return measured(names, rates, known, None, str(path))


def _from_histogram(bins: Sequence[str], tries: int | None) -> Measured:
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
    every = repeated(rates, counts, "the histogram")
    names = list(map(str, range(1, every.size + 1)))
    return measured(names, every.tolist(), [math.nan] * every.size, tries, "the histogram")
