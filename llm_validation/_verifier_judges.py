"""What compares an answer with a reference answer, in a process that may be killed."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from llm_validation import _verifier_parser, sandbox
from llm_validation.answer_claim import claimed, denied, value_of
from llm_validation.answer_form import as_interval, decide, listed, sides, tolerance
from llm_validation.answer_grammar import admitted, evaluates_text
from llm_validation.boxed import all_boxed
from llm_validation.exact import exactly_equal


class BadGoldError(Exception):
    """The reference answer cannot be read."""


class Judge(Protocol):
    """Compares one response with one reference answer."""

    def read_gold(self, gold: str) -> Any:
        """What the reference answer means; raise :class:`BadGoldError` if it means nothing."""

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Outcome (correct, wrong or unparsable) and, in a few words, why."""


class MathJudge:
    """Symbolic comparison with math-verify.

    Its own time limits rely on signals in the main thread and are switched off: the template's
    clock limits the whole step.
    """

    def __init__(self) -> None:
        import math_verify

        self._math = math_verify
        self._configs = [
            math_verify.LatexExtractionConfig(boxed_match_priority=0),
            math_verify.ExprExtractionConfig(),
        ]
        # Grammar, regular expressions and SymPy's tables are built by first use: do that now, so
        # that no answer is charged for it.
        _verifier_parser.parse_without_context_first()
        _verifier_parser.read_numbers_directly()
        for gold, answer in _verifier_parser.WARM_UP:
            self.judge(self.read_gold(gold), f"\\boxed{{{answer}}}")
        for formula in _verifier_parser.FORMULAS:
            self._parse(f"\\boxed{{{formula}}}")

    def _parse(self, text: str) -> list[Any]:
        parsed: list[Any] = self._math.parse(
            _verifier_parser.braced(text), self._configs, parsing_timeout=None
        )
        return parsed

    def read_gold(self, gold: str) -> Any:
        """The reference answer and its SymPy expressions."""
        values = sides(gold)
        value = values[-1] if len(values) > 1 else gold
        parsed = self._parse(f"\\boxed{{{value}}}")
        if not parsed:
            raise BadGoldError("math-verify finds no expression in it")
        return value, parsed

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Compare a response, or the boxes of its end, with a reference answer."""
        boxes = all_boxed(answer)
        if not boxes:
            if denied(gold[0], answer):
                return "wrong", "it says of the value that it is not the answer"
            return self._compare(gold, answer)
        found = [self._box(gold, box) for box in boxes]
        if len(boxes) == 1 or all(outcome == "correct" for outcome, _ in found):
            return found[0]
        # Several boxes are one list if so many were asked for; else whichever is right, the
        # response does not say which it means.
        if len(boxes) == len(listed(gold[0])):
            return self._box(gold, ",".join(boxes))
        return "wrong", "its boxes disagree"

    def _box(self, gold: Any, box: str) -> tuple[str, str]:
        box = value_of(gold[0], box)
        box, why = claimed(gold[0], box)
        if why:
            return "wrong", why
        decided, why = decide(gold[0], box)
        if decided is not None:
            return ("correct" if decided else "wrong"), why
        intervals = as_interval(gold[0]), as_interval(box)
        if intervals[0] and intervals[1]:
            # math-verify takes an interval for an inequality, but not an inequality for one.
            gold = gold[0], self._parse(f"\\boxed{{{intervals[0]}}}")
            return self._compare(gold, f"\\boxed{{{intervals[1]}}}")
        outcomes = [self._compare(gold, f"\\boxed{{{side}}}") for side in sides(box)]
        # An equation of numbers says as many values as it has sides.
        return next((found for found in outcomes if found[0] != "correct"), outcomes[0])

    def _compare(self, gold: Any, answer: str) -> tuple[str, str]:
        text, meaning = gold
        parsed = self._parse(answer.replace("?}", "}"))
        if not parsed:
            return "unparsable", "math-verify finds no expression in it"
        if self._math.verify(meaning, parsed, timeout_seconds=None):
            if exactly_equal(meaning, parsed, tolerance(text), "%" in text + answer):
                return "correct", ""
            return "wrong", "close, but another number"
        if all(isinstance(item, str) for item in parsed):
            return "unparsable", "math-verify makes no expression of it"
        return "wrong", ""


_NAN = re.compile(r"(?<![a-z])nan[ij]?(?![a-z])", re.IGNORECASE)
"""NaN, real or imaginary: some scorers give it full marks, since min(1, NaN) is 1."""


class ReasoningGymJudge:
    """Scores an answer with the reasoning-gym dataset its entry came from.

    Some of those scorers evaluate the answer as Python. They see only answers of a strict grammar,
    and are refused where system calls cannot be filtered.
    """

    def __init__(self, dataset: str, config: dict[str, Any], threshold: float) -> None:
        import reasoning_gym

        self._dataset = reasoning_gym.create_dataset(dataset, **config)
        self._threshold = threshold
        self.evaluates = evaluates_text(self._dataset.score_answer)
        if self.evaluates and not sandbox.available():
            raise RuntimeError(
                f"the scorer of {dataset} evaluates answers, which needs Linux with seccomp"
            )

    def read_gold(self, gold: str) -> Any:
        """The reasoning-gym entry, from the JSON that ``tasks.reasoning_gym`` writes."""
        try:
            entry = json.loads(gold, object_hook=untagged)
        except (ValueError, KeyError, TypeError) as error:
            raise BadGoldError("it is no JSON of an entry") from error
        if not isinstance(entry, dict) or not {"answer", "metadata"} <= entry.keys():
            raise BadGoldError("it must be an entry with the keys answer and metadata")
        return entry

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Correct if the dataset's own score reaches the threshold."""
        if "__" in answer:
            return "unparsable", "no answer of a puzzle needs a double underscore"
        if _NAN.search(answer):
            return "unparsable", "it is not a number, which is at no distance from any"
        if self.evaluates and not admitted(answer, str(gold["answer"])):
            return "unparsable", "the dataset's scorer evaluates it, and it is no plain expression"
        try:
            score = float(self._dataset.score_answer(answer, gold))
        except MemoryError:
            raise
        except Exception as error:
            return "unparsable", f"the dataset's scorer raised {type(error).__name__}"
        return ("correct" if score >= self._threshold else "wrong"), f"score {score:.3g}"


def untagged(value: dict[str, Any]) -> Any:
    """Tuples and dictionaries from the tags that stand for them in JSON.

    >>> json.loads('{"tuple!": [1, {"items!": [[2, "b"]]}]}', object_hook=untagged)
    (1, {2: 'b'})
    """
    if value.keys() == {"tuple!"}:
        return tuple(value["tuple!"])
    if value.keys() == {"items!"}:
        return {key: item for key, item in value["items!"]}  # noqa: C416
    return value


JUDGES: dict[str, Any] = {"math": MathJudge, "reasoning_gym": ReasoningGymJudge}
