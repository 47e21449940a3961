"""A token tree level by level: sums along paths and through choices without a matrix of them.

Choices are laid out by depth, shortest prefix first and in order within a depth, each prefix with
its V symbols; answers are in the order of :attr:`~sim.policies.tree_shape.TreeShape.sequences`.
Both functions take arrays of NumPy or JAX.
"""

from __future__ import annotations

from typing import Any

import array_api_compat

from sim.policies.tree_shape import TreeShape


def along_paths(shape: TreeShape, choices: Any) -> Any:
    """Sum over the choices of each answer.

    Args:
        shape: The answers.
        choices: Values of shape (choices, prompts).

    Returns:
        Shape (answers, prompts).

    >>> import numpy as np
    >>> shape = TreeShape(length=2, symbols=2)
    >>> along_paths(shape, np.array([[1.0], [2], [10], [20], [30], [40]])).ravel().tolist()
    [11.0, 21.0, 32.0, 42.0]
    """
    xp = array_api_compat.array_namespace(choices)
    prompts, inner = choices.shape[-1], shape.symbols - shape.end
    end = choices.shape[0]
    below: Any = None
    for depth in reversed(range(shape.length)):
        first = end - inner**depth * shape.symbols
        level = xp.reshape(choices[first:end], (inner**depth, shape.symbols, prompts))
        end = first
        if below is None:
            below = level
            continue
        sums = level[:, :inner, None] + xp.reshape(below, (inner**depth, inner, -1, prompts))
        sums = xp.reshape(sums, (inner**depth, -1, prompts))
        below = xp.concat([sums, level[:, inner:]], axis=1)
    return below[0]


def through_choices(shape: TreeShape, weights: Any) -> Any:
    """Sum over the answers that make each choice, the transpose of :func:`along_paths`.

    Args:
        shape: The answers.
        weights: Values of shape (answers, prompts).

    Returns:
        Shape (choices, prompts).

    >>> import numpy as np
    >>> shape = TreeShape(length=2, symbols=2)
    >>> through_choices(shape, np.array([[1.0], [2], [3], [4]])).ravel().tolist()
    [3.0, 7.0, 1.0, 2.0, 3.0, 4.0]
    """
    xp = array_api_compat.array_namespace(weights)
    prompts, inner = weights.shape[-1], shape.symbols - shape.end
    levels, below = [], weights[None]
    for depth in range(shape.length - 1):
        ended = below[:, below.shape[1] - shape.end :]
        below = xp.reshape(
            below[:, : below.shape[1] - shape.end], (inner**depth, inner, -1, prompts)
        )
        level = xp.concat([xp.sum(below, axis=2), ended], axis=1)
        levels.append(xp.reshape(level, (-1, prompts)))
        below = xp.reshape(below, (inner ** (depth + 1), -1, prompts))
    levels.append(xp.reshape(below, (-1, prompts)))
    return xp.concat(levels, axis=0)
