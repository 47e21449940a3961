"""Coefficients of a scheme that is given by its weight ω(ρ) alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from theory._arrays import Array, is_traced
from theory._binomial import like

_STEADY = 1e-3  # relative change between two points near an end that still counts as a limit


@dataclasses.dataclass(frozen=True)
class WeightCoefficients:
    """a⁺ = ω(1−ρ̂) and a⁻ = ωρ̂, with their limits where ω is not finite.

    Attributes:
        function: ω(ρ) with the scheme's options as keyword arguments.
        name: Name of the scheme in messages.
    """

    function: Callable[..., Array]
    name: str

    def __call__(
        self,
        xp: Any,
        mean: Array,
        variance: Array,
        group_size: Array | float,
        *,
        zero_success: Any = "keep",
        **options: Any,
    ) -> tuple[Array, Array]:
        """Coefficients as ``Scheme.from_coefficients`` asks for them."""
        with np.errstate(all="ignore"):  # what is not finite here is replaced by its limit
            return self._pair(xp, mean, group_size, zero_success, options)

    def _pair(
        self,
        xp: Any,
        mean: Array,
        group_size: Array | float,
        zero_success: Any,
        options: dict[str, Any],
    ) -> tuple[Array, Array]:
        tiny, eps = (float(getattr(xp.finfo(mean.dtype), part)) for part in ("tiny", "eps"))
        weight = self._weight(xp, mean, options)
        positive, negative = weight * (1 - mean), weight * mean
        # Only the ends may be without a finite weight: 1/ρ at 0, where ωρ has the limit 1.
        low = mean == 0
        ends = (tiny**0.25, tiny**0.5, False), (1 - eps**0.6, 1 - eps**0.8, True)
        for near, nearer, high in ends:
            here = (mean == 1 if high else low) & ~xp.isfinite(weight)
            values = [
                self._weight(xp, xp.full_like(mean, point), options) for point in (near, nearer)
            ]
            limit = _limit(
                xp,
                *(
                    v * ((1 - p) if high else p)
                    for v, p in zip(values, (near, nearer), strict=True)
                ),
            )
            own = xp.where(xp.isnan(weight), values[1], weight)
            positive = xp.where(here, limit if high else own, positive)
            negative = xp.where(here, own if high else limit, negative)
        if not (isinstance(group_size, float) and math.isinf(group_size)):
            share = {"keep": 1.0, "drop": 0.0}.get(zero_success, zero_success)
            negative = xp.where(low, share * negative, negative)
            positive = xp.where(mean == 1, xp.zeros_like(positive), positive)
        return positive, negative

    def _weight(self, xp: Any, success: Array, options: dict[str, Any]) -> Array:
        """ω(ρ) in the kind of array of ρ; functions of NumPy serve every kind."""
        if not is_traced(success):
            return like(self._in_numpy(success, options), success)
        import jax

        try:
            return xp.asarray(self.function(success, **options), dtype=success.dtype) + 0 * success
        except (TypeError, ValueError):  # a function of NumPy arrays, or of one number
            return jax.pure_callback(
                lambda values: self._in_numpy(values, options).astype(success.dtype),
                jax.ShapeDtypeStruct(success.shape, success.dtype),  # type: ignore[no-untyped-call]
                success,
                vmap_method="expand_dims",
            )

    def _in_numpy(self, success: Array, options: dict[str, Any]) -> np.ndarray:
        if array_api_compat.is_torch_array(success):
            success = success.detach().cpu()
        points = np.asarray(success, dtype=np.float64)
        with np.errstate(all="ignore"):
            try:
                values = np.asarray(self.function(points, **options), dtype=np.float64)
            except (TypeError, ValueError):  # of one number alone, as one with an ``if`` is
                each = [self._at(point, options) for point in points.ravel().tolist()]
                values = np.array(each, dtype=np.float64).reshape(points.shape)
        if values.shape not in ((), points.shape):
            raise ValueError(
                f"the weight of {self.name} must have the shape of the success probabilities, "
                f"{points.shape}; got {values.shape}"
            )
        values = np.broadcast_to(values, points.shape)
        inside = (points > 0) & (points < 1)
        bad = inside & ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            raise ValueError(
                f"the weight of {self.name} must be a finite number of at least 0 at every success "
                f"probability inside (0, 1); got {values[bad][0]:g} at {points[bad][0]:g}"
            )
        return values

    def _at(self, point: float, options: dict[str, Any]) -> float:
        try:
            return float(self.function(point, **options))
        except (ArithmeticError, ValueError):
            if 0 < point < 1:
                raise
            return math.inf  # as NumPy says, and replaced by a limit


def _limit(xp: Any, near: Array, nearer: Array) -> Array:
    """Limit of which two points close to an end are known: 0, ∞ or the value it settles at."""
    grows, falls = nearer > near * (1 + _STEADY), nearer < near * (1 - _STEADY)
    settled = xp.where(falls, xp.zeros_like(nearer), nearer)
    return xp.where(grows, xp.full_like(nearer, math.inf), settled)
