"""vLLM inside TRL on a CPU: what TRL's colocated mode, made for GPUs, needs there.

On CUDA none of this is needed and none of it runs. On a CPU vLLM packs the weights of linear layers
into another layout after loading, so TRL's ``load_weights`` fails on them; and where embeddings are
tied, reloading leaves the packed copy in ``lm_head`` as it was: text still changes, from the old
head. Hence a synchronisation of its own, and a check that compares log-probabilities, never text.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import torch

from llm_validation.extras import require

ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding cores breaks where a container hides some
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # weights are handed over within the process
}
SAMPLER = {
    "enforce_eager": True,
    # A prompt cut between two steps of the scheduler makes vLLM rewind the generator of a seeded
    # response, and generators on a CPU cannot be rewound.
    "enable_chunked_prefill": False,
}
"""Options of vLLM's engine where it samples seeded responses on a CPU."""
TOLERANCE = 1e-4
"""Largest difference of log-probabilities, trainer against vLLM, in float32."""


class StaleWeightsError(ValueError):
    """vLLM samples from other weights than the trainer's."""


def enable() -> None:
    """Let TRL's colocated vLLM run on this CPU: eager, float32, weights by reloading.

    Raises:
        MissingExtraError: vLLM is not installed.
    """
    require("vllm", "vllm")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from trl.generation import vllm_generation as trl_vllm
    from vllm import LLM

    module: Any = trl_vllm
    module.LLM = functools.partial(LLM, enforce_eager=True, dtype="float32")
    module.VLLMGeneration.sync_weights = sync_weights


def sync_weights(generation: Any) -> None:
    """Give the trainer's weights to vLLM; stands in for ``VLLMGeneration.sync_weights``."""
    reload_weights(generation.llm, generation._iter_named_params())


def reload_weights(llm: Any, weights: Any) -> None:
    """Load (name, tensor) pairs into a running vLLM and pack the output layer again."""
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
    llm.apply_model(_pack_head)
    llm.reset_prefix_cache()


def _pack_head(model: Any) -> None:
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    dispatch_cpu_unquantized_gemm(model.lm_head, remove_weight=False)


@torch.no_grad()
def check_weights(generation: Any, prompts: list[list[int]]) -> float:
    """Make sure that vLLM follows the trainer's weights, the output layer's above all.

    At the start both have the same weights, and a head that is never updated would go unnoticed.
    So the output layer is changed, handed over and compared, then restored, handed over and
    compared again.

    Args:
        generation: TRL's ``VLLMGeneration``, colocated.
        prompts: Token ids of a few prompts.

    Returns:
        The largest difference of log-probabilities seen.

    Raises:
        StaleWeightsError: The difference exceeds ``TOLERANCE``.
    """
    head = generation.model.get_output_embeddings().weight
    original = head.detach().clone()
    try:
        head.mul_(1.25)
        generation.sync_weights()
        changed = log_prob_gap(generation, prompts)
    finally:
        head.copy_(original)
    generation.sync_weights()
    gap = max(changed, log_prob_gap(generation, prompts))
    if not gap <= TOLERANCE:
        raise StaleWeightsError(
            f"vLLM's log-probabilities differ from the trainer's by {gap:.1e}, more than "
            f"{TOLERANCE:g}: it samples from stale weights; use engine = 'transformers'"
        )
    return gap


@torch.no_grad()
def log_prob_gap(generation: Any, prompts: list[list[int]], tokens: int = 3) -> float:
    """Largest difference of the log-probabilities of sampled tokens, trainer against vLLM."""
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=1.0, max_tokens=tokens, logprobs=0, seed=0)
    requests = [{"prompt_token_ids": prompt} for prompt in prompts]
    outputs = generation.llm.generate(requests, sampling, use_tqdm=False)
    model, gap = generation.model, 0.0
    training = model.training
    model.eval()
    for prompt, output in zip(prompts, outputs, strict=True):
        response = output.outputs[0]
        ids = torch.tensor([[*prompt, *response.token_ids]], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        expected = logits.float().log_softmax(-1)
        for row, token, entry in zip(expected, response.token_ids, response.logprobs, strict=True):
            gap = max(gap, abs(float(row[token]) - entry[token].logprob))
    model.train(training)
    return gap
