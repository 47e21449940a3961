"""Sizes of language models, for estimates made without loading them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runs.files import read_json


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a decoder's memory depends on.

    Attributes:
        layers: Transformer layers.
        hidden: Width of the residual stream.
        intermediate: Width of the gated feed-forward layers.
        heads: Attention heads.
        key_heads: Key-value heads.
        head: Dimension of a head.
        vocabulary: Tokens.
        tied: The output layer shares the embedding's weights.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    head: int
    vocabulary: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Weights of a Llama-like decoder: attention, gated feed-forward, norms, embeddings.

        >>> KNOWN["HuggingFaceTB/SmolLM2-135M-Instruct"].parameters
        134515008
        """
        attention = 2 * self.hidden * self.head * (self.heads + self.key_heads)
        layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * layer + embeddings + self.hidden

    def adapter_parameters(self, rank: int, targets: Sequence[str] = ()) -> int:
        """Weights of low-rank adapters: rank × (inputs + outputs) for each linear layer.

        Args:
            rank: Their rank.
            targets: Names of the layers that have one, as Llama calls them; none for all.

        >>> KNOWN["Qwen/Qwen2.5-Math-7B"].adapter_parameters(8)
        20185088
        """
        return self.layers * rank * sum(map(sum, self._sides(targets)))

    def adapter_inputs(self, targets: Sequence[str] = ()) -> int:
        """Inputs of a layer's adapters together; ``targets`` as above."""
        return sum(inputs for inputs, _ in self._sides(targets))

    def _sides(self, targets: Sequence[str]) -> list[tuple[int, int]]:
        """Inputs and outputs of the linear layers that are named, of all if none is."""
        queries, keys = self.heads * self.head, self.key_heads * self.head
        sides = {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }
        return [sides[name] for name in targets or sides if name in sides]


KNOWN = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": Shape(30, 576, 1536, 9, 3, 64, 49152, True),
    "meta-llama/Llama-3.1-8B": Shape(32, 4096, 14336, 32, 8, 128, 128256, False),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(32, 4096, 14336, 32, 8, 128, 128256, False),
    "Qwen/Qwen2.5-3B": Shape(36, 2048, 11008, 16, 2, 128, 151936, True),
    "Qwen/Qwen2.5-Math-7B": Shape(28, 3584, 18944, 28, 4, 128, 152064, False),
}
"""Shapes of the models of the shipped recipes, from their published ``config.json``.

Qwen's biases of queries, keys and values, under 0.01 % of the weights, are left out.
"""


def model_shape(model: str, *, hidden_size: int, layers: int) -> Shape | None:
    """Shape of a model: the tiny one, a local folder's, or a known one's; None if unknown.

    Raises:
        ValueError: A folder whose ``config.json`` is not that of a Llama-like decoder.
    """
    if model == "tiny":
        heads = hidden_size // 32
        return Shape(layers, hidden_size, 2 * hidden_size, heads, heads, 32, 14, False)
    file = Path(model) / "config.json"
    if not file.is_file():
        return KNOWN.get(model)
    values: Any = read_json(file)
    try:
        heads = values["num_attention_heads"]
        shape = Shape(
            layers=values["num_hidden_layers"],
            hidden=values["hidden_size"],
            intermediate=values["intermediate_size"],
            heads=heads,
            key_heads=values.get("num_key_value_heads", heads),
            head=values.get("head_dim") or values["hidden_size"] // heads,
            vocabulary=values["vocab_size"],
            tied=bool(values.get("tie_word_embeddings", False)),
        )
    except KeyError as error:
        raise ValueError(f"{file} lacks {error}, which a Llama-like decoder has") from error
    except (TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{file} is not the configuration of a model: {error}") from error
    if not all(isinstance(size, int) and size >= 1 for size in dataclasses.astuple(shape)[:-1]):
        raise ValueError(
            f"{file} must hold sizes that are whole numbers of at least 1; got {shape}"
        )
    return shape
