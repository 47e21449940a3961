"""Generating many responses at once: rows that end leave the batch, and waiting ones take over.

What ``generate`` of transformers spends beyond the forward pass, on a CPU above all: keys and
values are repeated for every query head and copied as they grow, rows that have ended stay in the
batch, and the prompt of a group is run once a response. Here keys and values are written in place
into buffers with a row for each response, the query heads that share a key are taken together, and
a prompt is run once.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import (
    AttentionInterface,
    Cache,
    DynamicCache,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from llm_validation.inversion import Choose, Distribution, chooser
from llm_validation.warpers import DivergedError, sampling_warpers

_ATTENTION = "grouped_decoding"
"""Name under which transformers knows the attention of this module."""
_SIDE_BY_SIDE = 16
"""Rows whose longest says how far back they look, where rows are of very unequal lengths."""
_UNEVEN = 1.2
"""Longest row over the mean of such parts' longest, from which they are looked at apart."""
_TOKENS_AT_ONCE = 4096
"""Prompts of one length are run together up to so many tokens."""
_ANY = {
    *("do_sample", "max_new_tokens", "max_length", "pad_token_id", "bos_token_id", "eos_token_id"),
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("transformers_version", "_from_model_config", "use_cache", "disable_compile"),
}
"""Options of generation that :func:`continuations` follows, or that change nothing here."""
_NEUTRAL = {"repetition_penalty": 1.0, "num_beams": 1, "num_return_sequences": 1}


@dataclasses.dataclass
class Decoded:
    """A response that was generated.

    Attributes:
        tokens: Its token ids, the end token included.
        log_probabilities: Of each token under the policy, in nats.
        entropies: Of the policy at each token, in nats.
        ended: Whether it ended by itself.
    """

    tokens: list[int] = dataclasses.field(default_factory=list)
    log_probabilities: list[float] = dataclasses.field(default_factory=list)
    entropies: list[float] = dataclasses.field(default_factory=list)
    ended: bool = False


def supports(model: PreTrainedModel) -> bool:
    """Whether a model can be decoded here: a decoder with plain full attention in every layer."""
    config: Any = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    return bool(
        getattr(model, "_supports_attention_backend", False)
        and kinds == {"full_attention"}
        and not (window and getattr(config, "use_sliding_window", True))
        and not getattr(config, "is_encoder_decoder", False)
        and not getattr(config, "attn_logit_softcapping", None)
    )


@torch.no_grad()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    uniforms: torch.Tensor,
    *,
    ends: Sequence[int],
    batch: int,
    choose: Choose = Distribution.invert,
    temperature: float = 1.0,
) -> list[Decoded]:
    """Sample responses, at most ``batch`` at a time.

    Args:
        model: In evaluation mode; one that :func:`supports` accepts.
        prompts: Token ids of each prompt, none of them empty.
        rows: For each response, which prompt it answers; those of one prompt side by side, so that
            it is run once.
        uniforms: Numbers in [0, 1), float64, shape (responses, longest length), on the CPU.
        ends: Token ids that end a response.
        batch: Rows of the buffers of keys and values.
        choose: How tokens are drawn.
        temperature: What log-probabilities are taken at.

    Returns:
        The responses in the order of ``rows``.

    Raises:
        DivergedError: The model's logits are no distribution.
    """
    longest = uniforms.shape[1]
    answers = [Decoded() for _ in rows]
    # Long prompts first and side by side: see _grouped. Those of one prompt stay together.
    by_length = sorted(range(len(rows)), key=lambda row: (-len(prompts[rows[row]]), rows[row]))
    waiting = collections.deque(by_length)
    widest = max((len(prompts[place]) for place in rows), default=0)
    with _attention_of(model):
        running = _Batch(model, min(batch, len(rows)), widest + longest)
        while waiting or running.numbers:
            first = len(running.numbers)
            if waiting and first < running.size:
                room = min(running.size - first, len(waiting))
                entering = [waiting.popleft() for _ in range(room)]
                logits = running.enter(entering, [rows[number] for number in entering], prompts)
            else:
                first, logits = 0, running.step()
            numbers = running.numbers[first:]
            places = [len(answers[number].tokens) for number in numbers]
            policy = Distribution(logits)
            tokens = choose(policy, uniforms[numbers, places].to(logits.device))
            scored = policy if temperature == 1 else Distribution(logits / temperature)
            drawn = zip(
                numbers,
                tokens.tolist(),
                scored.log_probabilities(tokens).tolist(),
                policy.entropies.tolist(),
                strict=True,
            )
            done = []
            for number, token, log_probability, entropy in drawn:
                answer = answers[number]
                if entropy != entropy:
                    place = len(answer.tokens) + 1
                    raise DivergedError(
                        f"the model's logits are not finite at token {place} of a response"
                    )
                answer.tokens.append(token)
                answer.log_probabilities.append(log_probability)
                answer.entropies.append(entropy)
                answer.ended = token in ends
                done.append(answer.ended or len(answer.tokens) == longest)
            running.advance(first, tokens.tolist(), done)
    return answers


@dataclasses.dataclass(frozen=True)
class _Prefix:
    """A prompt that was run: keys and values of each layer, and the logits of what follows."""

    layers: list[tuple[torch.Tensor, torch.Tensor]]
    logits: torch.Tensor


def _parts(numbers: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


class _Batch(Cache):
    """Rows being generated, with their keys and values: the first ones of the buffers are in use.

    Attributes:
        size: Rows of the buffers.
        numbers: Which response each row in use holds.
    """

    def __init__(self, model: PreTrainedModel, size: int, width: int) -> None:
        super().__init__(layers=[])
        self.model, self.size, self.width = model, size, width
        self.numbers: list[int] = []
        self._tokens: list[int] = []  # drawn, and not yet seen by the model
        self._lengths: list[int] = []  # tokens whose keys and values are there
        self._positions = torch.empty(0, dtype=torch.long)
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._prefixes: dict[int, _Prefix] = {}

    def enter(
        self, numbers: Sequence[int], places: Sequence[int], prompts: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        """Take responses in; logits after their prompts, shape (responses, vocabulary).

        A prompt is run once, with others of its length, and kept until others come in.
        """
        kept = {place: self._prefixes[place] for place in places if place in self._prefixes}
        fresh = [place for place in dict.fromkeys(places) if place not in kept]
        by_length = sorted(fresh, key=lambda place: len(prompts[place]))
        for length, group in itertools.groupby(by_length, key=lambda place: len(prompts[place])):
            for some in _parts(list(group), max(1, _TOKENS_AT_ONCE // length)):
                run = self._run([list(prompts[place]) for place in some])
                kept |= zip(some, run, strict=True)
        for number, place in zip(numbers, places, strict=True):
            row, length = len(self.numbers), len(prompts[place])
            for index, (keys, values) in enumerate(kept[place].layers):
                for buffers, given in ((self._keys, keys), (self._values, values)):
                    if index == len(buffers):
                        shape = (self.size, given.shape[0], self.width, given.shape[2])
                        # Of what lies behind a row's end zero times NaN would be NaN.
                        buffers.append(given.new_zeros(shape))
                    buffers[index][row, :, :length] = given
            self.numbers.append(number)
            self._lengths.append(length)
            self._tokens.append(-1)
        self._prefixes = {places[-1]: kept[places[-1]]} if places else {}
        return torch.stack([kept[place].logits for place in places])

    def _run(self, prompts: list[list[int]]) -> list[_Prefix]:
        """Run prompts of one length."""
        cache = DynamicCache()
        logits = self.model(
            input_ids=torch.tensor(prompts, device=self.model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        layers: Any = cache.layers  # of the kind that attention has
        return [
            _Prefix([(layer.keys[row], layer.values[row]) for layer in layers], logits[row])
            for row in range(len(prompts))
        ]

    def step(self) -> torch.Tensor:
        """Run the tokens drawn last; logits of the next, shape (rows in use, vocabulary)."""
        device = self.model.device
        self._positions = torch.tensor(self._lengths, device=device)
        places = torch.arange(max(self._lengths) + 1, device=device)
        mask: Any = (places <= self._positions.unsqueeze(1))[:, None, None]
        mask.widths = [max(part) + 1 for part in _parts(self._lengths, _SIDE_BY_SIDE)]
        output = self.model(
            input_ids=torch.tensor(self._tokens, device=device).unsqueeze(1),
            position_ids=self._positions.unsqueeze(1),
            attention_mask=mask,
            past_key_values=self,
            use_cache=True,
            logits_to_keep=1,
        )
        self._lengths = [length + 1 for length in self._lengths]
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one layer's keys and values of a step, and give all there are."""
        rows = torch.arange(len(self.numbers), device=key_states.device)
        width = max(self._lengths) + 1
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        keys[rows, :, self._positions] = key_states[:, :, 0]
        values[rows, :, self._positions] = value_states[:, :, 0]
        return keys[: len(rows), :, :width], values[: len(rows), :, :width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest row."""
        return max(self._lengths, default=0)

    def advance(self, first: int, tokens: Sequence[int], done: Sequence[bool]) -> None:
        """Note the tokens drawn for the rows from ``first`` on, and take out those that ended."""
        self._tokens[first:] = tokens
        for row in reversed([first + place for place, ended in enumerate(done) if ended]):
            last, length = len(self.numbers) - 1, self._lengths[-1]
            for of_row in (self.numbers, self._tokens, self._lengths):
                of_row[row] = of_row[-1]
                of_row.pop()
            if row < last:
                for buffer in (*self._keys, *self._values):
                    buffer[row, :, :length] = buffer[last, :, :length]


def continuations(
    model: Any,
    inputs: Mapping[str, Any],
    config: GenerationConfig,
    uniforms: torch.Tensor,
    noted: list[torch.Tensor] | None = None,
) -> torch.Tensor | None:
    """What ``generate`` of transformers returns, on a CPU; None where it has to do it itself.

    Args:
        model: A model, or one with adapters.
        inputs: Arguments of ``generate``; only token ids with a mask are understood.
        config: Options of sampling.
        uniforms: Numbers in [0, 1), one row per response.
        noted: List that gets the tokens' log-probabilities at the sampling temperature, shape
            (rows, tokens); None for none.

    Raises:
        DivergedError: The model's logits are no distribution.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    options = {**inner.generation_config.to_diff_dict(), **config.to_diff_dict()}
    others = {
        name
        for name, value in options.items()
        if value not in (None, False, _NEUTRAL.get(name)) and name not in _ANY
    }
    recomputing = inner.training and inner.is_gradient_checkpointing
    if uniforms.is_cuda or others or recomputing or not supports(inner):
        return None
    if set(inputs) - {"input_ids", "attention_mask"} or config.max_new_tokens is None:
        return None
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    places: dict[tuple[int, ...], int] = {}
    rows = [
        places.setdefault(tuple(row[real].tolist()), len(places))
        for row, real in zip(ids, mask, strict=True)
    ]
    ends = config.eos_token_id
    decoded = decode(
        inner,
        list(places),
        rows,
        uniforms[:, : config.max_new_tokens].double(),
        ends=[ends] if isinstance(ends, int) else list(ends or []),
        batch=len(rows),
        choose=chooser(sampling_warpers(config)),
        temperature=1.0 if noted is None else config.temperature or 1.0,
    )
    longest = max(len(one.tokens) for one in decoded)
    answers = ids.new_full((len(rows), longest), config.pad_token_id or 0)
    for row, one in enumerate(decoded):
        answers[row, : len(one.tokens)] = torch.tensor(one.tokens)
    if noted is not None:
        noted.append(torch.zeros(len(rows), longest))
        for row, one in enumerate(decoded):
            noted[-1][row, : len(one.tokens)] = torch.tensor(one.log_probabilities)
    return torch.cat([ids, answers], dim=1)


def _grouped(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token a row, whose query heads share keys without copies of them."""
    rows, heads, length, size = query.shape
    if length > 1:  # a prompt
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    # The heads of a group lie side by side: they are as many queries of one head.
    grouped = query.view(rows, key.shape[1], heads // key.shape[1], size)
    # One long row would have all others look as far back: rows side by side take what they need.
    widths = getattr(attention_mask, "widths", [key.shape[2]])
    together = rows if max(widths) * len(widths) < _UNEVEN * sum(widths) else _SIDE_BY_SIDE
    outputs = []
    for start in range(0, rows, together):
        part = slice(start, start + together)
        width = key.shape[2] if together == rows else widths[start // together]
        mask = None if attention_mask is None else attention_mask[part, ..., :width]
        outputs.append(
            torch.nn.functional.scaled_dot_product_attention(
                grouped[part], key[part, :, :width], value[part, :, :width], mask, scale=scaling
            )
        )
    return torch.cat(outputs).reshape(rows, 1, heads, -1), None


AttentionInterface.register(_ATTENTION, _grouped)


@contextlib.contextmanager
def _attention_of(model: PreTrainedModel) -> Iterator[None]:
    """Let the model use this module's attention in this block."""
    before = model.config._attn_implementation
    model.set_attn_implementation(_ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
