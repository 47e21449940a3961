"""Folded reductions against the plain ones, for every number of rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from sim._folds import max_over_answers, sum_over_answers


@pytest.mark.parametrize("rows", [1, 2, 16, 17, 31, 33, 64, 65, 100, 257])
def test_folds_are_the_plain_reductions(rows):
    values = np.random.default_rng(rows).standard_normal((rows, 3))
    np.testing.assert_array_equal(max_over_answers(jnp.asarray(values)), values.max(axis=0))
    np.testing.assert_allclose(
        sum_over_answers(jnp.asarray(values)), values.sum(axis=0), atol=1e-12
    )
