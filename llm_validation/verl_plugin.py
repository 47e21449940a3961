"""Advantage estimators for verl: every scheme its interface can carry, as ``apw_<scheme>``.

Installing this package is enough: verl loads it through the entry point ``verl.plugins`` (and says
nothing if that fails, so ask ``apw doctor``). Then choose, for instance,
``algorithm.adv_estimator=apw_sqrt_r``. A scheme with other options is named in the environment
variable ``APW_VERL_SCHEMES`` (several apart by semicolons) and called
``estimator_name(scheme)``, or registered under a name of your own with :func:`register`.

verl gives an estimator the total reward alone. Where that is not 0 and 1, or −1 and 1 (which are
recognised), the variable ``APW_VERL_OUTCOME`` says which totals are correct, such as
``low=-1,high=1,threshold=0`` for DAPO's rewards with a penalty for length; what is left of them is
shaping, and ``APW_VERL_SHAPING`` says how it enters (``gate`` by default).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch

from llm_validation import verl_sessions
from llm_validation.reward_split import RewardMode, RewardSplit
from llm_validation.verl_names import (
    OUTCOME_VARIABLE,
    SCHEMES_VARIABLE,
    SHAPING_VARIABLE,
    estimator_name,
)
from theory.advantages import group_advantages
from theory.rewards import OutcomeRule
from theory.schemes import SCHEMES, SchemeLike, allow_import, resolve

_REGISTERED: set[str] = set()
"""Names of our estimators in verl's registry."""


def estimator(
    scheme: SchemeLike, rule: OutcomeRule | None = None, shaping: RewardMode | None = None
) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Advantage estimator with verl's signature.

    The advantage of a response, A_i of ``theory.advantages.group_advantages`` over the responses
    with the same ``index``, stands at each of its tokens.

    Args:
        scheme: A scheme or its name, options after a colon.
        rule: How a total reward tells the outcome; by default recognised from the rewards, and of
            no concern to schemes that take any scale.
        shaping: How what a threshold leaves of the rewards enters: ``gate``, ``add``, ``apart``.

    Returns:
        Function of (token_level_rewards (rows, T), response_mask (rows, T), config, index (rows),
        **kwargs) to (advantages, returns), both (rows, T). LENS also needs ``old_log_probs``
        (rows, T), the sampler's log-probabilities, among the keyword arguments.

    Raises:
        ValueError: An unknown scheme, or one that needs a critic or a history of prompts; when
            called, LENS without ``old_log_probs``, or rewards the scheme is not defined for.

    >>> rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    >>> mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    >>> estimator("linear_r")(rewards, mask, index=["q", "q"])[0].tolist()
    [[1.0, 1.0], [-1.0, -0.0]]
    """
    bound = resolve(scheme)
    if bound.needs_baseline:
        raise ValueError(f"{bound.name} needs a critic; use verl's own adv_estimator=gae")
    if bound.keeps_history:
        raise ValueError(
            f"{bound.label} needs a history of prompts, which verl's estimators have no place for: "
            "leave keep and refit at 0"
        )
    split = RewardSplit(bound, ["reward"], [1.0], rule=rule, mode=shaping)

    def compute(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        config: Any = None,
        index: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if index is None:
            raise ValueError(f"{bound.name} compares responses to one prompt: verl must pass index")
        with torch.no_grad():
            rewards = token_level_rewards.sum(dim=-1)
            confidence = None
            if bound.needs_confidence:
                confidence = _confidence(kwargs.get("old_log_probs"), response_mask)
            length = response_mask.sum(dim=-1) if bound.needs_length else None
            outcomes, beside, _ = split(rewards.float().cpu().numpy()[:, None])
            rewards = torch.from_numpy(outcomes).to(rewards)
            rows = {"log_confidence": confidence, "length": length}
            advantages = _by_group(rewards, rows, beside, index, split)
            spread = advantages[:, None] * response_mask
        return spread, spread

    return compute


def register(
    name: str,
    scheme: SchemeLike,
    rule: OutcomeRule | None = None,
    shaping: RewardMode | None = None,
) -> None:
    """Register a scheme with verl as advantage estimator ``name``; see :func:`estimator`.

    Raises:
        ImportError: verl is not installed.
        ValueError: See :func:`estimator`.
    """
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

    _REGISTERED.add(name)
    verl_sessions.install(_REGISTERED)
    # verl refuses a second function under a name; plugins may be loaded more than once.
    if name not in ADV_ESTIMATOR_REGISTRY:
        register_adv_est(name)(estimator(scheme, rule, shaping))


def register_all() -> list[str]:
    """Register every scheme that needs no critic, and those of the environment; return the names.

    Raises:
        ImportError: verl is not installed.
        ValueError: ``APW_VERL_SCHEMES`` names a scheme that does not exist, or another of the
            variables says what it cannot.
    """
    schemes = [name for name, scheme in SCHEMES.items() if not scheme.needs_baseline]
    named = [text for text in os.environ.get(SCHEMES_VARIABLE, "").split(";") if text]
    allow_import(*named)  # the environment is as much the user's as the command line
    schemes += named
    rule = parse_rule(os.environ.get(OUTCOME_VARIABLE, ""))
    mode = cast(RewardMode | None, os.environ.get(SHAPING_VARIABLE) or None)
    for scheme in schemes:
        register(estimator_name(scheme), scheme, rule, mode)
    return [estimator_name(scheme) for scheme in schemes]


def parse_rule(text: str) -> OutcomeRule | None:
    """Rule written as ``low=-1,high=1,threshold=0``, any of the three; None for no text.

    Raises:
        ValueError: Something else.

    >>> parse_rule("low=-1,high=1")
    OutcomeRule(low=-1.0, high=1.0, threshold=None)
    """
    if not text.strip():
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        values = {name.strip(): float(number) for name, _, number in pairs}
        if not values.keys() <= {"low", "high", "threshold"}:
            raise ValueError("another name")
    except ValueError as error:
        raise ValueError(
            f"{OUTCOME_VARIABLE} must be written as low=-1,high=1,threshold=0, any of the three; "
            f"got {text!r}"
        ) from error
    return OutcomeRule(**values)


def _by_group(
    rewards: torch.Tensor,
    known: Mapping[str, torch.Tensor | None],
    beside: np.ndarray | None,
    index: Sequence[Any],
    split: RewardSplit,
) -> torch.Tensor:
    """Advantages of rows that are grouped by ``index``, in any order and of any size.

    ``known`` is what the scheme needs of every row beside its reward.
    """
    rows_of: dict[Any, list[int]] = {}
    for row, group in enumerate(index):
        rows_of.setdefault(group, []).append(row)
    advantages = torch.zeros_like(rewards)
    # Groups of one size at a time: one call for all of them, and no padding.
    by_size: dict[int, list[list[int]]] = {}
    for rows in rows_of.values():
        by_size.setdefault(len(rows), []).append(rows)
    if split.scheme.needs_batch and len(by_size) > 1:
        raise ValueError(
            f"{split.scheme.name} compares the prompts of a batch, whose groups must be of one size"
        )
    for groups in by_size.values():
        places = torch.tensor(groups, device=rewards.device)
        chosen = {name: None if part is None else part[places] for name, part in known.items()}
        shaping = None if beside is None else torch.from_numpy(beside[places.cpu()]).to(rewards)
        advantages[places] = group_advantages(
            rewards[places],
            split.scheme,
            log_confidence=chosen["log_confidence"],
            length=chosen["length"],
            shaping=shaping,
            shaping_mode=split.shaping_mode,
        )
    return advantages


def _confidence(log_probs: torch.Tensor | None, mask: torch.Tensor) -> torch.Tensor:
    if log_probs is None:
        raise ValueError(
            "lens needs old_log_probs, the sampler's log-probabilities, and this version of verl "
            "does not pass them to custom estimators; train LENS with `apw train`"
        )
    tokens = mask.sum(dim=-1).clamp(min=1)
    return ((log_probs * mask).sum(dim=-1) / tokens).clamp(max=0.0)


def _load() -> None:
    """Register on import, which is all that verl's plugin loading does; silent without verl."""
    import importlib.util

    if importlib.util.find_spec("verl") is not None:
        register_all()


_load()
