"""Columns beside prompt and reward that say what became of a response, found by their names.

Roles: ``advantage``, the one that the trainer used; ``component``, parts of the reward other than
the outcome; ``truncated``, whether the response was cut off; ``age``, updates of the policy between
sampling and training, or ``version``, the policy's version at sampling; ``split`` and
``temperature``, which tell training from the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rollouts.layouts import Layout
from rollouts.sample import Sample, flat, number

TEXTS = ("split", "truncated")
"""Roles whose values are words."""

SPLITS = ("split", "mode", "phase", "kind", "run.work.type", "run.type")
TRAINING = {"train", "training"}
EVALUATION = {"eval", "evaluation", "val", "valid", "validation", "test"}
TEMPERATURES = ("temperature", "sampling_params.temperature", "sampling_args.temperature")

ADVANTAGES = ("advantage", "advantages", "adv")
AGES = ("off_policy_steps", "off_policyness", "staleness", "rollout_age", "policy_lag")
VERSIONS = (
    "policy_version",
    "weight_version",
    "model_version",
    "policy_step",
    "model_step",
    "ckpt_step",
    "generation_version",
    "sampler_version",
)
TRUNCATIONS = (
    "truncated",
    "is_truncated",
    "response_truncated",
    "finish_reason",
    "stop_reason",
    "status",
)
CUT_OFF = ("true", "1", "1.0", "length", "truncated", "max_tokens", "max_length")
"""Words of a truncated response."""

_ENDED = {
    *CUT_OFF,
    *("false", "0", "0.0", "stop", "eos", "completed", "finished", "end_turn", "stop_sequence"),
    *("tool_calls", "abort", "aborted", "failed", "error", "pending", "content_filter"),
}
_COMPONENT = re.compile(r"reward|score|bonus|penalty|format")
_INSIDE = re.compile(r"(^|[.])(metrics|rewards|reward_components|reward_breakdown)[.]")

MOST_COMPONENTS = 6
"""Components of a reward that are told apart."""


def beside(
    types: Mapping[str, str],
    layout: Layout,
    roles: Mapping[str, Sequence[str]],
    sample: Sample,
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Roles that the columns of a table fill besides, and what is to be said of it.

    Args:
        types: Columns of the table.
        layout: How it is laid out.
        roles: Roles that are filled already.
        sample: Its first rows.

    >>> from rollouts.layouts import TABLE
    >>> rows = tuple({"advantage": 0.1, "format_reward": bonus} for bonus in (0, 0.5))
    >>> beside({}, TABLE, {"reward": ("reward",)}, Sample(rows))
    ({'advantage': ('advantage',), 'component': ('format_reward',)}, [])
    """
    found: dict[str, tuple[str, ...]] = {}
    for role, names in (("advantage", ADVANTAGES), ("age", AGES), ("version", VERSIONS)):
        numbers = [name for name in names if _numbers(sample.values(name))]
        if numbers and (role != "version" or ("age" not in found and "step" in roles)):
            found[role] = (numbers[0],)
    if "advantage" in found and (components := _components(types, layout, roles, sample)):
        found["component"] = components
    for name in TRUNCATIONS:
        words = {str(value).lower() for value in sample.values(name) if value is not None}
        if words and words <= _ENDED:
            found["truncated"] = (name,)
            break
    for name in TEMPERATURES:
        degrees = [number(value) for value in flat(sample.values(name))]
        if any(degree is not None and degree > 0 for degree in degrees):
            found["temperature"] = (name,)
            break
    for name in SPLITS:
        words = {str(value).lower() for value in sample.values(name) if value is not None}
        if words and words <= TRAINING | EVALUATION:
            if words <= EVALUATION:
                return found, [f"These are evaluations, by {name}."]
            found["split"] = (name,)
            break
    return found, []


def _numbers(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(number(value) is not None for value in known)


def _components(
    types: Mapping[str, str],
    layout: Layout,
    roles: Mapping[str, Sequence[str]],
    sample: Sample,
) -> tuple[str, ...]:
    """Parts of the reward beside the outcome; the reward itself where it has no parts."""
    outcome = roles.get("reward", ())
    if layout.name == "TRL completions":
        names = list(types)
        named = names[names.index("completion") + 1 : names.index("advantage")]
    else:
        named = [
            leaf
            for leaf in sample.leaves()
            if _INSIDE.search(leaf) or _COMPONENT.search(leaf.lower().rpartition(".")[2])
        ]
    varied = [
        name
        for name in named
        if name not in outcome
        and _numbers(values := sample.values(name))
        and len({number(value) for value in values}) > 1
    ]
    totals = [name for name in varied if name in ("reward", "score", "total_reward")]
    parts = [name for name in varied if name not in totals]
    return tuple((parts or totals)[:MOST_COMPONENTS])
