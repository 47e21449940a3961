"""Drift against noise: what a scheme buys with the second moment of its advantages.

An update of B prompts with M responses has the second moment E[A²]·D/(BM), with D the variance of
the score and E[A²] averaged over prompts. Its drift is linear in the tables: with
d the drift of ρ, or of logit ρ, per unit of weight,

    drift = E_x[ω_M(ρ) d(ρ)] = ⟨h, a⟩,   noise = E_x[E[A²]] = ⟨a, a⟩,
    ⟨a, b⟩ = Σ_K P(K)[K a⁺_K b⁺_K + (M−K) a⁻_K b⁻_K]/M,

with P(K) the distribution of K over all prompts. The tables with the most drift for their noise are
therefore h itself, which is a posterior mean given K: h⁺_K = E[d/ρ | K], h⁻_K = E[d/(1−ρ) | K].
For mean success under the mirror flow, d = ρ(1−ρ), that is the advantage r − E[ρ|K]: RLOO with a
baseline that knows the distribution of pass rates. For mean log-odds, d = 1, it is Uniform-R with
such a baseline, and it penalises all-wrong groups. Every scheme is a point in the ellipse that
these two span; mixtures of the two are its boundary, the frontier.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theory._arrays import Array, Floats
from theory._binomial import binomial_probabilities, check_group_size
from theory._options import Option
from theory.dynamics import Dynamics, resolve_dynamics
from theory.pass_rates import PassRates, as_pass_rates
from theory.schemes import Scheme, SchemeLike, resolve
from theory.tables import table_scheme


@dataclasses.dataclass(frozen=True)
class Tradeoff:
    """Drift and noise of a scheme on a distribution of pass rates, per unit learning rate.

    Attributes:
        success_drift: Drift of the mean success probability.
        odds_drift: Drift of the mean log-odds.
        noise: E[A²], averaged over prompts.
        success_efficiency: success_drift²/noise as a share of the most any table reaches.
        odds_efficiency: odds_drift²/noise as a share of the most any table reaches.
        frontier: Share in [0, 1] of the noise that a frontier table with the same two drifts
            would need; 1 lies on the frontier.
        all_wrong_noise: Share of the noise that comes from groups without a correct response.
        all_wrong_success: Share of the success drift that comes from them.
        all_wrong_odds: Share of the log-odds drift that comes from them.
        group_size: M.
    """

    success_drift: float
    odds_drift: float
    noise: float
    success_efficiency: float
    odds_efficiency: float
    frontier: float
    all_wrong_noise: float
    all_wrong_success: float
    all_wrong_odds: float
    group_size: int

    def signal_to_noise(self, prompts: float = 1.0, score_variance: float = 1.0) -> float:
        """Success drift over the standard deviation of an update, √(BM/D)·drift/√E[A²].

        Args:
            prompts: B, prompts per update.
            score_variance: D, variance of the score.

        Raises:
            ValueError: Numbers that are not positive.

        Source: theory.md, section 4.

        >>> result = tradeoff("rloo", 0.5, 4)
        >>> bool(np.isclose(result.signal_to_noise(16), 4 * result.signal_to_noise(1)))
        True
        """
        if not (prompts > 0 and score_variance > 0):
            raise ValueError("prompts and score_variance must be positive")
        if self.noise == 0:
            return 0.0
        responses = prompts * self.group_size / score_variance
        return math.sqrt(responses / self.noise) * self.success_drift


def tradeoff(
    scheme: SchemeLike,
    rates: PassRates | Array,
    group_size: int,
    *,
    dynamics: str | Dynamics = "mirror",
    sharing: float = 0.0,
    **options: Option,
) -> Tradeoff:
    """Place a scheme in the plane of drift against noise.

    Args:
        scheme: Scheme, or its name with options.
        rates: A pass rate, one per prompt, or :class:`~theory.pass_rates.PassRates`.
        group_size: M.
        dynamics: The update rule.
        sharing: s in [0, 1], the share of an update that acts on all prompts alike; see
            ``theory.learning_time``.
        **options: Options of the scheme.

    Returns:
        Drifts, noise, efficiencies and the part of all-wrong groups.

    Raises:
        ValueError: Pass rates or ``sharing`` outside [0, 1], unknown names, a group too small.

    Source: theory.md, section 4 "Noise".

    >>> rates = PassRates.beta(1.0, 1.0)
    >>> round(tradeoff("rloo", rates, 16).success_efficiency, 4)  # (M−1)(M+2)/(M(M+1))
    0.9926
    """
    problem = _Problem(as_pass_rates(rates), group_size, resolve_dynamics(dynamics), sharing)
    table = np.stack(resolve(scheme, **options).table(group_size))
    success, odds = problem.success_table, problem.odds_table
    noise = problem.inner(table, table)
    drifts = np.array([problem.inner(success, table), problem.inner(odds, table)])
    gram = np.array(
        [[problem.inner(a, b) for b in (success, odds)] for a in (success, odds)], dtype=float
    )
    efficiency = np.divide(
        drifts**2, noise * np.diag(gram), out=np.zeros(2), where=noise * np.diag(gram) > 0
    )
    all_wrong = np.zeros_like(table)
    all_wrong[1, 0] = table[1, 0]
    wrong_drifts = [problem.inner(success, all_wrong), problem.inner(odds, all_wrong)]
    return Tradeoff(
        success_drift=float(drifts[0]),
        odds_drift=float(drifts[1]),
        noise=noise,
        success_efficiency=float(efficiency[0]),
        odds_efficiency=float(efficiency[1]),
        frontier=_ellipse(drifts, gram) / noise if noise > 0 else 0.0,
        all_wrong_noise=problem.inner(all_wrong, all_wrong) / noise if noise > 0 else 0.0,
        all_wrong_success=wrong_drifts[0] / float(drifts[0]) if drifts[0] else 0.0,
        all_wrong_odds=wrong_drifts[1] / float(drifts[1]) if drifts[1] else 0.0,
        group_size=group_size,
    )


def noise_dose(
    scheme: SchemeLike,
    rates: PassRates | Array,
    group_size: int,
    *,
    learning_rate: float = 1.0,
    batch: float = 1.0,
    **options: Option,
) -> float:
    """Noise that training takes in per unit of success that it gains, the *noise dose*.

    (η/B)·E[A²]/E[ω_M(ρ) ρ(1−ρ)], means over prompts. A step of length η gains η E[ω_M ρ(1−ρ)] of
    success in proportion, and spreads parameters by η² E[A²]/B. What the noise does to the
    distribution among answers is therefore a matter of the dose: where it is small all schemes
    leave the same policy at the same success.

    Args:
        scheme: Scheme with a table, or its name.
        rates: A pass rate, one per prompt, or :class:`~theory.pass_rates.PassRates`.
        group_size: M.
        learning_rate: η > 0.
        batch: B ≥ 1, prompts of an update that share parameters.
        **options: Options of the scheme.

    Returns:
        The dose; ∞ where the scheme gains nothing.

    Raises:
        ValueError: Values outside these ranges, a scheme without a table.

    Source: derived in this module.

    >>> round(noise_dose("reinforce", 0.5, 16, learning_rate=0.5, batch=4), 6)  # 1/(2·¼)/8
    0.25
    """
    if not (learning_rate > 0 and batch >= 1):
        raise ValueError("learning_rate must be positive and batch at least 1")
    problem = _Problem(as_pass_rates(rates), group_size, resolve_dynamics("mirror"), 0.0)
    table = np.stack(resolve(scheme, **options).table(group_size))
    gain, noise = problem.inner(problem.success_table, table), problem.inner(table, table)
    return learning_rate / batch * noise / gain if gain > 0 else math.inf


def frontier_scheme(
    rates: PassRates | Array,
    group_size: int,
    *,
    odds_share: float = 0.0,
    dynamics: str | Dynamics = "mirror",
    sharing: float = 0.0,
) -> Scheme:
    """Scheme with the most drift per noise on a distribution of pass rates.

    a ∝ (1−α) h_success/‖h_success‖ + α h_odds/‖h_odds‖, scaled to E[A²] = 1.

    Args:
        rates: A pass rate, one per prompt, or pass rates with shares.
        group_size: M.
        odds_share: α in [0, 1]: 0 for the drift of mean success, 1 for that of mean log-odds.
        dynamics: The update rule.
        sharing: As in :func:`tradeoff`.

    Returns:
        A table scheme for groups of M.

    Raises:
        ValueError: ``odds_share``, ``sharing`` or pass rates outside [0, 1].

    Source: derived in this module from theory.md, section 4.

    >>> best = frontier_scheme(PassRates.beta(1.0, 1.0), 2)
    >>> table = best.table(2)
    >>> (table[0] / table[0][1]).round(6).tolist()  # r − E[ρ|K] with E[ρ|K] = (K+1)/(M+2)
    [0.0, 1.0, 0.5]
    """
    if not 0 <= odds_share <= 1:
        raise ValueError(f"odds_share must lie in [0, 1]; got {odds_share}")
    problem = _Problem(as_pass_rates(rates), group_size, resolve_dynamics(dynamics), sharing)
    parts = []
    for table in (problem.success_table, problem.odds_table):
        norm = math.sqrt(problem.inner(table, table))
        if norm == 0:
            raise ValueError("rates must hold a prompt with success inside (0, 1)")
        parts.append(table / norm)
    mixed = (1 - odds_share) * parts[0] + odds_share * parts[1]
    mixed = mixed / math.sqrt(problem.inner(mixed, mixed))
    return table_scheme(
        mixed[0], mixed[1], name=f"frontier_{odds_share:g}", title=f"Frontier (α={odds_share:g})"
    )


class _Problem:
    """Inner product of tables and the tables h of both drifts."""

    def __init__(
        self, rates: PassRates, group_size: int, dynamics: Dynamics, sharing: float
    ) -> None:
        if not 0 <= sharing <= 1:
            raise ValueError(f"sharing must lie in [0, 1]; got {sharing}")
        group_size = check_group_size(group_size)
        rho, share = rates.success, rates.share
        variance = rho * (1 - rho)
        velocity = np.asarray(dynamics.velocity(rho))
        # v/(ρ(1−ρ)) at the ends, where prompts give no gradient to a finite group that counts.
        inside = variance > 0
        ratio = np.divide(velocity, variance, out=np.zeros_like(rho), where=inside)
        root = np.sqrt(velocity)
        reach = np.divide(root, variance, out=np.zeros_like(rho), where=inside)
        success = (1 - sharing) * velocity + sharing * root * float(share @ root)
        odds = (1 - sharing) * ratio + sharing * root * float(share @ reach)
        self.group_size = group_size
        self.joint = share[:, None] * binomial_probabilities(group_size, rho)
        self.counts = self.joint.sum(axis=0)
        self.posterior = _posterior(rho, share, group_size)
        correct = np.arange(group_size + 1) / group_size
        self.measure = np.stack([correct, 1 - correct]) * self.counts
        self.success_table = self._table(rho, success)
        self.odds_table = self._table(rho, odds)

    def inner(self, first: Floats, second: Floats) -> float:
        """⟨a, b⟩ of two tables of shape (2, M + 1)."""
        return float(np.sum(self.measure * first * second))

    def _table(self, rho: Floats, drift: Floats) -> Floats:
        positive = np.divide(drift, rho, out=np.zeros_like(rho), where=rho > 0)
        negative = np.divide(drift, 1 - rho, out=np.zeros_like(rho), where=rho < 1)
        table = np.stack([positive @ self.posterior, negative @ self.posterior])
        table[0, 0] = table[1, -1] = 0.0
        return table


def _posterior(rho: Floats, share: Floats, group_size: int) -> Floats:
    """P(node | K), shape (nodes, M + 1), also for K so rare that its probability underflows."""
    correct = np.arange(group_size + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(share)[:, None] + np.nan_to_num(
            correct * np.log(rho)[:, None], nan=0.0, neginf=-np.inf
        )
        logs = logs + np.nan_to_num(
            (group_size - correct) * np.log1p(-rho)[:, None], nan=0.0, neginf=-np.inf
        )
        highest = logs.max(axis=0)
        weights = np.exp(logs - np.where(np.isfinite(highest), highest, 0.0))
    total = weights.sum(axis=0)
    posterior: Floats = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return posterior


def _ellipse(drifts: Floats, gram: Floats) -> float:
    """Least noise zᵀG⁻¹z of a table with drifts z, also where both drifts are proportional."""
    scale = np.sqrt(np.diag(gram))
    if np.any(scale == 0):
        return 0.0
    # Normalised to correlations, so that the cut-off is a relative one.
    z, correlation = drifts / scale, gram / np.outer(scale, scale)
    return float(z @ np.linalg.pinv(correlation, rcond=1e-12, hermitian=True) @ z)
