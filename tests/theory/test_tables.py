"""Schemes made of tables: the same numbers as the schemes the tables came from."""

import jax
import numpy as np
import pytest

from theory.advantages import group_advantages
from theory.finite_group import expected_weight
from theory.schemes import SCHEMES
from theory.tables import table_scheme

REWARDS = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0.0]])


@pytest.mark.parametrize("name", ["grpo", "sqrt_r", "nsr", "maxrl", "w_reinforce"])
def test_a_scheme_and_its_table_give_the_same_advantages(name, backend):
    table = table_scheme(*SCHEMES[name].table(4))
    ours = backend.numpy(group_advantages(backend.array(REWARDS), table))
    assert np.allclose(ours, group_advantages(REWARDS, name), rtol=1e-14)
    assert float(expected_weight(table, 4, 0.3)) == pytest.approx(
        float(expected_weight(name, 4, 0.3)), rel=1e-14
    )
    assert table.centred == SCHEMES[name].centred


def test_tables_trace_under_jit_and_keep_float32():
    table = table_scheme(*SCHEMES["sqrt_r"].table(4))
    rewards = REWARDS.astype(np.float32)
    jitted = jax.jit(lambda r: group_advantages(r, table))(rewards)
    assert jitted.dtype == np.float32
    assert np.allclose(jitted, group_advantages(REWARDS, "sqrt_r"), rtol=1e-6)


def test_a_table_holds_for_its_group_size_alone():
    table = table_scheme(*SCHEMES["grpo"].table(4), name="mine")
    with pytest.raises(ValueError, match="mine is a table for groups of 4"):
        group_advantages(np.ones(8), table)
    with pytest.raises(ValueError, match="mine"):
        group_advantages(np.ones(2), table)
    with pytest.raises(ValueError, match="no population limit"):
        table.weight(0.5)
    unscored = np.ones((4, 4), dtype=bool)
    unscored[0, 0] = False
    with pytest.raises(ValueError, match="4 scored responses"):
        group_advantages(REWARDS, table, valid=unscored)
    with pytest.raises(ValueError, match="binary"):
        group_advantages(np.full(4, 0.5), table)


def test_lists_and_torch_tensors_are_tables_and_stay_as_they_were():
    torch = pytest.importorskip("torch")
    positive, negative = torch.tensor([7.0, 1.0]), torch.tensor([1.0, 7.0])
    table = table_scheme(positive, negative).table(1)
    assert [side.tolist() for side in table] == [[0, 1], [1, 0]]
    assert positive.tolist() == [7, 1]
    assert [side.tolist() for side in table_scheme([0, 1], [1, 0]).table(1)] == [[0, 1], [1, 0]]


def test_tables_that_are_no_tables_are_refused():
    with pytest.raises(ValueError, match="shape"):
        table_scheme([0.0, 1.0], [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        table_scheme([0.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        table_scheme([0.0, np.inf], [1.0, 0.0])
