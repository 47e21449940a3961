"""How training libraries write their rollouts: which columns stand for what.

Columns whose names begin with a slash are JSON pointers (RFC 6901) into a line of JSON. Where one
column does not say it, ``formulas`` give a role as DuckDB SQL over ``json``, the parsed line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from rollouts.sample import REWARDS, Sample

ROLES = ("prompt", "reward", "step", "response", "log_prob", "sampler_log_prob", "length")
"""What a column can stand for; the first two are needed."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """A library's way of writing rollouts.

    Attributes:
        name: What it is called in answers.
        marks: Columns that tell it from others.
        roles: Role → its columns (only the prompt may have several, which together name it).
        formulas: Role → SQL over ``json``; besides the roles, ``rollout`` and ``turn`` where the
            turns of a rollout are rows of their own.
        outcomes: Columns that say better than the reward whether a response is correct.
        matches: Column → regular expression that its values have.
        rows: SQL that makes the rows from ``{source}``, where they need it.
        ordered: Column of the text and of the row's number, where groups are known only by order.
        folders: Where a run's folder keeps the rollouts; of several, the first that is there.
        evaluation: They are evaluations, not what was trained on.
        mean_log_prob: Log-probabilities are means over tokens, not sums.
        source: Where the columns come from.
    """

    name: str
    marks: frozenset[str]
    roles: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str] = dataclasses.field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    matches: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rows: str = "{source}"
    ordered: tuple[str, str] | None = None
    folders: tuple[str, ...] = ()
    evaluation: bool = False
    mean_log_prob: bool = False
    source: str = ""

    @property
    def needs_json(self) -> bool:
        """Only lines of JSON can be laid out like this."""
        return any("json" in sql for sql in (self.rows, *self.formulas.values()))

    def fits(self, sample: Sample) -> bool:
        """Whether the values of the columns look as they should."""
        return all(
            all(value is not None and re.search(pattern, str(value)) for value in values)
            for column, pattern in self.matches.items()
            if (values := sample.values(column))
        )


def _score(value: str) -> str:
    """A number, or what a list of numbers adds up to."""
    return (
        f"CASE WHEN json_type({value}) = 'ARRAY' THEN list_sum(TRY_CAST({value} AS DOUBLE[])) "
        f"ELSE TRY_CAST({value} ->> '$' AS DOUBLE) END"
    )


def _prime_rl_trace() -> Layout:
    """A verifiers trace, with the fields of its episode where it has one."""
    score = (
        "coalesce(TRY_CAST(x ->> '$' AS DOUBLE), TRY_CAST(x ->> '$.score' AS DOUBLE)"
        " * coalesce(TRY_CAST(x ->> '$.weight' AS DOUBLE), 1))"
    )
    task = [
        f"json ->> '{path}'"
        for path in ("$.group.id", "$.group_id", "$.task.key", "$.task.hash", "$.task.idx")
    ]
    return Layout(
        "prime-rl traces",
        frozenset({"task", "rewards", "nodes"}),
        roles={"step": ("run.work.step",)},
        formulas={
            # Agents of one episode are groups of their own.
            "prompt": f"coalesce({', '.join(task)}) || coalesce(' ' || "
            "(json ->> '$.agent.name'), '')",
            "reward": "list_sum(list_transform(json_extract(json, '$.rewards.*'),"
            f" lambda x: {score}))",
            "response": "CAST(json_extract(json, '$.nodes[*].message.content') AS VARCHAR)",
            "sampler_log_prob": "CAST(json_extract(json, '$.nodes[*].logprobs[*]') AS JSON)",
        },
        folders=("rollouts", "train/effective", "train/all", "traces"),
        source="prime-rl orchestrator/types.py, Rollout.to_dict, and verifiers v1/trace.py, "
        "v1/episode.py",
    )


_VERL = {"step": ("step",), "response": ("output",), "reward": ("score",)}
_OLDEST = "list_min(TRY_CAST(json -> '$.weight_versions' AS DOUBLE[]))"
_LAST = "'^(.*)_[0-9]+_[0-9]+$'"

LAYOUTS = (
    Layout(
        "samples of apw evaluate",
        frozenset({"problem", "sample", "outcome", "truncated"}),
        {
            "prompt": ("problem",),
            "response": ("response",),
            "log_prob": ("log_probability",),
            "length": ("tokens",),
        },
        {"reward": "CASE \"outcome\" WHEN 'correct' THEN 1.0 WHEN 'error' THEN NULL ELSE 0.0 END"},
        evaluation=True,
        mean_log_prob=True,
        source="llm_validation/sample_metrics.py",
    ),
    Layout(
        "TRL completions",
        frozenset({"step", "prompt", "completion", "advantage"}),
        {"step": ("step",), "prompt": ("prompt",), "response": ("completion",)},
        folders=("completions",),
        source="TRL 1.16 trainer/grpo_trainer.py, GRPOTrainer.log",
    ),
    Layout(
        "verl agent rollouts, turn by turn",
        frozenset({"input", "output", "score", "step", "uid"}),
        _VERL,
        {
            "prompt": f"regexp_extract(json ->> '$.uid', {_LAST}, 1)",
            "rollout": "regexp_extract(json ->> '$.uid', '^(.*)_[0-9]+$', 1)",
            "turn": "TRY_CAST(regexp_extract(json ->> '$.uid', '([0-9]+)$', 1) AS BIGINT)",
        },
        outcomes=("acc",),
        matches={"uid": r"^.+_\d+_\d+$"},
        source="verl 0.9 trainer/ppo, agent loop; uid is prompt_rollout_turn",
    ),
    Layout(
        "verl rollouts",
        frozenset({"input", "output", "score", "step"}),
        {**_VERL, "prompt": ("input",)},
        outcomes=("acc",),
        source="verl 0.9 trainer/ppo/ray_trainer.py, _write_generations",
    ),
    _prime_rl_trace(),
    *(
        Layout(
            "verifiers rollouts",
            frozenset({id, "task", "reward", *others}),
            {
                "prompt": ("task", id),
                "reward": ("reward",),
                "response": ("completion",),
                "sampler_log_prob": ("completion_logprobs",),
            },
            outcomes=("correct_answer", "metrics.correct_answer"),
            folders=("rollouts",),
            source="prime-rl orchestrator/vf_utils.py, save_rollouts; vf-eval's results.jsonl",
        )
        for id, others in (("example_id", ()), ("id", ("completion", "generation_ms")))
    ),
    Layout(
        "open-instruct rollouts",
        frozenset({"prompt_idx", "sample_idx", "response_tokens", "reward"}),
        {
            "step": ("step",),
            "prompt": ("prompt_idx",),
            "reward": ("reward",),
            "response": ("response_tokens",),
            "sampler_log_prob": ("logprobs",),
        },
        source="open-instruct grpo_fast.py, rollouts in JSON lines",
    ),
    Layout(
        "NeMo-RL train data",
        frozenset({"content", "rewards", "token_loss_mask", "idx"}),
        {"reward": ("rewards",), "response": ("content",)},
        {
            "sampler_log_prob": "json -> '$.generation_logprobs[0]'",
            "length": "list_sum(TRY_CAST(json -> '$.token_loss_mask[0]' AS DOUBLE[]))",
        },
        ordered=("content", "idx"),
        source="NeMo-RL algorithms/grpo.py, log_batched_dict_as_jsonl",
    ),
    Layout(
        "SkyRL evaluation dump",
        frozenset({"input_prompt", "output_response", "score", "env_class"}),
        {"prompt": ("input_prompt",), "response": ("output_response",)},
        {"reward": _score("(json -> '$.score')")},
        evaluation=True,
        source="SkyRL utils/trainer_utils.py, dump_per_dataset_eval_results",
    ),
    Layout(
        "tinker-cookbook rollout summaries",
        frozenset({"group_idx", "traj_idx", "total_reward"}),
        {"step": ("iteration",), "prompt": ("group_idx",)},
        {
            "reward": "coalesce(TRY_CAST(json ->> '$.steps[#-1].metrics.correct' AS DOUBLE), "
            "TRY_CAST(json ->> '$.total_reward' AS DOUBLE))",
            "length": "list_sum(list_transform(json_extract(json, '$.steps[*].ac_len'), "
            "lambda x: TRY_CAST(x AS DOUBLE)))",
        },
        source="tinker-cookbook rl/train.py, rollout summaries",
    ),
    Layout(
        "AReaL trajectories",
        frozenset({"task_id", "sample_idx", "head_version", "reward"}),
        {"prompt": ("task_id",), "reward": ("reward",), "response": ("completion",)},
        # The responses of a task may begin under different versions of the policy.
        {
            "step": "first_version",
            "age": "TRY_CAST(json ->> '$.tail_version' AS DOUBLE) "
            "- TRY_CAST(json ->> '$.head_version' AS DOUBLE)",
        },
        rows="(SELECT *, min(TRY_CAST(json ->> '$.head_version' AS DOUBLE)) OVER "
        "(PARTITION BY json ->> '$.task_id') AS first_version FROM {source})",
        source="AReaL core/workflow_executor.py, trajectory dump",
    ),
    Layout(
        "ROLL rollouts",
        frozenset({"global_step", "id", "responses", "scores"}),
        {
            "step": ("global_step",),
            "prompt": ("id",),
            "reward": ("scores",),
            "response": ("responses",),
        },
        source="ROLL pipeline/rlvr/utils.py, write_to_json_process",
    ),
    Layout(
        "rLLM episodes",
        frozenset({"episode_id", "task_hash", "is_correct", "trajectories"}),
        {
            "step": ("training_step",),
            "prompt": ("task_hash",),
            "reward": ("is_correct",),
            "response": ("trajectories",),
        },
        folders=("episodes",),
        source="rLLM utils/episode_logger.py",
    ),
    *(
        Layout(
            "slime samples",
            frozenset({"group_index", "index", "response", "reward", *versions}),
            {
                "step": ("rollout_id",),
                "prompt": ("group_index",),
                "reward": ("reward",),
                "response": ("response",),
                "length": ("response_length",),
            },
            # Versions count updates since the start or restart of a run, not rollouts.
            {"age": f"newest - {_OLDEST}"} if versions else {},
            rows=f"(SELECT *, max({_OLDEST.replace('min', 'max')}) OVER "
            "(PARTITION BY json ->> '$.rollout_id') AS newest FROM {source})"
            if versions
            else "{source}",
            source="slime ray/rollout.py and utils/types.py, Sample.to_dict",
        )
        for versions in (("weight_versions",), ())
    ),
    Layout(
        "lm-eval samples",
        frozenset({"doc_id", "doc_hash", "resps", "filter"}),
        {"prompt": ("doc_hash",), "response": ("resps",)},
        {
            "reward": "TRY_CAST(json_extract_string(json, "
            "'$.\"' || (json ->> '$.metrics[0]') || '\"') AS DOUBLE)"
        },
        evaluation=True,
        source="lm-evaluation-harness evaluator.py, samples",
    ),
    *(
        Layout(
            "lighteval details",
            frozenset({f"{mark}doc{mark}", f"{mark}metric{mark}", f"{mark}model_response{mark}"}),
            {"prompt": (f"{mark}doc{mark}.query",)},
            evaluation=True,
            source="lighteval logging/evaluation_tracker.py and info_loggers.py, Detail",
        )
        for mark in ("", "__")  # up to version 0.12 the names stood between underscores
    ),
)
"""Known layouts, the most particular first."""

_METRICS = frozenset({"loss", "grad_norm", "learning_rate"})
"""Columns of what trainers log step by step."""

TABLE = Layout("a table", frozenset(), {})
"""Any other table, whose columns are found by name."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (
        "prompt_id",
        "prompt_uid",
        "group_id",
        "group_idx",
        "group_index",
        "example_id",
        "problem_id",
        "question_id",
        "prompt_idx",
        "doc_hash",
        "prompt",
        "problem",
        "question",
        "input",
        "query",
        "task_id",
        "id",
        "idx",
    ),
    "reward": (*REWARDS, "outcomes"),
    "step": ("step", "global_step", "training_step", "train_step", "iteration", "update"),
    "response": ("response", "completion", "output", "generation", "response_text", "code"),
    "log_prob": (
        "log_prob",
        "logprob",
        "log_probs",
        "logprobs",
        "logp",
        "old_log_prob",
        "old_log_probs",
        "log_probability",
        "mean_log_prob",
        "mean_logprob",
    ),
    "sampler_log_prob": (
        "sampler_log_prob",
        "sampler_logprob",
        "sampling_log_prob",
        "sampling_logprob",
        "sampler_log_probs",
        "rollout_log_prob",
        "rollout_log_probs",
        "rollout_logprob",
        "completion_logprobs",
        "vllm_logprob",
    ),
    "length": (
        "length",
        "response_length",
        "completion_length",
        "num_tokens",
        "tokens",
        "completion_tokens",
        "response_tokens",
        "num_completion_tokens",
    ),
}
"""Names by which the columns of a table are recognised, the likeliest first."""

MEANS = frozenset({"mean_log_prob", "mean_logprob"})
"""Columns whose name says that they are means over tokens."""


def layout_of(columns: list[str], sample: Sample | None = None, *, lines: bool = True) -> Layout:
    """The layout that a table's columns, and a sample of its values, show.

    >>> layout_of(["input", "output", "gts", "score", "step"]).name
    'verl rollouts'
    """
    found = set(columns)
    return next(
        (
            layout
            for layout in LAYOUTS
            if layout.marks <= found
            and (lines or not layout.needs_json)
            and (sample is None or layout.fits(sample))
        ),
        TABLE,
    )


def is_metrics(columns: Iterable[str]) -> bool:
    """Tell whether a table holds metrics of training steps, and no responses.

    >>> is_metrics(["step", "loss", "reward"]), is_metrics(["prompt", "loss", "reward"])
    (True, False)
    """
    names = {name.lower().rpartition(".")[2] for name in columns}
    return not _METRICS.isdisjoint(names) and names.isdisjoint(NAMES["prompt"])
