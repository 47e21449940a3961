"""Sampling responses from a model: by transformers anywhere, by vLLM where it is installed."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from llm_validation.decoding import Decoded, decode, supports
from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.inversion import chooser, likeliest
from llm_validation.lora import attach, base_of, is_adapter
from llm_validation.model_files import readable
from llm_validation.sampling import SeededChoice, refuse_broken, uniform_rows
from llm_validation.tasks.task import Prompt
from llm_validation.vllm_cpu import SEEDED, make_engine
from llm_validation.warpers import sampling_warpers
from runs.seeds import sequence


@dataclasses.dataclass(frozen=True)
class Response:
    """One sampled response.

    Attributes:
        text: The response without special tokens.
        tokens: Its length in tokens, the end token included.
        truncated: It was cut off at the longest length.
        entropy: Mean entropy of the policy (at temperature 1) along it, in nats per token; NaN
            where the engine does not tell.
        log_probability: Mean log-probability of its tokens under that policy, in nats per token.
        ids: Its tokens, the end token included.
    """

    text: str
    tokens: int
    truncated: bool
    entropy: float
    log_probability: float
    ids: tuple[int, ...] = ()


class Sampler(Protocol):
    """Samples responses to prompts."""

    def sample(self, prompts: Sequence[Prompt], first: int) -> list[list[Response]]:
        """Responses to each prompt; ``first`` is the first prompt's number in the evaluation."""


def make_sampler(config: EvaluateConfig) -> Sampler:
    """The sampler a configuration asks for; ``auto`` is vLLM where it is installed.

    Raises:
        OSError: No such model.
        ImportError: vLLM was asked for and is not installed.
        ValueError: vLLM was asked for, and the model is an adapter.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    installed = importlib.util.find_spec("vllm") is not None
    if config.engine == "vllm" and not installed:
        raise ImportError("vllm is not installed; pip install '.[vllm]', or --engine transformers")
    adapter = is_adapter(config.model)
    if config.engine == "vllm" and adapter:
        raise ValueError("an adapter is evaluated with --engine transformers")
    if config.engine == "vllm" or (config.engine == "auto" and installed and not adapter):
        return VllmSampler(config)
    return TransformersSampler(config)


def load_weights(model: str, dtype: Any) -> PreTrainedModel:
    """A folder's, an adapter's or the hub's model, every weight there and of the right shape.

    Raises:
        OSError: No such model.
        ValueError: A tensor is missing or has another shape; transformers would draw it at random.
    """
    if is_adapter(model):
        return attach(model, _loaded(base_of(model), dtype=dtype))
    return _loaded(model, dtype=dtype)


def check_weights(model: str) -> None:
    """Refuse a folder whose weights are not whole, by their names and shapes, before reading them.

    Raises:
        ValueError: A tensor is missing or has another shape, or a file is cut short.
    """
    if is_adapter(model):
        attach(model, _loaded(base_of(model), device_map="meta"))
    elif Path(model).expanduser().is_dir():
        _loaded(model, device_map="meta")


def _loaded(model: str, **options: Any) -> PreTrainedModel:
    # What is amiss is said below, in a sentence, and a bar would break ours.
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with readable(model, "configuration or weights"):
            answer: Any = AutoModelForCausalLM.from_pretrained(
                model,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    loaded: PreTrainedModel = answer[0]
    report: dict[str, Any] = answer[1]
    misshapen = [str(entry[0]) for entry in report["mismatched_keys"]]
    for names, fault in ((report["missing_keys"], "lacks"), (misshapen, "has another shape of")):
        if names:
            first, *others = sorted(names)
            more = f" and {len(others)} more tensors" if others else ""
            raise ValueError(f"the model {model} {fault} {first}{more}: it is not whole")
    return loaded


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """The model's tokenizer, padding on the left."""
    with readable(model, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            model, padding_side="left", trust_remote_code=False
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """Token ids of a prompt: text as it is, chat messages through the model's template.

    Raises:
        ValueError: Chat messages for a model without a chat template.
    """
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    if not tokenizer.chat_template:
        raise ValueError("the model has no chat template: it needs the task option style='plain'")
    text = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    # The template writes the special tokens itself.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


class TransformersSampler:
    """Transformers, with random numbers that belong to (seed, problem, sample).

    A response therefore does not depend on the batch it is generated in, but for rounding. Models
    with plain attention are decoded by :mod:`llm_validation.decoding`, others by ``generate``.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.tokenizer = load_tokenizer(config.model)
        on_gpu = torch.cuda.is_available() and not config.cpu
        self.device = torch.device("cuda" if on_gpu else "cpu")
        dtype = config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
        self.model: Any = load_weights(config.model, dtype).eval()
        self.model.to(device=self.device)
        ends = self.model.generation_config.eos_token_id
        ends = self.tokenizer.eos_token_id if ends is None else ends
        self.ends = [ends] if isinstance(ends, int) else list(ends or [])

    def sample(self, prompts: Sequence[Prompt], first: int) -> list[list[Response]]:
        """Responses to each prompt, at most ``batch`` rows at a time."""
        encoded = [prompt_tokens(self.tokenizer, prompt) for prompt in prompts]
        n = self.config.samples
        rows = [place for place in range(len(prompts)) for _ in range(n)]
        uniforms = torch.from_numpy(
            np.concatenate([self._uniforms(first + place) for place in range(len(prompts))])
        )
        generate = self._decode if supports(self.model) else self._generate
        responses = [self._response(one) for one in generate(encoded, rows, uniforms)]
        return [responses[start : start + n] for start in range(0, len(rows), n)]

    def _decode(
        self, encoded: Sequence[list[int]], rows: Sequence[int], uniforms: torch.Tensor
    ) -> list[Decoded]:
        config = self.config
        greedy = config.temperature == 0
        how = likeliest if greedy else chooser(sampling_warpers(self._asked()))
        ends, batch = self.ends, config.batch
        return decode(self.model, encoded, rows, uniforms, ends=ends, batch=batch, choose=how)

    @torch.no_grad()
    def _generate(
        self, encoded: Sequence[list[int]], rows: Sequence[int], uniforms: torch.Tensor
    ) -> list[Decoded]:
        config = self.config
        decoded: list[Decoded] = []
        for start in range(0, len(rows), config.batch):
            part = slice(start, start + config.batch)
            ids = [encoded[place] for place in rows[part]]
            batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
            watch = _Watch()
            processors = LogitsProcessorList([watch])
            if config.temperature > 0:
                numbers = uniforms[part].to(self.device)
                processors.append(SeededChoice(numbers, self._asked()))
            output = self.model.generate(
                **batch,
                logits_processor=processors,
                # The processor leaves one token per row: no other sampling is wanted.
                generation_config=GenerationConfig(
                    do_sample=False,
                    max_new_tokens=config.max_response_tokens,
                    pad_token_id=self.tokenizer.pad_token_id,
                    eos_token_id=self.ends or None,
                ),
            )
            refuse_broken(watch.broken)
            tokens = output[:, batch["input_ids"].shape[1] :].tolist()
            noted = [column.T.tolist() for column in watch.finish(output)]
            decoded += [self._ended(*row) for row in zip(tokens, *noted, strict=True)]
        return decoded

    def _asked(self) -> GenerationConfig:
        config = self.config
        return GenerationConfig(do_sample=True, temperature=config.temperature, top_p=config.top_p)

    def _uniforms(self, problem: int) -> np.ndarray:
        config = self.config
        longest, samples = config.max_response_tokens, range(config.samples)
        numbers = [
            uniform_rows(
                *(config.seed, problem, config.first_sample + sample, 1, longest),
                purpose="evaluation",
            )
            for sample in samples
        ]
        return np.concatenate(numbers)

    def _ended(
        self, tokens: list[int], entropies: list[float], log_probabilities: list[float]
    ) -> Decoded:
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        length = len(tokens) if end is None else end + 1
        return Decoded(
            tokens[:length], log_probabilities[:length], entropies[:length], end is not None
        )

    def _response(self, decoded: Decoded) -> Response:
        length = len(decoded.tokens)
        return Response(
            text=str(self.tokenizer.decode(decoded.tokens, skip_special_tokens=True)),
            tokens=length,
            truncated=not decoded.ended,
            entropy=math.fsum(decoded.entropies) / length,
            log_probability=math.fsum(decoded.log_probabilities) / length,
            ids=tuple(decoded.tokens),
        )


class _Watch(LogitsProcessor):
    """Notes entropy and log-probability of what is sampled, without keeping any logits."""

    def __init__(self) -> None:
        self.entropies: list[torch.Tensor] = []
        self.log_probabilities: list[torch.Tensor] = []
        self.broken: list[torch.Tensor] = []  # for each token, whether any row had no distribution
        self._last: torch.Tensor | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Leave the scores, shape (rows, vocabulary), as they are."""
        self._note(input_ids)
        self._last = scores.float().log_softmax(-1)
        self.broken.append(self._last.isnan().any())
        probabilities = self._last.exp()
        products = torch.where(probabilities > 0, probabilities * self._last, 0.0)
        self.entropies.append(-products.sum(-1).double().cpu())
        return scores

    def _note(self, sequences: torch.LongTensor) -> None:
        if self._last is not None:
            chosen = self._last.gather(-1, sequences[:, -1:]).squeeze(-1)
            self.log_probabilities.append(chosen.double().cpu())

    def finish(self, sequences: torch.LongTensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Entropies and log-probabilities, each of shape (tokens, rows)."""
        self._note(sequences)
        return torch.stack(self.entropies), torch.stack(self.log_probabilities)


class VllmSampler:
    """vLLM's offline engine, on GPU or CPU; it does not tell entropies."""

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.tokenizer = load_tokenizer(config.model)
        options: dict[str, Any] = {
            "model": config.model,
            "dtype": config.dtype,
            "seed": config.seed,
            "trust_remote_code": False,
        }
        if config.cpu or not torch.cuda.is_available():
            self.llm: Any = make_engine(**SEEDED, **options)
        else:
            from vllm import LLM

            self.llm = LLM(**options)

    def sample(self, prompts: Sequence[Prompt], first: int) -> list[list[Response]]:
        """Responses to each prompt; vLLM makes its own batches."""
        from vllm import SamplingParams

        config = self.config
        parameters = [
            SamplingParams(
                n=config.samples,
                temperature=config.temperature,
                top_p=config.top_p,
                max_tokens=config.max_response_tokens,
                seed=_problem_seed(config.seed, first + place, config.first_sample),
                logprobs=0,  # of the sampled token alone
            )
            for place in range(len(prompts))
        ]
        inputs = [{"prompt_token_ids": prompt_tokens(self.tokenizer, prompt)} for prompt in prompts]
        outputs = self.llm.generate(inputs, parameters, use_tqdm=False)
        return [[_from_vllm(one) for one in output.outputs] for output in outputs]


def _from_vllm(output: Any) -> Response:
    length = len(output.token_ids)
    log_probabilities = [
        step[token].logprob for step, token in zip(output.logprobs, output.token_ids, strict=True)
    ]
    return Response(
        text=output.text,
        tokens=length,
        truncated=output.finish_reason == "length",
        entropy=math.nan,
        log_probability=math.fsum(log_probabilities) / max(length, 1),
        ids=tuple(output.token_ids),
    )


def _problem_seed(seed: int, problem: int, first_sample: int) -> int:
    return int(sequence(seed, "vLLM", problem, first_sample).generate_state(1)[0])
