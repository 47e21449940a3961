"""Sampling from a small Llama on the CPU, with keys and values in buffers of their final size.

``model.generate`` spends most of its time around the model where the model is tiny: masks, caches
that grow, a prompt read once for each of its responses. Here a prompt is read once per group, and
a token costs one pass of plain matrix products. The tokens are those of ``generate``, but for
rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedModel

Choose = Callable[[Any, Any], torch.Tensor]
"""Sequences and scores → scores that are 0 for the chosen token and −∞ for the others."""

_WIDEST = 512
"""Widest model for which copying its weights into fewer products is worth it."""
_HONOURED = {
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "max_new_tokens",
    "eos_token_id",
    "pad_token_id",
    "bos_token_id",
    "disable_compile",
    "transformers_version",
    "use_cache",
}
"""Options of generation that need nothing of us, or that seeded sampling sees to."""


def can_sample(model: PreTrainedModel, options: Mapping[str, Any]) -> bool:
    """Tell whether :func:`sample` does what ``model.generate(**options)`` would.

    It takes a small Llama on the CPU with ordinary rotary positions and activations, in the type of
    its weights, prompts of equal length, and no option that changes a distribution but those of
    seeded sampling.
    """
    config: Any = model.config
    mask = options.get("attention_mask")
    asked: GenerationConfig | None = options.get("generation_config")
    if type(model) is not LlamaForCausalLM or asked is None or asked.max_new_tokens is None:
        return False
    rope = getattr(config, "rope_parameters", None) or {}
    differs = {name for name, value in asked.to_diff_dict().items() if value}
    if asked.repetition_penalty == 1:
        differs.discard("repetition_penalty")
    return (
        model.device.type == "cpu"
        and config.hidden_size <= _WIDEST
        and not torch.is_autocast_enabled("cpu")
        and set(options) <= {"input_ids", "attention_mask", "generation_config"}
        and differs <= _HONOURED
        and options.get("input_ids") is not None
        and (mask is None or bool(mask.all()))
        and asked.eos_token_id is not None
        and asked.pad_token_id is not None
        and config.hidden_act == "silu"
        and rope.get("rope_type", "default") == "default"
        and not config.attention_bias
        and not config.mlp_bias
    )


@torch.no_grad()
def sample(
    model: LlamaForCausalLM,
    prompts: torch.Tensor,
    choose: Choose,
    config: GenerationConfig,
) -> torch.Tensor:
    """Continue prompts until each has ended or the longest length is reached.

    Args:
        model: The model.
        prompts: Token ids, shape (rows, tokens), without padding; equal neighbours are read once.
        choose: Picks every row's next token.
        config: Its longest response, end tokens and padding.

    Returns:
        Prompts and responses, shape (rows, tokens + longest response).
    """
    longest = prompts.shape[1] + int(config.max_new_tokens)
    pad = int(config.pad_token_id)
    stops = torch.tensor(config.eos_token_id).reshape(-1)
    states = _States(model, len(prompts), longest)
    groups, counts = torch.unique_consecutive(prompts, dim=0, return_counts=True)
    logits = states.read(groups, counts)
    sequences = torch.full((len(prompts), longest), pad)
    sequences[:, : prompts.shape[1]] = prompts
    running = torch.ones(len(prompts), dtype=torch.bool)
    for place in range(prompts.shape[1], sequences.shape[1]):
        chosen = choose(sequences[:, :place], logits).argmax(-1)
        sequences[:, place] = torch.where(running, chosen, pad)
        running &= ~torch.isin(chosen, stops)
        if place + 1 == sequences.shape[1] or not running.any():
            return sequences[:, : place + 1]
        logits = states.next(sequences[:, place])
    return sequences


class _States:
    """The model's weights as they are multiplied by, and keys and values of the tokens so far."""

    def __init__(self, model: LlamaForCausalLM, rows: int, longest: int) -> None:
        config: Any = model.config
        self.inner: Any = model.model
        self.head: Any = model.lm_head
        self.eps = float(config.rms_norm_eps)
        self.heads, self.shared = config.num_attention_heads, config.num_key_value_heads
        self.size = config.hidden_size // self.heads
        if getattr(config, "head_dim", None):
            self.size = int(config.head_dim)
        layers: Any = self.inner.layers
        self.projections = [
            torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight])
            for a in (layer.self_attn for layer in layers)
        ]
        self.gates = [
            torch.cat([m.gate_proj.weight, m.up_proj.weight]) for m in (x.mlp for x in layers)
        ]
        shape = (len(layers), 2, rows, self.shared, longest, self.size)
        self.cache = torch.zeros(shape, dtype=self.head.weight.dtype)
        places = torch.arange(longest)[None]
        self.cos, self.sin = self.inner.rotary_emb(self.head.weight, places)
        self.length = 0

    def read(self, prompts: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Logits after each prompt, every one repeated as often as it has responses."""
        few = self.cache[:, :, : len(prompts)]
        logits = self._forward(prompts, few)
        held = few[..., : self.length, :].repeat_interleave(counts, dim=2)
        self.cache[..., : self.length, :] = held
        return logits.repeat_interleave(counts, dim=0)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits after one more token of every row."""
        return self._forward(tokens[:, None], self.cache)

    def _forward(self, tokens: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        rows, new = tokens.shape
        start, end = self.length, self.length + new
        cos, sin = self.cos[:, None, start:end], self.sin[:, None, start:end]
        hidden = self.inner.embed_tokens(tokens)
        for layer, projection, gate, (keys, values) in zip(
            self.inner.layers, self.projections, self.gates, cache, strict=True
        ):
            mixed = self._normed(hidden, layer.input_layernorm) @ projection.T
            parts = mixed.view(rows, new, -1, self.size).transpose(1, 2)
            query, key, value = parts.split([self.heads, self.shared, self.shared], dim=1)
            keys[:, :, start:end] = _turned(key, cos, sin)
            values[:, :, start:end] = value
            attended = _attended(_turned(query, cos, sin), keys[:, :, :end], values[:, :, :end])
            flat = attended.transpose(1, 2).reshape(rows, new, -1)
            hidden = hidden + flat @ layer.self_attn.o_proj.weight.T
            wide = self._normed(hidden, layer.post_attention_layernorm) @ gate.T
            opened, factor = wide.chunk(2, dim=-1)
            hidden = hidden + (silu(opened) * factor) @ layer.mlp.down_proj.weight.T
        self.length = end
        logits: torch.Tensor = self.head(self._normed(hidden[:, -1], self.inner.norm))
        return logits.float()

    def _normed(self, hidden: torch.Tensor, norm: Any) -> torch.Tensor:
        normed: torch.Tensor = rms_norm(hidden, hidden.shape[-1:], norm.weight, self.eps)
        return normed


def _attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Causal attention of the newest tokens, shape (rows, heads, new, size)."""
    repeated = query.shape[1] // keys.shape[1]
    if query.shape[2] > 1 or repeated > 1:
        causal = query.shape[2] > 1
        return scaled_dot_product_attention(
            query, keys, values, is_causal=causal, enable_gqa=repeated > 1
        )
    # For one query a head torch's own kernel takes several times as long as these products.
    scores = (query * keys).sum(-1, keepdim=True) / math.sqrt(query.shape[-1])
    return (scores.softmax(dim=2) * values).sum(dim=2, keepdim=True)


def _turned(vectors: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions as Llama has them: a head's second half is the partner of its first."""
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cos + torch.cat([-second, first], dim=-1) * sin
