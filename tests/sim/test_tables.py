"""Tables as arrays: every entry is found, by selection and by gathering."""

import jax.numpy as jnp
import numpy as np
import pytest

from sim.tables import look_up, scheme_table
from theory.schemes import SCHEMES


@pytest.mark.parametrize("size", [1, 2, 16, 32, 33, 200])
def test_each_number_of_correct_responses_finds_its_entry(size):
    table = scheme_table(SCHEMES["w_reinforce"], size, "float64")
    correct = jnp.arange(size + 1.0)
    positive, negative = look_up(table, correct)
    np.testing.assert_array_equal(positive, table.positive)
    np.testing.assert_array_equal(negative, table.negative)
