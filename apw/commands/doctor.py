"""``apw doctor``: whether what training needs is installed and works, and what to install."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path

from apw.command_line import Answer, parse
from llm_validation.doctor import CHECKS, WEIGHTS, Check, diagnose
from runs.text import listed

_STATES = {True: "works", False: "BROKEN", None: "absent"}


@dataclasses.dataclass(frozen=True)
class Options:
    """Say what is installed, whether it works, and which command adds what is missing."""

    require: tuple[str, ...] = ()
    """Fail unless these work: core, llm, device, vllm, verl, verifier or weights."""

    weights: Path = WEIGHTS
    """Folder of the real small model."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw doctor``."""
    options = parse(Options, arguments, command="doctor")
    unknown = [name for name in options.require if name not in CHECKS]
    if unknown:
        raise ValueError(f"--require takes {listed(list(CHECKS), 'or')}; got {unknown[0]!r}")
    checks = diagnose(options.weights)
    failed = [check for check in checks if check.name in options.require and not check.ok]
    if failed:
        raise ValueError("; ".join(_complaint(check) for check in failed))
    data = {
        "checks": [dataclasses.asdict(check) for check in checks],
        "missing": [check.name for check in checks if check.ok is None],
        "broken": [check.name for check in checks if check.ok is False],
    }
    return Answer(data, _describe(checks))


def _complaint(check: Check) -> str:
    """What is wrong and what helps, in a sentence."""
    return f"{check.name}: {check.message}" + (f"; {check.remedy}" if check.remedy else "")


def _describe(checks: Sequence[Check]) -> str:
    lines = []
    for check in checks:
        lines += textwrap.wrap(
            f"{check.name:<9} {_STATES[check.ok]:<7} {check.message}",
            width=100,
            subsequent_indent=" " * 18,
            break_on_hyphens=False,
        )
        if check.remedy:
            lines.append(f"{'':18}→ {check.remedy}")
    return "\n".join(lines)
