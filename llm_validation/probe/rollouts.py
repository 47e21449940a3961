"""Responses to the prompts of a probe: sampled here, or read from an evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.generation import TransformersSampler, prompt_tokens
from llm_validation.probe.config import ProbeConfig
from llm_validation.probe.gains import Rollouts
from llm_validation.sample_metrics import read_samples
from llm_validation.tasks import Example, Task
from runs.files import read_table, write_table
from runs.folder import Run
from runs.terminal import Progress
from runs.text import percent


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Rollouts with their tokens.

    Attributes:
        examples: Prompts that are probed.
        prompts: Their tokens.
        responses: Tokens of the responses of each prompt.
        rollouts: Outcomes, confidences and lengths.
        left_out: Prompts left out since the check of a response failed.
        retokenised: Share of responses read from text whose tokens are not as many as were sampled.
    """

    examples: list[Example]
    prompts: list[list[int]]
    responses: list[list[list[int]]]
    rollouts: Rollouts
    left_out: int
    retokenised: float


def sample(
    run: Run, config: ProbeConfig, model: str, task: Task, progress: bool
) -> list[pd.DataFrame]:
    """Sample what is not there yet, a part of the run folder for some prompts at a time."""
    settings = EvaluateConfig(
        model=model,
        task=config.task,
        samples=config.responses,
        temperature=1.0,
        top_p=1.0,
        max_response_tokens=config.max_response_tokens,
        batch=config.batch,
        engine="transformers",
        dtype=config.dtype,
        cpu=config.cpu,
        seed=config.seed,
    )
    examples = task.train
    each = max(1, config.batch // config.responses)
    sampler: TransformersSampler | None = None
    tables = []
    with Progress(f"{run.name}: responses", len(examples), unit="prompts", shown=progress) as bar:
        for start in range(0, len(examples), each):
            part = examples[start : start + each]
            target = run.path / "rollouts" / f"part-{start:08d}.parquet"
            if target.exists():
                tables.append(read_table(target))
                bar.skip(len(part))
                continue
            sampler = sampler or TransformersSampler(settings)
            table = _responses(sampler, task, part, start)
            write_table(target, table)
            tables.append(table)
            bar.advance(len(part), correct=percent(float((table["outcome"] == "correct").mean())))
    return tables


def _responses(
    sampler: TransformersSampler, task: Task, examples: Sequence[Example], first: int
) -> pd.DataFrame:
    drawn = sampler.sample([example.prompt for example in examples], first)
    rows = [
        {
            "problem": example.id,
            "sample": number,
            "gold": example.gold,
            # Parquet takes no lone surrogates.
            "response": response.text.encode("utf-8", "replace").decode("utf-8"),
            "tokens": response.tokens,
            "truncated": response.truncated,
            "log_probability": response.log_probability,
            "ids": list(response.ids),
            "level": example.metadata.get("level"),
        }
        for example, responses in zip(examples, drawn, strict=True)
        for number, response in enumerate(responses)
    ]
    asked = [example.prompt for example in examples for _ in range(sampler.config.samples)]
    golds, texts = [str(row["gold"]) for row in rows], [str(row["response"]) for row in rows]
    outcomes = task.score(golds, texts, asked)
    return pd.DataFrame(rows).assign(outcome=[str(outcome) for outcome in outcomes])


def read(config: ProbeConfig, task: Task) -> pd.DataFrame:
    """Responses of an evaluation, as many of each prompt as the probe wants.

    Raises:
        ValueError: Too few prompts with so many responses, no log-probabilities, or a problem that
            the task does not have.
    """
    path = Path(str(config.samples_path))
    table = read_samples(path)
    missing = [c for c in ("response", "sample", "log_probability") if c not in table]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}")
    table = table[table.groupby("problem").cumcount() < config.responses]
    enough = table.groupby("problem", sort=False).size() >= config.responses
    problems = enough.index[enough][: config.prompts]
    if len(problems) < 2:
        raise ValueError(
            f"{path} must hold two prompts at least with group_size × groups = {config.responses} "
            f"responses; it holds {len(problems)}"
        )
    unknown = set(problems) - {example.id for example in (*task.train, *task.test)}
    if unknown:
        raise ValueError(
            f"the task has no prompt {min(map(str, unknown))!r} of {path}: give the task that was "
            "evaluated"
        )
    return table[table["problem"].isin(problems)].reset_index(drop=True)


def assemble(
    config: ProbeConfig, table: pd.DataFrame, task: Task, tokenizer: PreTrainedTokenizerBase
) -> Sampled:
    """Rollouts as arrays, in the order of their prompts.

    Raises:
        ValueError: Fewer than two prompts of which every response could be scored.
    """
    known = {example.id: example for example in (*task.train, *task.test)}
    examples, prompts, responses, kept = [], [], [], []
    left_out = differing = 0
    for problem, part in table.groupby("problem", sort=False):
        if (part["outcome"] == "error").any():
            left_out += 1
            continue
        tokens = _tokens(part, tokenizer)
        differing += sum(len(t) != n for t, n in zip(tokens, part["tokens"], strict=True))
        examples.append(known[str(problem)])
        prompts.append(prompt_tokens(tokenizer, examples[-1].prompt))
        responses.append(tokens)
        kept.append(part)
    if len(examples) < 2:
        raise ValueError(f"two prompts at least are needed; {len(examples)} could be scored")
    shape = (len(kept), config.groups, config.group_size)
    whole = pd.concat(kept)
    rollouts = Rollouts(
        rewards=np.array(whole["outcome"] == "correct", dtype=np.float64).reshape(shape),
        log_confidence=np.minimum(whole["log_probability"].to_numpy(np.float64), 0).reshape(shape),
        length=np.maximum(whole["tokens"].to_numpy(np.float64), 1).reshape(shape),
    )
    share = differing / len(whole)
    return Sampled(examples, prompts, responses, rollouts, left_out, share)


def _tokens(part: pd.DataFrame, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Tokens as they were sampled, or those of the text where they were not kept."""
    if "ids" in part:
        return [[int(token) for token in ids] for ids in part["ids"]]
    end = [int(tokenizer.eos_token_id)]
    found = []
    for text, cut in zip(part["response"], part["truncated"], strict=True):
        read: list[int] = tokenizer(str(text), add_special_tokens=False)["input_ids"]
        found.append((read if cut else read + end) or end)
    return found
