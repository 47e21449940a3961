"""Advantages by table are those of the one definition."""

import numpy as np
import pytest

from llm_validation import binary_advantages as module
from llm_validation.binary_advantages import binary_advantages
from theory.advantages import group_advantages
from theory.schemes import SCHEMES, resolve

TABLES = [name for name, scheme in SCHEMES.items() if scheme.has_table]
OPTIONS = ["grpo:ddof=1,eps=1e-4", "linear_r:zero_success=drop", "w_reinforce:lam=0.3"]


def shuffled(group_size, dtype):
    """Groups with every number of successes, in random places."""
    rng = np.random.default_rng(group_size)
    groups = np.repeat(np.tri(group_size + 1, group_size, -1, dtype=dtype), 5, axis=0)
    return rng.permuted(groups, axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scheme", [*TABLES, *OPTIONS])
def test_looked_up_is_computed(scheme, dtype):
    bound = resolve(scheme)
    for group_size in (4, 8, 16, 6, 13):
        rewards = shuffled(group_size, dtype)
        found, computed = binary_advantages(rewards, bound), group_advantages(rewards, bound)
        assert found.dtype == computed.dtype == dtype
        if group_size in (4, 8, 16):  # sums are exact
            np.testing.assert_array_equal(found, computed)
        else:
            np.testing.assert_allclose(found, computed, rtol=8 * np.finfo(dtype).eps)


def test_a_table_is_made_once_and_again_for_other_options(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return group_advantages(*arguments)

    monkeypatch.setattr(module, "group_advantages", counted)
    module._table.cache_clear()
    rewards = shuffled(4, np.float64)
    for lam in (0.5, 0.5, 0.25, 0.5):
        found = binary_advantages(rewards, resolve("w_reinforce", lam=lam))
        assert found.max() == lam
    assert len(calls) == 2


def test_what_has_no_table_is_computed():
    graded = np.array([[0.25, 1.0, 0.0, 0.5]])
    np.testing.assert_array_equal(
        binary_advantages(graded, SCHEMES["grpo"]), group_advantages(graded, "grpo")
    )
    with pytest.raises(ValueError, match="defined for binary rewards"):
        binary_advantages(graded, SCHEMES["nsr"])
    with pytest.raises(ValueError, match="needs log_confidence"):
        binary_advantages(np.eye(2), SCHEMES["lens"])
    with pytest.raises(ValueError, match=r"rewards must lie in \[0, 1\]; got 2"):
        binary_advantages(np.array([[2.0, 0.0]]), SCHEMES["sqrt_r"])
