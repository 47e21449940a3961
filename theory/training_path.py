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

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._designs import Design, Outcomes, finite_design, tables_of
from theory._problem import Problem
from theory.designs import Path, path_of
from theory.dynamics import Dynamics
from theory.kl_anchor import pull
from theory.schemes import Scheme, SchemeLike, resolve
from theory.token_cost import check_length_ratio, mean_length
from theory.verifier_errors import RIGHT, VerifierErrors

__all__ = ["USUAL", "Conditions", "TrainingProblem", "training_path"]

_LOOKS = 201


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What training adds to a sampling design.

    Attributes:
        errors: How often the verifier errs, independently for every response.
        length_ratio: k > 0, the tokens of a wrong response over those of a right one.
        coefficient: β ≥ 0 of the KL anchor, per unit of advantage.
        reference: ρ_ref of the anchor in (0, 1); the start if none.
    """

    errors: VerifierErrors = RIGHT
    length_ratio: float = 1.0
    coefficient: float = 0.0
    reference: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_length_ratio(self.length_ratio)
        pull(0.5, self.coefficient, 0.5 if self.reference is None else self.reference)


USUAL = Conditions()
"""A right verifier, responses of one length and no anchor."""


@dataclasses.dataclass(frozen=True)
class TrainingProblem(Problem):
    """A problem under conditions; with those of :data:`USUAL` it is the plain one.

    Weights, tables and second moments are those at the pass rate ρ̃ that the verifier reports, and
    v has the factor J = 1 − f₀ − f₁ with which they move ρ. J must be positive.
    """

    conditions: Conditions = USUAL

    @classmethod
    def under(cls, conditions: Conditions, problem: Problem) -> TrainingProblem:
        """A problem, under conditions.

        >>> plain = Problem.of(0.01, 0.9, "fixed", 16)
        >>> TrainingProblem.under(Conditions(length_ratio=2.0), plain).cost(0.5)
        array(24.)
        """
        plain = {f.name: getattr(problem, f.name) for f in dataclasses.fields(Problem)}
        return cls(**plain, conditions=conditions)

    @property
    def gain(self) -> float:
        """J, by how much more often a right response passes than a wrong one."""
        return self.conditions.errors.informedness

    def told(self, success: Array) -> Floats:
        """The pass rate ρ̃ that the verifier reports."""
        return np.asarray(self.conditions.errors.observed(success))

    def responses(self, success: Array) -> Floats:
        """M/P_S(ρ̃)."""
        return super().responses(self.told(success))

    def cost(self, success: Array) -> Floats:
        """c = α + β (M/P_S(ρ̃))(ρ + k(1−ρ))."""
        length = np.asarray(mean_length(success, self.conditions.length_ratio))
        return np.asarray(
            self.update_cost + self.response_cost * (self.responses(success) * length)
        )

    def velocity(self, success: Array) -> Floats:
        """J v(ρ)."""
        return self.gain * super().velocity(success)

    def outcomes(self, success: Floats) -> Outcomes:
        """Outcomes of an accepted update, by what the verifier says of them."""
        return super().outcomes(self.told(success))

    def pull(self, success: Array) -> Floats:
        """κ(ρ)/J."""
        anchor = self.start if self.conditions.reference is None else self.conditions.reference
        return pull(success, self.conditions.coefficient, anchor) / self.gain

    def way(self, scheme: Scheme) -> Path:
        """Path of a scheme; ∞ with a message where it stops short of the target."""
        message = f"{scheme.label} does not raise the success probability all the way to the target"
        if self.gain <= 0:
            message += ": a verifier that errs so often teaches nothing right"
        elif self.conditions.coefficient == 0 or self.largest_coefficient(scheme) > (
            self.conditions.coefficient
        ):
            return path_of(scheme, self)
        else:
            message += ", against this anchor"
        never = math.inf
        return Path(never, never, never, never, never, False, message)

    def largest_coefficient(self, scheme: Scheme) -> float:
        """The β at which an anchor first stops a scheme, min Jω_S(ρ̃)/(ℓ − ℓ_ref) on the way.

        It is looked for on a grid of log-odds; ∞ if the reference is at the target or above.

        >>> from theory.schemes import SCHEMES
        >>> plain = TrainingProblem.under(USUAL, Problem.of(0.01, 0.5, "fixed", 16))
        >>> round(plain.largest_coefficient(SCHEMES["rloo"]), 4)  # 1/logit(0.99)
        0.2176
        """
        looks = np.linspace(logit(self.start), logit(self.target), _LOOKS)
        outcomes = self.outcomes(expit(looks))
        omega = outcomes.drift(*tables_of(scheme, outcomes))
        unit = Conditions(coefficient=1.0, reference=self.conditions.reference)
        back = dataclasses.replace(self, conditions=unit).pull(expit(looks))
        held = back > 0
        return float(np.min(omega[held] / back[held], initial=math.inf))


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
        errors: How often the verifier errs, independently for every response.
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
    plain = Problem.of(
        start, target, finite_design(design), group_size, update_cost, response_cost, dynamics
    )
    conditions = Conditions(errors, length_ratio, coefficient, reference)
    found = TrainingProblem.under(conditions, plain).way(resolve(scheme))
    if not math.isfinite(found.weight):
        return found
    return dataclasses.replace(found, weight=errors.informedness * found.weight)
