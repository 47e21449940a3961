"""A transformer small enough to train on one CPU core in minutes, with a character tokenizer."""

from __future__ import annotations

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from llm_validation.tasks.arithmetic import CHARACTERS

END = "<end>"
_UNKNOWN = "<unknown>"
_HEAD_DIMENSION = 32  # vLLM's CPU attention takes 32 or 64
_LONGEST = 64


def character_tokenizer(characters: str = CHARACTERS) -> PreTrainedTokenizerFast:
    """Tokenizer with one token per character, an end token that also pads, and an unknown token.

    Only the end token is special, so that every other token a model samples shows in the text and
    is scored.

    >>> tokenizer = character_tokenizer()
    >>> tokenizer("12+3=")["input_ids"], tokenizer.decode([2, 3, tokenizer.eos_token_id])
    ([1, 2, 10, 3, 11], '23<end>')
    """
    if len(set(characters)) != len(characters):
        raise ValueError(f"characters must differ from each other; got {characters!r}")
    vocabulary = {token: i for i, token in enumerate([*characters, END, _UNKNOWN])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        padding_side="left",
        model_max_length=_LONGEST,
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_llama(
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden_size: int = 64,
    layers: int = 2,
    seed: int = 0,
    initial_scale: float = 0.02,
) -> LlamaForCausalLM:
    """Untrained Llama in float32 whose weights depend on ``seed`` alone.

    Args:
        tokenizer: Sets the vocabulary and the end token.
        hidden_size: Width, a multiple of 32; there is one head per 32.
        layers: Number of layers.
        seed: Seed of the initial weights.
        initial_scale: Their standard deviation.

    >>> model = tiny_llama(character_tokenizer())
    >>> sum(p.numel() for p in model.parameters())
    84032
    """
    if hidden_size < _HEAD_DIMENSION or hidden_size % _HEAD_DIMENSION:
        raise ValueError(f"hidden_size must be a multiple of {_HEAD_DIMENSION}; got {hidden_size}")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=hidden_size // _HEAD_DIMENSION,
        num_key_value_heads=hidden_size // _HEAD_DIMENSION,
        max_position_embeddings=_LONGEST,
        tie_word_embeddings=False,
        initializer_range=initial_scale,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
