"""The advice against designs, enumeration and the threshold it states; group sizes against sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from theory.advice import WORTH_IT, advise, group_sizes
from theory.designs import excess, path
from theory.sharing import relative_cost, spread_odds


@pytest.mark.parametrize("sampling", ["fixed", "until_any", "until_mixed"])
def test_equal_prompts_are_judged_by_their_design(sampling: str) -> None:
    advice = advise(0.01, sampling=sampling)
    for name in ("grpo", "rloo", "reinforce", "psr", "nsr"):
        exact = excess(name, design=sampling, group_size=16, start=0.01, target=0.9)
        assert advice.excess_finite[name] == pytest.approx(exact, rel=1e-9)
    assert advice.keep
    assert advice.saving == (0, 0, 0)
    # The energy tells apart what follows the same flow.
    assert min(advice.cost[name] for name in ("reinforce", "psr", "nsr")) > 1.8


def test_a_costly_scheme_is_given_up_and_the_saving_is_the_ratio_of_costs() -> None:
    advice = advise(0.01, present="linear_r", schemes=["grpo", "rloo"])
    assert advice.recommended == "grpo"
    ways = [path(n, group_size=16, start=0.01, target=0.9) for n in ("grpo", "linear_r")]
    products = [way.product("energy") for way in ways]
    assert advice.saving.estimate == pytest.approx(1 - products[0] / products[1], rel=1e-6)


def test_what_saves_less_than_the_threshold_is_not_worth_a_change() -> None:
    advice = advise(0.4, present="rloo", schemes=["grpo"])
    assert 0 < advice.margin < WORTH_IT
    assert advice.recommended == "rloo"


@pytest.mark.parametrize(("sharing", "best"), [(0.0, "maxrl"), (1.0, "rloo")])
def test_unequal_prompts_are_judged_side_by_side(sharing: float, best: str) -> None:
    success = 1 / (1 + np.exp(-spread_odds(0.1, 2.0)))
    schemes = ["grpo", "rloo", "maxrl", "sqrt_r"]
    advice = advise(success, schemes=schemes, sharing=sharing)
    assert advice.candidate == best
    assert advice.keep == (advice.margin < WORTH_IT)
    for name in schemes:
        exact = relative_cost(name, start=0.1, spread=2.0, sharing=sharing)
        assert advice.cost[name] == pytest.approx(exact, rel=1e-6)
    if sharing == 0:
        assert any("together" in change.condition for change in advice.changes)


def test_counts_leave_the_saving_an_interval_that_more_prompts_narrow() -> None:
    correct = np.repeat([0, 1, 2, 4, 9, 13, 16], [30, 8, 6, 6, 4, 3, 3])
    widths = []
    for times in (1, 16):
        rates = np.tile(correct, times) / 16
        advice = advise(rates, tries=16, schemes=["grpo", "sqrt_r:zero_success=drop"])
        low, high = advice.saving.low, advice.saving.high
        assert low < advice.saving.estimate < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("sampling", ["fixed", "until_any", "until_mixed"])
def test_group_sizes_are_the_best_by_enumeration_of_the_design(sampling: str) -> None:
    rho, alpha, beta = 0.15, 3.0, 0.2
    found = group_sizes("linear_r", rho, sampling, alpha, beta)
    drift, information = {}, {}
    for size in (2, 4, 8, 16, 32, 64, 128):
        correct = np.arange(size + 1)
        chance = stats.binom.pmf(correct, size, rho)
        chance[0] *= sampling == "fixed"
        chance[-1] *= sampling != "until_mixed"
        # Linear-R: a correct response of K gets (M − K)/K, a wrong one −1, all-right groups 0.
        right = (size - correct) / np.maximum(correct, 1)
        wrong = np.where(correct < size, 1.0, 0.0)
        second = chance @ (correct * right**2 + (size - correct) * wrong**2) / size
        gain = correct * right * (1 - rho) + (size - correct) * wrong * rho
        moved = chance @ gain / size
        cost = alpha * chance.sum() + beta * size
        drift[size], information[size] = moved / cost, size * moved**2 / second / cost
    assert found.drift == max(drift, key=drift.__getitem__)
    most = max(information.values())
    assert found.information == max(information, key=information.__getitem__)
    assert found.recommended == next(
        size for size, value in information.items() if value >= 0.9 * most
    )


def test_without_update_costs_small_groups_drift_most_and_large_ones_inform_most() -> None:
    found = group_sizes("rloo", 0.05)
    assert (found.drift, found.information) == (2, 128)
    assert found.recommended == 16  # 15/16 ≥ 0.9 × 127/128 > 7/8


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"target": 1.0}, "target must lie in"),
        ({"success": 0.95}, "have reached the target"),
        ({"success": [0.0, 0.0]}, "no prompt was ever solved"),
        ({"success": [0.3], "tries": 4}, "pass rates of so many tries"),
        ({"sharing": 2.0}, "sharing must lie in"),
        ({"sampling": "often"}, "sampling design must be one of"),
        ({"response_cost": 0.0}, "one of them positive"),
    ],
)
def test_what_is_no_question_is_refused(change: dict[str, object], sentence: str) -> None:
    setting: dict[str, object] = {"success": 0.1, **change}
    with pytest.raises(ValueError, match=sentence):
        advise(setting.pop("success"), **setting)  # type: ignore[arg-type]
