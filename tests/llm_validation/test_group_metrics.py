"""Metrics of groups, against sums written out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_validation.group_metrics import GROUP_METRICS, group_metrics
from theory.advantages import group_advantages
from theory.schemes import SCHEMES


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=6))
def test_effective_weight_is_omega_times_the_variance_of_the_rewards(successes):
    rewards = np.array([[1.0] * k + [0.0] * (8 - k) for k in successes])
    for name in ("rloo", "linear_r", "sqrt_r", "uniform_r"):
        advantages = group_advantages(rewards, name)
        found = group_metrics(rewards, advantages, np.ones_like(rewards, dtype=bool))
        positive, negative = SCHEMES[name].table(8)
        share = np.array(successes) / 8
        weight = (positive + negative)[successes] * share * (1 - share)
        assert found["effective_weight"] == pytest.approx(weight.mean(), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=4, max_size=4), min_size=1))
def test_shares_of_groups_sum_to_one_and_match_a_count(groups):
    rewards = np.array([[0.0 if r is None else r for r in g] for g in groups])
    valid = np.array([[r is not None for r in g] for g in groups])
    advantages = group_advantages(rewards, "uniform_r", valid=valid)
    found = group_metrics(rewards, advantages, valid)
    assert tuple(found) == GROUP_METRICS
    kinds = [{r for r in g if r is not None} for g in groups]
    for name, kind in (
        ("groups_all_wrong", {0.0}),
        ("groups_all_right", {1.0}),
        ("groups_mixed", {0.0, 1.0}),
        ("groups_unscorable", set()),
    ):
        assert found[name] == pytest.approx(sum(k == kind for k in kinds) / len(kinds))
    scored = [a for a, ok in zip(advantages.flatten(), valid.flatten(), strict=True) if ok]
    expected = np.array([float(a) for a in scored] or [0.0])
    assert found["advantage_mean"] == pytest.approx(expected.mean(), abs=1e-6)
    assert found["advantage_std"] == pytest.approx(expected.std(), abs=1e-6)
    assert found["advantage_square"] == pytest.approx((expected**2).mean(), abs=1e-6)
