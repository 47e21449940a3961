"""Prompts that start unequal and share parameters: what an update of one does to the others.

Ascending Σ_j F(ρ_j)/N in parameters that prompts share moves the log-odds ℓ_i = logit ρ_i by the
inner products of their gradients. A fraction s, the *sharing*, acts on all prompts alike:

    dℓ_i/dt = (1 − s) e(ρ_i) + s mean_j e(ρ_j),   e = ω_S(ρ) ρ(1−ρ)  (kernel "softmax"),

from prompts that learn each by itself, s = 0, to prompts that move in one direction, s = 1. With
the kernel "mirror", of the natural gradient, ω_S stands where e does. All prompts are trained side
by side until their mean success is the target. On the way they cost T = ∫ mean_j c(ρ_j) dt, and
their advantages have the energy E = ∫ mean_j n_S(ρ_j) dt; T·E does not depend on the scale of a
scheme.

Drift and second moment are those of a sampling design (:mod:`theory.designs`). One that draws again
draws another prompt, as DAPO does: prompts take part in updates in proportion to P_S(ρ), so that
P_S ω_S and P_S n_S stand for ω_S and n_S, and a group drawn costs c = α P_S + βM. For equal
prompts that is the design's T·E.

Any other kernel, blocks of prompts that share with each other or one measured on a policy, is a
matrix K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩; where entries are negative, prompts lose by what others learn.

Two budgets: with a constant step size T·E, and with the best schedule of steps (∫√(c n) dt)², the
time of steps of equal size, which is about what Adam and clipped gradients take.

Under :class:`theory.training_path.Conditions` drift and second moment are those at the pass rate ρ̃
that the verifier reports, the drift times J = 1 − f₀ − f₁; a response costs by its length; and a KL
anchor at every prompt's own start takes κ = β (ℓ − ℓ(0)) from ω_S. Prompts with ρ = 0 then show the
pass rate f₀.

The noise of an update is that of its scores, A ∇ln π. Energy takes the same score variance for
every response, as very many answers have; ``concentration`` says how few they are, so that a policy
which has become certain hardly makes noise any more.

These are predictions of a deterministic flow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from scipy import linalg, optimize
from scipy.special import expit, logit, ndtri

from theory._arrays import Array, Floats
from theory._designs import Design, check_problem, checked_group_size, finite_design
from theory._kernel_flow import Curves, KernelFlow
from theory.schemes import SchemeLike, resolve
from theory.token_cost import mean_length
from theory.training_path import USUAL, Conditions

Kernel = Literal["softmax", "mirror"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

Budget = Literal["energy", "steps"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)

PROMPTS = 64
"""Prompts that stand for a spread of pass rates: its quantiles (i − ½)/64."""

_FALL = 5.0  # below the hardest prompt, as far as a falling one is followed
_DEEP = 25.0  # the same under a kernel that lets prompts lose by what others learn


def relative_cost(
    scheme: SchemeLike,
    *,
    start: float,
    spread: float,
    sharing: float,
    target: float = 0.9,
    group_size: int = 16,
    reference: SchemeLike = "grpo",
    kernel: Kernel = "softmax",
    budget: Budget = "energy",
    concentration: tuple[float, float] = (0.0, 0.0),
) -> float:
    """Cost of a scheme over that of another, for prompts spread over pass rates.

    The prompts start at log-odds m + spread·Φ⁻¹((i − ½)/64), with m such that their mean success is
    ``start``; groups have a fixed size.

    Args:
        scheme: Scheme with a table, or its name.
        start: Mean success at the start, in (0, 1).
        spread: Standard deviation of the log-odds, at least 0.
        sharing: s in [0, 1].
        target: Mean success to reach, above ``start`` and below 1.
        group_size: M.
        reference: The scheme to compare with.
        kernel: ``"softmax"`` or ``"mirror"``.
        budget: ``"energy"``, of a constant step size, or ``"steps"``, of steps of equal size.
        concentration: See :func:`path_costs`.

    Returns:
        The ratio; below 1 the scheme is the better one, ∞ if it does not arrive.

    Raises:
        ValueError: Values outside these ranges, or a scheme without a table.

    Source: section "Prompts that share" of docs/theory.md.

    >>> round(relative_cost("sqrt_r", start=0.1, spread=2.0, sharing=0.0), 3)
    0.526
    >>> round(relative_cost("sqrt_r", start=0.1, spread=2.0, sharing=1.0), 3)
    1.436
    """
    check_problem(start, target, 0.0, 1.0)
    if not 0 <= spread < math.inf:
        raise ValueError(f"spread must be a finite number of at least 0; got {spread:g}")
    odds = spread_odds(start, spread)
    first, second = path_costs(
        [scheme, reference],
        odds,
        sharing=sharing,
        target=target,
        group_size=group_size,
        kernel=kernel,
        budget=budget,
        concentration=concentration,
    )[:, 0]
    return float(first / second)


def spread_odds(start: float, spread: float, prompts: int = PROMPTS) -> Floats:
    """Log-odds m + spread·Φ⁻¹((i − ½)/N) whose mean success is ``start``.

    >>> spread_odds(0.5, 1.0, 2).round(3).tolist()
    [-0.674, 0.674]
    """
    shape = spread * ndtri((np.arange(prompts) + 0.5) / prompts)
    if np.ptp(shape) == 0:
        return np.full(prompts, float(logit(start)))
    ends = float(logit(start)) - shape[[-1, 0]]
    middle = optimize.brentq(
        lambda m: float(np.mean(expit(m + shape))) - start, ends[0], ends[1], xtol=1e-13
    )
    return np.asarray(middle + shape)


def path_costs(
    schemes: Sequence[SchemeLike],
    odds: Floats,
    *,
    target: float,
    group_size: int,
    sharing: float = 0.0,
    design: str | Design = "fixed",
    unsolvable: Floats | float = 0.0,
    kernel: Kernel | Floats = "softmax",
    budget: Budget = "energy",
    concentration: tuple[float, float] = (0.0, 0.0),
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    conditions: Conditions = USUAL,
) -> Floats:
    """Cost of schemes for sets of prompts, until the mean success of each set is the target.

    Args:
        schemes: Schemes with a table.
        odds: logit ρ of the prompts at the start, shape (prompts,) or (sets, prompts).
        target: Mean success of these prompts to reach, in (0, 1).
        group_size: M.
        sharing: s in [0, 1]; 0 where the kernel is a matrix, which says it itself.
        design: A sampling design in which groups have one size.
        unsolvable: Share of further prompts with ρ = 0, in [0, 1), one number or one per set. They
            never move and do not count in the mean, but groups of them are noise if a scheme gives
            all-wrong groups an advantage.
        kernel: ``"softmax"``, ``"mirror"`` or K, a matrix of shape (prompts, prompts).
        budget: ``"energy"`` for T·E, ``"steps"`` for (∫√(c n) dt)².
        concentration: Σq² of the right and of the wrong answers, each in [0, 1]: 0 for very many
            answers of every kind, 1 for one.
        update_cost: α ≥ 0, the cost of an update of a prompt.
        response_cost: β ≥ 0, the cost of a response; not both are 0.
        conditions: Errors of the verifier, lengths, and an anchor at the start of every prompt.

    Returns:
        The cost, shape (schemes, sets); 0 where the mean is at the target from the start, ∞ where
        it never gets there.

    Raises:
        ValueError: Values outside these ranges, unknown names, a scheme without a table.

    >>> path_costs(["grpo"], np.zeros(2), sharing=0.0, target=0.9, group_size=16).round(1).tolist()
    [[499.1]]
    """
    found = finite_design(design)
    size = checked_group_size(found, group_size)
    if found.name == "first_success":
        raise ValueError("groups of one size are needed; until the first success sizes differ")
    if budget not in BUDGETS:
        raise ValueError(f"budget must be {' or '.join(BUDGETS)}; got {budget!r}")
    if not all(0 <= share <= 1 for share in concentration):
        raise ValueError(f"concentration must be two numbers in [0, 1]; got {concentration}")
    starts = np.atleast_2d(np.asarray(odds, dtype=np.float64))
    hopeless = np.broadcast_to(np.asarray(unsolvable, dtype=np.float64), starts.shape[:1])
    if not np.all((hopeless >= 0) & (hopeless < 1)):
        raise ValueError("unsolvable must lie in [0, 1)")
    if starts.size == 0 or not np.all(np.isfinite(starts)):
        raise ValueError("odds must be finite numbers, one per prompt at least")
    mixing = _mixing(kernel, sharing, starts.shape[1])
    if not isinstance(mixing, float) and hopeless.any():
        raise ValueError("a kernel that is a matrix holds all prompts: unsolvable is 0")
    hardest = float(starts.min())
    check_problem(float(expit(min(hardest, logit(target) - 1))), target, update_cost, response_cost)
    lowest = hardest - (_FALL if isinstance(mixing, float) else _DEEP)
    natural = isinstance(kernel, str) and kernel == "mirror"
    if conditions.reference is not None:
        raise ValueError("the anchor of prompts side by side is the start of each of them")
    errors, ratio = conditions.errors, conditions.length_ratio
    curves = [
        Curves.of(
            resolve(scheme),
            found,
            size,
            lowest,
            natural=natural,
            errors=errors,
            concentration=concentration,
        )
        for scheme in schemes
    ]
    grid = curves[0].grid
    success = expit(grid)
    used = found.acceptance(size, errors.observed(success))
    cost = update_cost * used + response_cost * size * np.asarray(mean_length(success, ratio))
    columns = [np.stack([c.speed, c.second, cost], axis=-1) for c in curves]
    if conditions.coefficient:
        pull = conditions.coefficient * used * (1 if natural else success * expit(-grid))
        columns = [np.concatenate([c, pull[:, None]], axis=-1) for c in columns]
    used_at_0 = float(found.acceptance(size, errors.false_positive))
    which = np.repeat(np.arange(len(schemes)), len(starts))
    flow = KernelFlow(
        np.stack(columns),
        lowest,
        np.tile(starts, (len(schemes), 1)),
        np.array([c.second_at_0 for c in curves])[which],
        np.tile(hopeless, len(schemes)),
        update_cost * used_at_0 + response_cost * size * ratio,
        mixing,
    )
    time, energy, length = flow.spent(which, target)
    product: Floats = time * energy if budget == "energy" else length**2
    return product.reshape(-1, len(starts))


def block_kernel(blocks: Sequence[int], sharing: float) -> Floats:
    """Kernel of prompts in blocks that share inside a block and not between blocks.

    K_ij = N[(1 − s) δ_ij + (s/n_b)·1(i and j in block b)], with n_b the prompts of the block: a
    single block is the kernel of ``sharing`` s.

    Args:
        blocks: Prompts in each block, all positive.
        sharing: s in [0, 1].

    Raises:
        ValueError: Values outside these ranges.

    >>> block_kernel([1, 2], 0.5).tolist()
    [[3.0, 0.0, 0.0], [0.0, 2.25, 0.75], [0.0, 0.75, 2.25]]
    """
    if not blocks or min(blocks) < 1:
        raise ValueError(f"blocks must hold a prompt each at least; got {list(blocks)}")
    _check_sharing(sharing)
    parts = [
        (1 - sharing) * np.eye(size) + sharing / size * np.ones((size, size)) for size in blocks
    ]
    return np.asarray(sum(blocks) * linalg.block_diag(*parts))


def sharing_of(kernel: Floats) -> float:
    """s of the constant kernel whose mean entries on and off the diagonal have the same ratio.

    Args:
        kernel: K, shape (prompts, prompts).

    Returns:
        That of :func:`sharing_of_ratio`; 0 where prompts on the whole lose by what others learn.

    >>> round(sharing_of(block_kernel([8], 0.3)), 9)
    0.3
    """
    matrix = np.asarray(kernel, dtype=np.float64)
    many = len(matrix)
    own = float(np.trace(matrix)) / many
    if many < 2 or own <= 0:
        return 0.0
    ratio = (float(matrix.sum()) / many - own) / (many - 1) / own
    return float(sharing_of_ratio(ratio, many))


def sharing_of_ratio(ratio: Array, prompts: int) -> Floats:
    """s of a constant kernel by the ratio r of its entries off the diagonal to those on it.

    The kernel of sharing s has (1−s)N + s on the diagonal and s off it, so that
    s = Nr/(1 + (N−1)r): of a given r, the more prompts are trained together, the more of an update
    is that of the others.

    Args:
        ratio: r, any shape; s is 0 below 0 and 1 above 1.
        prompts: N, at least 1.

    >>> [round(float(sharing_of_ratio(0.05, prompts)), 3) for prompts in (1, 64, 1280)]
    [0.05, 0.771, 0.985]
    """
    r = np.clip(np.asarray(ratio, dtype=np.float64), 0.0, 1.0)
    return np.asarray(prompts * r / (1 + (prompts - 1) * r))


def _mixing(kernel: Kernel | Floats, sharing: float, prompts: int) -> float | Floats:
    """s, or the matrix K/N."""
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            raise ValueError(f"kernel must be {' or '.join(KERNELS)} or a matrix; got {kernel!r}")
        _check_sharing(sharing)
        return float(sharing)
    matrix = np.asarray(kernel, dtype=np.float64)
    if matrix.shape != (prompts, prompts) or not np.all(np.isfinite(matrix)):
        raise ValueError(
            f"a kernel must be finite numbers of shape ({prompts}, {prompts}); got {matrix.shape}"
        )
    if sharing:
        raise ValueError("a kernel that is a matrix says itself how prompts share: sharing is 0")
    return matrix / prompts


def _check_sharing(sharing: float) -> None:
    if not 0 <= sharing <= 1:
        raise ValueError(f"sharing must lie in [0, 1]; got {sharing:g}")
