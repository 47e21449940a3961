"""Allocation: another optimiser, random allocations at equal cost, and two known cases."""

import numpy as np
import pytest
from scipy import optimize

from theory.allocation import allocate, allocation_noise
from theory.schemes import SCHEMES

RHO = np.array([0.003, 0.05, 0.3, 0.9])
COST = np.array([4.0, 2.0, 1.0, 0.5])


@pytest.mark.parametrize("name", ["grpo", "sqrt_r", "rloo", "uniform_r"])
def test_no_other_allocation_of_equal_cost_scatters_less(name):
    found = allocate(name, RHO, budget=64.0, cost=COST)
    assert found @ COST == pytest.approx(64.0)
    least = allocation_noise(name, RHO, found)
    generator = np.random.default_rng(0)
    for _ in range(100):
        other = found * np.exp(0.3 * generator.normal(size=4))
        assert allocation_noise(name, RHO, other * 64 / (other @ COST)) >= least
    spread = (SCHEMES[name].weight(RHO) ** 2) * RHO * (1 - RHO)
    solved = optimize.minimize(
        lambda m: np.sum(spread / m) / least,
        np.full(4, 64 / COST.sum()),
        bounds=[(1e-3, None)] * 4,
        constraints={"type": "eq", "fun": lambda m: m @ COST - 64},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(solved.x, found, rtol=1e-4)


def test_grpo_wants_equal_groups_and_sqrt_r_the_inverse_root():
    np.testing.assert_allclose(allocate("grpo", RHO, budget=40.0), 10.0, rtol=1e-12)
    wanted = allocate("sqrt_r", RHO, budget=40.0)
    np.testing.assert_allclose(wanted * RHO**0.5, wanted[0] * RHO[0] ** 0.5, rtol=1e-12)


def test_noise_by_drawing_groups_of_the_allocated_sizes():
    """The spread of Σ_i ω_i(ρ̂_i − ρ_i), its weights known, over 100,000 draws."""
    rho, sizes = np.array([0.05, 0.4]), np.array([24, 8])
    weight = SCHEMES["sqrt_r"].weight(rho)
    drawn = np.random.default_rng(1).binomial(sizes, rho, (100_000, 2)) / sizes
    total = ((drawn - rho) * weight).sum(-1)
    # The variance of 100,000 draws is known to about half a per cent.
    assert total.var() == pytest.approx(allocation_noise("sqrt_r", rho, sizes), rel=0.02)


def test_what_makes_no_sense_is_refused_with_a_sentence():
    for call in (
        lambda: allocate("grpo", [0.0, 0.5], budget=8),
        lambda: allocate("grpo", [0.1, 0.5], budget=0),
        lambda: allocate("grpo", [0.1, 0.5], budget=8, cost=[1.0, -1.0]),
        lambda: allocate("grpo", [0.1, 0.5], budget=8, cost=[1.0, 1.0, 1.0]),
        lambda: allocate(lambda success: 0 * success, [0.1, 0.5], budget=8),
        lambda: allocation_noise("grpo", [0.1], 0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
