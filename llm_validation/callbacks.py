"""What happens between optimizer steps: progress, measurement, and stopping in good order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback

from llm_validation.tasks.task import Task
from llm_validation.tiny_model import success_probability


class RunCallback(TrainerCallback):
    """A callback that knows its trainer."""

    trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Remember the trainer, which is made after its callbacks."""
        self.trainer = trainer


class Progress(RunCallback):
    """Advance a progress bar by one per optimizer step, past steps of a resumed run included."""

    def __init__(self, bar: tqdm[Any]) -> None:
        self.bar = bar

    def attach(self, trainer: Any) -> None:
        """Remember the trainer and keep it from printing every log."""
        super().attach(trainer)
        trainer.remove_callback(PrinterCallback)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count what an earlier process has done."""
        self.bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step."""
        self.bar.update(1)


class Measure(RunCallback):
    """Record the exact success probability at the start, at the end and at times in between.

    Args:
        every: Steps between measurements; 0 for start and end only.
        task: Its held-out prompts are measured, and its training prompts if they are others.
        tokenizer: The model's tokenizer.
        prompts: At most so many prompts of each split.
    """

    def __init__(
        self, every: int, task: Task, tokenizer: PreTrainedTokenizerBase, prompts: int = 200
    ) -> None:
        self.every = every
        self.tokenizer = tokenizer
        self.splits = {"success": task.test[:prompts]}
        if task.train[:1] != task.test[:1]:
            self.splits["success_train"] = task.train[:prompts]

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the initial model, which has cost nothing yet."""
        if state.global_step == 0:
            self.trainer.record.extend((0, n, 0.0) for n in ("updates", "responses", "tokens"))
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure if it is time."""
        step = state.global_step
        if step == state.max_steps or (self.every and step % self.every == 0):
            self._measure(step)

    def _measure(self, step: int) -> None:
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        for name, examples in self.splits.items():
            value = success_probability(model, self.tokenizer, examples).mean()
            self.trainer.record.append((step, name, float(value)))


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
