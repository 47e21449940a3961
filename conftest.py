"""Strict numerics for every test: float64 in JAX, no silent broadcasting between ranks."""

import gc

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Thousands of programs are compiled: where in the source each operation stands, and looking through
# all that they leave in memory every few hundred objects, would take a tenth of the time.
jax.config.update("jax_traceback_in_locations_limit", 0)
gc.set_threshold(100_000, 50, 50)

# The same examples on every machine, and no limit that a busy machine could break.
hypothesis.settings.register_profile("apw", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("apw")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the Hugging Face libraries read local files only."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
