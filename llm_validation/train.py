"""Train every scheme under every seed and write one run folder."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llm_validation.config import TrainConfig
from llm_validation.extras import require_llm
from llm_validation.lora import base_of, is_adapter
from llm_validation.memory_errors import explained, training_work
from llm_validation.model_source import check_model
from llm_validation.replan import Replan, replan
from llm_validation.reporting import Reporter, check_reporter, reporting
from runs.files import write_json
from runs.folder import Run, read_finished, read_metrics
from runs.seeds import stream
from runs.terminal import Progress

if TYPE_CHECKING:
    from llm_validation.callbacks import RunCallback
    from llm_validation.tasks.task import Task
    from llm_validation.trainer import WeightedGRPOTrainer


def train(
    config: TrainConfig,
    path: Path | str,
    *,
    overwrite: bool = False,
    progress: bool = True,
    report_to: Reporter | None = None,
) -> pd.DataFrame:
    """Train every scheme of a configuration under every seed.

    The run folder gets ``config.json``, ``environment.json``, ``task.json`` (what was read, what
    was left out and why, under which licence) and ``metrics.parquet``, whose metrics are those of
    :class:`llm_validation.trainer.WeightedGRPOTrainer` and, for the tiny model, the exact
    ``success`` probability on the held-out prompts (and on the training prompts, as
    ``success_train``, if a task has both). A row of step t holds the state after t updates, and
    ``responses`` and ``tokens`` what it took to get there. ``models/`` holds the trained models if
    the configuration asks for them.

    Args:
        config: What to run.
        path: The run folder. An unfinished run of the same configuration is continued from its
            last checkpoint; a finished one is returned as it is.
        overwrite: Delete whatever run the folder holds.
        progress: Show a progress bar on a terminal, else a line a minute.
        report_to: Where the curves of each training go too; no part of the configuration, so that
            a run may be resumed with another.

    Returns:
        The metrics table.

    Raises:
        ModuleNotFoundError: Nothing that is installed writes for ``report_to``.
        MissingExtraError: The packages of the extra ``llm`` are not installed.
        FileNotFoundError: The model is no folder and cannot be had from the hub.
        ValueError: A scheme that needs a critic, or a vLLM server that cannot serve such a run.
        RunExistsError: The folder holds a run of another configuration.
        KeyboardInterrupt: Interrupted; the last step is in a checkpoint, and the same call goes on.
    """
    require_llm()
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    from llm_validation import initial_model, lora
    from llm_validation.generation import check_weights
    from llm_validation.prompt_length import without_long_prompts

    described = config.to_dict()
    path = Path(path)
    finished = read_finished(path, described, overwrite=overwrite)
    if finished is not None:
        return finished
    _refuse_impossible(config)
    check_model(config.model)
    check_reporter(report_to)
    state = PartialState(cpu=config.cpu)
    run = None
    # The task comes first: a broken file leaves no folder behind and costs no older run.
    with quiet(), load_training_task(config) as loaded:
        tokenizer = initial_model.load_tokenizer(config)
        task = without_long_prompts(loaded, tokenizer, config.max_prompt_tokens)
        plan = replan(config, task.train)
        if config.lora_rank:
            lora.check_targets(config)
        if not initial_model.is_tiny(config) and state.num_processes == 1:
            check_weights(config.model)  # several processes may share a model between them
        if state.is_main_process:
            run = Run.open(path, described, source="llm", overwrite=overwrite)
            write_json(path / "task.json", task.to_dict())
            if progress:
                print(task.describe(), file=sys.stderr)
        state.wait_for_everyone()
        try:
            total = config.steps * config.seeds * len(config.schemes)
            shown = progress and run is not None
            with Progress(path.name, total, unit="steps", shown=shown) as bar:
                trainings = itertools.product(config.seed_range(), config.schemes)
                for number, (seed, scheme) in enumerate(trainings, 1):
                    key = run_key(scheme, seed)
                    done = [run is not None and run.has_part(key)]
                    broadcast_object_list(done)
                    if not done[0]:
                        place = _place(bar, (number - 1) * config.steps, f"{scheme}, seed {seed}")
                        with (
                            explained(place, *training_work(config)),
                            reporting(report_to, path, key) as fields,
                        ):
                            record = _train_one(config, task, plan, scheme, seed, path, bar, fields)
                        if run is not None:
                            _write(run, key, scheme, seed, record)
                        state.wait_for_everyone()
                    # Also where an earlier process was killed before it came to this.
                    if run is not None:
                        shutil.rmtree(path / "checkpoints" / key, ignore_errors=True)
                    # A training that was to stop there counts as a whole.
                    bar.skip(number * config.steps - bar.done)
            if run is not None:
                run.finish()
            state.wait_for_everyone()
        finally:
            if run is not None:
                run.close()
    return read_metrics(path)


def _place(bar: Progress, before: int, training: str) -> Callable[[], str]:
    """Where a training is when it is asked, of which the bar had counted other steps before."""
    return lambda: f"in step {bar.done - before + 1} of {training}"


def _refuse_impossible(config: TrainConfig) -> None:
    """Refuse what no machine, or this one, can train, before a run folder exists."""
    if config.critics:
        raise ValueError(
            f"{config.critics[0]} needs a critic, which TRL's trainer does not have; verl has one: "
            "--launch verl writes a script that runs it"
        )
    if is_adapter(config.model):
        raise ValueError(
            f"training begins with a whole model, and {config.model} is an adapter of "
            f"{base_of(config.model)}"
        )
    if config.lora_rank and config.engine == "vllm" and _on_cpu(config):
        raise ValueError("adapters on a CPU need engine = 'transformers'")
    if config.engine == "vllm" and config.vllm_mode == "server":
        if _on_cpu(config):
            raise ValueError(
                "vllm_mode server needs a GPU, since weights go to the server by NCCL; "
                "on a CPU use vllm_mode = 'colocate'"
            )
        if len(config.schemes) * config.seeds > 1:
            raise ValueError(
                "a vLLM server follows the weights of one training: give one scheme and one seed, "
                "or let --launch write a script that trains one after another"
            )


def run_key(scheme: str, seed: int) -> str:
    """Name of a scheme's run under a seed, fit for a file.

    >>> run_key("w_reinforce:lam=0.1", 3)
    'w_reinforce.lam=0.1.seed=3'
    """
    return f"{re.sub(r'[^A-Za-z0-9._=-]+', '.', scheme)}.seed={seed}"


def prompt_order(examples: int, needed: int, seed: int) -> np.ndarray:
    """Indices of the prompts of a run in order: one shuffle of all of them after another.

    The order is laid out in advance, so a restart finds its place by counting, and no prompt is
    skipped or repeated, at the ends of epochs included.

    >>> prompt_order(3, 7, seed=0).tolist()
    [2, 1, 0, 0, 1, 2, 1]
    """
    epochs = range(-(-needed // examples))
    shuffles = [stream(seed, "prompt order", epoch).permutation(examples) for epoch in epochs]
    return np.concatenate(shuffles)[:needed]


def load_training_task(config: TrainConfig) -> Task:
    """The task of a configuration.

    Raises:
        ValueError: Bad rows or options, or nothing to train on.
        FileNotFoundError: A file that is not there.
    """
    from llm_validation.tasks import load_task

    task = load_task(
        config.task,
        train_path=config.train_path,
        test_path=config.test_path,
        limit=config.task_limit,
        seed=config.task_seed,
        **config.task_options,
    )
    if not task.train:
        task.close()
        raise ValueError(
            f"task {config.task} has no training prompts; set train_path to a file or hub id"
        )
    return task


def _train_one(
    config: TrainConfig,
    task: Task,
    plan: Replan | None,
    scheme: str,
    seed: int,
    path: Path,
    bar: Progress,
    fields: Mapping[str, Any],
) -> list[tuple[int, str, float]]:
    """Train one scheme under one seed; the recorded (step, metric, value) rows."""
    import torch
    from accelerate import PartialState

    from llm_validation import initial_model, lora, vllm_cpu
    from llm_validation.arguments import training_arguments
    from llm_validation.callbacks import Interrupt, Measure, ShowProgress
    from llm_validation.checkpoints import last_checkpoint

    if config.threads:
        torch.set_num_threads(config.threads)
    with PartialState().main_process_first():
        source = initial_model.prepare(config, task, seed, path / "initial")
    folder = path / "checkpoints" / run_key(scheme, seed)
    # Before the model: under DeepSpeed ZeRO-3 the arguments make loading spread it over the GPUs.
    arguments = training_arguments(config, seed, folder, fields)
    model, tokenizer = initial_model.load(source, config)
    if config.lora_rank:
        model = lora.wrap(model, config, seed)
    checkpoint = last_checkpoint(folder)
    vllm_on_cpu = config.engine == "vllm" and config.vllm_mode == "colocate" and _on_cpu(config)
    if vllm_on_cpu:
        vllm_cpu.enable()
    callbacks: list[RunCallback] = [ShowProgress(bar, f"{scheme}, seed {seed}")]
    if initial_model.is_tiny(config):
        callbacks.append(Measure(config.measure_every, task, tokenizer, stop_at=config.stop_at))
    with _interruptible() as interrupted:
        callbacks.append(Interrupt(interrupted, config.updates_per_generation))
        trainer = make_trainer(
            config,
            task,
            scheme,
            seed,
            model,
            tokenizer,
            arguments,
            callbacks,
            plan=_with_rates(config, plan, task, model, tokenizer),
        )
        if vllm_on_cpu:
            prompts = tokenizer([str(e.prompt) for e in task.train[:4]])["input_ids"]
            vllm_cpu.check_weights(trainer.vllm_generation, prompts)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if interrupted():
            raise KeyboardInterrupt(
                f"stopped at step {trainer.state.global_step} of {scheme}, seed {seed}; "
                "the same command goes on from there"
            )
    if config.save_models:
        trainer.save_trained(path / "models" / run_key(scheme, seed))
    return trainer.record


def _with_rates(
    config: TrainConfig, plan: Replan | None, task: Task, model: Any, tokenizer: Any
) -> Replan | None:
    """The plan with the model's true pass rates, where it is to go by them."""
    if plan is None or config.plan_by == "counts":
        return plan
    from llm_validation.exact_success import success_probability

    answers = task.answers
    assert answers is not None  # the measurements have seen to it

    def rates() -> np.ndarray:
        found = success_probability(model, tokenizer, task.train, answers)
        return found.clamp(max=1.0).numpy()

    return dataclasses.replace(plan, rates=rates)


def make_trainer(
    config: TrainConfig,
    task: Task,
    scheme: str,
    seed: int,
    model: Any,
    tokenizer: Any,
    arguments: Any,
    callbacks: Sequence[RunCallback],
    *,
    plan: Replan | None = None,
    kind: Callable[..., WeightedGRPOTrainer] | None = None,
) -> WeightedGRPOTrainer:
    """The trainer of one scheme under one seed, of our class or a ``kind`` of it."""
    from llm_validation.reward import LengthPenalty, TaskReward
    from llm_validation.trainer import WeightedGRPOTrainer

    rewards: list[Any] = [TaskReward(task)]
    beside: dict[str, Any] = {"dead_groups": config.dead_groups, "tries": config.resample_tries}
    if config.length_penalty:
        rewards.append(LengthPenalty(config.length_penalty, config.max_response_tokens))
        beside["shaping"] = config.shaping
        if config.shaping != "total":
            beside["outcome"] = rewards[0].__name__
    trainer = (kind or WeightedGRPOTrainer)(
        scheme=scheme,
        schedules=config.schedules_of(config.bound[scheme]),
        model=model,
        processing_class=tokenizer,
        reward_funcs=rewards,
        train_dataset=_dataset(config, task, seed),
        prompt_probability=plan,
        args=arguments,
        callbacks=list(callbacks),
        **beside,
    )
    for callback in callbacks:
        callback.attach(trainer)
    return trainer


def _on_cpu(config: TrainConfig) -> bool:
    import torch

    return config.cpu or not torch.cuda.is_available()


def _dataset(config: TrainConfig, task: Task, seed: int) -> Any:
    from datasets import Dataset

    rows = [{"prompt": example.prompt, "gold": example.gold} for example in task.train]
    if config.plan_every:
        return Dataset.from_list(rows)  # the planner's sampler lays out the order as it goes
    needed = config.generations * config.prompts_per_step * config.updates_per_generation
    return Dataset.from_list(rows).select(prompt_order(len(task.train), needed, seed))


def _write(
    run: Run, key: str, scheme: str, seed: int, record: list[tuple[int, str, float]]
) -> None:
    table = pd.DataFrame(record, columns=["step", "metric", "value"])
    run.log_table(table.assign(scheme=scheme, seed=seed))
    run.write_part(key)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars of loading and saving, which would break ours."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request to stop after the step; a second one stops at once.

    Only in the main thread of a single process: several must agree on the step they stop at.
    """
    from accelerate import PartialState

    seen: list[int] = []
    if (
        threading.current_thread() is not threading.main_thread()
        or PartialState().num_processes > 1
    ):
        yield lambda: False
        return

    def note(number: int, frame: object) -> None:
        seen.append(number)
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, previous)
