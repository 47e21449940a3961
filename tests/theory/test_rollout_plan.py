"""Plans keep to their budget, and no other sizes at their price move the prompts further."""

import numpy as np
import pytest
from scipy import integrate, stats

from theory.beta_binomial import PassRateModel
from theory.finite_group import expected_weight
from theory.prompt_sets import known_set, measured_set
from theory.rollout_plan import plan_rollouts

MODEL = PassRateModel(0.3, 1.2, 0.2)
CORRECT = np.repeat([0, 1, 2, 4, 9, 13, 16], [30, 8, 6, 6, 4, 3, 3])


def drift(correct, size):
    """Expected drift of success with a group of M, by SciPy's quadrature."""
    known = MODEL.posterior([correct], 16)
    density = stats.beta(known.a[0], known.b[0]).pdf

    def moved(rho):
        return float(expected_weight("grpo", size, np.asarray(rho))) * rho * (1 - rho)

    value = integrate.quad(lambda rho: moved(rho) * density(rho), 0, 1, limit=200)[0]
    return (1 - known.never[0]) * value


def test_chances_are_in_proportion_to_the_drift_and_sizes_to_one_price():
    plan = plan_rollouts(MODEL.posterior(CORRECT, 16), "grpo", 8)
    assert plan.probability.sum() == pytest.approx(1)
    assert 8 - 0.5 < plan.probability @ plan.group_size <= 8
    first = [int(np.argmax(correct == CORRECT)) for correct in (1, 4, 13)]
    sizes = plan.group_size[first]
    each = np.array([drift(CORRECT[i], int(m)) for i, m in zip(first, sizes, strict=True)])
    np.testing.assert_allclose(
        plan.probability[first] / each, plan.probability[first[0]] / each[0], rtol=2e-3
    )
    # One response less costs more than the price λ, one more brings less, for all prompts alike.
    less = [
        drift(CORRECT[i], int(m)) - drift(CORRECT[i], int(m) - 1)
        for i, m in zip(first, sizes, strict=True)
    ]
    more = [
        drift(CORRECT[i], int(m) + 1) - drift(CORRECT[i], int(m))
        for i, m in zip(first, sizes, strict=True)
    ]
    assert max(more) <= min(less) * 1.15
    assert plan.gain > 1


def test_a_prompt_never_solved_keeps_its_share():
    plan = plan_rollouts(MODEL.posterior(CORRECT, 16), "grpo", 8)
    never = plan.probability[CORRECT == 0]
    assert 0 < never.sum() < 0.3
    assert np.all(never > 0)


def test_equal_prompts_are_treated_alike():
    plan = plan_rollouts(MODEL.posterior(np.full(5, 3), 16), "sqrt_r", 16)
    np.testing.assert_allclose(plan.probability, 0.2)
    assert set(plan.group_size) == {16}
    assert plan.gain == pytest.approx(1)


@pytest.mark.parametrize("size", [1, 129])
def test_group_sizes_outside_of_the_range_are_refused(size):
    with pytest.raises(ValueError, match="group_size must lie in"):
        plan_rollouts(MODEL.posterior([1], 16), "grpo", size)


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
