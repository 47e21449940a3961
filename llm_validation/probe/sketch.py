"""Random projections of gradients: one addition and five bytes of memory for a coordinate."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Sketch:
    """Project vectors of ``size`` coordinates to ``width``, keeping inner products in the mean.

    Each coordinate k is added, with a random sign s_k, to a random bucket h(k) (a count sketch):
    (Sx)_b = Σ_{h(k) = b} s_k x_k. Then E⟨Sx, Sy⟩ = ⟨x, y⟩, with the variance of
    :func:`sketch_variance`; signs and buckets are drawn once, from the seed.

    Args:
        size: Coordinates of a vector.
        width: Coordinates of its projection; 0, or not below ``size``, for the vector itself.
        seed: Seed of signs and buckets.
        device: Where vectors are.

    Source: Weinberger, Dasgupta, Langford, Smola and Attenberg, Feature hashing for large scale
    multitask learning, ICML 2009, lemma 2.

    >>> whole = Sketch(3, 0, seed=0)
    >>> whole([torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])]).tolist()
    [1.0, 2.0, 3.0]
    >>> Sketch(1000, 16, seed=0)([torch.ones(1000)]).shape
    torch.Size([16])
    """

    def __init__(
        self, size: int, width: int, *, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.size = size
        self.exact = width == 0 or width >= size
        self.width = size if self.exact else width
        if not self.exact:
            generator = torch.Generator().manual_seed(seed)
            buckets = torch.randint(width, (size,), generator=generator, dtype=torch.int32)
            signs = torch.randint(2, (size,), generator=generator, dtype=torch.int8) * 2 - 1
            self._buckets, self._signs = buckets.to(device), signs.to(device)

    def __call__(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Project one vector.

        Args:
            parts: The vector in pieces of any shape and floating type, in a fixed order.

        Returns:
            The projection, shape (width,), float32.

        Raises:
            ValueError: Pieces that are not ``size`` coordinates together.
        """
        total = sum(part.numel() for part in parts)
        if total != self.size:
            raise ValueError(f"a vector must have {self.size:,} coordinates; got {total:,}")
        if self.exact:
            return torch.cat([part.detach().reshape(-1).float() for part in parts])
        found = torch.zeros(self.width, device=self._signs.device)
        start = 0
        for part in parts:
            end = start + part.numel()
            signed = part.detach().reshape(-1).float() * self._signs[start:end]
            found.index_add_(0, self._buckets[start:end], signed)
            start = end
        return found


def sketch_variance(one: torch.Tensor, other: torch.Tensor, width: int) -> float:
    """Variance of the inner product of two vectors' projections.

    Var⟨Sx, Sy⟩ = (‖x‖²‖y‖² + ⟨x, y⟩² − 2 Σ x_k² y_k²)/width, at most 2‖x‖²‖y‖²/width: against
    ‖x‖‖y‖ the error is about 1/√width.

    Args:
        one: x, shape (size,).
        other: y, shape (size,).
        width: Coordinates of a projection.

    >>> sketch_variance(torch.ones(4), torch.ones(4), 8)
    3.0
    """
    x, y = one.double(), other.double()
    both = (x @ x) * (y @ y) + (x @ y) ** 2 - 2 * (x**2 @ y**2)
    return float(both) / width
