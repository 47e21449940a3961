"""What the settings' tables say about the claims: the language-model column of the ledger.

The checks were written down before the judging runs. They read the published tables alone, so
whoever has the repository can derive every verdict again: ``apw claims --check`` does.

Ratios of times are judged by their logarithms, seed by seed, counted up to a factor of 20: a scheme
that never arrives is not infinitely worse, and a pair in which neither arrives says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from claims import countdown, crossover, gradients, lens, reinforcement, shaping, time_to_target
from claims.language_model.settings import SETTINGS
from claims.looks import LOOKS, corrected_level
from claims.metrics import KS, NEARLY_ONE, Metrics
from claims.verdicts import Check, Finding, finding, judged, primary_regime
from runs.files import write_json

_SCRATCH, _FINE_TUNED = ("rule-from-scratch",), ("rule-post-sft",)
CLAIMS: dict[str, tuple[Callable[..., list[Check]], tuple[str, ...]]] = {
    "A4": (time_to_target.model_a4, _SCRATCH),
    "A5": (time_to_target.model_a5, _FINE_TUNED),
    "A6": (time_to_target.model_a6, _SCRATCH),
    "L3": (lens.model_l3, _FINE_TUNED),
    "L4": (lens.model_l4, ("rule-one-in-ten",)),
    "L5": (lens.model_l5, _SCRATCH),
    "N2": (reinforcement.model_n2, _FINE_TUNED),
    "N3": (reinforcement.model_n3, _FINE_TUNED),
    "N4": (reinforcement.model_n4, _FINE_TUNED),
    "N5": (gradients.model_n5, _FINE_TUNED),
    "N6": (reinforcement.model_n6, _FINE_TUNED),
    "N7": (reinforcement.model_n7, ("rule-post-sft-long",)),
    "O4": (
        crossover.model_o4,
        (*_SCRATCH, *_FINE_TUNED, "memorise-from-scratch", "memorise-post-sft"),
    ),
    "O10": (shaping.model_o10, ("length-total", "length-gate")),
}
"""Claim → its checks, and the settings they read."""

_COUNTDOWN = ("countdown-post-sft",)
_LENS = ("countdown-post-sft-lens",)
_CHOICE = ("countdown-choice", "countdown-choice-rates")
_WITH_GRPO = (*_COUNTDOWN, "countdown-post-sft-weighted")
COUNTDOWN: dict[str, tuple[Callable[..., list[Check]], tuple[str, ...]]] = {
    "A4": (countdown.a4, ("countdown-from-scratch",)),
    "L3": (countdown.l3, _LENS),
    "L4": (lens.model_l4, _LENS),
    "L5": (lens.model_l5, _LENS),
    "N2": (countdown.n2, (*_COUNTDOWN, "countdown-post-sft-nsr")),
    "N3": (countdown.n3, _COUNTDOWN),
    "N4": (countdown.n4, _WITH_GRPO),
    "N6": (countdown.n6, _WITH_GRPO),
    "O7": (countdown.o7, ("countdown-from-scratch",)),
    "S1": (countdown.s1, _CHOICE),
    "S2": (countdown.s2, _CHOICE[1:]),
    "S3": (countdown.s3, (*_CHOICE, "countdown-choice-counts")),
}
"""Claim → its checks on the small Countdown, which decide where it has been run: on sums there is
one right answer a prompt, and nearly all prompts are solved before training."""

_OWN_RATES = "each scheme at its own best learning rate"
_LARGER = (countdown.LARGER,)
LARGER: dict[str, tuple[Callable[..., list[Check]], tuple[str, ...]]] = {
    "N2": (countdown.n2, _LARGER),
    "N3": (countdown.n3, _LARGER),
    "N4": (countdown.n4, (*_LARGER, f"{countdown.LARGER}-weighted")),
    "N6": (countdown.n6, (*_LARGER, f"{countdown.LARGER}-weighted")),
}
"""Claim → its checks on Countdown with numbers up to 35, whose model starts at 40 %, as the papers'
do, and is as good on held-out prompts: where it has been run it decides."""

_TRAINED = ("countdown-choice-train", "countdown-choice-train-rates")
TRAINED: dict[str, tuple[Callable[..., list[Check]], tuple[str, ...]]] = {
    "S1": (countdown.s1, _TRAINED),
    "S2": (countdown.s2, _TRAINED[1:]),
    "S3": (countdown.s3, (*_TRAINED, "countdown-choice-train-counts")),
}
"""Claim → its checks where the success of training prompts counts, as in theory and simulator."""

_TASKS = {
    "Countdown to 35": LARGER,
    "Countdown, training prompts": TRAINED,
    "Countdown": COUNTDOWN,
    "sums": CLAIMS,
}
"""Regime of a verdict → its claims, those that decide first."""


def settings_of(id: str) -> tuple[str, ...]:
    """Names of the settings that speak to a claim, those that decide first."""
    return tuple(name for claims in _TASKS.values() if id in claims for name in claims[id][1])


def deciding_settings(id: str) -> tuple[str, ...]:
    """Names of the settings of Countdown that decide a claim, which more seeds are given to."""
    return next((known[id][1] for known in (LARGER, TRAINED, COUNTDOWN) if id in known), ())


def known_claims() -> list[str]:
    """Claims that some setting speaks to."""
    return list(dict.fromkeys([*CLAIMS, *COUNTDOWN]))


def _published(
    known: Mapping[str, tuple[Callable[..., list[Check]], tuple[str, ...]]], id: str, folder: Path
) -> tuple[str, ...]:
    """The settings that a claim's checks read, if all of them are published."""
    settings = known[id][1] if id in known else ()
    return settings if all((folder / name / "outcomes.csv").exists() for name in settings) else ()


def judge(folder: Path) -> Iterator[Finding]:
    """Findings on every claim whose settings are all published in ``folder``.

    Args:
        folder: Folder that :func:`claims.language_model.run.publish` wrote.

    Yields:
        Findings in the order of the ledger.
    """
    for claim in known_claims():
        regimes: dict[str, list[Check]] = {}
        sentence = ""
        words: list[str] = []
        for name, known in _TASKS.items():
            settings = _published(known, claim, folder)
            if not settings:
                continue
            checks = known[claim][0]
            tables = [Metrics.published(folder, setting) for setting in settings]
            sentence = sentence or (checks.__doc__ or "").strip()
            words += [f"{table.name}: {_describe(table)}" for table in tables]
            regimes[name] = checks(*tables)
            if known is not CLAIMS:  # more seeds may be added until it is decided
                level = corrected_level(len(LOOKS["llm"]))
                wider = (dataclasses.replace(check, level=level) for check in regimes[name])
                regimes[name] = [judged(check) for check in wider]
        if list(regimes) == ["sums"]:
            yield finding(claim, sentence, regimes["sums"], words, quick=False)
        elif regimes:
            found = primary_regime(claim, sentence, regimes, quick=False)
            yield dataclasses.replace(found, regimes=tuple(words))


def write_findings(folder: Path) -> list[Finding]:
    """Judge, and write ``folder/findings/<ID>.json``."""
    found = list(judge(folder))
    for item in found:
        published = [
            name for known in _TASKS.values() for name in _published(known, item.id, folder)
        ]
        write_json(
            folder / "findings" / f"{item.id}.json",
            {
                **item.to_dict(),
                "source": "llm",
                "evidence": [f"{setting}/outcomes.csv" for setting in published],
            },
        )
    return found


def _describe(table: Metrics) -> str:
    start = table.arrivals["start"].mean()
    seeds = table.arrivals["seed"].nunique()
    largest = f"pass@{KS[-1]}"
    base = float(table.first(table.schemes()[0], largest).mean())
    # Where nearly every prompt is solved within k tries there is no diversity left to lose.
    weak = ", where large k can hardly tell schemes apart" if base > NEARLY_ONE else ""
    tried = next((s.learning_rates for s in SETTINGS if s.name == table.name), ())
    rates = "all schemes at one learning rate" if len(tried) == 1 else _OWN_RATES
    answers = "several right answers" if table.name.startswith("countdown") else "one right answer"
    return (
        f"tiny Llama through TRL, {answers} per prompt, pass rate {start:.3f} and "
        f"{largest} {base:.3f} at the start{weak}; {seeds} seeds, {rates}"
    )
