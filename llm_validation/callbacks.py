"""What happens between optimizer steps: progress, measurement, and stopping in good order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from llm_validation.exact_success import answer_probabilities, distinct_answers
from llm_validation.tasks.task import Example, Task
from runs.terminal import Progress
from runs.text import number, percent

PASS_K = (4, 16, 64, 256)
"""k of the exact pass@k that is recorded beside the success probability, pass@1."""


class RunCallback(TrainerCallback):
    """A callback that knows its trainer."""

    trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Remember the trainer, which is made after its callbacks."""
        self.trainer = trainer


class ShowProgress(RunCallback):
    """Count optimizer steps, those of a resumed run included, and show what the last one said.

    Args:
        progress: Where they are counted.
        training: What is trained, such as a scheme and a seed.
    """

    def __init__(self, progress: Progress, training: str) -> None:
        self.progress = progress
        self.progress.watched["training"] = training

    def attach(self, trainer: Any) -> None:
        """Remember the trainer and keep it from printing every log."""
        super().attach(trainer)
        trainer.remove_callback(PrinterCallback)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count what an earlier process has done."""
        self.progress.skip(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step."""
        self.progress.advance()

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] = MappingProxyType({}),
        **_: Any,
    ) -> None:
        """Show the reward and the share of responses that teach nothing."""
        if "reward" in logs:
            watched = {"reward": number(float(logs["reward"]), 3)}
            if "zero_advantage" in logs:
                watched["zero_advantages"] = percent(float(logs["zero_advantage"]))
            self.progress.advance(0, **watched)


class Measure(RunCallback):
    """Record exact success probabilities at the start, at the end and at times in between.

    With the success probability ρ(x) of every held-out prompt known, pass@k needs no samples: it is
    the mean of 1 − (1 − ρ(x))^k. Where prompts have several right answers the expected number of
    different ones among 256 responses is recorded too, and success by level where there are levels.

    Args:
        every: Steps between measurements; 0 for start and end only.
        stop_at: Stop the run once the mean success probability of the held-out prompts is this
            high; None for never.
        task: Its held-out prompts are measured, and its training prompts if they are others.
        tokenizer: The model's tokenizer.
        prompts: At most so many prompts of each split.

    Raises:
        ValueError: A task that does not list its right answers.
    """

    def __init__(
        self,
        every: int,
        task: Task,
        tokenizer: PreTrainedTokenizerBase,
        *,
        stop_at: float | None = None,
        prompts: int = 200,
    ) -> None:
        self.every = every
        self.stop_at = stop_at
        self.tokenizer = tokenizer
        if task.answers is None:
            raise ValueError(
                f"task {task.name} does not list its right answers, so success cannot be measured "
                "exactly; the tiny model is for arithmetic and small_countdown"
            )
        self.answers = task.answers
        self.splits = {"success": task.test[:prompts]}
        if task.train[:1] != task.test[:1]:
            self.splits["success_train"] = task.train[:prompts]

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the initial model, which has cost nothing yet."""
        if state.global_step == 0:
            self.trainer.record.extend((0, n, 0.0) for n in ("updates", "responses", "tokens"))
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure if it is time, and stop if there is nothing more to reach."""
        step = state.global_step
        if step == state.max_steps or (self.every and step % self.every == 0):
            success = self._measure(step)
            if self.stop_at is not None and success >= self.stop_at:
                control.should_training_stop = True
                # A run resumed from a checkpoint of this very step would train past it.
                control.should_save = False

    def _measure(self, step: int) -> float:
        """Record every split; the mean success probability of the held-out prompts."""
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        values: dict[str, float] = {}
        for name, examples in self.splits.items():
            chances = answer_probabilities(model, self.tokenizer, examples, self.answers)
            success = torch.stack([each.sum() for each in chances]).clamp(max=1.0)
            values[name] = float(success.mean())
            if name == "success":
                for k in PASS_K:
                    values[f"pass@{k}"] = float(-torch.expm1(k * torch.log1p(-success)).mean())
                values |= _breadth(chances, examples, success)
        self.trainer.record.extend((step, name, value) for name, value in values.items())
        return values["success"]


def _breadth(
    chances: list[torch.Tensor], examples: Sequence[Example], success: torch.Tensor
) -> dict[str, float]:
    """Different right answers, where prompts have several, and success by level."""
    values = {}
    if max(map(len, chances)) > 1:
        found = [distinct_answers(each, PASS_K[-1]) for each in chances]
        values[f"distinct@{PASS_K[-1]}"] = sum(found) / len(found)
    levels = [example.metadata.get("level") for example in examples]
    for level in sorted({level for level in levels if level is not None}):
        chosen = torch.tensor([each == level for each in levels])
        values[f"success/level={level}"] = float(success[chosen].mean())
    return values


class Interrupt(RunCallback):
    """When asked to, write a checkpoint and stop, where no generated response is lost.

    Args:
        wanted: Tells whether to stop.
        every: Updates per batch of responses; the trainer stops between batches.
    """

    def __init__(self, wanted: Callable[[], bool], every: int) -> None:
        self.wanted = wanted
        self.every = every

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Ask for a checkpoint and the end."""
        if self.wanted() and state.global_step % self.every == 0:
            control.should_save = True
            control.should_training_stop = True
        return control
