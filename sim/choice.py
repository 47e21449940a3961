"""Which prompts an update takes, and in groups of what size, by pass rates true or estimated.

A rule of :mod:`theory.spending` gives each prompt a chance u(ρ) and a group size M(ρ). Prompts that
share nothing are each taken with their chance; where an update takes a batch, it is drawn in
proportion to the chances, without replacement. Prompts that are not taken cost nothing.

Pass rates are the policy's own, or are estimated from the verdicts on earlier groups: counts fade
by a factor at every update, since pass rates move, and u and M are averages over the posterior
Beta(a + K, b + n − K). A prompt that was left out so becomes unknown again, and is tried.

Two rules look at no pass rate. Rounds until signal draw groups again until they are mixed, a few
times at most (:func:`sim.groups.draw_again`), and dynamic sampling draws other prompts in the place
of dead groups until a batch is full.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sim._floats import tiny
from sim.groups import Drawn
from sim.tables import Table
from theory._binomial import binomial_probabilities
from theory.spending import SpendingRule, centred, share_out

Array = jax.Array

_ODDS = np.linspace(-12.0, 12.0, 97)
"""Nodes of logit ρ for averages over a posterior, whose width is .16 after 160 responses."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """How prompts are chosen.

    Attributes:
        rule: The rule.
        known: Whether it sees true pass rates.
        keep: Factor by which counts fade at every update.
        prior: (a, b) of the Beta prior of every prompt.
    """

    rule: SpendingRule
    known: bool = True
    keep: float = 0.9
    prior: tuple[float, float] = (0.5, 0.5)

    def chance(self, success: Array, seen: Array | None, group_size: int) -> Array:
        """u of every prompt.

        Args:
            success: ρ, shape (prompts,).
            seen: Correct responses and tries seen, shape (2, prompts); none if ρ is known.
            group_size: M.
        """
        return self._average(lambda rho: self.rule.chance(rho, group_size), success, seen)

    def sizes(self, success: Array, seen: Array | None, group_size: int, uniform: Array) -> Array:
        """M of every prompt, whole numbers as floating ones; a part is the chance of one more."""
        worth = self.rule.worth
        if worth is None or seen is None:
            sizes = functools.partial(self.rule.group_sizes, group_size=group_size)
            return jnp.floor(self._average(sizes, success, seen) + uniform)
        mean = self._average(lambda rho: jnp.exp(worth(rho)), success, seen)
        return jnp.floor(share_out(jnp.log(jnp.maximum(mean, tiny(mean))), group_size) + uniform)

    def table(self, success: Array, drawn: Drawn, group_size: int) -> Table:
        """Advantages by what the rule makes of how many groups have K correct responses.

        Where pass rates are known it is how many the prompts have on average; else it is how many
        of this update do.
        """
        assert self.rule.weigh is not None
        kinds = jnp.arange(group_size + 1, dtype=success.dtype)
        if self.known:
            number = binomial_probabilities(group_size, success)
        else:
            number = (drawn.passed[:, None] == kinds[None]).astype(success.dtype)
        return Table(*centred(self.rule.weigh(number.mean(axis=0))))

    def _average(
        self, function: Callable[[Array], Array], success: Array, seen: Array | None
    ) -> Array:
        if seen is None:
            return function(success)
        odds = jnp.asarray(_ODDS, success.dtype)
        correct, tries = seen
        right, wrong = self.prior[0] + correct, self.prior[1] + tries - correct
        # The density of logit ρ is in proportion to ρ^a (1−ρ)^b.
        logs = -jnp.outer(right, jnp.logaddexp(0, -odds)) - jnp.outer(wrong, jnp.logaddexp(0, odds))
        return jax.nn.softmax(logs, axis=1) @ function(jax.nn.sigmoid(odds))

    def remember(self, seen: Array, chosen: Array | slice, drawn: Drawn) -> Array:
        """The counts with the groups of this update."""
        taken = jnp.asarray(drawn.accepted, seen.dtype)
        new = jnp.stack([drawn.passed * taken, drawn.size * taken])
        return (self.keep * seen).at[:, chosen].add(new)


def draw_batch(chance: Array, uniforms: Array, count: int) -> Array:
    """Prompts of a batch, drawn in proportion to their chances without replacement.

    Args:
        chance: u, shape (prompts,).
        uniforms: As many draws.
        count: Prompts of the batch; some with u = 0 are among them where others are too few.

    Source: the Gumbel-top-k trick (Efraimidis and Spirakis, 2006).
    """
    gumbel = -jnp.log(-jnp.log(jnp.maximum(uniforms, tiny(uniforms))))
    return jax.lax.top_k(jnp.log(chance) + gumbel, count)[1]


def only(drawn: Drawn, taken: Array) -> Drawn:
    """The groups of the prompts that are taken; the others' were not drawn."""
    size = drawn.size * taken
    tokens = None if drawn.tokens is None else drawn.tokens * taken
    return drawn._replace(
        counts=drawn.counts * taken[None],
        passed=drawn.passed * taken,
        accepted=taken > 0,
        responses=size.sum(),
        tokens=tokens,
    )
