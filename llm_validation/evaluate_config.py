"""Configuration of an evaluation: what is sampled, how, and how it is summarised."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from annotated_types import Interval

from runs.configuration import Configuration, Count, Nucleus, Probability, Seed, Threads


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Configuration):
    """Sampling n responses to each problem of a task, and pass@k from them.

    The defaults are those of the papers: temperature 0.6 and nucleus 0.95 (arXiv 2506.01347).
    """

    model: str = ""
    """Folder or hub id of a causal language model; empty if responses are read from
    ``samples_path``."""

    task: str = "math"
    """Name for ``llm_validation.tasks.load_task``."""

    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the task, such as ``{"levels": [4, 5]}``; on the command line ``levels=[4,5]``."""

    train_path: str | None = None
    """File or hub id of the training rows, if the training split is evaluated."""

    test_path: str | None = None
    """File or hub id of the held-out rows; None for tasks that make their own."""

    split: Literal["test", "train"] = "test"
    """``test`` or ``train``."""

    limit: Annotated[int, Interval(ge=1, le=100_000_000)] | None = None
    """At most so many problems, drawn with ``task_seed``; None for all."""

    task_seed: Seed = 0
    """Seed of generated tasks and of the draw of ``limit``."""

    samples: Count = 16
    """Responses per problem, n; pass@k is reported for k up to n."""

    first_sample: Annotated[int, Interval(ge=0, le=1_000_000)] = 0
    """Number of the first response of each problem: an evaluation with the others adds to one whose
    samples were numbered below."""

    temperature: Annotated[float, Interval(ge=0, le=100)] = 0.6
    """Sampling temperature; 0 takes the likeliest token, and then n must be 1."""

    top_p: Nucleus = 0.95
    """Nucleus of sampling, in (0, 1]."""

    max_response_tokens: Count = 512
    """Longest response, in tokens."""

    batch: Count = 64
    """Responses generated at once; about twice as many make a part that is written."""

    engine: Literal["auto", "transformers", "vllm"] = "auto"
    """``transformers``, ``vllm``, or ``auto`` for vLLM where it is installed."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; ``auto`` for the type they were saved in."""

    cpu: bool = False
    """Generate on the CPU even where there is a GPU."""

    threads: Threads = 0
    """CPU threads of torch; 0 leaves its default."""

    seed: Seed = 0
    """Seed of sampling."""

    samples_path: str | None = None
    """Parquet file of responses to summarise instead of generating any, or a folder of evaluations
    whose responses are taken together."""

    rescore: bool = False
    """Judge the responses of ``samples_path`` again instead of taking their outcomes."""

    attempts: tuple[Count, ...] | None = None
    """Values of k to report; None for 1, 2, ..., n."""

    level: Probability = 0.95
    """Coverage of the intervals, in (0, 1)."""

    scheme: str = "base"
    """Scheme the model was trained with, for the tables; ``base`` for none."""

    step: Annotated[int, Interval(ge=0, le=100_000_000)] = 0
    """Training step the model was taken at, for the tables."""

    def check_together(self) -> None:
        """Check what concerns several fields."""
        if bool(self.model) == bool(self.samples_path):
            raise ValueError("give a model to sample from or samples_path to read, and not both")
        if self.temperature == 0 and self.samples > 1 and self.model:
            raise ValueError("at temperature 0 all samples are equal; set samples to 1")
        if self.attempts is None:
            return
        if not self.attempts:
            raise ValueError("attempts must name at least one number of attempts")
        if self.model and max(self.attempts) > self.samples:
            raise ValueError(
                f"attempts must be at most samples = {self.samples}, from which alone pass@k "
                f"can be estimated without bias; got {max(self.attempts)}"
            )
