r"""L2 and N1 on a real model: LENS's bounds on its own rollouts, logit updates by autodiff.

Responses are sampled, scored by the task's own verifier, and put through the functions that the
trainer uses. The logit updates of PSR and NSR are compared with the derivatives that autodiff
computes through the model's own forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from claims.spec import bound
from claims.verdicts import Finding, finding
from llm_validation.evaluate_config import EvaluateConfig
from runs.environment import describe_environment
from runs.files import write_json
from theory.advantages import group_advantages
from theory.lens import calibrated_rewards
from theory.logit_gradients import ESTIMATORS, nsr_logit_update, psr_logit_update

if TYPE_CHECKING:
    from llm_validation.tasks.task import Prompt


def rollouts(config: EvaluateConfig) -> tuple[np.ndarray, np.ndarray, list[tuple[Prompt, str]]]:
    """Sample groups and score them.

    Returns:
        Rewards (prompts, group), log-confidences (prompts, group), and one (prompt, response) of
        each group.
    """
    from llm_validation.generation import make_sampler
    from llm_validation.tasks import load_task

    with load_task(
        config.task, test_path=config.test_path, limit=config.limit, **config.task_options
    ) as task:
        prompts = [example.prompt for example in task.test]
        groups = make_sampler(config).sample(prompts, 0)
        rewards = [
            [float(o == "correct") for o in task.score([e.gold] * len(g), [r.text for r in g])]
            for e, g in zip(task.test, groups, strict=True)
        ]
    confidence = [[min(r.log_probability, 0.0) for r in group] for group in groups]
    firsts = [(prompt, group[0].text) for prompt, group in zip(prompts, groups, strict=True)]
    return np.array(rewards), np.array(confidence), firsts


def calibration(rewards: np.ndarray, log_confidence: np.ndarray, where: str) -> Finding:
    """Claim L2 on sampled groups.

    Args:
        rewards: 0 or 1, shape (prompts, group).
        log_confidence: Mean log-probability per token, same shape.
        where: What was sampled, in words.
    """
    size = rewards.shape[-1]
    penalty = rewards - calibrated_rewards(rewards, log_confidence)
    outside = np.maximum(-penalty, penalty - 1 / size).max(axis=-1)
    wrong = rewards.sum(axis=-1) == 0
    advantages = group_advantages(rewards[wrong], "lens", log_confidence=log_confidence[wrong])
    sums = np.abs(advantages.sum(axis=-1))
    spread = np.abs(advantages).max(axis=-1)
    least, most = bound("L2", "llm", "spread"), bound("L2", "llm")
    wrong_group = "of an all-wrong group"
    checks = [
        most.check("largest violation of 0 ≤ penalty ≤ 1/G", [outside.max()], exact=True),
        most.check(f"largest |sum of advantages| {wrong_group}", _most(sums), exact=True),
        least.check(f"least of the largest |advantage| {wrong_group}", _least(spread), exact=True),
    ]
    words = [f"{where}: {len(rewards)} groups of {size}, {int(wrong.sum())} of them all wrong"]
    sentence = "LENS's penalties keep their bounds on rollouts, and all-wrong groups sum to 0"
    return finding("L2", sentence, checks, words, quick=False)


def _most(values: np.ndarray) -> list[float]:
    return [float(values.max())] if values.size else []


def _least(values: np.ndarray) -> list[float]:
    return [float(values.min())] if values.size else []


def logit_updates(model: str, texts: Sequence[tuple[Prompt, str]], where: str) -> Finding:
    """Claim N1 through a real model: derivatives of π and ln π of sampled tokens.

    Args:
        model: Folder or hub id of a causal language model.
        texts: Prompts and responses.
        where: What was sampled, in words.
    """
    errors: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for name, error in _errors(model, texts):
        errors[name].append(error)
    checks = [
        bound("N1", "llm").check(
            f"largest relative error, estimator {name}", [max(values)], exact=True
        )
        for name, values in errors.items()
    ]
    sentence = "Logit updates of PSR and NSR are the derivatives through a model's own logits"
    return finding("N1", sentence, checks, [f"{where}: {len(texts)} responses"], quick=False)


def _errors(model: str, texts: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[str, float]]:
    import torch
    from transformers import AutoModelForCausalLM

    from llm_validation.generation import load_tokenizer, prompt_tokens

    tokenizer = load_tokenizer(model)
    network = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, trust_remote_code=False
    )
    for prompt, response in texts:
        before = prompt_tokens(tokenizer, prompt)
        after = tokenizer(response, add_special_tokens=False)["input_ids"]
        after = after or [tokenizer.eos_token_id]
        tokens = torch.tensor([before + after])
        for name in ESTIMATORS:
            logits = network(tokens, use_cache=False).logits
            logits.retain_grad()
            used = logits[0, len(before) - 1 : -1]
            chosen = torch.tensor(after)
            # In float64, or a softmax over 50,000 float32 logits would add errors of its own.
            log_probability = used.double().log_softmax(-1).gather(-1, chosen[:, None])
            logarithmic = name == "log_probability"
            (log_probability if logarithmic else log_probability.exp()).sum().backward()
            assert logits.grad is not None
            exact = logits.grad[0, len(before) - 1 : -1].double()
            wide = used.detach().double()
            raised = psr_logit_update(wide, chosen, estimator=name)
            lowered = nsr_logit_update(wide, chosen, estimator=name)
            worst = torch.maximum((raised - exact).abs(), (lowered + exact).abs()).amax()
            yield name, float(worst / exact.abs().amax())


def judge_model(
    model: str,
    data: str | None,
    folder: Path,
    *,
    task: str = "math",
    prompts: int = 8,
    group_size: int = 8,
    tokens: int = 48,
) -> list[Finding]:
    """Sample, judge, and write ``folder/findings/L2.json`` and ``N1.json``.

    Args:
        model: Folder or hub id.
        data: File or hub id of the problems; none for tasks that make their own.
        folder: Where to.
        task: Name of the task.
        prompts: Groups.
        group_size: Responses of a group.
        tokens: Longest response.
    """
    config = EvaluateConfig(
        model=model,
        task=task,
        test_path=data,
        limit=prompts,
        samples=group_size,
        temperature=1.0,
        top_p=1.0,
        max_response_tokens=tokens,
        engine="transformers",
        dtype="float32",
        cpu=True,
    )
    rewards, confidence, texts = rollouts(config)
    where = f"{Path(model).name} on {task}"
    findings = [calibration(rewards, confidence, where), logit_updates(model, texts, where)]
    environment = {**describe_environment(), "configuration": config.to_dict()}
    for found in findings:
        write_json(
            folder / "findings" / f"{found.id}.json",
            {**found.to_dict(), "source": "llm", "environment": environment},
        )
    return findings
