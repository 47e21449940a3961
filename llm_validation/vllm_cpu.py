"""vLLM on a CPU: sampling by inversion, and what TRL's colocated mode, made for GPUs, needs there.

On CUDA none of this is needed and none of it runs. On a CPU vLLM packs the weights of linear layers
into another layout after loading, so TRL's ``load_weights`` fails on them; and where embeddings are
tied, reloading leaves the packed copy in ``lm_head`` as it was: text still changes, from the old
head. Hence a synchronisation of its own, and a check that compares log-probabilities, never text.

vLLM draws random noise for every entry of the vocabulary. Here one uniform number a row is drawn,
from the generator of the request where it has a seed, and inverted as the transformers engine does:
faster, and runs whose requests have the same seeds share their numbers (common random numbers).
"""

from __future__ import annotations

import functools
import inspect
import os
from typing import Any

import torch

from llm_validation.extras import require
from llm_validation.inversion import Distribution

ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding cores breaks where a container hides some
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # weights are handed over within the process
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # the other one samples elsewhere
}
ENGINE = {
    "enforce_eager": True,
    # The prompt of a group is run once as far as it fills blocks of keys and values; vLLM's own
    # 128 tokens are longer than many prompts.
    "block_size": 32,
    "worker_extension_cls": f"{__name__}.SamplesByInversion",
}
"""Options of vLLM's engine on a CPU."""
SEEDED = {
    # A prompt cut between two steps of the scheduler makes vLLM rewind the generator of a seeded
    # response, and generators on a CPU cannot be rewound.
    "enable_chunked_prefill": False,
}
"""More of them, where responses are seeded."""
TOLERANCE = 1e-4
"""Largest difference of log-probabilities, trainer against vLLM, in float32."""


class StaleWeightsError(ValueError):
    """vLLM samples from other weights than the trainer's."""


class OtherSamplerError(RuntimeError):
    """This vLLM samples where we do not look for it."""


class SamplesByInversion:
    """What vLLM adds to its workers, by the option ``worker_extension_cls``."""

    model_runner: Any

    def sample_by_inversion(self) -> None:
        """Have this worker choose tokens by :func:`invert`.

        Raises:
            OtherSamplerError: The worker's sampler is not the one that this is written for.
        """
        place: Any = getattr(getattr(self.model_runner, "sampler", None), "topk_topp_sampler", None)
        native = getattr(place, "forward_native", None)
        names = ["logits", "generators", "k", "p"]
        if native is None or list(inspect.signature(native).parameters) != names:
            import vllm

            raise OtherSamplerError(
                f"vLLM {vllm.__version__} chooses tokens in another place than 0.32, or asks "
                "otherwise, and cannot sample by inversion on a CPU; use the transformers engine"
            )
        # As its own constructor does, which sets ``forward`` to what suits the device.
        place.forward = functools.partial(invert, place.logprobs_mode)


def invert(
    mode: str,
    logits: torch.Tensor,
    generators: dict[int, torch.Generator],
    k: torch.Tensor | None,
    p: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Choose tokens; stands in for ``TopKTopPSampler.forward`` of vLLM.

    Args:
        mode: vLLM's ``logprobs_mode``.
        logits: Shape (rows, vocabulary), temperature applied; they may be changed.
        generators: Of the rows whose request has a seed.
        k: How many of the likeliest tokens are kept, shape (rows,).
        p: How much probability is, shape (rows,).

    Returns:
        Token ids, shape (rows,), and the logits or log-probabilities that the mode asks for.
    """
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

    logits = apply_top_k_top_p(logits, k, p)
    uniforms = torch.rand(len(logits), dtype=torch.float64)
    for row, generator in generators.items():
        uniforms[row] = torch.rand((), dtype=torch.float64, generator=generator)
    asked = None
    if mode == "processed_logits":
        asked = logits
    elif mode == "processed_logprobs":
        asked = logits.log_softmax(-1, dtype=torch.float32)
    return Distribution(logits).invert(uniforms), asked


def make_engine(**options: Any) -> Any:
    """vLLM's ``LLM`` for this CPU, which samples by inversion.

    Args:
        options: Those of ``LLM``; they come before the ones of this module.

    Raises:
        OtherSamplerError: This vLLM has another sampler.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from vllm import LLM

    llm = LLM(**{**ENGINE, **options})
    llm.collective_rpc("sample_by_inversion")
    return llm


def enable() -> None:
    """Let TRL's colocated vLLM run on this CPU: eager, float32, weights by reloading.

    Raises:
        MissingExtraError: vLLM is not installed.
    """
    require("vllm", "vllm")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from trl.generation import vllm_generation as trl_vllm

    module: Any = trl_vllm
    module.LLM = functools.partial(make_engine, dtype="float32")
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
