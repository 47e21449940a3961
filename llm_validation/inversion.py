"""Sampling by inversion from large vocabularies: one uniform number a row, no sort, few passes.

The distribution function is summed in blocks: a search among the blocks' totals finds the block,
and one among its 128 numbers the token. Rows are taken a few at a time, so that on a CPU what is
computed of a row stays in its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_BLOCK = 128
_IN_CACHE = 1 << 18
"""Logits that are worked on at once on a CPU."""
_SMALLEST = -1e4
"""A logit so far below the largest has probability 0, and no NaN when it is multiplied by it."""


class Distribution:
    r"""The distributions softmax(x) of some rows of logits, ready to be inverted.

    Exponentials are computed in float32 and their blocks summed up in float64, whatever the type of
    the logits.

    Args:
        logits: Shape (rows, vocabulary), of any floating type; −∞ forbids a token. Where a row
            holds NaN or +∞, or −∞ alone, its entropy and log-probabilities are NaN.

    Attributes:
        entropies: Shape (rows,), float64, in nats.

    >>> fair = Distribution(torch.zeros(3, 2))
    >>> fair.invert(torch.tensor([0.0, 0.499, 0.5], dtype=torch.float64)).tolist()
    [0, 0, 1]
    >>> round(fair.entropies[0].item(), 4)
    0.6931
    """

    def __init__(self, logits: torch.Tensor) -> None:
        rows, vocabulary = logits.shape
        blocks = -(-vocabulary // _BLOCK)
        at_once = rows if logits.is_cuda else max(1, _IN_CACHE // vocabulary)
        self.logits = logits
        self._largest = logits.new_empty(rows, 1, dtype=torch.float32)
        self._sums = logits.new_empty(rows, blocks, dtype=torch.float32)
        means = logits.new_empty(rows, dtype=torch.float32)
        powers = logits.new_zeros(min(at_once, rows), blocks * _BLOCK, dtype=torch.float32)
        for start in range(0, rows, at_once):
            part = slice(start, start + at_once)
            shifted = logits[part].float()
            self._largest[part] = top = shifted.amax(-1, keepdim=True)
            shifted = (shifted - top).clamp_(min=_SMALLEST)
            here = powers[: len(shifted)]
            inner = here[:, :vocabulary]
            inner.copy_(shifted).exp_()
            self._sums[part] = here.unflatten(-1, (blocks, _BLOCK)).sum(-1)
            means[part] = torch.linalg.vecdot(inner, shifted)
        self._cumulative = self._sums.double().cumsum_(-1)
        total = self._cumulative[:, -1]
        self._log_total = total.log()
        self.entropies = self._log_total - means.double() / total

    def invert(self, uniforms: torch.Tensor) -> torch.Tensor:
        r"""The first token at which the distribution function exceeds a uniform number.

        .. math:: \min\{v : \sum_{w \le v} p_w > u\}

        A token of probability zero is never drawn, neither at u = 0 nor next to 1.

        Args:
            uniforms: Numbers in [0, 1), float64, shape (rows,).

        Returns:
            Token ids, shape (rows,); of a row that is no distribution, any token.
        """
        vocabulary = self.logits.shape[-1]
        total = self._cumulative[:, -1:]
        block, rest = _search(self._cumulative, uniforms.unsqueeze(-1) * total)
        inside = block * _BLOCK + torch.arange(_BLOCK, device=block.device)
        powers = self._shifted(inside.clamp(max=vocabulary - 1)).exp().double()
        within = powers.masked_fill_(inside >= vocabulary, 0.0).cumsum(-1)
        # The block's sum in float32 is a little off the one in float64.
        share = rest / self._sums.gather(-1, block)
        place, _ = _search(within, share * within[:, -1:])
        return (block * _BLOCK + place).squeeze(-1).clamp(max=vocabulary - 1)

    def log_probabilities(self, tokens: torch.Tensor) -> torch.Tensor:
        """Of one token in each row, both of shape (rows,); float64, in nats."""
        return self._shifted(tokens.unsqueeze(-1)).squeeze(-1).double() - self._log_total

    def _shifted(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits.gather(-1, tokens).float() - self._largest


Choose = Callable[[Distribution, torch.Tensor], torch.Tensor]
"""The policy's distributions and uniform numbers, of shape (rows,) → tokens, of shape (rows,)."""


def chooser(warpers: Any) -> Choose:
    """How tokens are drawn from a policy that temperature, nucleus and the like have warped.

    Args:
        warpers: A ``LogitsProcessorList``, as :func:`llm_validation.warpers.sampling_warpers`
            makes it; empty for the policy itself.
    """
    if not warpers:
        return Distribution.invert

    def choose(policy: Distribution, uniforms: torch.Tensor) -> torch.Tensor:
        nothing = torch.empty(0, dtype=torch.long)  # these warpers do not look at what came before
        return Distribution(warpers(nothing, policy.logits.float())).invert(uniforms)

    return choose


def likeliest(policy: Distribution, uniforms: torch.Tensor) -> torch.Tensor:
    """The likeliest token of each row, whatever the numbers."""
    return policy.logits.argmax(-1)


def _search(cumulative: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First place where a distribution function exceeds the target, and what is left there."""
    # Below the total, so that rounding finds no place behind the last that has any probability.
    below = torch.nextafter(cumulative[:, -1:], torch.zeros_like(targets))
    targets = torch.minimum(targets, below)
    places = torch.searchsorted(cumulative, targets, right=True)
    places = places.clamp(max=cumulative.shape[-1] - 1)
    before = torch.where(places > 0, cumulative.gather(-1, (places - 1).clamp(min=0)), 0.0)
    return places, targets - before
