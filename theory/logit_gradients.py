"""What positive and negative reinforcement do to the logits of one sampled token.

With π = softmax(z) and a sampled token y there are two estimators of the same objective. Ascending
π(y) itself moves the logits by

    PSR: Δz_y = +π_y(1−π_y),  Δz_v = −π_v π_y;      NSR: the negative of it.

The REINFORCE estimator ascends ln π(y) for tokens that were sampled with probability π_y, and so
has no factor π_y: Δz_y = ±(1−π_y), Δz_v = ∓π_v. ``estimator`` says which one is meant. All
functions take logits with the vocabulary on the last axis, and sum what is small rather than
subtract it, so 1 − π_y is right for a token of probability 1 − 1e-20. 16-bit logits are computed
with in float32: in 16 bits the sums over a vocabulary, and its indices, would be wrong.
"""

from __future__ import annotations

import array_api_compat

from theory._arrays import Array, as_array, as_floating, counting, is_traced, namespace, widened

ESTIMATORS = ("probability", "log_probability")
"""Ascend π(y) or ln π(y)."""


def psr_logit_update(logits: Array, token: Array, *, estimator: str = "probability") -> Array:
    """Logit update of positive reinforcement of the sampled token.

    Δz_v = π_y(1[v=y] − π_v), without the factor π_y for the log-probability estimator.

    Args:
        logits: z, shape (..., vocabulary).
        token: Index y of the sampled token, integers of shape (...,).
        estimator: ``"probability"`` or ``"log_probability"``.

    Returns:
        Δz for a step of unit size, shape (..., vocabulary); sums to 0 over the vocabulary.

    Raises:
        ValueError: Logits that are not finite, tokens outside the vocabulary, or shapes that do
            not match.

    Source: arXiv 2506.01347, section 4 (gradient analysis).

    >>> import numpy as np
    >>> psr_logit_update(np.zeros(4), 0).tolist()
    [0.1875, -0.0625, -0.0625, -0.0625]
    >>> psr_logit_update(np.zeros(4), 0, estimator="log_probability").tolist()
    [0.75, -0.25, -0.25, -0.25]
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}; got {estimator!r}")
    probability, chosen = _policy(logits, token)
    xp = namespace(probability)
    zero = xp.zeros_like(probability)
    others = xp.where(chosen, zero, probability)
    update = xp.where(chosen, xp.sum(others, axis=-1, keepdims=True), -others)
    if estimator == "probability":
        update = update * xp.sum(xp.where(chosen, probability, zero), axis=-1, keepdims=True)
    return _in_dtype_of(logits, update)


def nsr_logit_update(logits: Array, token: Array, *, estimator: str = "probability") -> Array:
    """Logit update of negative reinforcement of the sampled token, the negative of PSR's.

    Δz_y = −π_y(1−π_y) and Δz_v = +π_v π_y: a confident token barely moves, and the others rise in
    proportion to the probability they had.

    Args:
        logits: z, shape (..., vocabulary).
        token: Index y of the sampled token, integers of shape (...,).
        estimator: ``"probability"`` or ``"log_probability"``.

    Returns:
        Δz for a step of unit size, shape (..., vocabulary); sums to 0 over the vocabulary.

    Raises:
        ValueError: As :func:`psr_logit_update`.

    Source: arXiv 2506.01347, section 4 (gradient analysis).

    >>> import numpy as np
    >>> nsr_logit_update(np.zeros(2), 0).tolist()
    [-0.25, 0.25]
    """
    return -psr_logit_update(logits, token, estimator=estimator)


def entropy(logits: Array) -> Array:
    """Entropy H = −Σ_v π_v ln π_v in nats.

    Args:
        logits: z, shape (..., vocabulary).

    Returns:
        H, shape (...,).

    Raises:
        ValueError: Logits that are not finite.

    Source: arXiv 2506.01347, entropy during training.

    >>> import numpy as np
    >>> round(float(entropy(np.zeros(4))), 6)
    1.386294
    """
    log_probability = _checked_log_softmax(logits)
    xp = namespace(log_probability)
    # 0 − 0 is 0 where −0 is −0, the entropy of a policy that is certain.
    return _in_dtype_of(logits, 0 - xp.sum(xp.exp(log_probability) * log_probability, axis=-1))


def entropy_change(logits: Array, update: Array) -> Array:
    """First-order change of entropy by a logit update: Σ_v ∂H/∂z_v Δz_v.

    Args:
        logits: z, shape (..., vocabulary).
        update: Δz, same shape, such as :func:`psr_logit_update` returns.

    Returns:
        The change per unit step, shape (...,).

    Raises:
        ValueError: Logits that are not finite, or shapes that differ.

    Source: arXiv 2506.01347: reinforcing a likely token narrows the policy, penalising it widens.

    >>> import numpy as np
    >>> logits = np.log([0.7, 0.2, 0.1])
    >>> bool(entropy_change(logits, psr_logit_update(logits, 0)) < 0)
    True
    """
    gradient = _entropy_gradient(logits)
    update = as_floating(update)
    xp = namespace(gradient, update)
    if tuple(update.shape) != tuple(gradient.shape):
        raise ValueError(
            f"update must have the shape of logits, {tuple(gradient.shape)}; "
            f"got {tuple(update.shape)}"
        )
    return _in_dtype_of(logits, xp.sum(gradient * update, axis=-1))


def _in_dtype_of(logits: Array, result: Array) -> Array:
    return namespace(result).astype(result, as_floating(logits).dtype, copy=False)


def _entropy_gradient(logits: Array) -> Array:
    log_probability = _checked_log_softmax(logits)
    xp = namespace(log_probability)
    probability = xp.exp(log_probability)
    mean = xp.sum(probability * log_probability, axis=-1, keepdims=True)
    return -probability * (log_probability - mean)


def _log_softmax(logits: Array) -> Array:
    """ln π, to full relative accuracy also for a token of probability 1 − 1e-20.

    The likeliest token is left out of the sum, whose logarithm is then that of 1 plus the rest.
    """
    xp = namespace(logits)
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    index = _vocabulary(logits)
    first = index == xp.astype(xp.argmax(logits, axis=-1, keepdims=True), index.dtype)
    others = xp.where(first, xp.zeros_like(shifted), xp.exp(shifted))
    return shifted - xp.log1p(xp.sum(others, axis=-1, keepdims=True))


def _vocabulary(logits: Array) -> Array:
    """Indices of the tokens, with as many axes as the logits."""
    shape = (1,) * (len(logits.shape) - 1) + (logits.shape[-1],)
    return namespace(logits).reshape(counting(logits, logits.shape[-1]), shape)


def _checked_log_softmax(logits: Array) -> Array:
    logits = widened(as_floating(logits))
    xp = namespace(logits)
    if len(logits.shape) < 1 or logits.shape[-1] < 1:
        raise ValueError("logits must have the vocabulary on their last axis; got none")
    if not is_traced(logits) and not bool(xp.all(xp.isfinite(logits))):
        raise ValueError("logits must be finite numbers; leave impossible tokens out")
    return _log_softmax(logits)


def _softmax(logits: Array) -> Array:
    log_probability = _checked_log_softmax(logits)
    return namespace(log_probability).exp(log_probability)


def _policy(logits: Array, token: Array) -> tuple[Array, Array]:
    """Probabilities, and a mask that is true at the sampled token."""
    probability = _softmax(logits)
    xp = namespace(probability)
    if not array_api_compat.is_array_api_obj(token):
        token = xp.asarray(token)
    token = as_array(token)
    namespace(probability, token)
    vocabulary = probability.shape[-1]
    if not xp.isdtype(token.dtype, "integral") or tuple(token.shape) != tuple(
        probability.shape[:-1]
    ):
        raise ValueError(
            f"token must be integers of shape {tuple(probability.shape[:-1])}; "
            f"got {token.dtype} of shape {tuple(token.shape)}"
        )
    if not is_traced(token) and not bool(xp.all((token >= 0) & (token < vocabulary))):
        raise ValueError(f"token must lie in [0, {vocabulary - 1}], the vocabulary")
    return probability, xp.expand_dims(token, axis=-1) == _vocabulary(probability)
