"""Initial policies: log-probabilities of the answers with a set success probability per prompt."""

from __future__ import annotations

import dataclasses

import numpy as np

from sim.starts import Start, initial_success

_PROMPTS, _TREE, _FEATURES = 0x5EED, 0x7EEE, 0xFEA7


@dataclasses.dataclass(frozen=True)
class Prior:
    """What the answers to each prompt are worth before training.

    Attributes:
        log_probabilities: ln π₀(a|x), float64, shape (answers, prompts), prompts from hardest to
            easiest.
        correct: Boolean, same shape.
    """

    log_probabilities: np.ndarray
    correct: np.ndarray


def make_prior(
    *,
    prompts: int,
    answers: int,
    correct_answers: int,
    start: Start,
    prior_spread: float,
    decoys: int = 0,
    decoy_mass: float = 0.0,
    seed: int,
    stream: int = 0,
) -> Prior:
    """Draw initial policies, correct answers first.

    The correct answers share ρ₀ and the wrong ones 1 − ρ₀ in proportion to exp(σξ), ξ ~ N(0, 1),
    except that ``decoys`` of the wrong answers share ``decoy_mass`` of the wrong mass equally:
    answers in which the policy is confident and wrong.

    Args:
        prompts: Number of prompts.
        answers: Answers per prompt, at least 2.
        correct_answers: How many are correct, 1 ≤ C < answers.
        start: See :func:`sim.starts.initial_success`.
        prior_spread: σ ≥ 0.
        decoys: Number of decoys, below the number of wrong answers, or 0.
        decoy_mass: Their share of the wrong mass, in [0, 1).
        seed: Seed of the prompts.
        stream: Another set of prompts under the same seed (held-out ones).

    >>> prior = make_prior(prompts=3, answers=4, correct_answers=2, start=0.25,
    ...                    prior_spread=1.0, seed=0)
    >>> np.exp(prior.log_probabilities)[:2].sum(axis=0).round(6).tolist()
    [0.25, 0.25, 0.25]
    """
    generator = np.random.default_rng((seed, _PROMPTS, stream))
    success = initial_success(start, prompts, generator)
    noise = prior_spread * generator.standard_normal((answers, prompts))
    right, wrong = noise[:correct_answers], noise[correct_answers:]
    wrong = wrong - _log_sum_exp(wrong)
    if decoys:
        plain = wrong[decoys:]
        confident = np.full((decoys, prompts), np.log(decoy_mass / decoys))
        wrong = np.concatenate([confident, plain - _log_sum_exp(plain) + np.log1p(-decoy_mass)])
    log_probabilities = np.concatenate(
        [right - _log_sum_exp(right) + np.log(success), wrong + np.log1p(-success)]
    )
    correct = np.zeros((answers, prompts), bool)
    correct[:correct_answers] = True
    return Prior(log_probabilities, correct)


def scatter_answers(prior: Prior, seed: int, stream: int = 0) -> Prior:
    """Give every prompt's answers a random order, so that no answer is correct everywhere."""
    generator = np.random.default_rng((seed, _TREE, stream))
    order = np.argsort(generator.random(prior.correct.shape), axis=0)
    return Prior(
        np.take_along_axis(prior.log_probabilities, order, axis=0),
        np.take_along_axis(prior.correct, order, axis=0),
    )


def rule_prior(
    *,
    prompts: int,
    answers: int,
    correct_answers: int,
    features: int,
    rule: float,
    start: Start,
    prior_spread: float,
    decoys: int = 0,
    decoy_mass: float = 0.0,
    seed: int,
    stream: int = 0,
) -> tuple[Prior, np.ndarray]:
    """Prompts with features φ(x) that tell, for a share of them, which answers are correct.

    A hidden matrix scores every answer, s_a(x) = w_a·φ(x). For a fraction ``rule`` of the prompts
    the best-scored answers are correct, so what is learned on one prompt helps others, held-out
    ones included; for the rest the correct answers are random, so there is nothing but memory.
    The hidden matrix depends on the seed alone: training and held-out prompts share the rule.

    Args:
        prompts: Number of prompts.
        answers: Answers per prompt.
        correct_answers: Correct ones per prompt.
        features: d, length of φ(x); the first is constant.
        rule: Fraction of prompts that follow the rule, in [0, 1].
        start: See :func:`sim.starts.initial_success`.
        prior_spread: See :func:`make_prior`.
        decoys: See :func:`make_prior`.
        decoy_mass: See :func:`make_prior`.
        seed: Seed of rule and prompts.
        stream: 0 for training prompts, 1 for held-out ones.

    Returns:
        The prior, and φ of shape (features, prompts) with mean square length 1.
    """
    prior = make_prior(
        prompts=prompts,
        answers=answers,
        correct_answers=correct_answers,
        start=start,
        prior_spread=prior_spread,
        decoys=decoys,
        decoy_mass=decoy_mass,
        seed=seed,
        stream=stream,
    )
    hidden = np.random.default_rng((seed, _FEATURES)).standard_normal((answers, features))
    generator = np.random.default_rng((seed, _FEATURES, 1 + stream))
    values = draw_features(features, prompts, generator)
    return follow_rule(prior, hidden @ values, rule, generator), values


def draw_features(features: int, prompts: int, generator: np.random.Generator) -> np.ndarray:
    """φ from N(0, 1), the first constant, with a mean square length of 1: (features, prompts)."""
    values = generator.standard_normal((features, prompts))
    values[0] = 1.0
    return np.asarray(values / np.sqrt(features))


def follow_rule(
    prior: Prior, scores: np.ndarray, rule: float, generator: np.random.Generator
) -> Prior:
    """The prior with its answers put in such an order that the best-scored ones are correct.

    Args:
        prior: Correct answers first, as many for every prompt.
        scores: s, shape (answers, prompts).
        rule: Fraction of prompts that follow the scores, in [0, 1]; elsewhere chance decides.
        generator: Source of randomness.
    """
    correct_answers = int(prior.correct[:, 0].sum())
    random = generator.standard_normal(scores.shape)
    follows = generator.random(scores.shape[1]) < rule
    order = np.argsort(-np.where(follows, scores, random), axis=0)
    # Rank r of the order gets answer r of the prior, whose first answers are the correct ones.
    log_probabilities = np.empty_like(prior.log_probabilities)
    correct = np.empty_like(prior.correct)
    wrong = generator.permuted(order[correct_answers:], axis=0)
    order = np.concatenate([order[:correct_answers], wrong])
    np.put_along_axis(log_probabilities, order, prior.log_probabilities, axis=0)
    np.put_along_axis(correct, order, prior.correct, axis=0)
    return Prior(log_probabilities, correct)


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(values, axis=0, keepdims=True)
