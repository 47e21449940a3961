"""Plans: chances by quadrature, the pool by the flow, savings by sets that are drawn."""

import numpy as np
import pytest
from scipy import stats

from theory.pass_rates import PassRates
from theory.prompt_sets import known_set, measured_set
from theory.rollout_plan import plan_rollouts
from theory.spending import spending_cost

CORRECT = np.repeat([0, 1, 2, 4, 9, 13, 16], [30, 8, 6, 6, 4, 3, 3])
MEASURED = measured_set(CORRECT, 16, draws=8)


def test_chances_are_those_of_being_in_the_pool():
    plan = plan_rollouts(MEASURED, "grpo", 8, target=0.7)
    known = MEASURED.posterior
    inside = [
        (1 - never) * (stats.beta(a, b).cdf(plan.high) - stats.beta(a, b).cdf(plan.low))
        for a, b, never in zip(known.a, known.b, known.never, strict=True)
    ]
    np.testing.assert_allclose(plan.probability, inside / np.sum(inside), rtol=1e-9)
    assert plan.group_size == 8
    assert 0 < plan.low < plan.high < 1


def test_the_saving_is_that_of_the_flow():
    """All prompts alike, the never solved too, against the pool; both by steps of the flow."""
    plan = plan_rollouts(MEASURED, "grpo", 8, target=0.7)
    able, count = 1 - MEASURED.out_of_reach, MEASURED.success.size
    rates = PassRates(
        np.append(MEASURED.success, 0.0),
        np.append(np.full(count, able / count), MEASURED.out_of_reach),
    )
    pool = f"pool:low={plan.low!r},high={plan.high!r}"
    costs = [
        spending_cost(rule, rates, 0.7 * able - 1e-5, group_size=8).product
        for rule in (pool, "uniform")
    ]
    assert plan.saving.estimate == pytest.approx(1 - costs[0] / costs[1], abs=2e-3)
    assert plan.saving.low < plan.saving.estimate < plan.saving.high
    assert 0.3 < plan.saving.estimate < 0.95


def test_more_counts_leave_less_open():
    widths = []
    for copies in (1, 8):
        found = measured_set(np.repeat(CORRECT, copies), 16, draws=12)
        saving = plan_rollouts(found, "grpo", 8, target=0.7).saving
        widths.append(saving.high - saving.low)
    assert widths[1] < 0.6 * widths[0]


def test_a_prompt_never_solved_keeps_its_share():
    plan = plan_rollouts(MEASURED, "grpo", 8, target=0.7)
    never = plan.probability[CORRECT == 0]
    assert 0 < never.sum() < 0.4
    assert np.all(never > 0)


def test_equal_prompts_are_treated_alike_and_save_nothing():
    found = measured_set(np.full(50, 8), 16, draws=0)
    plan = plan_rollouts(found, "grpo", 16)
    np.testing.assert_allclose(plan.probability, 0.02)
    assert plan.saving.estimate == pytest.approx(0, abs=0.05)


def test_there_is_no_plan_where_the_mean_is_at_the_target():
    assert plan_rollouts(MEASURED, "grpo", 8, target=0.1) is None


def test_known_rates_are_refused():
    with pytest.raises(ValueError, match="needs counts"):
        plan_rollouts(known_set([0.1, 0.4]))


def test_a_measured_set_has_the_pass_rates_that_its_counts_imply():
    found = measured_set(CORRECT, 16, draws=10)
    assert found.all_wrong(16) == pytest.approx(0.5, abs=0.04)  # 30 of 60 were never solved
    assert found.success.shape == (64,)
    assert np.all(np.diff(found.success) >= 0)
    # Prompts in reach have what the mean of the posteriors leaves to them.
    mean = (1 - found.out_of_reach) * found.success.mean()
    assert mean == pytest.approx(found.posterior.mean().mean(), rel=0.02)
    drawn = [one.out_of_reach for one in found.draws]
    assert min(drawn) < found.out_of_reach < max(drawn)
    assert known_set([0.2, 1.0]).success[-1] < 1
