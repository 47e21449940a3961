"""Prompts of a shared token tree: their hidden states, and the answers that a rule makes right."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from sim.policies.levels import along_paths, through_choices
from sim.policies.tree_shape import TreeShape
from sim.priors import Prior, draw_features, follow_rule

_RULE, _PREFIXES, _PROMPTS = 0x70C3, 0x70C4, 0x70C5


@dataclasses.dataclass(frozen=True)
class TokenRule:
    """A hidden output layer W* and the prefixes' part of the hidden states, one per seed.

    A prompt's features are drawn from N(0, 1), the first of them constant, with a mean square
    length of 1. A prefix multiplies each of them by ν = √c + √(1−c) ε with ε = ±1: at c = 1 all
    prefixes look alike, at c = 0 they share nothing but the number of features. An answer scores
    the sum of W*_v·h(x, n) over its tokens; the best-scored ones are correct, so that the rule is
    one the policy can learn, and what it learns from one prompt holds for others.

    Attributes:
        shape: The answers.
        features: Number of features.
        prefix_sharing: c, in [0, 1].
        length_bias: By how many standard deviations of the score an answer is worse if it is longer
            by one standard deviation; wrong answers are then the longer ones.
        seed: Seed of the rule.
    """

    shape: TreeShape
    features: int
    prefix_sharing: float
    length_bias: float
    seed: int

    @functools.cached_property
    def prefixes(self) -> np.ndarray:
        """ν, shape (features, nodes)."""
        nodes = self.shape.choices // self.shape.symbols
        generator = np.random.default_rng((self.seed, _PREFIXES))
        signs = np.where(generator.random((self.features, nodes)) < 0.5, -1.0, 1.0)
        common, own = np.sqrt(self.prefix_sharing), np.sqrt(1 - self.prefix_sharing)
        return np.asarray(common + own * signs)

    def prompt_features(self, prompts: int, stream: int) -> np.ndarray:
        """φ of a set of prompts, shape (features, prompts)."""
        generator = np.random.default_rng((self.seed, _PROMPTS, stream))
        return draw_features(self.features, prompts, generator)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Score of every answer, shape (answers, prompts)."""
        generator = np.random.default_rng((self.seed, _RULE))
        hidden = generator.standard_normal((self.features, self.shape.symbols))
        heads = self.prefixes[:, :, None] * hidden[:, None]
        scores = along_paths(self.shape, heads.reshape(self.features, -1).T @ features)
        lengths = self.shape.lengths
        spread = lengths.std()
        if self.length_bias and spread:
            longer = (lengths - lengths.mean()) / spread
            scores = scores - self.length_bias * scores.std(axis=0) * longer[:, None]
        return np.asarray(scores)

    def apply(self, prior: Prior, features: np.ndarray, rule: float, stream: int) -> Prior:
        """The prior with the answers that the rule makes correct, on a fraction of the prompts."""
        generator = np.random.default_rng((self.seed, _PROMPTS, 2 + stream))
        return follow_rule(prior, self.scores(features), rule, generator)


def choice_logits_by_level(shape: TreeShape, log_probabilities: np.ndarray) -> np.ndarray:
    """Logits of the choices of a distribution over answers, in the order of sim.policies.levels.

    Args:
        shape: The answers.
        log_probabilities: ln π(a|x), shape (answers, prompts), none below −700.

    Returns:
        ln π(v | n, x), float64, shape (choices, prompts).

    >>> shape = TreeShape(length=2, symbols=2)
    >>> np.exp(choice_logits_by_level(shape, np.log([[0.1], [0.2], [0.3], [0.4]])))[:2].round(6)
    array([[0.3],
           [0.7]])
    """
    through = through_choices(shape, np.exp(log_probabilities))
    by_node = through.reshape(-1, shape.symbols, through.shape[-1])
    return np.asarray(np.log(by_node / by_node.sum(axis=1, keepdims=True)).reshape(through.shape))
