"""Configurations: read back what was written, refuse what is not allowed in one sentence."""

import json
import subprocess
import sys

import pytest

from sim.config import SimulationConfig
from sim.rates import learning_rates


def test_round_trip_through_json():
    config = SimulationConfig(
        schemes=("grpo", "plateau_r:threshold=0.3"), start="beta:1,9", learning_rates={"grpo": 0.2}
    )
    assert SimulationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schemes": ["grop"]}, "unknown scheme 'grop'; known schemes: "),
        ({"schemes": []}, "at least one scheme"),
        ({"schemes": ["grpo", "grpo"]}, "must differ"),
        ({"schemes": ["grpo"], "group_size": 1}, "group_size of at least 2; got 1"),
        ({"prompts": 0}, "prompts must be a whole number from 1 to 1,000,000; got 0"),
        ({"prompts": 2.5}, "prompts must be a whole number from 1 to 1,000,000; got 2.5"),
        ({"correct_answers": 16}, "correct_answers must be below answers"),
        ({"steps": 7, "measure_every": 2}, "measure_every must divide steps"),
        ({"start": 1.2}, r"start must be a number in \(0, 1\)"),
        ({"start": "beta:1"}, "start must be a number"),
        ({"start": "loguniform:0.5,0.1"}, "0 < low < high < 1"),
        ({"target": 1.0}, r"target must be a number in \(0, 1\); got 1.0"),
        ({"learner": "sgd"}, "learner must be one of mirror, natural, softmax"),
        ({"learner": "softmax", "group_size": None}, "only mirror has a population limit"),
        ({"schemes": ["lens"], "learner": "mirror"}, "use a sampling learner"),
        (
            {"learning_rate": 0.0},
            r"learning_rate must be a number in \(0, 1,000,000\] or none; got 0.0",
        ),
        ({"learning_rates": {"psr": 1.0}}, "not among schemes"),
        ({"pass_k": []}, "pass_k"),
        ({"prior_spread": -1.0}, r"prior_spread must be a number in \[0, 100\]; got -1.0"),
        ({"lerning_rate": 0.1}, "unknown field 'lerning_rate'; did you mean 'learning_rate'?"),
        ({"policy": "log_linear", "learner": "mirror"}, "shared parameters do not allow"),
        (
            {"policy": "log_linear", "learner": "natural", "features": 100},
            "at most 1,024; got 100 × 16",
        ),
        ({"seed": -1}, "seed must be a whole number from 0 to 4,294,967,295; got -1"),
        ({"seed": 2**32 - 1, "seeds": 2}, "seeds must be below 2³²"),
        (
            {"schemes": ["w_reinforce"], "learner": "mirror", "schedules": {"lam": "0.5"}},
            "schedules need a learner that samples",
        ),
        ({"schemes": ["dapo"], "schedules": {"eps": "0.1"}}, "may change lam, zero_success, alpha"),
        ({"schemes": ["lens"], "comparison": "same_budget"}, "which lens has not: use same_rate"),
        ({"schemes": ["ppo"], "comparison": "same_budget"}, "which ppo has not: use same_rate"),
        (
            {
                "schemes": ["w_reinforce"],
                "comparison": "same_budget",
                "schedules": {"lam": "linear:start=1,end=0,steps=9"},
            },
            "schedules change w_reinforce's",
        ),
        (
            {"schemes": ["psr"], "comparison": "same_budget", "group_size": 1},
            "grpo compares the responses of a group",
        ),
        ({"policy": "tree", "symbols": 4, "length": 9}, "too many answers to be enumerated"),
        ({"policy": "tree", "symbols": 9, "length": 100}, "too many answers to be enumerated"),
        (
            {"group_size": 1_000_000_000},
            "group_size must be .* from 1 to 65,536 or none",
        ),
        ({"prompts": 1_000_000, "group_size": 65_536}, "must fit into memory; got 327,680,000,000"),
        ({"seeds": True}, "seeds must be a whole number from 1 to 10,000; got True"),
        ({"learning_rate": float("nan")}, r"learning_rate must be a number in .*; got nan"),
        ({"learning_rates": {"grpo": float("inf")}}, "learning_rates must be a table, each value"),
        ({"start": float("nan")}, "start must be a finite number or text; got nan"),
        ({"schemes": "grpo"}, "schemes must be a list, each item text; got 'grpo'"),
        (
            {"policy": "tree", "symbols": 2, "length": 129},
            "length must be a whole .* to 128; got 129",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(values, message):
    with pytest.raises(ValueError, match=message) as error:
        SimulationConfig.from_dict(values)
    assert "\n" not in str(error.value)


def test_what_may_be_none_can_be_said_in_toml():
    config = SimulationConfig.from_dict(
        {"learner": "mirror", "group_size": "none", "sharing": "none"}
    )
    assert (config.group_size, config.sharing) == (None, None)
    with pytest.raises(ValueError, match=r"prompts must be a .*; got 'none'"):
        SimulationConfig.from_dict({"prompts": "none"})


def test_configuration_is_read_without_jax_or_torch():
    code = "import sys, sim.config; sys.exit(any(m in sys.modules for m in ('jax', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_of_pass_rates_must_be_there():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv is not a file; pass rates are read"):
        SimulationConfig.from_dict({"start": "file:nowhere.csv"})


def test_an_equal_budget_of_nothing_is_refused():
    # Every prompt is beyond the target at the start: 0/0.
    config = SimulationConfig(start=0.95, comparison="same_budget")
    with pytest.raises(ValueError, match=r"same_budget divides by .* grpo's is 0"):
        learning_rates(config)
