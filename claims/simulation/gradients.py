"""O1, O3 and N5: what the sampled gradients of the reinforcement schemes are, and are not."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from claims.simulation.common import Lab, series
from claims.verdicts import Check, Finding, above, below, compared, finding, near
from sim.config import SimulationConfig
from sim.counter import draw
from sim.learners import table_group
from sim.policies.bandit import Bandit
from sim.priors import make_prior
from sim.tables import Table, scheme_table

PSEUDO = ("psr", "nsr", "w_reinforce")


def o1(lab: Lab) -> Finding:
    """Linear-R at group size M ascends MaxRL's order-M truncated log-likelihood."""
    size, success = 8, 0.1
    checks: list[Check] = []
    for scheme, order in (("linear_r", size), ("linear_r:zero_success=drop", size - 1)):
        weights = sampled_weights(
            scheme, success, size, groups=20_000 if lab.quick else 400_000, seed=lab.first_seed
        )
        truncated = sum((1 - success) ** (k - 1) for k in range(1, order + 1))
        name = f"ω at M = {size} against MaxRL of order {order}"
        checks.append(near(name, truncated, weights, 0.02, scheme=scheme))
    claim = "Linear-R at group size M ascends MaxRL's truncated objective of order M; dropping, M−1"
    return finding("O1", claim, checks, [f"ρ = {success}, sampled groups"], quick=lab.quick)


def sampled_weights(
    scheme: str, success: float, size: int, *, groups: int, seed: int
) -> list[float]:
    """Estimates of ω_M(ρ) from sampled groups, one per seed: gradient over that of ρ."""
    policy = Bandit(4, 2)
    prior = make_prior(
        prompts=1, answers=4, correct_answers=2, start=success, prior_spread=1.0, seed=0
    )
    logits = jnp.broadcast_to(jnp.asarray(prior.log_probabilities, jnp.float32), (4, groups))
    masses = policy.masses(logits)
    table = scheme_table(scheme, size, "float32")
    exact = jnp.where(jnp.arange(4) < 2, 1 - success, -success) * masses[:, 0] / masses[:, 0].sum()

    seeds = range(seed, seed + 8)
    gradients = [_sampled(policy, logits, table, jnp.uint32(s)).mean(axis=1) for s in seeds]
    # Least squares through the exact gradient of ρ, π(r − ρ): one number per seed.
    return [float((gradient @ exact) / (exact @ exact)) for gradient in gradients]


@functools.partial(jax.jit, static_argnums=0)
def _sampled(policy: Bandit, logits: jax.Array, table: Table, seed: jax.Array) -> jax.Array:
    """Sampled policy gradient of every group, shape (answers, groups)."""
    masses = policy.masses(logits)
    size = table.positive.shape[0] - 1
    uniforms = draw("hash", seed, 0, size, logits.shape[1])
    group = table_group(policy, masses, uniforms, table)
    return policy.score(logits, masses, group.weights, group.total)


def o3(lab: Lab) -> Finding:
    """PSR, NSR and W-REINFORCE are one flow under exact mirror steps, three under sampling."""
    common: dict[str, Any] = {
        "schemes": PSEUDO, "prompts": 128, "answers": 16, "correct_answers": 4, "start": 0.1,
        "group_size": 8, "target": 0.8, "measure_every": 5, "pass_k": (1, 16),
        "seed": lab.first_seed,
    }  # fmt: skip
    exact = lab.run(
        SimulationConfig(
            **common, learner="mirror", seeds=1, steps=200, learning_rate=0.11,
            learning_rates={"w_reinforce": 0.1},
        ),
        "mirror",
    )  # fmt: skip
    checks: list[Check] = []
    for scheme in PSEUDO[1:]:
        for metric in ("success", "entropy"):
            gap = series(exact, scheme, metric) - series(exact, "psr", metric)
            largest = float(gap.abs().to_numpy().max())
            about = compared(scheme, "psr", regime="mirror steps", exact=True)
            checks.append(below(f"largest |difference| of {metric}", 1e-3, [largest], **about))
    sampled = lab.run(
        SimulationConfig(**common, seeds=5 if lab.quick else 20, steps=400, learning_rate=1.0),
        "sampled",
    )  # fmt: skip
    reached = {s: at_level(sampled, s, "entropy_correct", 0.8) for s in PSEUDO}
    for scheme in PSEUDO[1:]:
        gaps = list(reached[scheme] - reached["psr"])
        about = compared(scheme, "psr", regime="sampled softmax")
        checks.append(above("entropy of correct answers at success 0.8", 0.0, gaps, **about))
    claim = "PSR, NSR, W-REINFORCE share ρ(t) under the mirror flow and differ under sampling"
    return finding("O3", claim, checks, ["bandit, 16 answers, 4 correct, M = 8"], quick=lab.quick)


def at_level(metrics: pd.DataFrame, scheme: str, metric: str, level: float) -> np.ndarray:
    """Value of a metric when the success first reaches a level, interpolated; NaN if never."""
    success, values = series(metrics, scheme, "success"), series(metrics, scheme, metric)
    found = []
    for seed in success.index:
        curve, other = success.loc[seed].to_numpy(), values.loc[seed].to_numpy()
        above_level = np.flatnonzero(curve >= level)
        if above_level.size == 0 or above_level[0] == 0:
            found.append(np.nan)
            continue
        i = int(above_level[0])
        share = (level - curve[i - 1]) / (curve[i] - curve[i - 1])
        found.append(other[i - 1] + share * (other[i] - other[i - 1]))
    return np.asarray(found)


def n5(lab: Lab) -> Finding:
    """NSR's update vanishes as errors stop, and confident tokens barely move."""
    groups = 5_000 if lab.quick else 50_000
    failures = np.array([0.3, 0.1, 0.03, 0.01])
    lengths = np.array([_update_length("nsr", 1 - f, groups, lab.first_seed) for f in failures])
    slopes = np.log(lengths[:-1] / lengths[1:]) / np.log(failures[:-1] / failures[1:])[:, None]
    checks = [
        above("slope of ln |update| in ln(1 − ρ)", 0.8, list(slopes.mean(axis=0)), scheme="nsr")
    ]
    # A wrong answer of probability p that was drawn moves by 1 − p per unit of its weight.
    confident, unsure = (_own_movement(p) for p in (0.99, 0.5))
    name, ratio = "movement of a token of probability 0.99 over one of 0.5", confident / unsure
    checks.append(near(name, 0.01 / 0.5, [ratio], 0.01, exact=True, scheme="nsr"))
    claim = "NSR's update vanishes as errors stop; confident tokens barely move"
    return finding("N5", claim, checks, ["bandit, 8 answers, sampled groups of 8"], quick=lab.quick)


def _update_length(scheme: str, success: float, groups: int, seed: int) -> np.ndarray:
    """Mean length of the sampled update at a success probability, one per seed."""
    policy = Bandit(8, 2)
    prior = make_prior(
        prompts=1, answers=8, correct_answers=2, start=success, prior_spread=1.0, seed=0
    )
    logits = jnp.broadcast_to(jnp.asarray(prior.log_probabilities, jnp.float32), (8, groups))
    table = scheme_table(scheme, 8, "float32")
    found = []
    for number in range(seed, seed + 8):
        gradient = _sampled(policy, logits, table, jnp.uint32(number))
        found.append(float(jnp.sqrt((gradient**2).sum(axis=0)).mean()))
    return np.array(found)


def _own_movement(probability: float) -> float:
    """How far NSR moves the logit of a wrong answer that was drawn, per unit of weight."""
    policy = Bandit(2, 1)
    masses = jnp.array([[1 - probability], [probability]])
    weights = jnp.array([[0.0], [-1.0]])
    return abs(float(policy.score(jnp.log(masses), masses, weights)[1, 0]))
