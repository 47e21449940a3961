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

The prior may have a mass z at 0, prompts that are never solved. Where no other response and no
earlier one was correct, the baseline is then less, by the probability that the prompt is none of
them; ω_M = 1 as before.

The scheme ``empirical_bayes:a=0.1,b=5,never=0.2,keep=0.9`` is known wherever schemes are named. A
scheme has no state: it is a function of one group, the same object in every step, under ``jit`` and
in a checkpoint's configuration. So the history of prompts is explicit, correct responses and tries
of each, older ones counting less as the policy has moved since; the loop that trains keeps it and
hands it over, as it does an optimizer's moments. With ``refit=20`` the loop also fits the prior to
the counts of all prompts every 20 steps (:func:`theory.beta_binomial.fit_pass_rates`); the TRL
trainer does, the simulator does not. With ``keep=0`` and ``refit=0`` there is no history, the prior
is one for all prompts and all steps, and the scheme is a table.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval, namespace
from theory._binomial import check_group_size
from theory._options import Allowed, Option
from theory._scheme import Scheme
from theory.beta_binomial import chance_of_none, still_never

__all__ = [
    "EMPIRICAL_BAYES",
    "History",
    "Prior",
    "empirical_bayes",
    "no_history",
    "noise",
    "observed",
    "prior_coefficients",
    "prior_from",
    "prior_of",
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


class Prior(NamedTuple):
    """What is expected of prompts: Beta(a, b), or 0 with probability z; numbers or one per prompt.

    Attributes:
        a: a > 0.
        b: b > 0.
        never: z in [0, 1).
    """

    a: Array | float
    b: Array | float
    never: Array | float = 0.0


def prior_from(prior: Prior, history: History) -> Prior:
    """The prior of each prompt: that of all prompts, and what was seen of this one.

    Args:
        prior: Of all prompts.
        history: What was seen of each prompt.

    Returns:
        Arrays of shape (prompts,); a prompt that was ever solved is none of those never solved.

    >>> seen = History(np.array([3.0, 0.0]), np.array([8.0, 3.0]))
    >>> after = prior_from(Prior(1.0, 1.0, 0.5), seen)
    >>> after.a.tolist(), after.b.tolist(), after.never.round(9).tolist()
    ([4.0, 1.0], [6.0, 4.0], [0.0, 0.8])
    """
    correct, tries = history
    return Prior(prior.a + correct, prior.b + tries - correct, _never(prior, correct, tries))


def scheme_prior(scheme: Scheme, history: History) -> Prior:
    """:func:`prior_from` with the prior of the scheme's options.

    >>> scheme_prior(EMPIRICAL_BAYES, no_history(1))
    Prior(a=array([0.5]), b=array([0.5]), never=0.0)
    """
    return prior_from(prior_of(scheme), history)


def prior_of(scheme: Scheme) -> Prior:
    """The prior of all prompts, as the scheme's options have it.

    >>> prior_of(EMPIRICAL_BAYES)
    Prior(a=0.5, b=0.5, never=0.0)
    """
    return Prior(*(float(scheme.options[name] or 0) for name in Prior._fields))


def _never(prior: Prior, correct: Array, tries: Array | float) -> Array | float:
    """z after these responses."""
    if _no_mass(prior.never):
        return 0.0
    xp = namespace(correct)
    zero = xp.zeros_like(correct)
    none = chance_of_none(prior.a, prior.b, zero + tries)
    return xp.where(correct > 0, zero, still_never(prior.never, none))


def _no_mass(never: Array | float) -> bool:
    """Tell whether nothing has to be reckoned with, traced or not."""
    return isinstance(never, float) and never == 0


def with_prior(rewards: Array, a: Array, b: Array, never: Array = 0.0) -> Array:
    """Advantages with a prior per prompt: A_i = r_i − (a + Σ_{j≠i} r_j)/(a + b + M − 1).

    Works on NumPy, JAX (also under ``jit``) and torch.

    Args:
        rewards: Rewards, shape (..., group), in [0, 1].
        a: a > 0 of each prompt, shape (...) or a number.
        b: b > 0 of each prompt, shape (...) or a number.
        never: z in [0, 1) of each prompt, shape (...) or a number; the baseline of a response whose
            group holds no other correct one is less by it.

    Returns:
        Advantages, shape (..., group).

    Raises:
        ValueError: Rewards outside [0, 1], parameters that are not positive, z outside [0, 1].

    Source: theory.md, section 8 "Empirical Bayes".

    >>> with_prior(np.array([[1, 0], [0, 0]]), np.array([1.0, 0.2]), 1.0).round(4).tolist()
    [[0.6667, -0.6667], [-0.0909, -0.0909]]
    """
    rewards = as_floating(rewards)
    check_interval("rewards", rewards)
    xp = namespace(rewards)
    parameters: list[Array | float] = []
    for name, values in zip(Prior._fields, (a, b, never), strict=True):
        if name == "never" and _no_mass(values):
            continue
        like = xp.asarray(values, dtype=rewards.dtype)
        if name == "never":
            check_interval(name, like)
        else:
            check_interval(name, like, high=np.inf, open_ends=True)
        parameters.append(like[..., None] if like.shape else like)
    others = xp.sum(rewards, axis=-1, keepdims=True) - rewards
    return rewards - _baseline(Prior(*parameters), others, float(rewards.shape[-1] - 1))


def _baseline(prior: Prior, correct: Array, others: Array | float) -> Array:
    """Posterior mean, given how many of the other responses are correct."""
    mean = (prior.a + correct) / (prior.a + prior.b + others)
    return mean * (1 - _never(prior, correct, others))


def prior_coefficients(mean: Array, group_size: Array | float, prior: Prior) -> tuple[Array, Array]:
    """Coefficients a⁺ and a⁻ of groups by their mean reward, with a prior for each or for all.

    Args:
        mean: ρ̂ of each group, any shape.
        group_size: M, a number or one per group; ∞ for the population, where the prior is nothing.
        prior: Of each group's prompt, or of all.

    >>> prior = Prior(0.5, np.array([4.5, 9.5]))
    >>> prior_coefficients(np.array([0.0, 0.25]), 4, prior)[1].round(4).tolist()
    [0.0625, 0.1154]
    """
    if isinstance(group_size, float) and math.isinf(group_size):
        return 1 - mean, mean
    correct = mean * group_size
    if not _no_mass(prior.never):
        correct = namespace(mean).round(correct)  # counts: K − 1 must be 0 where it is
    # a⁺ at K = 0 belongs to no response.
    others = group_size - 1
    return 1 - _baseline(prior, correct - 1, others), _baseline(prior, correct, others)


_Count = Annotated[float, Allowed(1e-18, 1e9)]


def _coefficients(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    a: _Count = 0.5,
    b: _Count = 0.5,
    never: Annotated[float, Allowed(0.0, 1 - 1e-9)] = 0.0,
    keep: Annotated[float, Allowed(0.0, 1.0)] = 0.0,
    refit: Annotated[int, Allowed(0, 10**9, whole=True)] = 0,
) -> tuple[Array, Array]:
    """The posterior mean given the other responses, and earlier ones, as baseline."""
    return prior_coefficients(mean, group_size, Prior(float(a), float(b), float(never)))


def _traits(*, never: Option, refit: Option, **_: Option) -> dict[str, bool]:
    # A mass at 0 asks whether a response was correct, and the prior is fitted to counts.
    return {"graded": not (never or refit)}


EMPIRICAL_BAYES = Scheme.from_coefficients(
    _coefficients,
    "empirical_bayes",
    title="Empirical Bayes",
    formula="1",
    source="apw",
    centred=False,
    history=True,
    traits=_traits,
)
"""The scheme with Jeffreys' prior, a = b = ½, and no history."""


def empirical_bayes(
    a: float, b: float, *, never: float = 0.0, keep: float = 0.0, refit: int = 0
) -> Scheme:
    """The scheme with one prior for all prompts, and what was seen of each since.

    Args:
        a: a > 0, correct responses that the prior counts for.
        b: b > 0, wrong responses that it counts for.
        never: z in [0, 1), the share of prompts that are never solved; rewards are then 0 or 1.
        keep: γ in [0, 1], the share of a prompt's history that still counts a step later; 0 for
            no history.
        refit: Steps after which the loop that trains fits a, b and z to the counts of all prompts
            again; 0 for never. Only the TRL trainer does it.

    Returns:
        A scheme that simulator, trainer and the rest of the package take.

    Raises:
        ValueError: Parameters outside their ranges.

    Source: theory.md, section 8 "Empirical Bayes".

    >>> positive, negative = empirical_bayes(0.1, 5.0).table(4)
    >>> float(negative[0].round(4)), (positive[1:] + negative[:-1]).round(12).tolist()  # ω_M = 1
    (0.0123, [1.0, 1.0, 1.0, 1.0])
    """
    return EMPIRICAL_BAYES.bind(a=a, b=b, never=never, keep=keep, refit=refit)


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
    if not (0 < a < math.inf and 0 < b < math.inf):
        raise ValueError(f"a and b must be positive numbers; got {a} and {b}")
    others = check_group_size(group_size) - 1
    rho = np.asarray(success, dtype=np.float64)
    check_interval("success", rho)
    total = a + b + others
    bias = (a - (a + b) * rho) / total
    result: Floats = rho * (1 - rho) * (1 + others / total**2) + bias**2
    return result
