"""Token tree with shared parameters: the last layer of a language model over fixed features."""

from __future__ import annotations

import dataclasses

import jax

from sim.policies.base import Array, SharedPolicy
from sim.policies.levels import along_paths, through_choices
from sim.policies.tokens import TokenPolicy
from sim.policies.tree_shape import TreeShape


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SharedTree(SharedPolicy, TokenPolicy):
    """Logits of a token v after prefix n of prompt x: z = z⁰_nvx + Σ_j W_jv φ_jx ν_jn.

    h(x, n) = φ(x) ⊙ ν(n) stands for the hidden state, W for the output layer, which all prompts and
    all prefixes share: what one response teaches moves every other by ⟨h, h′⟩, helping or
    disturbing. z⁰ is what the policy was before training. Parameters are W, shape
    (features, symbols), 0 at the start.

    Attributes:
        correct: Boolean, shape (answers, prompts).
        prior: z⁰, shape (choices, prompts), by depth as in :mod:`sim.policies.levels`.
        features: φ, shape (features, prompts).
        prefixes: ν, shape (features, nodes), in the order of the choices.
        shape: The answers.
    """

    prefixes: Array
    shape: TreeShape = dataclasses.field(metadata={"static": True})

    def choice_logits(self, parameters: Array) -> Array:
        """Prior plus what the output layer adds."""
        heads = self.prefixes[:, :, None] * parameters[:, None]
        return self.prior + heads.reshape(len(parameters), -1).T @ self.features

    def logits(self, parameters: Array) -> Array:
        """Log-probabilities of the answers: sums of those of their choices."""
        answers: Array = along_paths(self.shape, self.choices(parameters))
        return answers

    def through(self, weights: Array) -> Array:
        """Sum of the answers' weights that pass through each choice."""
        choices: Array = through_choices(self.shape, weights)
        return choices

    def carry_back(self, gradient: Array) -> Array:
        """Gradient in W, the mean over prompts."""
        count = self.features.shape[1]
        by_head = (self.features @ gradient.T).reshape(*self.prefixes.shape, -1)
        return (self.prefixes[:, :, None] * by_head).sum(axis=1) / count
