"""Sets of prompts: what is known is kept, what was counted is neither certain nor impossible."""

import numpy as np
import pytest
from scipy import stats

from theory.prompt_sets import NODES, known_set, measured_set


def test_known_prompts_are_kept_and_zeros_are_out_of_reach():
    found = known_set([0.0, 0.5, 0.1, 1.0])
    assert found.success.tolist() == [0.1, 0.5, 1 - 1e-9]
    assert (found.out_of_reach, found.prompts) == (0.25, 4)
    assert found.all_wrong(2) == pytest.approx((1 + 0.25 + 0.81) / 4, rel=1e-8)


def test_many_known_prompts_are_stood_for_by_their_quantiles():
    rates = np.linspace(0.01, 0.99, 1000)
    found = known_set(rates)
    assert len(found.success) == NODES
    assert found.success.mean() == pytest.approx(rates.mean(), abs=1e-3)


def test_counts_give_back_the_distribution_that_they_were_drawn_from():
    rng = np.random.default_rng(0)
    impossible, count, tries = 0.3, 2000, 16
    rates = np.where(rng.random(count) < impossible, 0.0, rng.beta(0.8, 2.0, count))
    found = measured_set(rng.binomial(tries, rates), tries, draws=10)
    inside = stats.beta(0.8, 2.0)
    # Beside the impossible, those below one in a thousand.
    expected = impossible + (1 - impossible) * inside.cdf(1e-3)
    assert found.out_of_reach == pytest.approx(expected, abs=0.05)
    lowest = inside.cdf(1e-3)
    quantiles = inside.ppf(lowest + (1 - lowest) * np.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(np.quantile(found.success, [0.25, 0.5, 0.75]), quantiles, atol=0.04)
    wrong = impossible + (1 - impossible) * inside.expect(lambda p: (1 - p) ** 8)
    assert found.all_wrong(8) == pytest.approx(wrong, abs=0.03)
    drawn = [draw.out_of_reach for draw in found.draws]
    assert min(drawn) - 0.03 < expected < max(drawn) + 0.03
    assert np.ptp(drawn) > 0


def test_none_of_eight_is_neither_zero_nor_a_half_of_one():
    found = measured_set([0] * 30 + [1] * 10 + [6] * 20, 8, draws=0)
    never = found.posterior.all_wrong(1)[0]
    assert 0.9 < never < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: known_set([0.0, 0.0]), "nothing to learn from"),
        (lambda: known_set([1.2]), r"must lie in \[0, 1\]"),
        (lambda: measured_set([0, 0], 8), "no prompt was ever solved, in 16 tries"),
        (lambda: measured_set([9], 8), "must"),
    ],
)
def test_what_teaches_nothing_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
