"""The three array libraries that one definition serves, as a fixture."""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@dataclasses.dataclass(frozen=True)
class Backend:
    name: str
    kind: type
    array: Callable[..., Any]

    def numpy(self, values: Any) -> np.ndarray:
        assert isinstance(values, self.kind)
        return np.asarray(values)


BACKENDS = {
    "numpy": Backend("numpy", np.ndarray, np.asarray),
    "jax": Backend("jax", jax.Array, lambda values: jnp.asarray(np.asarray(values))),
}
if importlib.util.find_spec("torch") is not None:
    import torch

    BACKENDS["torch"] = Backend(
        "torch", torch.Tensor, lambda values: torch.asarray(np.array(values))
    )


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    """Make arrays of one library, and NumPy arrays of what comes back."""
    return BACKENDS[request.param]
