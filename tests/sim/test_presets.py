"""Presets: each is what its first line says, runs, and stands in the documentation."""

from pathlib import Path

import pytest

import apw
from sim.presets import PRESETS, preset, preset_names
from sim.problems import build

DOCS = Path(__file__).parents[2] / "docs" / "commands" / "simulate.md"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_says_what_it_is_and_runs(name, tmp_path):
    first = (PRESETS / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert f"| `{name}` |" in DOCS.read_text(encoding="utf-8")
    found = apw.simulate(
        preset=name,
        out=tmp_path / "run",
        schemes=["grpo", "sqrt_r"],
        seeds=1,
        prompts=32,
        **({} if preset(name).batch is None else {"batch": 8}),
        steps=2,
        measure_every=1,
        learning_rate=1e-3,
        progress=False,
    )
    success = found.metrics.query("metric == 'success'")["value"]
    assert success.between(0, 1).all()
    assert len(success) == 6


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_its_target_above_its_start(name):
    config = preset(name)
    problem = build(config, 0)
    success, _ = problem.policy.success(problem.parameters)
    assert float(success.mean()) < config.target


def test_fields_win_over_a_preset_and_two_configurations_are_refused():
    with pytest.raises(ValueError, match="config and preset both say"):
        apw.simulate(preset("math"), preset="math")
    with pytest.raises(ValueError, match=r"no preset 'maths'; the presets are .*math"):
        apw.simulate(preset="maths")
