"""Items and shares: every number is the same on any number of cores, in parts or at once."""

import jax
import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.cores import Compiled
from sim.program import Cells, Layout, Runner, layout
from sim.run import cells_of as made_cells
from sim.run import plan
from sim.update import Rules

REGIMES = {
    "blocks of a bandit": {"prompts": 640, "answers": 4},
    "whole small bandits": {"prompts": 130, "answers": 21},
    "trees": {"policy": "tree", "prompts": 180, "learner": "ppo", "epochs": 2},
    "log-linear": {"policy": "log_linear", "prompts": 40},
    "chosen by counts": {"prompts": 640, "spending": "skip", "spending_by": "counts"},
    "batches by counts": {
        "policy": "log_linear",
        "prompts": 40,
        "batch": 8,
        "spending": "prioritised",
        "spending_by": "counts",
    },
    "groups of many sizes": {"schemes": ("grpo",), "prompts": 320, "spending": "dars_et"},
    "a knapsack by counts": {
        "schemes": ("grpo",),
        "policy": "log_linear",
        "prompts": 40,
        "batch": 8,
        "spending": "knapsack",
        "spending_by": "counts",
    },
    "reverse hazard by verdicts": {
        "schemes": ("grpo",),
        "prompts": 320,
        "spending": "curverl",
        "spending_by": "counts",
    },
    "a batch that is filled": {
        "policy": "log_linear",
        "prompts": 40,
        "batch": 8,
        "spending": "dapo",
    },
    "rounds until signal": {"prompts": 320, "spending": "rounds"},
    "penalty and moments": {"prompts": 320, "answers": 4, "kl_penalty": 0.1, "optimizer": "adam"},
}


def cells_of(**options) -> tuple[Rules, Cells]:
    config = SimulationConfig(
        **{
            "schemes": ("grpo", "sqrt_r"),
            "seeds": 2,
            "group_size": 4,
            "correct_answers": 1,
            "steps": 4,
            "measure_every": 2,
            "learning_rate": 0.5,
            "start": 0.2,
            **options,
        }
    )
    (batch,) = plan(config)
    return batch.rules, made_cells(config, batch)


def results(rules, cells, cores, pieces):
    runner, costs = Runner(rules, (1, 4), cells, cores=cores), []
    for first, end in pieces:
        costs.append(runner.advance(first, end))
        # What a resumed run does: go on from the saved state in a runner of its own.
        state = jax.tree.map(np.asarray, runner.state())
        runner = Runner(rules, (1, 4), cells, state, cores=cores)
    return [np.asarray(x) for x in jax.tree.leaves((runner.state(), runner.measure(), costs))]


@pytest.mark.parametrize("regime", REGIMES)
def test_bits_do_not_depend_on_the_number_of_cores(regime):
    rules, cells = cells_of(**REGIMES[regime])
    alone = results(rules, cells, 1, [(0, 2), (2, 4)])
    # Three cores have unequal shares of all of these but one, which is one item.
    for one, other in zip(alone, results(rules, cells, 3, [(0, 2), (2, 4)]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], np.asarray(cells.problem.parameters))


def test_blocks_change_nothing_but_the_order_of_sums(monkeypatch):
    rules, cells = cells_of(prompts=640, answers=4)
    assert layout(rules, cells) == Layout(cells=4, blocks=4, group=1)
    blocked = results(rules, cells, 2, [(0, 3)])
    monkeypatch.setattr("sim.program._BLOCK", 1)
    assert layout(rules, cells).blocks == 640
    monkeypatch.setattr("sim.program._BLOCK", 10_000)
    assert layout(rules, cells).blocks == 1
    for one, other in zip(blocked, results(rules, cells, 2, [(0, 3)]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_schedule_that_listens_to_the_mean_entropy_sees_all_prompts():
    entropic = {"schemes": ("w_reinforce",), "seeds": 1, "prompts": 640, "answers": 4}
    text = "entropy:low=0.0,high=1.0,entropy_low=0.2,entropy_high=0.6"
    assert layout(*cells_of(**entropic, schedules={"lam": text})).blocks == 1
    assert layout(*cells_of(**entropic, schedules={"lam": "constant:value=0.5"})).blocks == 4


def test_shares_hold_every_item_once():
    for count, blocks, group in [(5, 1, 2), (3, 7, 1), (1, 1, 1), (64, 1, 64)]:
        made = Layout(count, blocks, group)
        for cores in range(1, 12):
            shares = made.shares(cores)
            assert [i for share in shares for i in share] == list(range(made.items))
            assert max(map(len, shares)) == len(shares[0])
            if group == 1:
                assert len(shares[0]) == -(-made.items // min(cores, made.items))


def test_few_small_cells_have_the_program_of_many(monkeypatch):
    """What a sweep measures is not compiled again after what it has tuned."""
    compiled = []

    def noted(self, arguments):
        executable = on(self, arguments)
        compiled.append(executable)
        return executable

    on = Compiled.on
    monkeypatch.setattr(Compiled, "on", noted)
    for seeds in (40, 10):
        rules, cells = cells_of(**REGIMES["log-linear"], seeds=seeds)
        runner = Runner(rules, (1, 4), cells, cores=2)
        runner.advance(0, 1)
    first, second = compiled
    assert first is second


@pytest.mark.parametrize("regime", ["blocks of a bandit", "log-linear"])
def test_cells_that_stand_still_leave_the_others_alone(regime):
    """The numbers of what goes on are to the bit those of a run in which all do."""
    rules, cells = cells_of(**REGIMES[regime], seeds=20)
    everything, some = (Runner(rules, (1,), cells, cores=2) for _ in range(2))
    kept = np.arange(40) >= 36
    some.keep(kept)
    for first in (0, 2):
        costs = [runner.advance(first, first + 2)["responses"] for runner in (everything, some)]
        np.testing.assert_array_equal(*(cost[kept] for cost in costs))
    np.testing.assert_array_equal(
        *(runner.measure()["success"][kept] for runner in (everything, some))
    )
    before, after = np.asarray(cells.problem.parameters)[0], np.asarray(some.state()[0])[0]
    np.testing.assert_array_equal(before, after)
    success = Runner(rules, (1,), cells, cores=2, measured=("success",)).measure()
    assert set(success) == {"success"}
