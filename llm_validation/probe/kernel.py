"""Gradients of success and their kernel, from the scores of sampled responses.

With S = ∇ln π(y|x) the gradient of a prompt's log-odds ℓ = logit ρ is the difference of the mean
scores of its right and of its wrong responses,

    ∇ρ = E[(r − ρ) S] = ρ(1−ρ)(∇̄₊ − ∇̄₋),   ∇ℓ = ∇̄₊ − ∇̄₋.

Given how many responses K of n are right, the means over these and over the others are unbiased for
∇̄₊ and ∇̄₋, and those of two prompts are independent. So for every pair of prompts with both kinds of
responses

    K̂_ij = ⟨S̄₊ᵢ − S̄₋ᵢ, S̄₊ⱼ − S̄₋ⱼ⟩   is unbiased for   K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩,

and so is the diagonal if the squares of the two means are taken over pairs of different responses,
which is the average over all ways to split the responses in halves. K(n−K)/(n(n−1)) is unbiased for
v = ρ(1−ρ), and K(K−1)(n−K)(n−K−1)/(n(n−1)(n−2)(n−3)) for v²; with them ⟨∇ρ_i, ∇ρ_j⟩ and ‖∇ρ‖².
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theory._arrays import Floats


@dataclasses.dataclass(frozen=True)
class Kernel:
    """K̂ of prompts, and what their counts say.

    Attributes:
        matrix: K̂_ij, shape (prompts, prompts). NaN off the diagonal where one of the two was always
            or never solved, and on it unless there are two right and two wrong responses.
        correct: K of each prompt.
        responses: n, the same for all.
    """

    matrix: Floats = dataclasses.field(repr=False)
    correct: Floats = dataclasses.field(repr=False)
    responses: int

    @property
    def rate(self) -> Floats:
        """Pass rate K/n of each prompt."""
        return self.correct / self.responses

    @property
    def variance(self) -> Floats:
        """Unbiased estimate of v = ρ(1−ρ) of each prompt; 0 unless it has both kinds."""
        k, n = self.correct, self.responses
        return np.asarray(k * (n - k) / (n * (n - 1)))

    @property
    def squared_variance(self) -> Floats:
        """Unbiased estimate of v² of each prompt; 0 unless it has two of each kind."""
        k, n = self.correct, self.responses
        ways = n * (n - 1) * (n - 2) * (n - 3)
        if ways <= 0:
            return np.zeros_like(k)
        return np.asarray(k * (k - 1) * (n - k) * (n - k - 1) / ways)

    @property
    def success_products(self) -> Floats:
        """Unbiased ⟨∇ρ_i, ∇ρ_j⟩, shape (prompts, prompts): 0 where nothing was seen to differ."""
        products = np.outer(self.variance, self.variance)
        np.fill_diagonal(products, self.squared_variance)
        return np.asarray(np.where(products > 0, np.nan_to_num(self.matrix), 0.0) * products)


def logit_gradients(scores: Floats, rewards: Floats) -> Floats:
    """∇ℓ of each prompt: mean score of right responses less that of wrong ones.

    Args:
        scores: ∇ln π of each response, or projections of it, shape (prompts, responses, width).
        rewards: 0 or 1, shape (prompts, responses).

    Returns:
        Shape (prompts, width); 0 for prompts without responses of both kinds.

    >>> logit_gradients(np.array([[[1.0], [3.0], [5.0]]]), np.array([[1, 0, 0]])).tolist()
    [[-3.0]]
    """
    right, wrong = _class_sums(scores, rewards)
    k, n = rewards.sum(axis=1, keepdims=True), rewards.shape[1]
    both = (k > 0) & (k < n)
    means = right / np.maximum(k, 1) - wrong / np.maximum(n - k, 1)
    return np.asarray(np.where(both, means, 0.0))


def measure_kernel(scores: Floats, rewards: Floats) -> Kernel:
    """Estimate the kernel of log-odds from scores, without bias.

    Args:
        scores: ∇ln π of each response, or projections of it, shape (prompts, responses, width).
        rewards: 0 or 1, shape (prompts, responses), at least 2 responses.

    Raises:
        ValueError: Shapes that do not fit, or rewards that are not 0 or 1.

    >>> scores = np.array([[[1.0], [1.0], [0.0], [0.0]], [[2.0], [2.0], [0.0], [0.0]]])
    >>> measure_kernel(scores, np.array([[1, 1, 0, 0], [1, 1, 0, 0]])).matrix.tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    if scores.ndim != 3 or rewards.shape != scores.shape[:2] or rewards.shape[1] < 2:
        raise ValueError(
            "scores must have shape (prompts, responses, width) and rewards (prompts, responses), "
            f"with two responses at least; got {scores.shape} and {rewards.shape}"
        )
    if not np.all((rewards == 0) | (rewards == 1)):
        raise ValueError("rewards must be 0 or 1")
    gradients = logit_gradients(scores, rewards)
    k, n = rewards.sum(axis=1), rewards.shape[1]
    both = (k > 0) & (k < n)
    matrix = np.where(np.outer(both, both), gradients @ gradients.T, np.nan)
    np.fill_diagonal(matrix, _squares(scores, rewards))
    return Kernel(matrix, k, n)


def _class_sums(scores: Floats, rewards: Floats) -> tuple[Floats, Floats]:
    """Sums of the scores of right and of wrong responses, each (prompts, width), float64."""
    right = np.stack(
        [np.sum(s[r > 0], axis=0, dtype=np.float64) for s, r in zip(scores, rewards, strict=True)]
    )
    whole = np.stack([np.sum(s, axis=0, dtype=np.float64) for s in scores])
    return right, whole - right


def _squares(scores: Floats, rewards: Floats) -> Floats:
    """‖∇ℓ‖² of each prompt from pairs of different responses; NaN without two of each kind."""
    found = np.full(len(scores), np.nan)
    for i, (s, r) in enumerate(zip(scores, rewards, strict=True)):
        right, wrong = s[r > 0].astype(np.float64), s[r == 0].astype(np.float64)
        if min(len(right), len(wrong)) >= 2:
            between = float(right.mean(axis=0) @ wrong.mean(axis=0))
            found[i] = _pairs(right) + _pairs(wrong) - 2 * between
    return found


def _pairs(scores: Floats) -> float:
    """Mean inner product of two different scores."""
    many = len(scores)
    total = scores.sum(axis=0)
    return float((total @ total - np.sum(scores**2)) / (many * (many - 1)))
