"""The configuration of a run: recipes, overrides, and sentences for what is wrong."""

import ast
import dataclasses
import inspect
import itertools
import json
import subprocess
import sys
import textwrap

import pytest

from llm_validation.config import TrainConfig, list_recipes, load_recipe
from llm_validation.evaluate_config import EvaluateConfig
from sim.config import SimulationConfig
from sim.sweep import SweepConfig


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_is_a_valid_configuration_with_a_description(name):
    config = load_recipe(name)
    assert config.description.endswith(".")
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_importing_the_configuration_imports_neither_torch_nor_jax():
    code = (
        "import sys; import llm_validation.config as c; c.load_recipe('tiny-from-scratch');"
        "print(sorted({'torch', 'jax', 'trl', 'transformers'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", [TrainConfig, EvaluateConfig, SimulationConfig, SweepConfig])
def test_every_field_is_documented_beside_it(kind):
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    documented = {
        field.target.id
        for field, text in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    assert documented == {field.name for field in dataclasses.fields(kind)}


def test_overrides_win_over_the_file_and_none_leaves_it_alone(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('steps = 7\nlearning_rate = 1\nschemes = ["rloo"]\n')
    config = load_recipe(file, steps=9, seeds=None)
    assert (config.steps, config.seeds, config.schemes) == (9, TrainConfig.seeds, ("rloo",))
    assert isinstance(config.learning_rate, float)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"step": 3}, "unknown field 'step'; did you mean 'steps'"),
        ({"steps": "many"}, "steps must be a whole number .*; got 'many'"),
        ({"steps": True}, "steps must be a whole number .*; got True"),
        ({"schemes": "grpo"}, "schemes must be a list, each item text; got 'grpo'"),
        ({"schemes": []}, "at least one scheme"),
        ({"schemes": ["grpo", "grpo"]}, "must differ"),
        ({"schemes": ["gpro"]}, "unknown scheme 'gpro'; known schemes: "),
        ({"group_size": 1}, "group_size must be a whole number from 2 to 65,536; got 1"),
        ({"steps": 0}, "steps must be a whole number from 1 to 100,000,000; got 0"),
        ({"learning_rate": 0.0}, r"learning_rate must be a number in \(0, 1,000\]; got 0.0"),
        ({"top_p": 1.5}, r"top_p must be a number in \(0, 1\]; got 1.5"),
        ({"initial_success": 1.0}, r"initial_success must be a number in \(0, 1\); got 1.0"),
        ({"hidden_size": 48}, "hidden_size must be a multiple of 32; got 48"),
        ({"dtype": "float16"}, "dtype must be one of float32, mixed, bfloat16; got 'float16'"),
        ({"vllm_port": 0}, "vllm_port must be a whole number from 1 to 65,535; got 0"),
        ({"loss": "mean"}, "loss must be one of dapo, grpo"),
        ({"group_size": 1_000_000_000}, "group_size must be .* from 2 to 65,536; got 1000000000"),
        ({"layers": 100_000}, "layers must be a whole number from 1 to 128; got 100000"),
        ({"kl": float("nan")}, r"kl must be a number in \[0, 1,000,000\]; got nan"),
        ({"temperature": float("inf")}, r"temperature must be a number in \(0, 100\]; got inf"),
        (
            {"prompts_per_step": 65_536, "group_size": 128},
            "at most 4,194,304; got 8,388,608",
        ),
        (
            {"schemes": ("sqrt_r",), "length_penalty": 0.5, "shaping": "total"},
            "sqrt_r weighs the outcome",
        ),
        ({"micro_batch": 7}, "micro_batch must divide prompts_per_step × group_size = 256; got 7"),
        ({"schedules": {"zero_success": "warm_up:steps=-1"}}, "steps must be a whole number"),
        ({"schedules": {"lam": "linear"}}, "no scheme of this run has the scheduled option 'lam'"),
    ],
)
def test_bad_values_are_refused_in_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig.from_dict(values)


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"the recipes are .*tiny-from-scratch"):
        load_recipe("tiny")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml is not a file"):
        load_recipe("nowhere.toml")


def test_broken_toml_is_named(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text("steps = = 3")
    with pytest.raises(ValueError, match=r"broken\.toml is not valid TOML"):
        load_recipe(file)


def test_a_micro_batch_may_be_larger_than_a_step():
    # So that a recipe's need not be changed along with its prompts.
    assert load_recipe("smollm2-math-cpu", prompts_per_step=1, group_size=2).micro_batch > 2


def test_checkpoints_never_cut_a_batch_of_responses():
    config = TrainConfig(updates_per_generation=4, checkpoint_every=10, steps=30)
    assert config.checkpoint_steps == 12
    assert config.generations == 8
