"""The way from start to target of a training loop: design, verifier, lengths and anchor at once.

:func:`theory.designs.path` has a verifier that is always right, responses of one length and no
anchor. With the errors of :mod:`theory.verifier_errors`, the lengths of :mod:`theory.token_cost`
and the pull κ of :mod:`theory.kl_anchor`,

    time = ∫ c/((Jω_S(ρ̃) − κ(ρ)) v(ρ)) dρ,   c = α + β (M/P_S(ρ̃))(ρ + k(1−ρ)),

and likewise the energy, with n_S(ρ̃) in the place of c. Groups are accepted by what the verifier
says, lengths go by what is true. With an anchor the scale of the scheme matters; without one time
times energy does not depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._designs import Design, finite_design, tables_of
from theory._problem import Problem
from theory.designs import Path, path_rates
from theory.dynamics import Dynamics
from theory.kl_anchor import pull
from theory.schemes import SchemeLike, resolve
from theory.token_cost import mean_length
from theory.verifier_errors import VerifierErrors

__all__ = ["RIGHT", "training_path"]

RIGHT = VerifierErrors()
"""A verifier that is always right."""

_LOOKS = 201


def training_path(
    scheme: SchemeLike,
    *,
    start: float,
    target: float,
    design: str | Design = "fixed",
    group_size: int | None = None,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    length_ratio: float = 1.0,
    errors: VerifierErrors = RIGHT,
    coefficient: float = 0.0,
    reference: float | None = None,
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> Path:
    """Time, budgets, updates and responses from start to target of a training loop.

    Args:
        scheme: Scheme with a table, or its name.
        start: The true ρ₀ in (0, 1).
        target: True success probability, above ``start``, below 1.
        design: Sampling design other than ``"population"``.
        group_size: M; not used by ``"first_success"``.
        update_cost: α ≥ 0.
        response_cost: β ≥ 0, the cost of a right response; not both are 0.
        length_ratio: k > 0, the tokens of a wrong response over those of a right one.
        errors: How often the verifier errs, anew for every response.
        coefficient: β of the KL anchor, per unit of advantage.
        reference: ρ_ref of the anchor in (0, 1); ``start`` by default.
        dynamics: The velocity v.

    Returns:
        The integrals of :class:`theory.designs.Path`; its weight budget is ∫ Jω_S(ρ̃) dρ. All are
        ∞, with a message, where the success probability stops short of the target.

    Raises:
        ValueError: Values outside these ranges, a scheme without a table.

    Source: theory.md, section 8.

    >>> way = dict(start=0.01, target=0.9, group_size=16)
    >>> clean = training_path("grpo", **way)
    >>> noisy = training_path("grpo", errors=VerifierErrors(0.02, 0.1), **way)
    >>> round(noisy.time / clean.time, 3), round(noisy.energy / clean.energy, 3)
    (1.178, 1.237)
    """
    bound, found = resolve(scheme), finite_design(design)
    problem = Problem.of(start, target, found, group_size, update_cost, response_cost, dynamics)
    anchor = start if reference is None else reference
    gain = errors.informedness

    def integrand(success: Floats) -> Floats:
        told = np.asarray(errors.observed(success))
        inside = (told > 0) & (told < 1)  # all pass, or none do, if f₀ or f₁ is 1
        told = np.where(inside, told, 0.5)
        outcomes = problem.outcomes(told)
        tables = tables_of(bound, outcomes)
        omega = gain * outcomes.drift(*tables)
        net = np.where(inside, omega - pull(success, coefficient, anchor), 0.0)
        responses = found.responses(problem.group_size, told)
        tokens = responses * np.asarray(mean_length(success, length_ratio))
        cost = update_cost + response_cost * tokens
        second = outcomes.second_moment(*tables)
        return path_rates(net, omega, second, cost, responses, problem.velocity(success))

    # A stretch where nothing moves is seen here, and need not be searched for singular points.
    looks = expit(np.linspace(logit(start), logit(target), _LOOKS))
    if np.all(np.isfinite(integrand(looks))):
        result = problem.integrate(integrand)
        if np.all(np.isfinite(result.values)):
            return Path.of(result, result.message)
    message = f"{bound.label} does not raise the success probability all the way to the target"
    if gain <= 0:
        message += ": a verifier that errs so often teaches nothing right"
    elif coefficient > 0:
        message += ", against this anchor"
    never = math.inf
    return Path(never, never, never, never, never, False, message)
