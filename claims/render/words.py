"""A finding in words: what was predicted, what was measured, and why the verdict is what it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from claims.entries import Entry
from claims.spec import SOURCES, Source
from claims.verdicts import LEAST_SEEDS, Check, Finding, Verdict
from runs.text import number

_PACKAGES = ("apw", "numpy", "scipy", "jax", "torch", "transformers", "trl", "vllm")


def predicted(check: Check) -> str:
    """The prediction of a check.

    >>> from claims.verdicts import above, near
    >>> predicted(near("", 2.288, [2.0], 0.05)), predicted(near("", 1.5547, [1.5], 0.00643))
    ('2.288 ± 5 %', '1.555 ± 0.01')
    >>> predicted(above("", -0.01, [0.0]))
    '> −0.01'
    """
    if check.relation != "near":
        return f"{'>' if check.relation == 'above' else '<'} {number(check.prediction)}"
    if check.tolerance >= 0.01:
        return f"{number(check.prediction)} ± {100 * check.tolerance:g} %"
    return f"{number(check.prediction)} ± {number(check.tolerance * abs(check.prediction), 2)}"


def measured(check: Check, *, rounding: bool = True) -> str:
    """The measurement of a check, with its interval if it was sampled.

    Args:
        check: The check.
        rounding: Give the size of rounding errors; without, only that they keep their bound, which
            reads the same on every machine.

    >>> from claims.verdicts import above, below
    >>> measured(above("", 0.0, [0.1, 0.2, 0.3]))
    '0.2 [−0.04841, 0.4484]'
    >>> tiny = below("", 1e-12, [2.2e-16], exact=True)
    >>> measured(tiny), measured(tiny, rounding=False)
    ('2.2e−16', 'less than 1e−12')
    >>> measured(above("", 0.0, []))
    'not measured'
    """
    if math.isnan(check.measurement):
        return "not measured"
    bounded = check.exact and check.relation == "below" and check.verdict == "confirmed"
    if bounded and not rounding:
        return f"less than {number(check.prediction)}"
    if check.exact:
        return number(check.measurement)
    return f"{number(check.measurement)} [{number(check.low)}, {number(check.high)}]"


def reason(found: Finding) -> str:
    """Why a finding is not confirmed, in a sentence; empty if it is.

    Args:
        found: A finding, derived from its samples.

    >>> from claims.verdicts import above, finding
    >>> reason(finding("A4", "", [above("gain", 0.0, [-0.2] * 5)], [], quick=True))
    'gain: −0.2 [−0.2, −0.2], predicted > 0.'
    """
    if found.verdict == "confirmed":
        return ""
    counted = [c for c in found.checks if _counts(found, c)]
    decisive = [c for c in counted if c.verdict == found.verdict]
    if not decisive and found.verdict == "refuted":
        decisive = [c for c in counted if not c.holds]
    if not decisive:
        few = [c for c in counted if not c.exact and c.seeds < LEAST_SEEDS]
        if few and not found.quick:
            return (
                f"{few[0].name}: {few[0].seeds} seeds of at least {LEAST_SEEDS} have a measurement."
            )
        return "No regime says the same as the others."
    first, others = decisive[0], len(decisive) - 1
    more = f" ({others} more of {len(counted)} checks {first.verdict})" if others else ""
    if first.void:
        return f"{first.name} says nothing: {first.void}{more}."
    within = f", within ±{number(first.delta)}" if first.verdict == "no effect" else ""
    return f"{first.name}: {measured(first)}{within}, predicted {predicted(first)}{more}."


def rule(found: Finding) -> str:
    """How the checks of a finding join, in words.

    Args:
        found: A finding.
    """
    if found.rule == "primary" and found.checks:
        return (
            f"The regime named before the runs decides: {found.checks[0].regime}. The others say "
            "how far the claim reaches."
        )
    level = found.checks[0].level if found.checks else 0.95
    if level != 0.95:
        return f"Seeds were added until it was decided: intervals cover {100 * level:.2f} %."
    return "Every check has to be confirmed." if len(found.checks) > 1 else ""


def tally(found: Finding) -> str:
    """How many checks came out how.

    >>> from claims.verdicts import above, finding
    >>> checks = [above("a", 0.0, [1] * 5), above("b", 0.0, [-1] * 5)]
    >>> tally(finding("A4", "", checks, [], quick=True))
    '2 checks: 1 confirmed, 1 refuted'
    """
    seen = Counter(check.verdict for check in found.checks)
    parts = [f"{seen[v]} {v}" for v in get_args(Verdict) if seen[v]]
    return f"{len(found.checks)} check{'s'[: len(found.checks) > 1]}: {', '.join(parts)}"


def environment(values: Mapping[str, Any]) -> str:
    """Commit, versions and hardware in a sentence; empty if nothing is known.

    Args:
        values: As in ``environment.json``.
    """
    packages = values.get("packages")
    versions = packages if isinstance(packages, Mapping) else {}
    commit = values.get("commit")
    parts = [
        f"Commit {commit}" if commit else "",
        str(values.get("time", ""))[:10],
        f"Python {values['python']}" if "python" in values else "",
        *(f"{name} {versions[name]}" for name in _PACKAGES if name in versions),
        f"{values['processor']}" if values.get("processor") else "",
        f"{values['cpus']} CPUs" if values.get("cpus") else "",
    ]
    known = [part for part in parts if part]
    return f"{', '.join(known)}." if known else ""


def main_number(entry: Entry, order: Sequence[Source] = tuple(reversed(SOURCES))) -> str:
    """Main prediction and measurement of the first source that has one; empty if none has.

    Args:
        entry: The claim and its findings.
        order: Sources, the most telling first.
    """
    for source in order:
        found = entry.verdicts[source]
        if found is not None:
            check = found.checks[0]
            return f"{source}: {predicted(check)}, got {measured(check)}"
    return ""


def rerun(entry: Entry, source: Source) -> str:
    """The command that tests a claim as it was tested; empty where there is no run for it yet."""
    test, record = entry.claim.tests[source], entry.records[source]
    quick = " --quick" if record is not None and record.finding.quick else ""
    command = f"apw claims {entry.claim.id} --run {source}{quick}" if test.built else ""
    return test.command or command


def _counts(found: Finding, check: Check) -> bool:
    return found.rule != "primary" or check.regime == found.checks[0].regime
