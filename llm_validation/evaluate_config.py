"""Configuration of an evaluation: what is sampled, how, and how it is summarised."""

from __future__ import annotations

import dataclasses
from typing import Any

from llm_validation.options import Options

ENGINES = ("auto", "transformers", "vllm")
SPLITS = ("test", "train")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Sampling n responses to each problem of a task, and pass@k from them.

    The defaults are those of the papers: temperature 0.6 and nucleus 0.95 (arXiv 2506.01347).

    Attributes:
        model: Folder or hub id of a causal language model; empty if responses are read from
            ``samples_path``.
        task: Name for ``llm_validation.tasks.load_task``.
        task_options: Options of the task, such as ``{"levels": [4, 5]}``; on the command line
            ``levels=[4,5]``.
        train_path: File or hub id of the training rows, if the training split is evaluated.
        test_path: File or hub id of the held-out rows; None for tasks that make their own.
        split: ``test`` or ``train``.
        limit: At most so many problems, drawn with ``task_seed``; None for all.
        task_seed: Seed of generated tasks and of the draw of ``limit``.
        samples: Responses per problem, n; pass@k is reported for k up to n.
        temperature: Sampling temperature; 0 takes the likeliest token, and then n must be 1.
        top_p: Nucleus of sampling, in (0, 1].
        max_response_tokens: Longest response, in tokens.
        batch: Responses generated at once, and about as many per part that is written.
        engine: ``transformers``, ``vllm``, or ``auto`` for vLLM where it is installed.
        dtype: Type of the weights; ``auto`` for the type they were saved in.
        cpu: Generate on the CPU even where there is a GPU.
        threads: CPU threads of torch; 0 leaves its default.
        seed: Seed of sampling and of the bootstrap.
        samples_path: Parquet file of responses to summarise instead of generating any.
        rescore: Judge the responses of ``samples_path`` again instead of taking their outcomes.
        attempts: Values of k to report; None for 1, 2, ..., n.
        level: Coverage of the intervals, in (0, 1).
        resamples: Bootstrap resamples.
        scheme: Scheme the model was trained with, for the tables; ``base`` for none.
        step: Training step the model was taken at, for the tables.
    """

    model: str = ""
    task: str = "math"
    task_options: Options = dataclasses.field(default_factory=dict)
    train_path: str | None = None
    test_path: str | None = None
    split: str = "test"
    limit: int | None = None
    task_seed: int = 0
    samples: int = 16
    temperature: float = 0.6
    top_p: float = 0.95
    max_response_tokens: int = 512
    batch: int = 64
    engine: str = "auto"
    dtype: str = "auto"
    cpu: bool = False
    threads: int = 0
    seed: int = 0
    samples_path: str | None = None
    rescore: bool = False
    attempts: tuple[int, ...] | None = None
    level: float = 0.95
    resamples: int = 10_000
    scheme: str = "base"
    step: int = 0

    def __post_init__(self) -> None:
        """Check every field; the first wrong one is named."""
        if bool(self.model) == bool(self.samples_path):
            raise ValueError("give a model to sample from or samples_path to read, and not both")
        for name, allowed in (("engine", ENGINES), ("split", SPLITS), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}"
                )
        for name, low in (
            ("samples", 1), ("max_response_tokens", 1), ("batch", 1), ("resamples", 1),
            ("threads", 0), ("seed", 0), ("task_seed", 0), ("step", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not _whole(value) or value < low:
                raise ValueError(f"{name} must be a whole number of at least {low}; got {value!r}")
        if self.limit is not None and (not _whole(self.limit) or self.limit < 1):
            raise ValueError(f"limit must be a whole number of at least 1; got {self.limit!r}")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                "temperature must be at least 0 and top_p must lie in (0, 1]; "
                f"got {self.temperature} and {self.top_p}"
            )
        if self.temperature == 0 and self.samples > 1 and self.model:
            raise ValueError("at temperature 0 all samples are equal; set samples to 1")
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie in (0, 1); got {self.level}")
        if self.attempts is not None:
            object.__setattr__(self, "attempts", tuple(self.attempts))
            if not self.attempts or not all(_whole(k) and k >= 1 for k in self.attempts):
                raise ValueError(f"attempts must be whole numbers of at least 1: {self.attempts}")
            if self.model and max(self.attempts) > self.samples:
                raise ValueError(
                    f"attempts must be at most samples = {self.samples}, from which alone pass@k "
                    f"can be estimated without bias; got {max(self.attempts)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Every field, of JSON types."""
        values = dataclasses.asdict(self)
        if self.attempts is not None:
            values["attempts"] = list(self.attempts)
        return values


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
