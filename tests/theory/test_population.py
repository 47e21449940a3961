"""Populations: brute force that knows no closed form, the single-prompt limit, certificates."""

import numpy as np
import pytest
from scipy import integrate, optimize
from scipy.special import expit, logit

from theory.optimal import optimal_weight
from theory.pass_rates import PassRates
from theory.population import MOST_STARTS, optimal_population, shared_weight
from theory.schemes import SCHEMES

COST = {"updates": lambda rho: 1.0 + 0 * rho, "responses": lambda rho: 1 / rho}


def brute_force(start, share, target, clock):
    """Least mean cost over ends and budgets: quadrature and SLSQP from many starts."""
    start, share = np.array(start), np.array(share)
    count, rng = len(start), np.random.default_rng(1)

    def length(low, high):
        margin = lambda r: np.sqrt(COST[clock](r) / (r * (1 - r)))  # noqa: E731
        return integrate.quad(margin, low, high, epsabs=1e-12, limit=200)[0]

    def cost(x):
        budget = np.exp(x[count:])
        lengths = [length(s, max(s, e)) for s, e in zip(start, x[:count], strict=True)]
        return share @ (np.array(lengths) ** 2 / (budget / (share @ budget)))

    best = np.inf
    for _ in range(6):
        ends = start + (0.99 - start) * rng.random(count)
        found = optimize.minimize(
            cost,
            np.append(ends, 0.3 * rng.normal(size=count)),
            method="SLSQP",
            bounds=[(s, 0.9999) for s in start] + [(-25, 5)] * count,
            constraints={"type": "eq", "fun": lambda x: share @ x[:count] - target},
            options={"maxiter": 300, "ftol": 1e-12},
        )
        if abs(share @ found.x[:count] - target) < 1e-8:
            best = min(best, found.fun)
    return best


@pytest.mark.parametrize("clock", ["updates", "responses"])
@pytest.mark.parametrize(
    ("start", "share", "target"),
    [
        ([0.01, 0.2], [0.5, 0.5], 0.5),
        ([0.02, 0.02], [0.5, 0.5], 0.2),
        ([0.05, 0.3], [0.7, 0.3], 0.4),
        ([0.001, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3], 0.8),
    ],
)
def test_brute_force_finds_nothing_better(start, share, target, clock):
    ours = optimal_population(PassRates(np.array(start), np.array(share)), target, clock=clock)
    assert ours.time == pytest.approx(brute_force(start, share, target, clock), rel=1e-6)


def test_one_weight_function_for_all_prompts_is_what_an_optimiser_finds():
    # Ends fixed, weights of both prompts free in every bin of ρ, midpoint rule.
    start, end, bins, share = (0.05, 0.3), (0.7, 0.7), 8, np.array([0.6, 0.4])
    edges = [np.linspace(a, b, bins + 1) for a, b in zip(start, end, strict=True)]
    middle = np.concatenate([(e[1:] + e[:-1]) / 2 for e in edges])
    width = np.concatenate([np.diff(e) for e in edges]) * np.repeat(share, bins)

    def cost(logs):
        weight = np.exp(logs) / (np.exp(logs) @ width)
        return np.sum(width / (middle**2 * (1 - middle) * weight))

    found = optimize.minimize(cost, np.zeros(2 * bins), method="BFGS", options={"gtol": 1e-9})
    weight = np.exp(found.x)
    single = optimal_weight(0.05, 0.7, clock="responses").weight(middle)
    assert np.allclose(weight / single, (weight / single)[0], rtol=1e-4)


@pytest.mark.parametrize("clock", ["updates", "responses", "affine", "any_success"])
@pytest.mark.parametrize("dynamics", ["mirror", "softmax_gradient"])
def test_one_prompt_is_the_single_prompt_optimum(clock, dynamics):
    single = optimal_weight(0.02, 0.85, clock=clock, dynamics=dynamics, budget=3.0)
    for start in ([0.02], [0.02] * 5):
        many = optimal_population(start, 0.85, clock=clock, dynamics=dynamics, budget=3.0)
        assert many.converged
        assert many.time == pytest.approx(single.time, rel=1e-9)
        assert many.end == pytest.approx(0.85, rel=1e-12)
        rho = np.array([0.05, 0.5, 0.8])
        assert np.allclose(many.weight(rho), single.weight(rho), rtol=1e-9)
        for scheme in ("grpo", "linear_r"):
            for size in (None, 16):
                if size and single.clock.waits:
                    continue
                expected = single.excess(scheme, size)
                assert many.excess(scheme, size) == pytest.approx(expected, rel=1e-6)


def test_budgets_times_and_weights_are_consistent():
    start = np.array([0.002, 0.03, 0.2, 0.45, 0.97])
    best = optimal_population(start, 0.7, budget=2.5)
    assert best.share @ best.end == pytest.approx(0.7, rel=1e-12)
    assert best.share @ best.prompt_budget == pytest.approx(2.5, rel=1e-12)
    assert best.share @ best.prompt_time == pytest.approx(best.time, rel=1e-12)
    for place in np.flatnonzero(best.end > start):
        ends = start[place], best.end[place]
        spent = integrate.quad(lambda r: best.weight(np.array(r)), *ends, limit=200)[0]
        assert spent == pytest.approx(best.prompt_budget[place], rel=1e-8)
        took = integrate.quad(
            lambda r: 1 / (r * best.weight(np.array(r)) * r * (1 - r)), *ends, limit=200
        )[0]
        assert took == pytest.approx(best.prompt_time[place], rel=1e-8)
    assert best.prompt_budget[-1] == best.prompt_time[-1] == 0


def test_trained_prompts_share_one_end_where_margins_agree():
    start = PassRates.beta(0.4, 2.0, nodes=40).success
    best = optimal_population(start, 0.6)
    trained = best.end > start
    assert 0 < trained.sum() < len(start)
    # All but at most one of them, which may stop on the falling side of the margin.
    assert np.count_nonzero(np.abs(best.end[trained] - best.level) > 1e-9) <= 1
    untouched = start[~trained]
    assert np.all((untouched >= best.level) | (untouched <= start[trained].min()))


def test_ten_thousand_prompts_come_with_a_certificate():
    rng = np.random.default_rng(0)
    start = rng.beta(0.3, 2, 10_000).clip(1e-6, 1 - 1e-6)
    for clock in ("updates", "responses"):
        for target in (0.3, 0.9):
            best = optimal_population(start, target, clock=clock)
            assert best.converged
            # Identical prompts are interchangeable, so the duality gap is at most one of them.
            assert best.gap < 1e-4
            assert best.share @ best.end == pytest.approx(target, rel=1e-9)


def test_no_random_change_of_ends_is_cheaper():
    rng = np.random.default_rng(2)
    start = np.sort(rng.beta(0.5, 2.0, 12))
    best = optimal_population(start, 0.6, clock="responses")
    antiderivative = lambda r: -2 * np.arctanh(np.sqrt(1 - r))  # noqa: E731
    least = np.sqrt(best.time)
    exact = np.mean(antiderivative(best.end) - antiderivative(start))
    assert least == pytest.approx(exact, rel=1e-10)
    for scale in (1e-3, 1e-2, 0.2):
        for _ in range(200):
            end = np.clip(best.end + scale * rng.normal(size=12), start, 0.9999)
            free = end > start
            end[free] += (0.6 - end.mean()) * 12 / free.sum()
            if np.any(end < start) or np.any(end >= 1):
                continue
            assert np.mean(antiderivative(end) - antiderivative(start)) >= least * (1 - 1e-12)


def test_excess_of_any_scheme_is_at_least_one_less_the_gap():
    start = PassRates.beta(0.5, 3.0, nodes=24)
    start = PassRates(start.success.clip(1e-5), start.share)
    best = optimal_population(start, 0.7)
    for scheme in ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r"):
        assert best.excess(scheme) >= 1 - best.gap
    assert best.excess(lambda rho: 3 * rho**-0.5) == pytest.approx(
        best.excess(lambda rho: rho**-0.5), rel=1e-9
    )


def test_excess_of_prompts_side_by_side_is_that_of_a_simulation():
    """Also for a weight that all but vanishes on its way, whose times span dozens of decades."""
    start, step = np.array([0.05, 0.3]), 2e-3
    best = optimal_population(start, 0.6)
    for name in ("grpo", "pass_at_k"):
        weight = SCHEMES[name].weight
        odds, cost, budget = logit(start), 0.0, 0.0
        while np.mean(expit(odds)) < 0.6:
            rho = expit(odds)
            middle = expit(odds + step / 2 * weight(rho))
            odds = odds + step * weight(middle)
            cost += step * np.mean(1 / middle)
            budget += np.mean(weight(middle) * (expit(odds) - rho))
        expected = cost * budget / (best.time * best.budget)
        # The last step overshoots the target by up to its length.
        assert best.excess(name) == pytest.approx(expected, rel=5e-3)


def test_prompts_without_a_share_do_not_count():
    best = optimal_population(PassRates(np.array([0.1, 0.3]), np.array([0.0, 1.0])), 0.9)
    assert best.start.tolist() == [0.3]
    assert best.end == pytest.approx([0.9])


def test_a_margin_with_several_minima_is_reported():
    bumpy = lambda rho: np.exp(2 * np.sin(40 * rho)) / rho  # noqa: E731
    best = optimal_population([0.05, 0.2], 0.6, clock=bumpy)
    assert not best.converged
    assert "fall and then rise" in best.message
    assert best.share @ best.end == pytest.approx(0.6, rel=1e-9)


@pytest.mark.parametrize(
    ("start", "target", "keywords", "message"),
    [
        ([0.0, 0.5], 0.9, {}, "start"),
        ([0.3, 0.5], 0.4, {}, "target"),
        ([0.3], 1.0, {}, "target"),
        ([0.3], 0.9, {"budget": 0.0}, "budget"),
        ([0.3], 0.9, {"clock": "sundial"}, "unknown clock"),
    ],
)
def test_bad_input_is_named(start, target, keywords, message):
    with pytest.raises(ValueError, match=message):
        optimal_population(start, target, **keywords)


def effective_length(low, high):
    """∫ dρ/(ρ√(1−ρ)), the length on the effective clock, in closed form."""
    return 2 * (np.arctanh(np.sqrt(1 - low)) - np.arctanh(np.sqrt(1 - high)))


@pytest.mark.parametrize(
    ("start", "target", "time", "end"),
    [
        # The hard prompt stops half-way, above the other's start.
        ([0.0275, 0.2277], 0.6155755850310284, 5.6390, [0.3084, 0.9227]),
        ([0.0076, 0.2371, 0.2395], 0.6954, None, [0.107, 0.990, 0.990]),
    ],
)
def test_a_prompt_that_must_help_is_trained_part_of_the_way(start, target, time, end):
    best = optimal_population(start, target)
    assert best.end == pytest.approx(end, abs=6e-4)
    assert best.time == pytest.approx(
        np.mean(effective_length(np.array(start), best.end)) ** 2, rel=1e-9
    )
    if time is not None:
        assert best.time == pytest.approx(time, abs=5e-5)


@pytest.mark.parametrize("seed", range(12))
def test_a_search_over_all_ends_of_two_and_three_prompts_finds_nothing_better(seed):
    """A grid of ends that meet the target, refined around its best points; no structure assumed."""
    rng = np.random.default_rng(seed)
    count = 2 + seed % 2
    start = expit(rng.normal(-3, 2, count))
    mean = start.mean()
    target = mean + (0.999 - mean) * rng.random()

    def cost(free):
        last = count * target - free.sum(axis=-1)
        end = np.concatenate([free, last[..., None]], axis=-1)
        allowed = np.all((end >= start) & (end < 1), axis=-1)
        end = np.where(allowed[..., None], end, 0.5)
        return np.where(allowed, effective_length(start, end).mean(axis=-1), np.inf)

    points = 400 if count == 2 else 150
    axes = [expit(np.linspace(logit(s), 12, points)) for s in start[:-1]]
    for place, axis in enumerate(axes):
        axis[0] = start[place]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, count - 1)
    values = cost(grid)
    least = np.inf
    for place in np.argsort(values)[:20]:
        found = optimize.minimize(
            cost, grid[place], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}
        )
        least = min(least, found.fun)
    best = optimal_population(start, target)
    assert best.share @ best.end == pytest.approx(target, rel=1e-12)
    # The simplex cannot get onto an edge of the allowed ends exactly.
    assert np.sqrt(best.time) <= least * (1 + 1e-9)
    assert np.sqrt(best.time) >= least * (1 - 1e-5)


def test_a_weight_for_all_where_updates_cost_the_same_is_known_in_closed_form():
    starts, target, cost = np.array([0.3, 0.05, 0.3]), 0.8, 4.0
    # Cost and budget density are both the share of prompts that pass, so √(c b/v) is the share
    # over √(ρ(1−ρ)), and its integral the mean of [2 arcsin √ρ] from each start to the target.
    angle = np.mean(2 * (np.arcsin(np.sqrt(target)) - np.arcsin(np.sqrt(starts))))
    best = shared_weight(starts, target, clock=lambda success: cost + 0 * success)
    assert best.time == pytest.approx(cost * angle**2, rel=1e-9)


def test_many_starts_are_moved_by_too_little_to_matter():
    starts = np.random.default_rng(0).beta(0.8, 3, 5000)
    starts = starts[(starts > 1e-4) & (starts < 0.9)]
    assert np.unique(starts).size > MOST_STARTS
    angles = 2 * (np.arcsin(np.sqrt(0.9)) - np.arcsin(np.sqrt(starts)))
    time = shared_weight(starts, 0.9, clock="updates").time
    # A start moves by half a cell of the log-odds at most, up as often as down.
    assert time == pytest.approx(np.mean(angles) ** 2, rel=1e-3)


@pytest.mark.parametrize("start", [[0.0, 0.1], [0.1, 0.9], [0.95]])
def test_a_weight_for_all_needs_starts_below_the_target(start):
    with pytest.raises(ValueError, match=r"start must lie in \(0, 0.9\)"):
        shared_weight(start, 0.9)


def test_a_weight_that_is_not_positive_has_no_excess():
    assert optimal_population([0.1, 0.2], 0.9).excess(lambda rho: rho - 0.3) == np.inf
