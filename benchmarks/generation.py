"""Generation on a CPU, against ``generate`` of transformers and against the forward pass alone.

A decoder of the shape of Qwen2.5-0.5B with random weights in bfloat16 samples 128 responses to 16
prompts at temperature 1; none of them ends early, which would be to the peer's disadvantage alone.
Bound: nothing can be faster than the model's forward passes, one a token and one a prompt; what is
spent beyond them is the overhead of sampling and of keeping the batch. The peer runs the prompt of
a group once a response. All is measured in processor time of one thread, so that what else the
machine does changes little.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from llm_validation.decoding import decode
from runs.environment import describe_environment

PROMPTS, GROUP, PROMPT_TOKENS, TOKENS = 16, 8, 96, 32
QWEN = Qwen2Config(
    vocab_size=151_936,
    hidden_size=896,
    intermediate_size=4864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)


def run() -> list[dict[str, Any]]:
    """Time ours, the forward passes within it, and the peer, and return the benchmark's rows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        model: Any = Qwen2ForCausalLM(QWEN).eval()
        torch.set_default_dtype(before)
        ours, forward = _ours(model)
        peer = _peer(model)
    finally:
        torch.set_num_threads(threads)
    tokens = PROMPTS * GROUP * TOKENS
    shape = (
        f"tokens per second of processor time on one thread, {PROMPTS * GROUP} rows, {PROMPTS} "
        f"prompts of {PROMPT_TOKENS} tokens, {TOKENS} new ones, 0.5 B parameters in bfloat16"
    )
    environment = describe_environment()
    return [
        {
            "name": name,
            "ours": tokens / ours,
            "peer": tokens / other,
            "ratio": other / ours,
            "unit": f"{shape}, against {what}; ratio = ours / peer, higher is better",
            "environment": environment,
        }
        for name, other, what in (
            ("generation", peer, "transformers' generate with sampling"),
            ("generation_bound", forward, "the forward passes alone"),
        )
    ]


def _prompts() -> list[list[int]]:
    numbers = np.random.default_rng(0).integers(10, 150_000, (PROMPTS, PROMPT_TOKENS))
    return [[int(token) for token in row] for row in numbers]


def _ours(model: Any) -> tuple[float, float]:
    """Seconds of all, and of the model's forward passes in it."""
    spent, inner = 0.0, model.forward

    def forward(**inputs: Any) -> Any:
        nonlocal spent
        started = time.thread_time()
        output = inner(**inputs)
        spent += time.thread_time() - started
        return output

    rows = [place for place in range(PROMPTS) for _ in range(GROUP)]
    uniforms = torch.from_numpy(np.random.default_rng(1).random((len(rows), TOKENS)))
    model.forward = forward
    try:
        decode(model, _prompts(), rows[:2], uniforms[:2, :2], ends=[], batch=2)  # warm
        spent, started = 0.0, time.thread_time()
        decode(model, _prompts(), rows, uniforms, ends=[], batch=len(rows))
        return time.thread_time() - started, spent
    finally:
        del model.forward


def _peer(model: Any) -> float:
    batch = torch.tensor(_prompts()).repeat_interleave(GROUP, 0)
    asked = GenerationConfig(do_sample=True, max_new_tokens=TOKENS, pad_token_id=0, top_k=0)
    started = time.thread_time()
    output = model.generate(batch, attention_mask=torch.ones_like(batch), generation_config=asked)
    assert output.shape[1] == PROMPT_TOKENS + TOKENS
    return time.thread_time() - started
