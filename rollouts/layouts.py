"""How training libraries write their rollouts: which columns stand for what.

Columns whose names begin with a slash are JSON pointers (RFC 6901) into a line of JSON. Where one
column does not say it, ``formulas`` give a role as DuckDB SQL over ``json``, the parsed line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

ROLES = ("prompt", "reward", "step", "response", "log_prob", "sampler_log_prob", "length")
"""What a column can stand for; the first two are needed."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """A library's way of writing rollouts.

    Attributes:
        name: What it is called in answers.
        marks: Columns that tell it from others.
        roles: Role → its columns (only the prompt may have several, which together name it).
        formulas: Role → SQL over ``json``.
        mean_log_prob: Log-probabilities are means over tokens, not sums.
        source: Where the columns come from.
    """

    name: str
    marks: frozenset[str]
    roles: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mean_log_prob: bool = False
    source: str = ""


def _prime_rl_trace(name: str, marks: set[str], at: str) -> Layout:
    """A verifiers trace, at a JSON path of the line."""
    score = (
        "coalesce(TRY_CAST(x ->> '$' AS DOUBLE), TRY_CAST(x ->> '$.score' AS DOUBLE)"
        " * coalesce(TRY_CAST(x ->> '$.weight' AS DOUBLE), 1))"
    )
    task = [f"json ->> '{path}'" for path in ("$.group.id", "$.task.key", "$.task.hash",
                                              "$.task.idx")]  # fmt: skip
    return Layout(
        name,
        frozenset(marks),
        roles={},
        formulas={
            "prompt": f"coalesce({', '.join(task)})",
            "reward": f"list_sum(list_transform(json_extract(json, '{at}.rewards.*'),"
            f" lambda x: {score}))",
            "response": f"CAST(json_extract(json, '{at}.nodes[*].message.content') AS VARCHAR)",
            "sampler_log_prob": f"CAST(json_extract(json, '{at}.nodes[*].logprobs[*]') AS JSON)",
        },
        source="prime-rl monitors/file.py and verifiers v1/trace.py, v1/episode.py",
    )


LAYOUTS = (
    Layout(
        "samples of apw evaluate",
        frozenset({"problem", "sample", "outcome", "truncated"}),
        {"prompt": ("problem",), "response": ("response",), "log_prob": ("log_probability",),
         "length": ("tokens",)},
        {"reward": "CASE \"outcome\" WHEN 'correct' THEN 1.0 WHEN 'error' THEN NULL ELSE 0.0 END"},
        mean_log_prob=True,
        source="llm_validation/sample_metrics.py",
    ),
    Layout(
        "TRL completions",
        frozenset({"step", "prompt", "completion", "advantage"}),
        {"step": ("step",), "prompt": ("prompt",), "response": ("completion",)},
        source="TRL 1.16 trainer/grpo_trainer.py, GRPOTrainer.log",
    ),
    Layout(
        "verl rollouts",
        frozenset({"input", "output", "score", "step"}),
        {"step": ("step",), "prompt": ("input",), "response": ("output",), "reward": ("score",)},
        source="verl 0.9 trainer/ppo/ray_trainer.py, _write_generations",
    ),
    _prime_rl_trace("prime-rl episodes", {"task", "traces"}, "$.traces[0]"),
    _prime_rl_trace("prime-rl traces", {"task", "rewards", "nodes"}, "$"),
    Layout(
        "prime-rl rollouts",
        frozenset({"example_id", "task", "reward"}),
        {"prompt": ("task", "example_id"), "reward": ("reward",), "response": ("completion",),
         "sampler_log_prob": ("completion_logprobs",)},
        source="prime-rl orchestrator/vf_utils.py, save_rollouts",
    ),
)  # fmt: skip
"""Known layouts, the most particular first."""

TABLE = Layout("a table", frozenset(), {})
"""Any other table, whose columns are found by name."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt_id", "prompt_uid", "group_id", "example_id", "problem_id", "question_id",
               "prompt", "problem", "question", "input", "query"),
    "reward": ("reward", "score", "correct", "is_correct", "acc", "accuracy", "success", "rewards"),
    "step": ("step", "global_step", "training_step", "train_step", "iteration", "update"),
    "response": ("response", "completion", "output", "generation", "response_text"),
    "log_prob": ("log_prob", "logprob", "log_probs", "logprobs", "logp", "old_log_prob",
                 "old_log_probs", "log_probability", "mean_log_prob", "mean_logprob"),
    "sampler_log_prob": ("sampler_log_prob", "sampler_logprob", "sampling_log_prob",
                         "sampling_logprob", "sampler_log_probs", "rollout_log_prob",
                         "rollout_log_probs", "rollout_logprob", "completion_logprobs",
                         "vllm_logprob"),
    "length": ("length", "response_length", "completion_length", "num_tokens", "tokens",
               "completion_tokens", "response_tokens", "num_completion_tokens"),
}  # fmt: skip
"""Names by which the columns of a table are recognised, the likeliest first."""

MEANS = frozenset({"mean_log_prob", "mean_logprob"})
"""Columns whose name says that they are means over tokens."""


def layout_of(columns: list[str]) -> Layout:
    """The layout that a table's columns show.

    >>> layout_of(["input", "output", "gts", "score", "step"]).name
    'verl rollouts'
    """
    found = set(columns)
    return next((layout for layout in LAYOUTS if layout.marks <= found), TABLE)
