"""Sets of prompts by their success probability: known, or inferred from counts of responses."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory.beta_binomial import PassRateModel, Posterior, fit_pass_rates
from theory.verifier_errors import RIGHT, VerifierErrors

IN_REACH = 1e-3
"""A prompt that was measured is in reach if at least one response in a thousand is correct.

A handful of tries cannot tell such prompts from impossible ones, and training hardly meets their
successes: groups of 16 see one in 60 updates."""

NODES = 64
"""Prompts that stand for a measured set, at the quantiles (i − ½)/64 of its pass rates."""

DRAWS = 40
"""Sets that are drawn to see what the counts leave open."""

_EASIEST = 1 - 1e-9
"""Where prompts that are always solved are put: log-odds are finite, and nothing moves there."""


@dataclasses.dataclass(frozen=True)
class PromptSet:
    """Prompts in reach, and the share of those that are not.

    Attributes:
        success: ρ of prompts in reach, of equal share, ascending, in (0, 1).
        out_of_reach: Share of all prompts that training cannot lift, taken as ρ = 0.
        prompts: How many there are.
        fit: Distribution that the counts were fitted by; None if success probabilities are known.
        posterior: What is known of each prompt, in the order given; None likewise.
        draws: Sets as they could be by the same counts; none if success probabilities are known.
    """

    success: Floats
    out_of_reach: float
    prompts: int
    fit: PassRateModel | None = None
    posterior: Posterior | None = dataclasses.field(default=None, repr=False)
    draws: tuple[PromptSet, ...] = dataclasses.field(default=(), repr=False)

    @property
    def odds(self) -> Floats:
        """Log-odds of the prompts in reach."""
        return np.asarray(logit(self.success))

    def all_wrong(self, group_size: int, errors: VerifierErrors = RIGHT) -> float:
        """Expected share of groups of M without a response that passes.

        Args:
            group_size: M.
            errors: How often the verifier errs; counts are its own already.
        """
        if self.posterior is not None:
            return float(np.mean(self.posterior.all_wrong(group_size)))
        told = np.asarray(errors.observed(self.success))
        never = self.out_of_reach * (1 - errors.false_positive) ** group_size
        return never + (1 - self.out_of_reach) * float(np.mean((1 - told) ** group_size))

    def behind(self, errors: VerifierErrors) -> PromptSet:
        """True success ρ = (ρ̃ − f₀)/J of prompts whose pass rates ρ̃ a verifier with errors counted.

        Prompts whose passes its false positives explain are out of reach.

        Args:
            errors: How often it errs; J must be positive.

        Raises:
            ValueError: False positives explain every pass.

        >>> found = measured_set([0, 1, 4, 8], 8, draws=0).behind(VerifierErrors(0.1, 0.0))
        >>> bool(found.success.min() >= IN_REACH)
        True
        """
        rates = np.asarray(errors.corrected(self.success))
        able = rates >= IN_REACH
        if not np.any(able):
            raise ValueError(
                f"false positives of {errors.false_positive:g} explain every pass that was counted:"
                " there is nothing to learn from"
            )
        out = 1 - (1 - self.out_of_reach) * float(np.mean(able))
        draws = tuple(
            one.behind(errors)
            for one in self.draws
            if np.any(np.asarray(errors.corrected(one.success)) >= IN_REACH)
        )
        success = np.minimum(_nodes(rates[able], spread=True), _EASIEST)
        return dataclasses.replace(self, success=success, out_of_reach=out, draws=draws)


def known_set(success: Array) -> PromptSet:
    """Prompts whose success probabilities are known.

    Args:
        success: ρ of each, in [0, 1]; those of 0 are out of reach.

    Raises:
        ValueError: Numbers outside [0, 1], or nothing but zeros.

    >>> known_set([0.0, 0.5, 0.1, 0.1]).out_of_reach
    0.25
    """
    rates = np.atleast_1d(np.asarray(success, dtype=np.float64)).ravel()
    check_interval("success", rates)
    inside = np.sort(rates[rates > 0])
    if inside.size == 0:
        raise ValueError("no prompt was ever solved: there is nothing to learn from")
    nodes = np.minimum(_nodes(inside), _EASIEST)
    return PromptSet(nodes, 1 - inside.size / rates.size, rates.size)


def measured_set(correct: Array, tries: Array, *, draws: int = DRAWS, seed: int = 0) -> PromptSet:
    """Prompts of which K of n responses were correct.

    A Beta distribution with a mass at 0 is fitted to all counts
    (:func:`theory.beta_binomial.fit_pass_rates`); the set has the prompts' posterior pass rates,
    those below :data:`IN_REACH` out of reach. For each draw prompts are resampled, the fit is made
    of those, and every prompt gets a pass rate from its posterior.

    Args:
        correct: K of each prompt.
        tries: n of each prompt, or of all.
        draws: Number of sets to draw.
        seed: Seed of the draws.

    Raises:
        ValueError: What are no counts, or no correct response at all.

    >>> found = measured_set([0, 0, 0, 1, 4, 8], 8, draws=0)
    >>> found.prompts, round(found.all_wrong(8), 2)  # three of six
    (6, 0.53)
    """
    fit = fit_pass_rates(correct, tries)
    k = np.atleast_1d(np.asarray(correct, dtype=np.float64))
    n = np.broadcast_to(np.asarray(tries, dtype=np.float64), k.shape)
    found = posterior_set(fit, k, n)
    pairs, counts = np.unique(np.stack([k, n], axis=1), axis=0, return_counts=True)
    generator, drawn = np.random.default_rng(seed), []
    for _ in range(draws):
        again = generator.multinomial(k.size, counts / k.size)
        refit = fit_pass_rates(pairs[:, 0], pairs[:, 1], prompts=again, near=fit)
        rates = refit.posterior(k, n).sample(generator)
        able = np.sort(rates[rates >= IN_REACH])
        if able.size:
            nodes = np.minimum(_nodes(able, spread=True), _EASIEST)
            drawn.append(PromptSet(nodes, 1 - able.size / k.size, k.size))
    return dataclasses.replace(found, draws=tuple(drawn))


def posterior_set(
    fit: PassRateModel, correct: Array, tries: Array, *, whole: bool = True
) -> PromptSet:
    """Prompts by their own counts and a distribution of pass rates that is known.

    Args:
        fit: The distribution.
        correct: K of each prompt, shape (prompts,).
        tries: n of each, of at least 0.
        whole: Counts are whole numbers; not those that have faded.

    Raises:
        ValueError: What are no counts, or no correct response at all.

    >>> posterior_set(PassRateModel(1.0, 1.0), [0.0, 0.45], [0.0, 0.9], whole=False).prompts
    2
    """
    k = np.atleast_1d(np.asarray(correct, dtype=np.float64))
    n = np.broadcast_to(np.asarray(tries, dtype=np.float64), k.shape)
    if not np.any(k > 0):
        raise ValueError(
            f"no prompt was ever solved, in {int(n.sum()):,} tries: there is nothing to learn from"
        )
    pairs, place, counts = np.unique(
        np.stack([k, n], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    posterior = fit.posterior(pairs[:, 0], pairs[:, 1], whole=whole)
    share = counts / k.size
    grid = np.linspace(logit(IN_REACH), logit(_EASIEST), 500)
    below = share @ posterior.below(expit(grid))
    out = float(below[0])
    inside = (below - out) / (below[-1] - out)
    rising = np.concatenate([[True], np.diff(inside) > 0])
    middle = (np.arange(NODES) + 0.5) / NODES
    success = expit(np.interp(middle, inside[rising], grid[rising]))
    each = Posterior(*(part[place.ravel()] for part in dataclasses.astuple(posterior)))
    return PromptSet(success, out, k.size, fit, each)


def _nodes(ascending: Floats, *, spread: bool = False) -> Floats:
    """The values themselves if they are few, or ``NODES`` quantiles."""
    if ascending.size <= NODES and not spread:
        return ascending
    middles = (np.arange(NODES) + 0.5) / NODES
    if spread:
        return np.asarray(np.quantile(ascending, middles))
    return np.asarray(ascending[(middles * ascending.size).astype(int)])
