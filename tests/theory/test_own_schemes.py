"""Schemes of one's own: the same numbers as the papers' where the weight is theirs; safety."""

import math
import sys
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theory import schemes
from theory.advantages import group_advantages
from theory.finite_group import expected_weight
from theory.schemes import SCHEMES, Allowed, Scheme, printed, reference, register, resolve

REWARDS = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1.0]])
WEIGHTS = {
    "linear_r": lambda p: 1 / p,
    "sqrt_r": lambda p: 1 / (p * np.sqrt(1 - p)),
    "uniform_r": lambda p: 1 / (p * (1 - p)),
    "grpo": lambda p: 1 / np.sqrt(p * (1 - p)),
    "dr_grpo": lambda p: 1.0,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_papers_weight_makes_the_papers_scheme(name, backend):
    own, theirs = Scheme.from_weight(WEIGHTS[name], "own"), SCHEMES[name]
    np.testing.assert_allclose(own.table(6), theirs.table(6), rtol=1e-14)
    grid = np.array([0.0, 1e-9, 0.3, 0.999, 1.0])
    np.testing.assert_allclose(own.effective_weight(grid), theirs.effective_weight(grid), rtol=1e-9)
    found = backend.numpy(group_advantages(backend.array(REWARDS), own))
    np.testing.assert_allclose(found, group_advantages(REWARDS, name), rtol=1e-6, atol=1e-7)
    assert expected_weight(own, 8, 0.2) == pytest.approx(float(expected_weight(name, 8, 0.2)))


@pytest.mark.parametrize("function", [np.sqrt, jnp.sqrt, lambda p: p**0.5])
def test_weights_trace_under_jit_whatever_they_are_written_in(function):
    own = Scheme.from_weight(function, "root")
    success = jnp.linspace(0.0, 1.0, 5)
    np.testing.assert_allclose(jax.jit(own.weight)(success), np.sqrt(success), rtol=1e-6)
    traced = jax.jit(lambda r: group_advantages(r, own))(REWARDS)
    np.testing.assert_allclose(traced, group_advantages(REWARDS, own), rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "penalty"),
    [(lambda p: p**-2, 0.0), (lambda p: -np.log(p) / p, 0.0), (lambda p: 3 / p, 3.0)],
)
def test_groups_without_success_get_the_limit_of_the_penalty_or_nothing(weight, penalty):
    negative = Scheme.from_weight(weight, "own").table(4)[1]
    assert negative[0] == pytest.approx(penalty, rel=1e-9)
    assert Scheme.from_weight(weight, "own").bind(zero_success="drop").table(4)[1][0] == 0


def power(success, *, exponent: Annotated[float, Allowed(0, 1)] = 0.5):
    """A power of the success probability."""
    return success**-exponent


def test_options_are_declared_by_the_function_with_their_range():
    scheme = resolve(power, exponent=0.25)
    assert scheme.label == "power (exponent=0.25)"
    assert scheme.summary == "A power of the success probability."
    assert float(scheme.weight(1 / 16)) == 2
    with pytest.raises(ValueError, match=r"exponent of power must be a number in \[0, 1\]; got 2"):
        resolve(power, exponent=2)
    assert resolve(power) == resolve(power)


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(schemes, "_KNOWN", {})
    monkeypatch.setenv(schemes.IMPORTS, "")
    for name, scheme in list(SCHEMES.items()):
        monkeypatch.setitem(SCHEMES, name, scheme)
    yield
    for name in set(SCHEMES) - set(schemes.DEFINITIONS):
        del SCHEMES[name]


@pytest.mark.usefixtures("registry")
def test_a_registered_scheme_is_known_by_name_title_and_label():
    made = register(power, "half", title="Half-R", color="#112233")
    for text in ("half", "Half-R", "HALF_R"):
        assert resolve(text) is made
    assert resolve("Half-R (exponent=0.25)") == resolve("half:exponent=0.25")
    assert register(Scheme.from_weight(power), "half") is resolve("half")  # again: it is replaced
    for name, title in (("grpo", ""), ("other", "Sqrt-R"), ("a:b", ""), ("drgrpo", "")):
        with pytest.raises(ValueError, match=r"choose another name|letters, digits"):
            register(power, name, title=title or name)


@pytest.mark.parametrize("name", SCHEMES)
def test_printed_names_are_accepted(name):
    assert resolve(SCHEMES[name].title) is SCHEMES[name]
    assert reference(SCHEMES[name]) == name


@pytest.mark.usefixtures("registry")
def test_code_is_imported_only_when_it_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "mine_schemes.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(tmp_path)!r}, 'ran').touch()\n"
        "def inverse(success, *, scale: float = 1.0):\n    return scale / success\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = "mine_schemes:inverse:scale=2"
    with pytest.raises(ValueError, match="names code, which is imported only if you ask"):
        resolve(text)
    assert printed(text).label == text
    assert not (tmp_path / "ran").exists()
    schemes.allow_import(text)
    scheme = resolve(text)
    assert (tmp_path / "ran").exists()
    assert float(scheme.weight(0.5)) == 4
    assert reference(scheme) == text.replace("=2", "=2")
    schemes.allow_import("mine_schemes:nothing", "no_such_module:f")
    for missing in ("mine_schemes:nothing", "no_such_module:f"):
        with pytest.raises(ValueError, match="is not to be found"):
            resolve(missing)


@pytest.mark.usefixtures("registry")
def test_a_run_keeps_a_function_by_where_it_is_defined_and_no_lambda():
    text = reference(resolve(power, exponent=0.25))
    assert text == f"{__name__}:power:exponent=0.25"
    assert resolve(text) == resolve(power, exponent=0.25)
    with pytest.raises(ValueError, match="custom cannot be imported again"):
        reference(lambda success: success)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda p: -p, "finite number of at least 0 .* got -0.25 at 0.25"),
        (lambda p: p * math.nan, "finite number of at least 0"),
        (lambda p: np.ones(2), "must have the shape of the success probabilities"),
        ("half", "a weight is a function of the success probability; got 'half'"),
    ],
)
def test_weights_that_are_none_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        Scheme.from_weight(weight)


def steep(success):
    """A weight for one number alone."""
    return 1 / math.sqrt(success) if success < 0.5 else math.sqrt(2.0)


def test_a_weight_of_one_number_serves_arrays_and_jit():
    own = Scheme.from_weight(steep, "steep")
    vector = Scheme.from_weight(
        lambda p: np.maximum(p, 0.0) ** -0.5 * (p < 0.5) + 2**0.5 * (p >= 0.5)
    )
    grid = np.array([0.0, 0.1, 0.5, 1.0])
    np.testing.assert_allclose(own.effective_weight(grid), vector.effective_weight(grid))
    np.testing.assert_allclose(own.table(6), vector.table(6))
    rewards = jnp.asarray(REWARDS)
    traced = jax.jit(lambda r: group_advantages(r, own))(rewards)
    np.testing.assert_allclose(traced, group_advantages(REWARDS, vector), rtol=1e-6, atol=1e-7)


def test_a_weight_that_fails_says_so_in_its_own_words():
    def broken(success):
        raise ValueError("no such rate")

    with pytest.raises(ValueError, match="no such rate"):
        Scheme.from_weight(broken)
