"""What a batch of groups says about training, computed from the true advantages."""

from __future__ import annotations

import numpy as np

from llm_validation.reward import RESTARTS

GROUP_METRICS = (
    "advantage_mean",
    "advantage_std",
    "advantage_square",
    "groups_all_wrong",
    "groups_all_right",
    "groups_mixed",
    "groups_unscorable",
    "effective_weight",
    "unscorable",
    "zero_advantage",
)
"""Names of what :func:`group_metrics` returns."""

RECORDED = {
    "loss": "loss",
    "reward": "reward",
    "entropy": "entropy",
    "kl": "kl",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "step_time": "step_time",
    "completions/mean_length": "response_length",
    "completions/clipped_ratio": "truncated",
    "clip_ratio/region_mean": "clipped",
    "sampling/sampling_logp_difference/mean": "sampler_gap_mean",
    "sampling/sampling_logp_difference/max": "sampler_gap_max",
    "groups_left_out": "groups_left_out",
    "prior_a": "prior_a",
    "prior_b": "prior_b",
    "prior_never": "prior_never",
    "prompts_tried": "prompts_tried",
    "pool_low": "pool_low",
    "pool_high": "pool_high",
    RESTARTS: RESTARTS,
}
"""What is logged and a run records, with the name it is recorded by."""


def group_metrics(
    rewards: np.ndarray, advantages: np.ndarray, valid: np.ndarray
) -> dict[str, float]:
    """Metrics of one batch of groups.

    The effective weight realised by a group is the covariance of advantage and reward,
    (1/M) Σ_i A_i (r_i − ρ̂): it is ω(ρ̂) ρ̂(1−ρ̂) for centred schemes and 0 for dead groups, whatever
    constant their advantages share.

    Args:
        rewards: Shape (groups, M), in [0, 1].
        advantages: Same shape.
        valid: Same shape, False where a response could not be scored.

    Returns:
        ``advantage_mean``, ``advantage_std`` (population) and ``advantage_square`` (E[A²], the
        noise of the update) over scored responses; ``groups_all_wrong``, ``groups_all_right``,
        ``groups_mixed`` and ``groups_unscorable``, which sum to 1; ``effective_weight``, the mean
        over groups; ``unscorable``, the share of responses; ``zero_advantage``, the share of
        scored responses that teach nothing. Where nothing was scored, means are 0.

    >>> rewards = np.array([[1.0, 0.0], [0.0, 0.0]])
    >>> advantages = np.array([[1.0, -1.0], [-1.0, -1.0]])
    >>> metrics = group_metrics(rewards, advantages, np.ones((2, 2), dtype=bool))
    >>> metrics["groups_all_wrong"], metrics["groups_mixed"], metrics["effective_weight"]
    (0.5, 0.5, 0.25)
    """
    weight = valid.astype(np.float64)
    rewards, advantages = rewards * weight, advantages * weight
    size = weight.sum(axis=1)
    scored = size > 0
    safe = np.maximum(size, 1.0)
    mean = rewards.sum(axis=1) / safe
    covariance = (advantages * (rewards - mean[:, None])).sum(axis=1) / safe
    all_wrong = scored & ~rewards.any(axis=1)
    all_right = scored & (rewards >= weight).all(axis=1)
    groups, responses = len(size), float(size.sum())
    wrong, right, some = (int(kind.sum()) for kind in (all_wrong, all_right, scored))
    first = float(advantages.sum()) / max(responses, 1.0)
    second = float(np.square(advantages).sum()) / max(responses, 1.0)
    values = (
        first,
        max(second - first**2, 0.0) ** 0.5,
        second,
        wrong / groups,
        right / groups,
        (some - wrong - right) / groups,
        1 - some / groups,
        float(covariance.sum()) / groups,
        1 - responses / weight.size,
        int((valid & (advantages == 0)).sum()) / max(responses, 1.0),
    )
    return dict(zip(GROUP_METRICS, values, strict=True))
