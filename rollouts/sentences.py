"""What the rollouts of a run say, in plain sentences."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from rollouts.credit import credit_table, parts_of
from rollouts.tables import age_table, lens_on_all_wrong, mass_table, step_table
from rollouts.tally import Rollouts
from runs.text import listed, number, percent
from theory.schemes import Scheme

_share = functools.partial(percent, unknown="an unknown share")
_TENTHS = 10
_MATTERS = 0.1
"""Changes of a share, or relative changes of a mean, from which on they are told."""


def sentences(
    rollouts: Rollouts, schemes: Mapping[str, Scheme], components: Sequence[str] = ()
) -> list[str]:
    """What a practitioner should know, the most important first.

    Args:
        rollouts: What is known.
        schemes: Name → scheme; the first is what was trained with, the rest are compared with it.
        components: Names of the reward's components beside the outcome.
    """
    credit = None
    if rollouts.advantages is not None:
        credit = credit_table(rollouts.advantages, tuple(components))
    trained = next(iter(schemes.values()))
    whole = step_table(rollouts, trained, rows=1).iloc[0]
    tenths = step_table(rollouts, trained, rows=_TENTHS)
    mass = mass_table(rollouts, schemes, rows=1)
    said = [_outcomes(whole, trained), _hard_prompts(mass, schemes)]
    said += _logged(whole, credit)
    said += _trend(tenths)
    said += _lens(rollouts)
    said += _confidence(tenths)
    if "repeated" in whole and not math.isnan(whole["repeated"]):
        said.append(_repetition(float(whole["repeated"])))
    if "k3" in whole and not math.isnan(whole["k3"]):
        said.append(_mismatch(whole))
    return said + _ages(rollouts) + _cut_off(tenths, whole)


def _logged(whole: pd.Series, credit: pd.DataFrame | None) -> list[str]:
    """What the advantages in the log were made of."""
    if credit is None or math.isnan(whole.get("logged_zero_advantage", math.nan)):
        return []
    said = (
        "By the advantages in the log, "
        f"{percent(whole['logged_zero_advantage'])} of the responses had advantage 0"
    )
    row = credit.iloc[-1]
    if not math.isnan(row["outcome"]):
        parts = [f"{_share(row['outcome'])} from the outcome"]
        pulls = ", ".join(f"{name} {_share(row[name])}" for name in parts_of(credit))
        if pulls:
            parts.append(f"{_share(row['shaping'])} from the rest of the reward ({pulls})")
        parts.append(f"{_share(row['noise'])} from neither")
        said += f"; of Σ|A| came {listed(parts)}"
    return [f"{said}."]


def _outcomes(whole: pd.Series, trained: Scheme) -> str:
    zero = f"{_share(whole['zero_advantage'])} of the responses"
    told = f"{zero} taught nothing, because {trained.label} gave them advantage 0"
    if not math.isnan(whole.get("logged_zero_advantage", math.nan)):
        told = f"by the outcome alone {trained.label} gives {zero} advantage 0"
    return (
        f"{_share(whole['all_wrong'])} of the groups are all wrong, {_share(whole['mixed'])} "
        f"mixed and {_share(whole['all_right'])} all right; {told}."
    )


def _hard_prompts(mass: pd.DataFrame, schemes: Mapping[str, Scheme]) -> str:
    """How much of the gradient mass lies on hard prompts, and who would put more there."""
    hard_rows = mass[mass["difficulty"].isin(["0", "(0, 1/4]"])]
    hard = {
        name: hard_rows.loc[hard_rows["scheme"] == name, "share"].sum(skipna=False)
        for name in schemes
    }
    (trained, share), *others = hard.items()
    label = schemes[trained].label
    if math.isnan(share):
        return f"Under {label} no response taught anything."
    more = [(name, value) for name, value in others if value - share > _MATTERS]
    shares = ", of ".join(f"{schemes[name].label}'s {_share(value)}" for name, value in more)
    return (
        f"{_share(share)} of {label}'s gradient mass lies in groups with at most a quarter of "
        f"the responses correct{f'; it would be of {shares}' if more else ''}."
    )


def _trend(tenths: pd.DataFrame) -> list[str]:
    """How the shares changed from the first to the last tenth of the steps."""
    if len(tenths) < 2:
        return []
    first, last = tenths.iloc[0], tenths.iloc[-1]
    changes = [
        f"the share of {words} from {_share(first[name])} to {_share(last[name])}"
        for name, words in (("all_wrong", "all-wrong groups"), ("all_right", "all-right groups"))
        if abs(last[name] - first[name]) >= _MATTERS
    ]
    rate = f"the pass rate went from {_share(first['pass_rate'])} to {_share(last['pass_rate'])}"
    return [f"From {_span(first)} to {_span(last)}, {', '.join([rate, *changes])}."]


def _span(bin_: pd.Series) -> str:
    first, last = int(bin_["step"]), int(bin_["last_step"])
    return f"step {first}" if first == last else f"steps {first}–{last}"


def _lens(rollouts: Rollouts) -> list[str]:
    table = lens_on_all_wrong(rollouts)
    if table is None:
        return [
            "What LENS would do with the all-wrong groups cannot be said: it takes the responses' "
            "log-probabilities and lengths (--log-prob, --length)."
        ]
    if table.empty:
        return []
    row = table.iloc[0]
    alone = "; they are all of it" if row["share"] == 1 else ""
    return [
        f"LENS would give the {int(row['groups']):,} all-wrong groups "
        f"{_share(row['share'])} of its gradient mass{alone}: mean |advantage| "
        f"{row['advantage']:.2g} (largest {row['advantage_largest']:.2g}), pushing the more "
        f"confident answers down and {_share(row['raised'])} of all answers up; the surest answer "
        f"of such a group has a confidence of {row['confidence']:.2f} per token."
    ]


def _confidence(tenths: pd.DataFrame) -> list[str]:
    if "entropy" not in tenths:
        return []
    known = tenths.dropna(subset=["entropy", "confidence"])
    if known.empty:
        return []
    first, last = known.iloc[0], known.iloc[-1]
    if len(known) == 1:
        return [
            f"The policy's confidence is {first['confidence']:.3f} per token, its entropy about "
            f"{first['entropy']:.3f} nats per token."
        ]
    fall = 1 - last["entropy"] / first["entropy"] if first["entropy"] > 0 else 0.0
    verdict = "" if abs(fall) >= _MATTERS else ", which is steady"
    said = (
        f"The policy's confidence went from {first['confidence']:.3f} to {last['confidence']:.3f} "
        f"per token, its entropy from about {first['entropy']:.3f} to {last['entropy']:.3f} nats "
        f"per token{verdict}."
    )
    return [said]


def _repetition(share: float) -> str:
    if share == 0:
        return "No response repeats another of its group word for word."
    return f"{_share(share)} of the responses repeat another of their group word for word."


def _mismatch(whole: pd.Series) -> str:
    ess, k3 = float(whole["effective_sample_size"]), float(whole["k3"])
    return (
        f"Trainer and sampler disagree by {whole['log_ratio_absolute']:.2g} nats per response on "
        f"average and {whole['log_ratio_largest']:.2g} at most: KL(sampler ‖ trainer) is about "
        f"{k3:.2g} nats, and importance weights would keep {_share(ess)} of the sample."
    )


def _ages(rollouts: Rollouts) -> list[str]:
    """How old responses were when they were trained on, and what of them counts."""
    table = age_table(rollouts)
    if table is None or (len(table) < 2 and table["age"].iloc[0] == 0):
        return []
    mean = (table["age"] * table["share"]).sum()
    said = f"Responses were {number(mean, 2)} updates old on average, {table['age'].max()} at most"
    if "effective_sample_size" in table:
        kept = [
            f"{_share(row['effective_sample_size'])} at age {int(row['age'])}"
            for row in table.nlargest(4, "share").sort_values("age").to_dict("records")
        ]
        said += f"; importance weights would keep {listed(kept)}"
    return [f"{said}."]


def _cut_off(tenths: pd.DataFrame, whole: pd.Series) -> list[str]:
    """Responses that were cut off, and boxed answers that only say the problem again."""
    said = []
    if not math.isnan(whole.get("truncated", math.nan)):
        first, last = tenths["truncated"].iloc[0], tenths["truncated"].iloc[-1]
        grew = f", from {_share(first)} at first to {_share(last)}" if len(tenths) > 1 else ""
        said.append(f"{_share(whole['truncated'])} of the responses were cut off{grew}.")
    if not math.isnan(whole.get("restated", math.nan)):
        said.append(
            f"{_share(whole['restated'])} of the correct boxed answers only say again what was "
            "asked."
        )
    return said
