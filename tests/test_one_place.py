"""A scheme of one's own is added in one place and goes through every part of the package."""

import json

import numpy as np
import pytest

import figures.weights
from apw.main import main
from figures.style import look, title
from sim.config import SimulationConfig
from sim.run import simulate
from theory import schemes
from theory.advantages import group_advantages
from theory.finite_group import expected_weight
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES, register

REWARDS = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1.0]])


# The one place.
def cube_root(success):
    """Effective weight ∛(1−ρ)."""
    return np.cbrt(1 - success) / (success * (1 - success))


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setattr(schemes, "_KNOWN", {})
    monkeypatch.setenv(schemes.IMPORTS, "")
    yield register(cube_root, title="Cube-R", color="#884400", dash="dot", marker="H")
    del SCHEMES["cube_root"]


def test_theory_and_figures(own):
    best = optimal_weight(0.01, 0.9)
    assert 1 < best.excess("Cube-R") < best.excess("grpo")
    counted = optimal_weight(0.01, 0.9, clock="updates")
    assert counted.excess("cube_root", 16) == counted.excess(cube_root, 16)
    assert float(expected_weight(own, 200, 0.5)) == pytest.approx(float(own.weight(0.5)), rel=0.02)
    assert (title("cube_root"), look("cube_root").color) == ("Cube-R", "#884400")
    table = figures.weights.weights_table([cube_root, "grpo", lambda success: 1 / success])
    assert table["scheme"].nunique() == 3
    picture = figures.weights.weights_picture(["cube_root", "grpo"])
    assert "Cube-R" in {text.get_text() for text in picture.draw("light").legends[0].get_texts()}


def test_simulator(own, tmp_path):
    chosen = {"seeds": 1, "prompts": 4, "steps": 2, "measure_every": 1}
    config = SimulationConfig(schemes=("Cube-R", "sqrt_r"), **chosen)
    simulate(config, tmp_path / "named", progress=False)
    given = SimulationConfig(schemes=(cube_root, "Sqrt-R"), **chosen)
    assert given.schemes == (f"{__name__}:cube_root", "sqrt_r")
    metrics = simulate(given, tmp_path / "given", progress=False)
    kept = json.loads((tmp_path / "given" / "config.json").read_text())
    again = simulate(SimulationConfig.from_dict(kept), tmp_path / "again", progress=False)
    assert metrics.drop(columns="run").equals(again.drop(columns="run"))
    with pytest.raises(ValueError, match="custom cannot be imported again"):
        SimulationConfig(schemes=(lambda success: 1 / success,), **chosen)
    limit = {"learner": "mirror", "group_size": None}
    metrics = simulate(
        SimulationConfig(schemes=(cube_root,), **chosen, **limit),
        tmp_path / "limit",
        progress=False,
    )
    assert np.isfinite(metrics["value"]).all()


def test_trainer_configuration_and_verl(own):
    torch = pytest.importorskip("torch")
    from llm_validation.binary_advantages import binary_advantages
    from llm_validation.config import TrainConfig
    from llm_validation.verl_plugin import estimator

    expected = group_advantages(REWARDS, own)
    assert TrainConfig(schemes=(cube_root,)).schemes == (f"{__name__}:cube_root",)
    np.testing.assert_allclose(binary_advantages(REWARDS, own), expected)
    rewards, mask = torch.tensor(REWARDS).reshape(-1, 1), torch.ones(12, 1, dtype=torch.float64)
    index = np.repeat(["a", "b", "c"], 4).tolist()
    for scheme in (cube_root, "Cube-R"):
        found, _ = estimator(scheme)(rewards, mask, index=index)
        np.testing.assert_allclose(found.reshape(3, 4), expected)


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.setattr(schemes, "_KNOWN", {})
    monkeypatch.setenv(schemes.IMPORTS, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_weights.py").write_text("def inverse(success):\n    return 1 / success\n")
    return "own_weights:inverse"


def test_the_command_line_takes_code_that_it_names_itself(module, capsys):
    assert main(["weights", "--json", "--schemes", module, "linear_r"]) == 0
    excess = json.loads(capsys.readouterr().out)["excess"]
    assert excess[module] == pytest.approx(excess["linear_r"], rel=1e-12)


def test_a_recipe_imports_nothing_by_itself(module, tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'schemes = ["{module}"]\nseeds = 1\nprompts = 4\nsteps = 2\nmeasure_every = 1\n'
        "learning_rate = 1\n"
    )
    command = ["simulate", "--file", str(recipe), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "names code, which is imported only if you ask for it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--schemes", module]) == 0
