"""The time that a dry run tells is the time that the run takes."""

import dataclasses

import pytest
from torch.utils.flop_counter import FlopCounterMode

from apw.commands.train import main
from llm_validation.calibration import calibrate
from llm_validation.config import TrainConfig
from llm_validation.dry_run import plan
from llm_validation.train import train

TINY = TrainConfig(
    schemes=("grpo", "sqrt_r"),
    seeds=1,
    steps=30,
    warm_up_steps=60,
    hidden_size=32,
    layers=1,
    prompts_per_step=8,
    group_size=16,
    measure_every=10,
    checkpoint_every=0,
    cpu=True,
    threads=1,
)


@pytest.fixture
def work():
    """A clock that tells floating-point operations, which no other program changes."""
    with FlopCounterMode(display=False) as counter:
        yield counter.get_total_flops


def test_the_estimate_is_what_the_run_takes(work, tmp_path):
    found = calibrate(TINY, work)
    started = work()
    train(TINY, tmp_path / "run", progress=False)
    # Responses differ in length from batch to batch.
    assert found.total == pytest.approx(work() - started, rel=0.1)
    assert min(found.generation, found.update, found.other) > 0
    assert found.total > 2 * (found.start + 30 * found.step)  # with the warm-up, once


def test_parts_of_a_step_are_scaled_to_the_whole(work, tiny_folder):
    few = dataclasses.replace(
        TINY, model=str(tiny_folder), max_response_tokens=20, micro_batch=32, steps=4
    )
    many = dataclasses.replace(few, max_response_tokens=200, prompts_per_step=16)
    short, long = (calibrate(config, work) for config in (few, many))
    # Prompts have 6 tokens, and there are twice as many rows.
    assert long.generation / short.generation == pytest.approx(2 * 10, rel=0.1)
    assert long.update / short.update == pytest.approx(2 * (6 + 200) / (6 + 20), rel=0.1)
    assert short.total == pytest.approx(2 * (short.start + 4 * short.step))
    twice = dataclasses.replace(few, steps=8, updates_per_generation=4, kl=0.1)
    shared = calibrate(twice, work)
    assert shared.generation == pytest.approx(short.generation / 4)
    assert shared.update == pytest.approx(short.update * (1 + 2 / 3))


def test_time_is_told_where_everything_is_here(capsys):
    few = ("--steps", "2", "--seeds", "1", "--warm-up-steps", "30")
    answer = main(["--recipe", "demo", *few, "--dry-run"])
    assert "time on this machine, if all responses have full length: " in answer.text
    assert answer.data["seconds"]["total"] > 0
    planned = main(["--recipe", "demo", *few, "--dry-run", "--plan-every=1", "--plan-by=rates"])
    assert planned.data["seconds"]["total"] > 0
    without = main(["--recipe", "demo", *few, "--dry-run", "--no-calibrate"])
    assert without.data["seconds"] is None
    assert "time" not in without.text


def test_nothing_is_fetched_to_tell_the_time():
    config = TrainConfig(cpu=True, model="HuggingFaceTB/SmolLM2-135M-Instruct")
    planned = plan(config, calibrated=True)
    assert planned.seconds is None
    assert "time was not estimated: that needs everything here" in planned.describe()
