"""How long a run takes on this machine, from a few steps or parts of one by the trainer itself.

A tiny model takes whole steps. Of a real model a step lasts minutes: there the first token and a
few more are generated for all rows, a few rows are learned from at full length, and each part is
scaled to what a step has of it. Everything is timed inside the trainer, so that what TRL, the
decoder and the scorer spend around the model is in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import TrainerCallback

from llm_validation import initial_model, lora
from llm_validation.arguments import training_arguments
from llm_validation.callbacks import Measure, ShowProgress
from llm_validation.prompt_length import without_long_prompts
from llm_validation.train import load_training_task, make_trainer, quiet
from llm_validation.trainer import WeightedGRPOTrainer
from llm_validation.turns import Turns
from runs.terminal import Progress

if TYPE_CHECKING:
    from llm_validation.config import TrainConfig
    from llm_validation.tasks import Task

Clock = Callable[[], float]

_TOKENS = 9
"""Tokens that are generated of a real model's responses."""
_ROW_TOKENS = 512
"""Rows that a real model is trained on at once have about so many tokens, or are one."""
_WARM, _TIMED = 3, 10
"""Steps of a tiny model that are taken, and that are timed after them."""
_WARM_UP = (2, 5, 30)
"""Supervised steps: the last two starts differ in time by what steps take, the first is slower."""


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Time of a run whose responses all have full length.

    Attributes:
        generation: Seconds of a step spent on generating responses.
        scoring: On judging them.
        update: On forward and backward passes, and the optimizer.
        other: On all else of a step: logging, advantages, exact success.
        start: Before the first step of a training.
        total: Of all trainings.
    """

    generation: float
    scoring: float
    update: float
    other: float
    start: float
    total: float

    @property
    def step(self) -> float:
        """Of an optimizer step."""
        return self.generation + self.scoring + self.update + self.other


def calibrate(config: TrainConfig, clock: Clock = time.perf_counter) -> Seconds:
    """Time a run's parts on this machine.

    Args:
        config: The run, whose model and data are here; transformers generates.
        clock: What tells the time, in seconds.
    """
    from accelerate import PartialState

    PartialState(cpu=config.cpu)
    if config.threads:
        torch.set_num_threads(config.threads)
    trial = dataclasses.replace(
        config,
        schemes=("grpo",),
        schedules={},
        seeds=1,
        dead_groups="keep",
        length_penalty=0.0,
        plan_every=0,
        plan_by="counts",
        plan_memory=None,
        plan_counts=None,
        initial_folder=None,
        stop_at=None,
        checkpoint_every=0,
        save_models=False,
    )
    tiny = initial_model.is_tiny(config)
    runs = len(config.schemes) * config.seeds
    with quiet(), tempfile.TemporaryDirectory() as folder, load_training_task(config) as loaded:
        task = without_long_prompts(
            loaded, initial_model.load_tokenizer(config), config.max_prompt_tokens
        )
        if not tiny:
            found = _parts(config, trial, task, Path(folder), clock)
            warm_up = 0.0
        else:
            warm_up = _warm_up(trial, task, Path(folder), clock)
            found = _steps(trial, task, Path(folder), clock)
    starts = 1 if config.initial_seed is not None else config.seeds
    total = starts * warm_up + runs * (found.start + config.steps * found.step)
    return dataclasses.replace(found, total=total)


def _warm_up(config: TrainConfig, task: Task, folder: Path, clock: Clock) -> float:
    """Seconds that a tiny model's supervised start takes; leaves a short one in the folder."""
    seconds = []
    for steps in _WARM_UP:
        started = clock()
        short = dataclasses.replace(config, warm_up_steps=steps)
        initial_model.prepare(short, task, config.first_seed, folder / str(steps))
        seconds.append(clock() - started)
    _, fewer, more = _WARM_UP
    each = max(0.0, seconds[2] - seconds[1]) / (more - fewer)
    return seconds[1] + (config.warm_up_steps - fewer) * each


def _steps(config: TrainConfig, task: Task, folder: Path, clock: Clock) -> Seconds:
    """Whole steps of a tiny model, one measurement of its success among so many as in the run."""
    timed = config.measure_every if 0 < config.measure_every <= 2 * _TIMED else _TIMED
    timed = -(-timed // config.updates_per_generation) * config.updates_per_generation
    watch = _Watch(_WARM, clock)
    trial = dataclasses.replace(config, steps=_WARM + timed)
    source = initial_model.prepare(
        dataclasses.replace(trial, warm_up_steps=_WARM_UP[-1]),
        task,
        config.first_seed,
        folder / str(_WARM_UP[-1]),
    )
    trainer = _trainer(trial, task, source, folder, clock, [watch])
    trainer.train()
    parts = {name: sum(trainer.spent[name][watch.before[name] :]) / timed for name in trainer.spent}
    whole = (watch.end - watch.begin) / timed
    start = watch.first - trainer.made
    return Seconds(**parts, other=whole - sum(parts.values()), start=start, total=0.0)


def _parts(
    config: TrainConfig, trial: TrainConfig, task: Task, folder: Path, clock: Clock
) -> Seconds:
    """Parts of a real model's step, each scaled to the whole."""
    rows = config.responses_per_step
    length = config.max_prompt_tokens + config.max_response_tokens
    wanted = min(max(1, _ROW_TOKENS // length), config.micro_batch or rows)
    micro = next(size for size in range(wanted, 0, -1) if rows % size == 0)
    # A batch that serves several updates, and a reference model, take a forward pass more each.
    passes = 1 + ((config.updates_per_generation > 1) + (config.kl > 0)) / 3
    trial = dataclasses.replace(trial, steps=1, updates_per_generation=1, micro_batch=micro, kl=0.0)
    trainer = _trainer(trial, task, config.model, folder, clock, [], parts=True)
    with contextlib.suppress(_EnoughError):
        trainer.train()
    spent = {name: values[-1] for name, values in trainer.spent.items()}
    spent["generation"] *= config.generations / config.steps
    spent["scoring"] *= config.generations / config.steps
    spent["update"] *= passes * rows / micro
    return Seconds(**spent, other=0.0, start=trainer.begun - trainer.made, total=0.0)


def _trainer(
    config: TrainConfig,
    task: Task,
    source: str,
    folder: Path,
    clock: Clock,
    callbacks: list[Any],
    *,
    parts: bool = False,
) -> _Trial:
    made = clock()
    seed = config.first_seed
    arguments = training_arguments(config, seed, folder / "trial")
    model, tokenizer = initial_model.load(source, config)
    if config.lora_rank:
        model = lora.wrap(model, config, seed)
    callbacks = [
        ShowProgress(Progress("trial", config.steps, unit="steps", shown=False), ""),
        *callbacks,
    ]
    if initial_model.is_tiny(config):
        callbacks.insert(1, Measure(config.measure_every, task, tokenizer))
    kind = functools.partial(_Trial, clock=clock, parts=parts, made=made)
    trainer = make_trainer(
        config, task, "grpo", seed, model, tokenizer, arguments, callbacks, kind=kind
    )
    return cast(_Trial, trainer)


class _EnoughError(Exception):
    """Everything was timed."""


class _Watch(TrainerCallback):
    """When the first step begins, when those that are timed begin, and when they end."""

    trainer: Any = None

    def __init__(self, warm: int, clock: Clock) -> None:
        self.warm, self.clock = warm, clock
        self.first = self.begin = self.end = 0.0
        self.before: dict[str, int] = {}

    def attach(self, trainer: Any) -> None:
        """Remember the trainer."""
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note when steps begin."""
        if state.global_step == 0:
            self.first = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note when the steps that warm up are over, and when all are."""
        if state.global_step == self.warm:
            self.before = {name: len(values) for name, values in self.trainer.spent.items()}
            self.begin = self.clock()
        self.end = self.clock()


class _Trial(WeightedGRPOTrainer):
    """The trainer with a clock in it; with ``parts`` it does little of a step, and stops.

    Args:
        clock: What tells the time.
        parts: Whether to time parts instead of whole steps.
        made: When its model began to be loaded.
    """

    def __init__(self, *, clock: Clock, parts: bool, made: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.clock, self.parts, self.made = clock, parts, made
        self.begun = 0.0
        self.spent: dict[str, list[float]] = {"generation": [], "scoring": [], "update": []}
        self._inside = 0.0

    def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        started = self.clock()
        answer = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self.clock() - started, answer

    def _generate_single_turn(self, prompt_ids: Any, *arguments: Any, **options: Any) -> Any:
        def generate(prompts: Any) -> Any:
            self._turns = Turns()
            return super(_Trial, self)._generate_single_turn(prompts, *arguments, **options)

        if not self.parts:
            took, answer = self._timed(lambda: generate(prompt_ids))
            self.spent["generation"].append(took)
            return answer
        asked = self.generation_config
        longest = int(asked.max_new_tokens)
        few = min(longest, _TOKENS)
        # A token is timed where a response is half done: attention looks back that far.
        halfway = [[*row, *[row[-1]] * ((longest - few) // 2)] for row in prompt_ids]
        seconds, ends = [], asked.eos_token_id
        asked.eos_token_id = [-1]  # no row ends before the others
        try:
            for prompts, tokens in ((prompt_ids, 1), (prompt_ids, 1), (halfway, 1), (halfway, few)):
                asked.max_new_tokens = tokens
                took, answer = self._timed(functools.partial(generate, prompts))
                seconds.append(took)
        finally:
            asked.max_new_tokens, asked.eos_token_id = longest, ends
        _, prompt, before, after = seconds
        each = (after - before) / max(few - 1, 1)
        self.spent["generation"].append(prompt + each * (longest - 1))
        ids, *others = answer
        return [(row * longest)[:longest] for row in ids], *others

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        def score(part: slice) -> Any:
            return super(_Trial, self)._calculate_rewards(
                inputs[part], prompts[part], completions[part], ids[part]
            )

        if self.parts:
            # Another prompt's answer is worth a full comparison, which no response at random is.
            golds = [str(row["gold"]) for row in inputs]
            texts = [rf"\boxed{{{gold}}}" for gold in golds[self.num_generations :] + golds]
            chat = not isinstance(completions[0], str)
            completions = [
                [{"role": "assistant", "content": text}] if chat else text
                for text, _ in zip(texts, golds, strict=False)
            ]
            score(slice(self.num_generations))  # starts the scorer's processes
        seconds, rewards = self._timed(lambda: score(slice(None)))
        self.spent["scoring"].append(seconds)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        self.begun = self.begun or self.clock()
        seconds, output = self._timed(
            lambda: super(_Trial, self)._generate_and_score_completions(inputs)
        )
        self._inside += seconds
        return output

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        """Time what a micro-batch takes beyond generation and scoring."""
        self._inside = 0.0
        inner: Any = super().training_step
        seconds, loss = self._timed(lambda: inner(*arguments, **options))
        update = self.spent["update"]
        update.append(seconds - self._inside)
        if self.parts and len(update) == min(3, self.args.gradient_accumulation_steps):
            # The first pass is slower than the others.
            update.append(statistics.median(update[1:] or update))
            raise _EnoughError
        return loss
