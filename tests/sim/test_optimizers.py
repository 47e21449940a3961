"""Ascent steps against torch's optimisers."""

import jax.numpy as jnp
import numpy as np
import pytest

from sim.optimizers import ascend, initial_moments

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_steps_are_those_of_torch(name):
    generator = np.random.default_rng(0)
    start, gradients = generator.standard_normal(6), generator.standard_normal((5, 6))
    theirs = torch.tensor(start, requires_grad=True)
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    optimizer = make([theirs], lr=0.1, maximize=True)
    ours, moments = jnp.asarray(start), initial_moments(name, jnp.asarray(start))
    for count, gradient in enumerate(gradients):
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        ours, moments = ascend(
            ours, jnp.asarray(gradient), moments, jnp.uint32(count), jnp.asarray(0.1)
        )
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12)
