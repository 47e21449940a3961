"""The advice against designs, enumeration and the threshold it states; group sizes against sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit, logit

from theory.advice import WORTH_IT, advise, group_sizes
from theory.designs import excess, path
from theory.finite_group import expected_weight, moments
from theory.prompt_sets import IN_REACH, measured_set
from theory.sharing import path_costs, relative_cost, spread_odds
from theory.training_path import Conditions
from theory.verifier_errors import VerifierErrors


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


def loop(scheme: str, rho: float, size: int) -> tuple[float, float, float]:
    """Net drift of log-odds but for the anchor, second moment and tokens, at f₀ = .02, f₁ = .1."""
    told = 0.02 + 0.88 * rho
    omega = 0.88 * float(expected_weight(scheme, size, told))
    second = float(moments(scheme, size, told).second_moment)
    return omega, second, size * (rho + 3 * (1 - rho))


def test_everything_that_training_adds_is_one_plain_quadrature() -> None:
    beta = 0.1
    advice = advise(
        0.02,
        0.8,
        schemes=["grpo", "rloo"],
        group_size=8,
        false_positive=0.02,
        false_negative=0.1,
        length_ratio=3.0,
        kl_coefficient=beta,
    )
    product = {}
    for name in ("grpo", "rloo"):

        def rate(odds: float, which: int, name: str = name) -> float:
            omega, *spent = loop(name, float(expit(odds)), 8)
            return spent[which] / (omega - beta * (odds - float(logit(0.02))))

        ends = float(logit(0.02)), float(logit(0.8))
        parts = [integrate.quad(rate, *ends, args=(i,), epsrel=1e-10)[0] for i in (0, 1)]
        product[name] = parts[0] * parts[1]
    assert advice.cost["rloo"] == pytest.approx(product["rloo"] / product["grpo"], rel=1e-8)


@pytest.mark.parametrize("kernel", ["softmax", "mirror"])
def test_unequal_prompts_under_conditions_are_one_plain_flow(kernel: str) -> None:
    start, size, sharing, beta, never = np.array([-3.0, -1.0, 0.5]), 4, 0.3, 0.05, 0.25
    conditions = Conditions(VerifierErrors(0.02, 0.1), 3.0, beta)
    found = path_costs(
        ["linear_r"],
        start,
        sharing=sharing,
        target=0.8,
        group_size=size,
        unsolvable=never,
        kernel=kernel,  # type: ignore[arg-type]
        conditions=conditions,
    )[0, 0]
    hopeless = float(moments("linear_r", size, 0.02).second_moment)

    def flow(_: float, state: np.ndarray) -> np.ndarray:
        odds = state[:3]
        omega, second, tokens = np.array([loop("linear_r", float(expit(x)), size) for x in odds]).T
        net = omega - beta * (odds - start)
        speed = net * expit(odds) * expit(-odds) if kernel == "softmax" else net
        moved = (1 - sharing) * speed + sharing * (1 - never) * speed.mean()
        cost = (1 - never) * tokens.mean() + never * 3 * size
        return np.array([*moved, cost, (1 - never) * second.mean() + never * hopeless])

    def there(_: float, state: np.ndarray) -> float:
        return float(expit(state[:3]).mean()) - 0.8

    there.terminal = True  # type: ignore[attr-defined]
    begun = np.array([*start, 0, 0])
    way = integrate.solve_ivp(flow, (0, 1e4), begun, events=there, rtol=1e-9, atol=1e-10)
    ended = way.y_events[0][0]
    # Steps and the grid of log-odds of path_costs are good for 1e-4.
    assert found == pytest.approx(ended[3] * ended[4], rel=1e-4)


@pytest.mark.parametrize("sampling", ["fixed", "until_mixed", "first_success", "population"])
@pytest.mark.parametrize("success", [0.05, [0.01, 0.05, 0.4]])
def test_a_right_verifier_equal_lengths_and_no_anchor_are_the_plain_advice(
    sampling: str, success: object
) -> None:
    setting = {"schemes": ["grpo", "sqrt_r"], "group_size": 4, "sampling": sampling}
    plain = advise(success, **setting)  # type: ignore[arg-type]
    small = {"false_positive": 1e-9, "length_ratio": 1 + 1e-9}
    if sampling not in ("population", "first_success"):
        small["kl_coefficient"] = 1e-9
    near = advise(success, **setting, **small)  # type: ignore[arg-type]
    for name in ("grpo", "sqrt_r"):
        assert near.cost[name] == pytest.approx(plain.cost[name], rel=1e-5)
        assert near.excess[name] == pytest.approx(plain.excess[name], rel=1e-5)
        if sampling == "population":
            continue
        assert near.excess_finite[name] == pytest.approx(plain.excess_finite[name], rel=1e-5)
        if sampling != "first_success" and np.ndim(success) == 0:
            exact = excess(name, design=sampling, group_size=4, start=success, target=0.9)  # type: ignore[arg-type]
            assert plain.excess_finite[name] == pytest.approx(exact, rel=1e-12)


def test_no_table_costs_less_than_the_best_one_under_errors_and_lengths() -> None:
    advice = advise(0.01, false_positive=0.05, false_negative=0.2, length_ratio=4.0, group_size=8)
    assert 1 <= min(advice.excess_finite.values()) < 1.1


def test_counts_of_a_verifier_with_errors_say_what_is_behind_them() -> None:
    """Truth .0 and .5 told as .1 and .55: what false positives explain is out of reach."""
    generator = np.random.default_rng(0)
    told = np.repeat([0.1, 0.55], [300, 100])
    found = measured_set(generator.binomial(64, told), 64, draws=3)
    behind = found.behind(VerifierErrors(0.1, 0.0))
    # Prompts scatter about .1, half of them above it, by √(.1 × .9/64) = .04.
    assert np.quantile(behind.success, 0.8) == pytest.approx(0.5, abs=0.1)
    assert behind.success.min() >= IN_REACH
    assert 0.3 < behind.out_of_reach < 0.6
    assert all(one.success.shape == behind.success.shape for one in behind.draws)
    with pytest.raises(ValueError, match=r"false positives of 0\.99 explain every pass"):
        found.behind(VerifierErrors(0.99, 0.0))


def test_an_anchor_stops_schemes_of_small_weight_and_then_all() -> None:
    held = advise(0.01, kl_coefficient=0.3, schemes=["grpo", "rloo"], present="rloo")
    assert (held.stopped, held.recommended, held.margin) == (["rloo"], "grpo", 1)
    # RLOO rests at σ(ℓ₀ + 1/β), below .9 from β = 1/Δℓ on; GRPO of 16 later.
    least = 1 / float(logit(0.9) - logit(0.01))
    assert advise(0.01, kl_coefficient=0.99 * least, schemes=["rloo"]).stopped == []
    assert advise(0.01, kl_coefficient=1.01 * least, schemes=["rloo"]).stopped == ["rloo"]
    with pytest.raises(ValueError, match=r"no scheme that was compared reaches the target 0\.9"):
        advise(0.01, kl_coefficient=20.0, schemes=["grpo"])
    with pytest.raises(ValueError, match="no scheme that was compared reaches"):
        advise([0.01, 0.1], kl_coefficient=20.0, schemes=["grpo"])


@pytest.mark.parametrize(("f0", "f1", "word"), [(0.6, 0.5, "unlearns"), (0.5, 0.5, "nothing")])
def test_a_verifier_that_misleads_is_refused(f0: float, f1: float, word: str) -> None:
    with pytest.raises(ValueError, match=f"every scheme .*{word}; mend the verifier first"):
        advise(0.1, false_positive=f0, false_negative=f1)


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
