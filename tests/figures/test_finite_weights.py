"""Finite-group weights: closed forms, limits, and the numbers that the caption names."""

from __future__ import annotations

import numpy as np
import pytest

from figures.finite_weights import finite_weights_picture, finite_weights_table
from theory.schemes import resolve


def test_linear_r_is_the_truncated_likelihoods_weight() -> None:
    table = finite_weights_table(["linear_r"], [4, 64])
    for size in (4, 64):
        part = table[table["group_size"] == size]
        p = part["success"]
        np.testing.assert_allclose(part["weight"], (1 - (1 - p) ** size) / p, rtol=1e-10)


def test_limits_stand_beside_groups_and_large_groups_come_close() -> None:
    table = finite_weights_table(["grpo", "sqrt_r"], [4, 4096], points=5)
    assert table["group_size"].isna().sum() == 10
    limit = table[table["group_size"].isna()].set_index(["scheme", "success"])["weight"]
    for scheme in ("grpo", "sqrt_r"):
        p = limit[scheme].index.to_numpy()
        np.testing.assert_allclose(limit[scheme], resolve(scheme).weight(p), rtol=1e-12)
    large = table[table["group_size"] == 4096].set_index(["scheme", "success"])["weight"]
    # ω''/ω ρ(1−ρ)/(2M) at the ends, 0.001: about 3/(8 · 0.001 · 4096) = 0.09.
    np.testing.assert_allclose(large, limit, rtol=0.15)


def test_the_caption_holds_the_known_numbers() -> None:
    picture = finite_weights_picture()
    assert "0.001 by 3.86 instead of 31.64, one at 0.01 by 3.73 instead of 10.05" in picture.caption
    assert picture.render("svg").count(b"<path") > 10


def test_groups_too_small_for_a_scheme_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        finite_weights_table(["grpo"], [1])
