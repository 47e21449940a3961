"""Shape of a token tree: which sequences are answers, and the choices they are made of."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

LONGEST = 128
"""Most tokens of an answer."""

LARGEST = 1 << 26
"""Most entries of the matrix of answers and choices, in which a tree is enumerated: 256 MiB."""


@dataclasses.dataclass(frozen=True)
class TreeShape:
    """Answers of up to L tokens over V symbols.

    With an end token, the last symbol ends an answer early, so lengths run from 1 (the end token
    alone) to L; without one, every answer has L tokens.

    Attributes:
        length: L, from 1 to 128.
        symbols: V, at least 2.
        end: Whether the last symbol is an end token.

    Raises:
        ValueError: A tree that cannot be, or one too large to be enumerated.

    >>> shape = TreeShape(length=2, symbols=3, end=True)
    >>> shape.sequences
    ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,))
    >>> shape.answers
    7
    """

    length: int
    symbols: int
    end: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.length <= LONGEST or self.symbols < 2:
            raise ValueError(
                f"a tree needs a length from 1 to {LONGEST} and at least 2 symbols; got "
                f"{self.length} and {self.symbols}"
            )
        if self.answers * self.choices > LARGEST:
            raise ValueError(
                f"a tree of {self.symbols} symbols and length {self.length} has too many answers "
                "to be enumerated: take fewer symbols or a smaller length"
            )

    @property
    def answers(self) -> int:
        """Number of answers."""
        inner = self.symbols - self.end
        ended = self._prefixes if self.end else 0
        return int(ended + inner**self.length)

    @property
    def choices(self) -> int:
        """Number of choices: symbols after each prefix."""
        return self._prefixes * self.symbols

    @property
    def _prefixes(self) -> int:
        inner = self.symbols - self.end
        return self.length if inner == 1 else (inner**self.length - 1) // (inner - 1)

    @functools.cached_property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """Token sequences of all answers, in lexicographic order."""
        found: list[tuple[int, ...]] = []

        def extend(prefix: tuple[int, ...]) -> None:
            for symbol in range(self.symbols):
                sequence = (*prefix, symbol)
                last = len(sequence) == self.length
                if last or (self.end and symbol == self.symbols - 1):
                    found.append(sequence)
                else:
                    extend(sequence)

        extend(())
        return tuple(found)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each answer, the end token included, shape (answers,)."""
        return np.array([len(sequence) for sequence in self.sequences])

    @functools.cached_property
    def nodes(self) -> tuple[tuple[int, ...], ...]:
        """Prefixes after which a token is chosen, the empty one first."""
        return tuple(sorted({s[:i] for s in self.sequences for i in range(len(s))}))

    @functools.cached_property
    def incidence(self) -> np.ndarray:
        """1 where answer a makes choice (node, symbol): shape (answers, choices)."""
        index = {node: i for i, node in enumerate(self.nodes)}
        matrix = np.zeros((self.answers, self.choices), np.float32)
        for row, sequence in enumerate(self.sequences):
            for depth, symbol in enumerate(sequence):
                matrix[row, index[sequence[:depth]] * self.symbols + symbol] = 1
        return matrix
