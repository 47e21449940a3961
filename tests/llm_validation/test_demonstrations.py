"""Noisy worked solutions: as often right as the formula says, and wrong by near misses."""

import numpy as np
import pytest

from llm_validation.demonstrations import Demonstrator
from llm_validation.tasks import Example
from llm_validation.tasks.expressions import legal_expressions, read
from llm_validation.tasks.small_countdown import parse_problem, right_expressions

GOLDS = ["122:05", "25b:57", "357:99"]  # two right expressions, one, and none that is right


def demonstrator(golds=GOLDS):
    return Demonstrator([Example(f"{gold}=", gold, gold) for gold in golds])


def best_of(rng, gold, tries):
    """The expression nearest to the target among random ones, drawn one by one."""
    numbers, target = parse_problem(gold)
    every = legal_expressions(numbers)
    drawn = [every[i] for i in rng.integers(len(every), size=tries)]
    rng.shuffle(drawn)
    return min(drawn, key=lambda e: abs(e.value - target)).text


@pytest.mark.parametrize("tries", [1, 12])
def test_one_draw_is_the_best_of_so_many_tries(tries):
    rng = np.random.default_rng(tries)
    shown = demonstrator()
    for place, gold in enumerate(GOLDS):
        count = 1500
        ours = [shown.texts[i] for i in shown.draw(np.full(count, place), tries, rng)]
        theirs = [best_of(rng, gold, tries) for _ in range(count)]
        for text in {*ours, *theirs}:
            shares = [texts.count(text) / count for texts in (ours, theirs)]
            # Five standard errors of a difference: some hundred texts are compared.
            margin = 5 * (max(shares) / count * 2) ** 0.5
            assert shares[0] == pytest.approx(shares[1], abs=margin), (gold, text)


def test_the_share_of_right_ones_is_the_formulas():
    shown = demonstrator(GOLDS[:2])
    shares = [
        len(right_expressions(g)) / len(legal_expressions(parse_problem(g)[0])) for g in GOLDS[:2]
    ]
    assert shown.share.tolist() == pytest.approx(shares)
    for tries in (1, 2.5, 20):
        assert shown.success(tries) == pytest.approx(
            np.mean([1 - (1 - f) ** tries for f in shares])
        )
    for wanted in (0.001, 0.02, 0.3, 0.95):
        assert shown.success(shown.tries(wanted)) == pytest.approx(wanted)


def test_below_one_try_most_use_other_numbers():
    rng = np.random.default_rng(0)
    shown = demonstrator()
    texts = [shown.texts[i] for i in shown.draw(np.zeros(3000, dtype=int), 0.2, rng)]
    own = np.mean([read(text).numbers == (1, 2, 2) for text in texts])
    others = sum(len(legal_expressions(n)) for n in ((2, 5, 11), (3, 5, 7)))
    chance = 0.2 + 0.8 * (1 - others / len(shown.texts))
    assert own == pytest.approx(chance, abs=0.04)
    assert shown.success(0.2) == pytest.approx(0.2 * shown.share.mean())


@pytest.mark.parametrize("success", [0.0, 1.0, float("nan"), -1.0])
def test_an_impossible_share_is_refused(success):
    with pytest.raises(ValueError, match=r"success must lie in \(0, 1\)"):
        demonstrator().tries(success)
