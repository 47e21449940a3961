"""Different purposes never draw from one stream, and nobody seeds by a bare tuple."""

import ast
import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from runs.seeds import Purpose, sequence, stream

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("theory", "sim", "rollouts", "llm_validation", "claims", "figures", "apw", "runs")
KEPT = {
    "llm_validation/tasks/_select.py": "subsets named by their seed in the evidence",
    "llm_validation/tasks/arithmetic.py": "problems named by their seed in the evidence",
    "llm_validation/tasks/small_countdown.py": "problems named by their seed in the evidence",
    "claims/sampled_groups.py": "groups of a check by themselves, in the recorded evidence",
    "sim/priors.py": "words tell the purposes apart, in the recorded evidence",
    "sim/token_rule.py": "words tell the purposes apart, in the recorded evidence",
    "sim/rates.py": "the word of sim.priors, which draws the same prompts",
}
"""Files that seed by a tuple all the same, and why: NumPy gives them other streams than these."""


def first_numbers(sequence: np.random.SeedSequence) -> tuple[int, ...]:
    return tuple(sequence.generate_state(4).tolist())


def test_no_two_streams_begin_alike() -> None:
    seen: dict[tuple[int, ...], object] = {}
    numbers = [n for length in range(4) for n in itertools.product((0, 1, 2), repeat=length)]
    for seed, purpose, more in itertools.product((0, 1, 2), get_args(Purpose), numbers):
        key = first_numbers(sequence(seed, purpose, *more))
        assert key not in seen, (seed, purpose, more, seen[key])
        seen[key] = (seed, purpose, more)
    for plain in itertools.product(range(25), repeat=3):  # what others seed by tuples
        key = first_numbers(np.random.SeedSequence(plain))
        assert key not in seen, (plain, seen[key])


def test_trailing_zeros_count() -> None:
    # As tuples these are one stream: epoch 0 of a shuffle was step 2 of the responses.
    assert first_numbers(np.random.SeedSequence((5, 2, 0))) == first_numbers(
        np.random.SeedSequence((5, 2))
    )
    assert stream(5, "prompt order", 0).random() != stream(5, "prompt order").random()


def test_the_same_purpose_and_numbers_are_the_same_stream() -> None:
    assert stream(3, "refill", 1, 2).random() == stream(3, "refill", 1, 2).random()
    assert stream(None, "plan").random() != stream(None, "plan").random()


@pytest.mark.parametrize(("seed", "numbers"), [(-1, ()), (2**128, ()), (0, (-1,)), (0, (2**32,))])
def test_what_would_share_a_stream_is_refused(seed: int, numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        sequence(seed, "refill", *numbers)


def test_nobody_else_seeds_by_a_tuple() -> None:
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                makes = node.func.attr in ("default_rng", "SeedSequence", "PCG64")
                if makes and node.args and isinstance(node.args[0], ast.Tuple | ast.List):
                    found.add(str(path.relative_to(ROOT)))
    assert found == set(KEPT)


def test_words_of_the_simulator_are_different_and_none_is_zero() -> None:
    from sim import priors, token_rule

    words = [priors._PROMPTS, priors._TREE, priors._FEATURES]
    words += [token_rule._RULE, token_rule._PREFIXES, token_rule._PROMPTS]
    assert len(set(words)) == len(words)
    assert 0 not in words
