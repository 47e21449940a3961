"""Run what is left of the arms, compare the schemes, judge the claims.

    python -m claims.language_model --out results/evidence [--arms NAME …] [--dry-run]

Every run folder is resumable, so the whole is too: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from claims.language_model.arms import ARMS, Arm, judging, tuning
from claims.language_model.claims import write_findings
from claims.language_model.outcomes import summarise
from claims.language_model.run import publish, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: run what is left, then print and write the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m claims.language_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("results/evidence"))
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS])
    parser.add_argument("--seeds", type=int, default=5, help="seeds that judge")
    parser.add_argument("--steps", type=int, help="optimizer steps instead of the arm's")
    parser.add_argument("--dry-run", action="store_true", help="count the work, do none")
    parser.add_argument("--summary", action="store_true", help="train nothing, only compare")
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="write the tables here")
    parser.add_argument(
        "--judge", action="store_true", help="judge the claims by the published tables, and end"
    )
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if options.arms is None or arm.name in options.arms]
    if options.steps is not None:
        arms = [dataclasses.replace(arm, steps=options.steps) for arm in arms]
    if options.judge:
        _print_findings(options.publish or Path(__file__).parents[1] / "evidence" / "llm")
        return 0
    if options.dry_run:
        _print_plan(arms, options.seeds)
        return 0
    try:
        if not options.summary:
            run(options.out, arms, seeds=options.seeds)
    except KeyboardInterrupt as stopped:
        print(stopped, file=sys.stderr)
        return 130
    table = summarise(options.out, arms)
    if table.empty:
        print("no arm is finished yet", file=sys.stderr)
        return 1
    table.to_csv(options.out / "summary.csv", index=False)
    print(table.to_string(index=False))
    if options.publish is not None:
        publish(options.out, arms, options.publish)
    print(json.dumps({"summary": str(options.out / "summary.csv")}), file=sys.stderr)
    return 0


def _print_findings(folder: Path) -> None:
    for found in write_findings(folder):
        print(f"{found.id} {found.verdict}: {found.claim}")
        for check in found.checks:
            print(
                f"    {check.verdict:12s} {check.name}: {check.measurement:.4g} "
                f"[{check.low:.4g}, {check.high:.4g}], {check.relation} {check.prediction:.4g}"
            )


def _print_plan(arms: Sequence[Arm], seeds: int) -> None:
    from llm_validation.dry_run import plan

    for arm in arms:
        # Which rates are picked is not known beforehand; the number of runs does not depend on it.
        picked = dict.fromkeys(arm.schemes, arm.learning_rates[0])
        for name, config in (*tuning(arm), *judging(arm, picked, seeds=seeds)):
            planned = plan(config)
            print(
                f"{name}: {planned.runs} trainings, at most {planned.total_responses:,} responses"
            )


if __name__ == "__main__":
    sys.exit(main())
