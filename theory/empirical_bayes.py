"""Empirical Bayes: a baseline that knows how pass rates are spread, or what a prompt did before.

A prior Beta(a, b), with s = a + b and m = a/s, is fitted to the counts of all prompts, or kept per
prompt. The baseline of response i is the posterior mean given the other M−1 responses of its group,
K₋ᵢ of them correct:

    A_i = r_i − (a + K₋ᵢ)/(s+M−1),   a⁺_K = 1 − (a+K−1)/(s+M−1),   a⁻_K = (a+K)/(s+M−1).

It does not contain the response itself, so that ω_M = 1 exactly, as for RLOO, which is s → 0.
Its noise is

    E[A²] = ρ(1−ρ) + (M−1) ρ(1−ρ)/(s+M−1)² + (s(m−ρ)/(s+M−1))²,

the least of any baseline made of the other responses, on average over the prior. A group without a
correct response is penalised by a/(s+M−1), as much as a success was to be expected of it.

The scheme ``empirical_bayes:a=0.1,b=5,keep=0.9`` is known wherever schemes are named. A scheme has
no state: it is a function of one group, the same object in every step, under ``jit`` and in a
checkpoint's configuration. So the history of prompts is explicit, correct responses and tries of
each, older ones counting less as the policy has moved since; the loop that trains keeps it and
hands it over, as it does an optimizer's moments. With ``refit=20`` the loop also fits a and b to
the counts of all prompts every 20 steps; the TRL trainer does, the simulator does not. With
``keep=0`` and ``refit=0`` there is no history, the prior is one for all prompts and all steps, and
the scheme is a table.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from scipy.special import betaln

from theory._arrays import Array, Floats, as_floating, check_interval, namespace
from theory._binomial import check_group_size
from theory._options import Allowed
from theory._scheme import Scheme
from theory.tables import table_scheme

__all__ = [
    "EMPIRICAL_BAYES",
    "History",
    "empirical_bayes",
    "no_history",
    "noise",
    "observed",
    "prior_coefficients",
    "prior_from",
    "scheme_prior",
    "with_prior",
]


class History(NamedTuple):
    """What was seen of each prompt, discounted; a pair of arrays, and so a pytree.

    Attributes:
        correct: Correct responses, shape (prompts,).
        tries: Responses, shape (prompts,).
    """

    correct: Array
    tries: Array


def no_history(prompts: int) -> History:
    """The history of prompts that were never tried.

    >>> no_history(2).tries.tolist()
    [0.0, 0.0]
    """
    return History(np.zeros(prompts), np.zeros(prompts))


def observed(history: History, correct: Array, tries: Array, *, keep: float = 0.9) -> History:
    """The history after one more step: S ← γS + K, N ← γN + M.

    Args:
        history: What was seen before.
        correct: K of each prompt in this step, shape (prompts,); 0 for those not tried.
        tries: M of each prompt in this step, shape (prompts,); 0 for those not tried.
        keep: γ in [0, 1], the share of what was seen that still counts a step later; 1/(1−γ) is
            the number of steps remembered.

    Returns:
        A new history, of the kind of array of the old one.

    Raises:
        ValueError: ``keep`` outside [0, 1].

    Source: theory.md, section 8 "Empirical Bayes".

    >>> observed(History(np.array([2.0]), np.array([4.0])), 1, 4, keep=0.5).tries.tolist()
    [6.0]
    """
    check_interval("keep", np.asarray(keep, dtype=np.float64))
    return History(keep * history.correct + correct, keep * history.tries + tries)


def prior_from(a: float, b: float, history: History) -> tuple[Array, Array]:
    """Parameters of the prior of each prompt: those of all prompts, and what was seen of this one.

    Args:
        a: First parameter of the prior of all prompts.
        b: Second parameter.
        history: What was seen of each prompt.

    Returns:
        a and b, each of shape (prompts,).

    >>> prior_from(0.5, 4.5, History(np.array([3.0]), np.array([8.0])))
    (array([3.5]), array([9.5]))
    """
    return a + history.correct, b + history.tries - history.correct


def scheme_prior(scheme: Scheme, history: History) -> tuple[Array, Array]:
    """:func:`prior_from` with the a and b of the scheme's options.

    >>> scheme_prior(EMPIRICAL_BAYES, no_history(1))
    (array([0.5]), array([0.5]))
    """
    return prior_from(float(scheme.options["a"] or 0), float(scheme.options["b"] or 0), history)


def with_prior(rewards: Array, a: Array, b: Array) -> Array:
    """Advantages with a prior per prompt: A_i = r_i − (a + Σ_{j≠i} r_j)/(a + b + M − 1).

    Works on NumPy, JAX (also under ``jit``) and torch.

    Args:
        rewards: Rewards, shape (..., group), in [0, 1].
        a: a > 0 of each prompt, shape (...) or a number.
        b: b > 0 of each prompt, shape (...) or a number.

    Returns:
        Advantages, shape (..., group).

    Raises:
        ValueError: Rewards outside [0, 1], parameters that are not positive.

    Source: theory.md, section 8 "Empirical Bayes".

    >>> with_prior(np.array([[1, 0], [0, 0]]), np.array([1.0, 0.2]), 1.0).round(4).tolist()
    [[0.6667, -0.6667], [-0.0909, -0.0909]]
    """
    rewards = as_floating(rewards)
    check_interval("rewards", rewards)
    xp = namespace(rewards)
    parameters = []
    for name, values in (("a", a), ("b", b)):
        like = xp.asarray(values, dtype=rewards.dtype)
        check_interval(name, like, high=np.inf, open_ends=True)
        parameters.append(like[..., None] if like.shape else like)
    prior_correct, prior_wrong = parameters
    others = xp.sum(rewards, axis=-1, keepdims=True) - rewards
    return rewards - (prior_correct + others) / (
        prior_correct + prior_wrong + (rewards.shape[-1] - 1)
    )


def prior_coefficients(
    mean: Array, group_size: Array | float, a: Array | float, b: Array | float
) -> tuple[Array, Array]:
    """Coefficients a⁺ and a⁻ of groups by their mean reward, with a prior for each or for all.

    Args:
        mean: ρ̂ of each group, any shape.
        group_size: M, a number or one per group; ∞ for the population, where the prior is nothing.
        a: a > 0 of each group's prompt, or of all.
        b: b > 0, likewise.

    >>> prior_coefficients(np.array([0.0, 0.25]), 4, 0.5, np.array([4.5, 9.5]))[1].round(4).tolist()
    [0.0625, 0.1154]
    """
    if isinstance(group_size, float) and math.isinf(group_size):
        return 1 - mean, mean
    total = a + b + (group_size - 1)
    correct = a + mean * group_size
    return 1 - (correct - 1) / total, correct / total


_Count = Annotated[float, Allowed(1e-18, 1e9)]


def _coefficients(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    a: _Count = 0.5,
    b: _Count = 0.5,
    keep: Annotated[float, Allowed(0.0, 1.0)] = 0.0,
    refit: Annotated[int, Allowed(0, 10**9, whole=True)] = 0,
) -> tuple[Array, Array]:
    """The posterior mean given the other responses, and earlier ones, as baseline."""
    return prior_coefficients(mean, group_size, a, b)


EMPIRICAL_BAYES = Scheme.from_coefficients(
    _coefficients,
    "empirical_bayes",
    title="Empirical Bayes",
    formula="1",
    source="apw",
    centred=False,
    history=True,
)
"""The scheme with Jeffreys' prior, a = b = ½, and no history."""


def empirical_bayes(
    a: float,
    b: float,
    *,
    keep: float = 0.0,
    refit: int = 0,
    never: float = 0.0,
    group_size: int | None = None,
) -> Scheme:
    """The scheme with one prior for all prompts, and what was seen of each since.

    Args:
        a: a > 0, correct responses that the prior counts for.
        b: b > 0, wrong responses that it counts for.
        keep: γ in [0, 1], the share of a prompt's history that still counts a step later; 0 for
            no history.
        refit: Steps after which the loop that trains fits a and b to the counts of all prompts
            again; 0 for never. Only the TRL trainer does it.
        never: z in [0, 1), the share of prompts that are never solved.
        group_size: M; needed only where ``never`` is positive, as the table is then one for groups
            of this size.

    Returns:
        A scheme that simulator, trainer and the rest of the package take.

    Raises:
        ValueError: Parameters outside their ranges, ``never`` without a group size or with a
            history.

    Source: theory.md, section 8 "Empirical Bayes".

    >>> positive, negative = empirical_bayes(0.1, 5.0).table(4)
    >>> float(negative[0].round(4)), (positive[1:] + negative[:-1]).round(12).tolist()  # ω_M = 1
    (0.0123, [1.0, 1.0, 1.0, 1.0])
    """
    _check_prior(a, b, never)
    if not never:
        return EMPIRICAL_BAYES.bind(a=a, b=b, keep=keep, refit=refit)
    if keep or refit:
        raise ValueError("a mass at 0 has a table of its own, and no history: leave keep, refit 0")
    if group_size is None:
        raise ValueError("prompts that are never solved need one group_size for the table")
    baseline = _baseline(a, b, never, check_group_size(group_size))
    return table_scheme(
        np.append(0.0, 1 - baseline), np.append(baseline, 0.0), name="empirical_bayes"
    )


def noise(a: float, b: float, group_size: int, success: Array) -> Floats:
    """Second moment E[A²] of the baseline of a Beta(a, b) at success probability ρ.

    Args:
        a: First parameter of the prior.
        b: Second parameter.
        group_size: M.
        success: ρ, any shape, in [0, 1].

    Returns:
        E[A²], of the shape of ``success``.

    Raises:
        ValueError: Parameters that are not positive, ρ outside [0, 1].

    Source: theory.md, section 8 "Empirical Bayes".

    >>> round(float(noise(0.1, 5.0, 4, 0.01)), 4)  # RLOO has 0.0132
    0.0104
    """
    _check_prior(a, b)
    others = check_group_size(group_size) - 1
    rho = np.asarray(success, dtype=np.float64)
    check_interval("success", rho)
    total = a + b + others
    bias = (a - (a + b) * rho) / total
    result: Floats = rho * (1 - rho) * (1 + others / total**2) + bias**2
    return result


def _baseline(a: float, b: float, never: float, group_size: int) -> Floats:
    """Posterior mean given that K₋ᵢ = 0..M−1 of the others are correct."""
    others = group_size - 1
    baseline: Floats = (a + np.arange(float(group_size))) / (a + b + others)
    chance = (1 - never) * math.exp(betaln(a, b + others) - betaln(a, b))
    baseline[0] *= chance / (never + chance)
    return baseline


def _check_prior(a: float, b: float, never: float = 0.0) -> None:
    if not (0 < a < math.inf and 0 < b < math.inf):
        raise ValueError(f"a and b must be positive numbers; got {a} and {b}")
    if not 0 <= never < 1:
        raise ValueError(f"never must lie in [0, 1); got {never}")
