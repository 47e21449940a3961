"""What the verifier says of cases that others judged: Math-Verify's own tests, and MATH's answers.

``python -m benchmarks.verifier_agreement suite FOLDER`` reads the cases of a checkout of
https://github.com/huggingface/Math-Verify (the tables of its tests, as text: nothing is run) and
prints how many our verifier judges as they do, and each that it does not.

``python -m benchmarks.verifier_agreement math FILE...`` reads JSON lines with a key ``answer`` and
prints which reference answers the verifier refuses when they are given as the answer, and which
pairs of different reference answers it takes for the same: all that ``math_verify`` might confuse,
since they share their digits and letters, and a random sample.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from llm_validation.verifier import Verifier


def suite(folder: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Test, gold, response and verdict of each case of Math-Verify's tests, in order."""
    for path in sorted((folder / "tests").glob("test_*.py")):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                if not (isinstance(decorator, ast.Call) and len(decorator.args) == 2):
                    continue
                try:
                    names = ast.literal_eval(decorator.args[0]).replace(" ", "").split(",")
                except ValueError:
                    continue
                if names[:2] != ["gold", "pred"] or not isinstance(decorator.args[1], ast.List):
                    continue
                verdict = names.index("expected" if "expected" in names else "result")
                for case in decorator.args[1].elts:
                    try:
                        row = ast.literal_eval(case)
                    except ValueError:  # a computed case
                        continue
                    yield f"{path.stem}::{function.name}", row[0], row[1], bool(row[verdict])


def confusable(answers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of different answers with the same letters and digits, whatever their order."""
    alike: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        alike["".join(sorted(re.findall(r"[0-9A-Za-z]", answer)))].append(answer)
    for group in alike.values():
        yield from itertools.permutations(group, 2)


def _suite(options: argparse.Namespace) -> None:
    cases = list(suite(options.folder))
    with Verifier(timeout=60.0, max_answer=100_000) as verifier:
        outcomes = verifier.score([case[1] for case in cases], [case[2] for case in cases])
    agreed = 0
    for (test, gold, response, expected), outcome in zip(cases, outcomes, strict=True):
        if (outcome == "correct") == expected:
            agreed += 1
        else:
            print(
                f"{test}: {gold[-100:]!r} | {response[-200:]!r}: {outcome}, "
                f"they say {'correct' if expected else 'wrong'}"
            )
    print(f"{agreed} of {len(cases)} cases judged as Math-Verify's tests do")


def _math(options: argparse.Namespace) -> None:
    rows = [json.loads(line) for file in options.files for line in file.open(encoding="utf-8")]
    golds = list(dict.fromkeys(row["answer"] for row in rows if row["answer"]))
    draw = random.Random(0)
    pairs = dict.fromkeys(confusable(golds))
    pairs.update(dict.fromkeys(tuple(draw.sample(golds, 2)) for _ in range(options.pairs)))
    with Verifier(timeout=60.0) as verifier:
        # The workers themselves, without what is decided before they are asked.
        alone = verifier._ask([(gold, f"\\boxed{{{gold}}}") for gold in golds])
        refused = [pair for pair, outcome in alone.items() if outcome != "correct"]
        for pair in refused:
            print(f"refused by itself: {pair[0]!r}: {alone[pair]}")
        print(f"{len(refused)} of {len(golds)} different reference answers refused by themselves")
        first, second = zip(*pairs, strict=True)
        outcomes = verifier.score(first, [f"\\boxed{{{answer}}}" for answer in second])
    accepted = 0
    for (gold, answer), outcome in zip(pairs, outcomes, strict=True):
        if outcome == "correct":
            accepted += 1
            print(f"accepted: {gold!r} | {answer!r}")
    print(f"{accepted} of {len(pairs)} pairs of different reference answers accepted")


def main(words: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("suite", help="Math-Verify's own tests")
    command.add_argument("folder", type=Path)
    command.set_defaults(run=_suite)
    command = commands.add_parser("math", help="reference answers against each other")
    command.add_argument("files", type=Path, nargs="+")
    command.add_argument("--pairs", type=int, default=20_000)
    command.set_defaults(run=_math)
    options = parser.parse_args(words)
    options.run(options)


if __name__ == "__main__":
    sys.exit(main())
