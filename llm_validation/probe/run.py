"""A probe from beginning to end: responses, scores, steps, and the tables made of them.

A run folder gets ``rollouts/`` and ``checkpoints/`` while the probe lasts, each part whole or not
there, so that a killed probe goes on; at the end ``probe.json`` and the tables of
:mod:`llm_validation.probe.report`. The scores stay, the sums that steps are made of go.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from llm_validation import initial_model
from llm_validation.config import TrainConfig
from llm_validation.exact_success import success_probability
from llm_validation.generation import check_weights, load_tokenizer, load_weights
from llm_validation.model_source import check_model
from llm_validation.probe.config import ProbeConfig
from llm_validation.probe.parameters import check_parameters, choose_parameters, coordinates
from llm_validation.probe.report import Probe, Step, make_report, read_probe
from llm_validation.probe.rollouts import Sampled, assemble, read, sample
from llm_validation.probe.scores import log_probabilities, response_score
from llm_validation.probe.sketch import Sketch
from llm_validation.probe.steps import direction, moved
from llm_validation.tasks import Task, load_task
from llm_validation.warm_up import right_fraction
from runs.files import write_json
from runs.folder import Run, read_finished
from runs.terminal import Progress

_SAVE_EVERY = 4
"""Prompts between two checkpoints of the sums that steps are made of, which are large."""


def probe(
    config: ProbeConfig, path: Path | str, *, overwrite: bool = False, progress: bool = True
) -> Probe:
    """Measure the kernel of a model's prompts and what one step by each scheme does.

    Args:
        config: What to do.
        path: The run folder; an unfinished probe with this configuration goes on, and a finished
            one is read.
        overwrite: Delete whatever run the folder holds.
        progress: Show progress bars on a terminal, and a line a minute elsewhere.

    Returns:
        What was found, which is in the run folder as well.

    Raises:
        RunExistsError: The folder holds another run.
        ValueError: An unknown task, responses that do not fit, or parameters that are not there.
        FileNotFoundError: A file that is not there, or a model that cannot be had.
    """
    if read_finished(path, config.to_dict(), overwrite=overwrite) is not None:
        return read_probe(Path(path))
    if config.threads:
        torch.set_num_threads(config.threads)
    tiny = config.model == "tiny"
    if tiny:
        right_fraction(config.initial_success)
    else:
        check_model(config.model)
        check_weights(config.model)
    check_parameters(config)
    with _load(config) as task:
        read_before = read(config, task) if config.samples_path else None
        run = Run.open(path, config.to_dict(), source="llm", overwrite=overwrite)
        try:
            write_json(run.path / "task.json", task.to_dict())
            source = _source(config, task, run) if tiny else config.model
            if read_before is None:
                tables = sample(run, config, source, task, progress)
                table = pd.concat(tables, ignore_index=True)
            else:
                table = read_before
            sampled = assemble(config, table, task, load_tokenizer(source))
            return _measure(run, config, source, sampled, progress)
        finally:
            run.close()


def _load(config: ProbeConfig) -> Task:
    paths = {"train_path": config.train_path} if config.train_path is not None else {}
    limit = None if config.samples_path else config.prompts
    task = load_task(
        config.task, limit=limit, seed=config.task_seed, **paths, **config.task_options
    )
    if not config.samples_path and len(task.train) < 2:
        task.close()
        raise ValueError(f"{config.task} has {len(task.train)} training prompts; give train_path")
    return task


def _source(config: ProbeConfig, task: Task, run: Run) -> str:
    """Folder of the tiny model, warmed up on the whole task rather than on the prompts probed."""
    settings = TrainConfig(
        hidden_size=config.hidden_size,
        layers=config.layers,
        initial_success=config.initial_success,
        warm_up_steps=config.warm_up_steps,
    )
    whole = load_task(config.task, seed=config.task_seed, **config.task_options)
    return initial_model.prepare(settings, whole, config.seed, run.path / "initial")


@dataclasses.dataclass(frozen=True)
class _Setting:
    """What scores and steps are made with."""

    run: Run
    config: ProbeConfig
    model: Any
    parameters: Sequence[torch.nn.Parameter]
    sketch: Sketch
    sampled: Sampled


def _measure(run: Run, config: ProbeConfig, source: str, sampled: Sampled, progress: bool) -> Probe:
    on_gpu = torch.cuda.is_available() and not config.cpu
    device = torch.device("cuda" if on_gpu else "cpu")
    loaded: Any = load_weights(source, getattr(torch, config.dtype))
    model, named = choose_parameters(loaded.to(device), config)
    parameters = list(named.values())
    sketch = Sketch(coordinates(parameters), config.projection, seed=config.seed, device=device)
    setting = _Setting(run, config, model, parameters, sketch, sampled)
    with Progress(
        f"{run.name}: gradients", len(sampled.prompts), unit="prompts", shown=progress
    ) as bar:
        scores, sums, gap = _scores(setting, bar)
    steps: list[Step] = []
    if config.optimizers:
        exact = load_tokenizer(source) if config.model == "tiny" else None
        model.float()
        steps = _steps(setting, scores, sums, exact, progress)
    found = make_report(run, config, sampled, scores, steps, coordinates(parameters), gap)
    (run.path / "checkpoints" / "sums.npz").unlink(missing_ok=True)
    return found


def _scores(setting: _Setting, bar: Progress) -> tuple[np.ndarray, list[torch.Tensor], float]:
    """Projected scores (prompts, responses, width), U of each scheme, and the sampler's gap.

    The gap is the mean distance, in nats per token, of the sampler's log-probabilities from those
    whose gradients are taken.
    """
    run, config, sampled = setting.run, setting.config, setting.sampled
    rollouts = sampled.rollouts
    schemes = config.schemes if config.optimizers else ()
    advantages = [rollouts.advantages(scheme)[:, 0] for scheme in schemes]
    device = setting.parameters[0].device
    sums = [torch.zeros(setting.sketch.size, device=device) for _ in schemes]
    done = 0
    kept = run.load_checkpoint("sums") if schemes else None
    if kept is not None:
        done = int(kept["done"])
        sums = [torch.from_numpy(kept[f"sum{k}"]).to(total) for k, total in enumerate(sums)]
    found, gaps = [], []
    for i, (prompt, responses) in enumerate(zip(sampled.prompts, sampled.responses, strict=True)):
        before = run.load_checkpoint(f"scores-{i:05d}") if i < done or not schemes else None
        if before is None:
            rows: list[np.ndarray] = [np.empty(0)] * len(responses)
            logs = [0.0] * len(responses)
            # Short answers come again and again, and have one gradient.
            for response, places in _places(responses).items():
                log, gradient = response_score(setting.model, setting.parameters, prompt, response)
                row = setting.sketch(gradient).cpu().numpy()
                for j in places:
                    rows[j], logs[j] = row, log / len(response)
                first = [j for j in places if j < config.group_size]
                for total, weight in zip(sums, advantages, strict=True):
                    _add(total, gradient, float(weight[i, first].sum()))
            before = {"scores": np.stack(rows), "log_probability": np.array(logs)}
            run.save_checkpoint(f"scores-{i:05d}", before)
            bar.advance(1)
            last = i + 1 == len(sampled.prompts)
            if schemes and (last or (i + 1) % _SAVE_EVERY == 0):
                arrays = {f"sum{k}": total.cpu().numpy() for k, total in enumerate(sums)}
                run.save_checkpoint("sums", {**arrays, "done": np.array(i + 1)})
        else:
            bar.skip(1)
        found.append(before["scores"])
        gaps.append(before["log_probability"] - rollouts.log_confidence[i].ravel())
    many = rollouts.rewards[:, 0].size
    return np.stack(found), [total / many for total in sums], float(np.mean(np.abs(gaps)))


def _places(responses: Sequence[Sequence[int]]) -> dict[tuple[int, ...], list[int]]:
    """Different responses, in the order they first come, and where each of them stands."""
    found: dict[tuple[int, ...], list[int]] = {}
    for j, response in enumerate(responses):
        found.setdefault(tuple(response), []).append(j)
    return found


def _log_probabilities(
    model: Any, prompt: Sequence[int], responses: Sequence[Sequence[int]], batch: int
) -> np.ndarray:
    """Log-probabilities of responses, each different one worked out once."""
    places = _places(responses)
    found = np.empty(len(responses))
    for same, value in zip(
        places.values(), log_probabilities(model, prompt, list(places), batch).tolist(), strict=True
    ):
        found[same] = value
    return found


def _add(total: torch.Tensor, gradient: Sequence[torch.Tensor], weight: float) -> None:
    if not weight:
        return
    start = 0
    for part in gradient:
        end = start + part.numel()
        total[start:end].add_(part.reshape(-1).float(), alpha=weight)
        start = end


def _steps(
    setting: _Setting,
    scores: np.ndarray,
    sums: Sequence[torch.Tensor],
    exact: Any,
    progress: bool,
) -> list[Step]:
    """Take every step from the same start, and measure it on the groups it was not made of."""
    run, config, sampled = setting.run, setting.config, setting.sampled
    model, first = setting.model, config.group_size

    def measured() -> dict[str, np.ndarray]:
        rows = [
            _log_probabilities(model, prompt, responses[first:], config.batch)
            for prompt, responses in zip(sampled.prompts, sampled.responses, strict=True)
        ]
        success = (
            np.zeros(0)
            if exact is None
            else success_probability(model, exact, sampled.examples).numpy()
        )
        return {"log_probability": np.stack(rows), "success": success}

    base = run.load_checkpoint("start")
    if base is None:
        base = measured()
        run.save_checkpoint("start", base)
    found = []
    total = len(config.optimizers) * len(config.schemes) * len(config.sizes)
    with Progress(f"{run.name}: steps", total, unit="steps", shown=progress) as bar:
        for optimizer in config.optimizers:
            for k, (scheme, update) in enumerate(zip(config.schemes, sums, strict=True)):
                way = direction(update, optimizer)
                moves = scores[:, first:] @ setting.sketch([way]).cpu().numpy()
                unit = math.sqrt(float(np.mean(moves.astype(np.float64) ** 2)))
                for m, size in enumerate(config.sizes):
                    if unit == 0:  # no group taught this scheme anything
                        bar.skip(1)
                        continue
                    rate = size / unit
                    key = f"step-{optimizer}-{k}-{m}"
                    after = run.load_checkpoint(key)
                    if after is None:
                        with moved(setting.parameters, way * rate):
                            after = measured()
                        run.save_checkpoint(key, after)
                        bar.advance(1)
                    else:
                        bar.skip(1)
                    found.append(
                        Step(
                            optimizer=optimizer,
                            scheme=scheme,
                            size=size,
                            rate=rate,
                            length=rate * float(way.norm()),
                            first_order=rate * moves.astype(np.float64),
                            log_ratio=after["log_probability"] - base["log_probability"],
                            exact=after["success"] - base["success"],
                        )
                    )
    if not found:
        print("no scheme has an update: no step was taken", file=sys.stderr)
    return found
