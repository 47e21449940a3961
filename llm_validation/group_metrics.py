"""What a batch of groups says about training, computed from the true advantages."""

from __future__ import annotations

import torch

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
)
"""Names of what :func:`group_metrics` returns."""


def group_metrics(
    rewards: torch.Tensor, advantages: torch.Tensor, valid: torch.Tensor
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
        over groups; ``unscorable``, the share of responses. Where nothing was scored, means are 0.

    >>> rewards = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> advantages = torch.tensor([[1.0, -1.0], [-1.0, -1.0]])
    >>> metrics = group_metrics(rewards, advantages, torch.ones(2, 2, dtype=torch.bool))
    >>> metrics["groups_all_wrong"], metrics["groups_mixed"], metrics["effective_weight"]
    (0.5, 0.5, 0.25)
    """
    weight = valid.double()
    rewards, advantages = rewards.double() * weight, advantages.double() * weight
    size = weight.sum(dim=1)
    scored = size > 0
    safe = size.clamp(min=1)
    mean = rewards.sum(dim=1) / safe
    all_wrong = scored & (torch.where(valid, rewards, 0.0).amax(dim=1) == 0)
    all_right = scored & (torch.where(valid, rewards, 1.0).amin(dim=1) == 1)
    covariance = (advantages * (rewards - mean[:, None])).sum(dim=1) / safe
    total = size.sum().clamp(min=1)
    first, second = advantages.sum() / total, advantages.square().sum() / total
    values = (
        first,
        (second - first.square()).clamp(min=0).sqrt(),
        second,
        all_wrong.double().mean(),
        all_right.double().mean(),
        (scored & ~all_wrong & ~all_right).double().mean(),
        (~scored).double().mean(),
        covariance.mean(),
        1 - weight.mean(),
    )
    return dict(zip(GROUP_METRICS, torch.stack(values).tolist(), strict=True))
