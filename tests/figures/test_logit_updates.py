"""Logit updates: the paper's formulas, and entropy by differences."""

from __future__ import annotations

import numpy as np
import pytest

from figures.logit_updates import POLICY, logit_updates_picture, logit_updates_table


def test_updates_are_the_papers() -> None:
    table = logit_updates_table(points=3)
    pi = np.array(POLICY)
    for (scheme, sampled), part in table[table["panel"] == "update"].groupby(["scheme", "sampled"]):
        expected = -pi[sampled] * pi
        expected[sampled] = pi[sampled] * (1 - pi[sampled])
        sign = 1 if scheme == "psr" else -1
        np.testing.assert_allclose(part["value"], sign * expected, atol=1e-15)


def test_entropy_changes_as_small_steps_change_it() -> None:
    part = logit_updates_table(points=9).query("panel == 'entropy' and scheme == 'nsr'")
    rest = np.array(POLICY[1:]) / sum(POLICY[1:])

    def entropy(z: np.ndarray) -> float:
        pi = np.exp(z) / np.exp(z).sum()
        return float(-(pi * np.log(pi)).sum())

    for p, change in zip(part["probability"], part["value"], strict=True):
        pi = np.append(p, (1 - p) * rest)
        step = p * pi - p * (np.arange(5) == 0)
        z, h = np.log(pi), 1e-5
        slope = (entropy(z + h * step) - entropy(z - h * step)) / (2 * h)
        assert change == pytest.approx(slope, abs=1e-9)


def test_it_can_be_drawn() -> None:
    picture = logit_updates_picture()
    assert picture.render("svg").count(b"<path") > 10
    assert "NSR spares it" in picture.caption
