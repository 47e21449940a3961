"""What an update by each scheme is worth to first order, and how noisy it is.

An update of a scheme on the group of prompt j is u_j = (1/M) Σ A S over its responses, and a step
is U = (1/N) Σ_j u_j. To first order and at rate 1 it moves the success of prompt i by
(1/N) Σ_j ⟨∇ρ_i, u_j⟩. With ∇ρ_i from other groups than that of the update this is unbiased for all
pairs, whatever the scheme. For a scheme with a table E[u_j] = ω_M(ρ_j) ∇ρ_j exactly, so that the
same number is (1/N) Σ_j K_ij v_i e_M(ρ_j): the law of theory.sharing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from llm_validation.probe.kernel import Kernel, logit_gradients
from llm_validation.probe.resampling import Resamples, quotient
from theory._arrays import Floats
from theory.advantages import group_advantages
from theory.beta_binomial import fit_pass_rates
from theory.finite_group import expected_weight
from theory.intervals import Interval
from theory.schemes import resolve


@dataclasses.dataclass(frozen=True)
class Rollouts:
    """Responses to prompts in groups, as arrays.

    Attributes:
        rewards: 0 or 1, shape (prompts, groups, group size).
        log_confidence: Mean log-probability of a token of each response, same shape.
        length: Tokens of each response, same shape.
    """

    rewards: Floats
    log_confidence: Floats
    length: Floats

    @property
    def group_size(self) -> int:
        """M."""
        return int(self.rewards.shape[2])

    def advantages(self, scheme: str) -> Floats:
        """Advantages under a scheme, shape (prompts, groups, group size)."""
        found = group_advantages(
            self.rewards, scheme, log_confidence=self.log_confidence, length=self.length
        )
        return np.asarray(found)


def group_updates(rollouts: Rollouts, scores: Floats, scheme: str) -> Floats:
    """u of each prompt and group, shape (groups, prompts, width).

    Args:
        rollouts: The responses.
        scores: Their scores, shape (prompts, groups × group size, width).
        scheme: Name of a scheme.
    """
    advantages = rollouts.advantages(scheme)
    shaped = scores.reshape(*advantages.shape, -1)
    return np.stack(
        [
            np.stack([a @ s for a, s in zip(advantages[:, g], shaped[:, g], strict=True)])
            for g in range(advantages.shape[1])
        ]
    ) / float(rollouts.group_size)


def success_gradients(scores: Floats, rewards: Floats) -> Floats:
    """Unbiased ∇ρ of each prompt, shape (prompts, width), from (prompts, responses, width)."""
    k, n = rewards.sum(axis=1, keepdims=True), rewards.shape[1]
    return np.asarray(k * (n - k) / (n * (n - 1)) * logit_gradients(scores, rewards))


@dataclasses.dataclass(frozen=True)
class SchemeGains:
    """First-order worth of an update by a scheme, at rate 1.

    Attributes:
        scheme: Its name.
        gain: Change of mean success.
        hard: Change of the success of hard prompts, those whose group had a low pass rate.
        noise: Root of the trace of the covariance of an update U.
        signal: Root of ‖E U‖², an unbiased square; 0 where that is negative.
        cost: noise²/gain² over the reference's: time times path energy to first order.
        hard_cost: The same with the gain of hard prompts; both ∞ where the gain is not positive.
    """

    scheme: str
    gain: Interval
    hard: Interval
    noise: Interval
    signal: Interval
    cost: Interval
    hard_cost: Interval


def scheme_gains(
    rollouts: Rollouts,
    scores: Floats,
    schemes: Sequence[str],
    drawn: Resamples,
    *,
    hard: float,
    reference: str,
) -> list[SchemeGains]:
    """Gains and noise of schemes, every group serving as the update's and as the others'.

    Args:
        rollouts: The responses, in two groups at least.
        scores: Their scores, shape (prompts, groups × group size, width).
        schemes: Names of schemes.
        drawn: Resamples of the prompts.
        hard: Prompts are hard in a group whose pass rate is at most this.
        reference: Scheme that costs are over; the first one if it is not among them.
    """
    groups = rollouts.rewards.shape[1]
    prompts = len(scores)
    shaped = scores.reshape(*rollouts.rewards.shape, -1)
    held = []
    for g in range(groups):
        rest = [other for other in range(groups) if other != g]
        held.append(
            success_gradients(
                shaped[:, rest].reshape(prompts, -1, scores.shape[-1]),
                rollouts.rewards[:, rest].reshape(prompts, -1),
            )
        )
    is_hard = np.less_equal(rollouts.rewards.mean(axis=2).T, hard)
    raw: dict[str, tuple[Floats, ...]] = {}
    for scheme in schemes:
        updates = group_updates(rollouts, scores, scheme)
        effects = [ascent @ update.T for ascent, update in zip(held, updates, strict=True)]
        gain = drawn.effect(np.mean(effects, axis=0))
        on_hard = np.mean(
            [drawn.effect(e, h.astype(float)) for e, h in zip(effects, is_hard, strict=True)],
            axis=0,
        )
        spread = updates.var(axis=0, ddof=1).sum(axis=-1)
        noise = drawn.total(spread) / prompts**2
        total = updates.sum(axis=0)
        across = total @ total.T - sum(update @ update.T for update in updates)
        signal = drawn.effect(across / (groups * (groups - 1)))
        raw[scheme] = gain, on_hard, noise, signal
    base = raw[reference if reference in raw else schemes[0]]
    found = []
    for scheme, (gain, on_hard, noise, signal) in raw.items():
        costs = []
        for mine, its in ((gain, base[0]), (on_hard, base[1])):
            cost = quotient(noise * its**2, base[2] * mine**2)
            # Over its own the reference costs 1 whatever it gains.
            costs.append(np.where((mine > 0) | (mine is its), cost, np.inf))
        found.append(
            SchemeGains(
                scheme,
                drawn.interval(gain),
                drawn.interval(on_hard),
                drawn.interval(np.sqrt(noise)),
                drawn.interval(np.sqrt(np.maximum(signal, 0))),
                drawn.interval(costs[0]),
                drawn.interval(costs[1]),
            )
        )
    return found


def law_effects(kernel: Kernel, scheme: str, group_size: int) -> Floats | None:
    """What the law predicts that an update on prompt j at rate 1 does to ρ_i: K_ij v_i e_M(ρ_j).

    Weights ω_M are taken at the posterior mean of ρ_j under a Beta distribution fitted to all
    counts; a missing diagonal entry is the mean of the others.

    Args:
        kernel: The kernel, of responses that the update does not use.
        scheme: Name of a scheme.
        group_size: M of the update.

    Returns:
        Shape (prompts, prompts), to be averaged over j; None for a scheme without a table.
    """
    if not resolve(scheme).has_table:
        return None
    success = fit_pass_rates(kernel.correct, kernel.responses)
    rate = success.posterior(kernel.correct, kernel.responses).mean()
    weight = np.asarray(expected_weight(scheme, group_size, rate))
    products = kernel.success_products
    v2, v = kernel.squared_variance, kernel.variance
    mean = float(np.diag(products).sum() / v2.sum()) if v2.any() else 0.0
    own = np.where(v2 > 0, np.diag(products), mean * v**2)
    np.fill_diagonal(products, own)
    return np.asarray(products * weight)
