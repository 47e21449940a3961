"""Whole runs: what they write, that they go on where they were killed, and what they refuse."""

import dataclasses
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch
from safetensors.torch import load_file

from apw.main import main
from llm_validation import callbacks, planned_sampler, prompt_planner
from llm_validation.checkpoints import what_is_lost
from llm_validation.config import TrainConfig
from llm_validation.extras import MissingExtraError
from llm_validation.train import prompt_order, run_key, train
from runs.folder import METRIC_COLUMNS, RunExistsError, read_metrics
from runs.terminal import Progress

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "schemes": ("grpo", "sqrt_r"),
    "seeds": 1,
    "steps": 6,
    "warm_up_steps": 10,
    "initial_success": 0.3,
    "prompts_per_step": 4,
    "group_size": 4,
    "measure_every": 2,
    "checkpoint_every": 2,
    "threads": 1,
    "cpu": True,
    "save_models": True,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "cosine",
}
CLOCK = ("step_time",)


def small(**changes):
    return TrainConfig(**{**SMALL, **changes})


def values(metrics):
    """Metrics without those that measure the clock on the wall, sorted."""
    kept = metrics[~metrics["metric"].isin(CLOCK)].drop(columns="run")
    return kept.sort_values(["scheme", "seed", "step", "metric"]).reset_index(drop=True)


def weights(path, scheme, seed=0):
    return load_file(path / "models" / run_key(scheme, seed) / "model.safetensors")


def assert_same_run(first, second, schemes):
    pd.testing.assert_frame_equal(values(read_metrics(first)), values(read_metrics(second)))
    for scheme in schemes:
        one, two = weights(first, scheme), weights(second, scheme)
        assert one.keys() == two.keys()
        for name in one:
            assert np.array_equal(one[name], two[name]), name


def scheduled(**changes):
    """All-wrong groups of Sqrt-R begin to count where one of the checkpoints is written."""
    return small(schedules={"zero_success": "warm_up:steps=4"}, **changes)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "run"
    train(scheduled(), path, progress=False)
    return path


def test_a_run_writes_tidy_metrics_of_every_scheme(reference):
    metrics = read_metrics(reference)
    assert tuple(metrics.columns) == METRIC_COLUMNS
    assert set(metrics["scheme"]) == {"grpo", "sqrt_r"}
    table = metrics.pivot(index=["scheme", "step"], columns="metric", values="value")
    for scheme in ("grpo", "sqrt_r"):
        rows = table.loc[scheme]
        assert rows.index.tolist() == list(range(7))
        np.testing.assert_array_equal(rows["responses"], 16 * np.arange(7))
        np.testing.assert_array_equal(rows["updates"], np.arange(7))
        assert rows["success"].dropna().index.tolist() == [0, 2, 4, 6]
        outcomes = rows.filter(like="outcome_").iloc[1:].sum(axis=1)
        np.testing.assert_allclose(outcomes, 1)
        groups = rows.filter(like="groups_").iloc[1:].sum(axis=1)
        np.testing.assert_allclose(groups, 1)
        np.testing.assert_allclose(rows["reward"].iloc[1:], rows["outcome_correct"].iloc[1:])
    assert not (reference / "checkpoints").exists() or not any(
        (reference / "checkpoints").iterdir()
    )


def test_a_run_says_what_it_read(reference):
    task = json.loads((reference / "task.json").read_text())
    assert task["name"] == "arithmetic"
    assert task["licence"].startswith("none needed")
    assert task["read"] == {"train": 2000, "test": 500}
    assert task["bad_rows"] == []


def test_schemes_of_a_seed_start_from_the_same_model_and_the_same_responses(reference):
    metrics = read_metrics(reference)
    start = metrics[(metrics["step"] == 0) & (metrics["metric"] == "success")]
    assert start["value"].nunique() == 1
    first = metrics[(metrics["step"] == 1) & metrics["metric"].isin(["reward", "entropy"])]
    assert (first.groupby("metric")["value"].nunique() == 1).all()


def test_a_finished_run_is_returned_and_another_one_refused(reference):
    before = read_metrics(reference)
    pd.testing.assert_frame_equal(train(scheduled(), reference, progress=False), before)
    with pytest.raises(RunExistsError, match="holds a finished run"):
        train(scheduled(steps=7), reference, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [("grpo", 3), ("sqrt_r", 5)])
def test_a_killed_run_ends_as_if_it_had_not_been(reference, tmp_path, kill_at):
    # Killed from inside, right after a step, so that the place is exact: -9 leaves no last words.
    path = tmp_path / "run"
    code = f"""
        import os, signal, json, sys
        from llm_validation import callbacks
        from llm_validation.config import TrainConfig
        from llm_validation.train import train
        scheme, step = {kill_at!r}
        inner = callbacks.ShowProgress.on_step_end
        def deadly(self, args, state, control, **more):
            inner(self, args, state, control, **more)
            if scheme in args.output_dir and state.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)
        callbacks.ShowProgress.on_step_end = deadly
        train(TrainConfig.from_dict(json.loads(sys.argv[1])), sys.argv[2], progress=False)
    """
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(code),
        json.dumps(scheduled().to_dict()),
        str(path),
    ]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (path / "metrics.parquet").exists()
    train(scheduled(), path, progress=False)
    assert_same_run(reference, path, SMALL["schemes"])


@pytest.mark.parametrize(
    ("most", "said"), [(100_000, "File too large"), (500_000, "Input/output error")]
)
def test_a_checkpoint_that_the_disk_does_not_take_is_named_and_removed(
    reference, tmp_path, monkeypatch, most, said
):
    # Files of that many bytes and no more: weights (safetensors) or the optimizer (torch) are cut.
    path, before = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    inner = callbacks.ShowProgress.on_step_end

    def full(self, args, state, control, **more):
        inner(self, args, state, control, **more)
        if state.global_step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))

    monkeypatch.setattr(callbacks.ShowProgress, "on_step_end", full)
    try:
        with pytest.raises(OSError, match=said) as failed:
            train(scheduled(), path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    monkeypatch.undo()
    checkpoints = path / "checkpoints" / run_key("grpo", 0)
    assert failed.value.filename == str(checkpoints / "checkpoint-4")
    assert [p.name for p in checkpoints.iterdir()] == ["checkpoint-2"]
    assert what_is_lost(checkpoints / "checkpoint-2") == ""
    train(scheduled(), path, progress=False)
    assert_same_run(reference, path, SMALL["schemes"])


ERRORS = {
    "cuda": (
        torch.OutOfMemoryError,
        "CUDA out of memory. Tried to allocate 20.00 GiB.",
        "20.00 GiB",
    ),
    "cpu": (
        RuntimeError,
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)",
        "8.00 GiB",
    ),
    "numpy": (MemoryError, "Unable to allocate 7.28 TiB for an array", "7.28 TiB"),
    "python": (MemoryError, "", ""),
    "cublas": (
        RuntimeError,
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate",
        "",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_memory_that_does_not_suffice_ends_with_a_sentence(name, tmp_path, monkeypatch, capsys):
    kind, words, asked = ERRORS[name]
    inner = callbacks.ShowProgress.on_step_end

    def full(self, args, state, control, **more):
        if state.global_step == 3:
            raise kind(words)
        inner(self, args, state, control, **more)

    monkeypatch.setattr(callbacks.ShowProgress, "on_step_end", full)
    recipe = tmp_path / "small.toml"
    recipe.write_text(tomli_w.dumps({**SMALL, "schemes": ["grpo"]}))
    assert main(["train", "--recipe", str(recipe), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "apw train: out of memory in step 3 of grpo, seed 0"
        + (f", which asked for {asked} more" if asked else "")
        + ", with 16 responses of up to 3 tokens a step, 16 at once; less is taken with "
        "--micro-batch 8, --gradient-checkpointing, --dtype mixed or a smaller "
        "--max-response-tokens, --group-size or --prompts-per-step"
    )


def test_an_error_of_another_kind_is_not_taken_for_missing_memory(tmp_path, monkeypatch):
    def fail(self, *words, **more):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(callbacks.ShowProgress, "on_step_end", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train(small(schemes=("grpo",)), tmp_path / "run", progress=False)


def test_a_run_killed_before_it_removes_its_checkpoints_leaves_none(tmp_path, monkeypatch):
    config = small(schemes=("grpo",), save_models=False)
    inner = shutil.rmtree

    def deadly(path, *arguments, **options):
        if os.path.basename(path) == run_key("grpo", 0):
            raise KeyboardInterrupt
        inner(path, *arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", deadly)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", progress=False)
    monkeypatch.undo()
    kept = [p.name for p in (tmp_path / "run" / "checkpoints" / run_key("grpo", 0)).iterdir()]
    assert "checkpoint-6" in kept
    train(config, tmp_path / "run", progress=False)
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_the_schedules_are_felt(reference):
    # Else the test above could not tell a warm-up that is counted twice.
    metrics = read_metrics(reference).query("scheme == 'sqrt_r'")
    table = metrics.pivot(index="step", columns="metric", values="value").loc[1:]
    groups = SMALL["prompts_per_step"]
    # Centred but for all-wrong groups, each of which counts −1.
    dropped = np.where(table.index <= 4, 0.0, -1.0) * table["groups_all_wrong"]
    np.testing.assert_allclose(table["advantage_mean"], dropped, atol=1e-6)
    assert (table["groups_all_wrong"] * groups >= 1).loc[[4, 5]].all()
    assert table["learning_rate"].is_monotonic_decreasing


@pytest.mark.slow
def test_an_interrupted_run_stops_in_good_order_and_goes_on(reference, tmp_path):
    path = tmp_path / "run"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, sys; from llm_validation.config import TrainConfig;"
            "from llm_validation.train import train;"
            "train(TrainConfig.from_dict(json.loads(sys.argv[1])), sys.argv[2], progress=False)",
            json.dumps(small(steps=2000, checkpoint_every=0).to_dict()),
            str(path),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    # The optimizer's first step has been made once the initial model is there and a second passed.
    while not (path / "initial" / "seed=0").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(5)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert "the same command goes on from there" in errors
    (checkpoint,) = (path / "checkpoints").glob("*/checkpoint-*/apw_state.json")
    state = json.loads(checkpoint.read_text())
    step = int(checkpoint.parent.name.rpartition("-")[2])
    assert state["responses"] == 16 * step > 0


@pytest.mark.slow
def test_a_batch_of_responses_used_for_several_updates_resumes_too(tmp_path):
    # The checkpoint falls between batches, whatever checkpoint_every says.
    config = small(schemes=("lens",), updates_per_generation=2, checkpoint_every=3, micro_batch=8)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config, whole, progress=False)
    code = f"""
        import json, sys
        from llm_validation import callbacks
        from llm_validation.config import TrainConfig
        from llm_validation.train import train
        def stop(self, args, state, control, **more):
            if state.global_step == 5:
                raise SystemExit(3)
        callbacks.ShowProgress.on_step_end = stop
        train(TrainConfig.from_dict(json.loads(sys.argv[1])), {str(parts)!r}, progress=False)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), json.dumps(config.to_dict())]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    (folder,) = (parts / "checkpoints").iterdir()
    assert [p.name for p in folder.iterdir()] == ["checkpoint-4"]
    train(config, parts, progress=False)
    assert_same_run(whole, parts, config.schemes)


def test_a_run_stops_where_it_was_told_to_and_measures_pass_at_k(reference, tmp_path, monkeypatch):
    whole = read_metrics(reference).query("scheme == 'grpo'")
    measured = whole[whole["metric"] == "success"].set_index("step")["value"]
    target = measured[2]
    config = small(schemes=("grpo",), stop_at=float(target))
    bars = []
    inner = Progress.__exit__
    monkeypatch.setattr(Progress, "__exit__", lambda bar, *a: (bars.append(bar), inner(bar, *a))[1])
    stopped = train(config, tmp_path / "stopped")
    (bar,) = bars
    assert bar.done == bar.total == config.steps  # what is left out is done
    assert {"training", "reward", "zero_advantages"} <= set(bar.watched)
    assert stopped["step"].max() == 2 < whole["step"].max()
    end = stopped[stopped["step"] == 2].set_index("metric")["value"]
    assert end["updates"] == 2
    ks = [end[name] for name in ("success", "pass@4", "pass@16", "pass@64", "pass@256")]
    assert all(0 < low < high <= 1 for low, high in itertools.pairwise(ks))


def test_prompts_come_in_whole_shuffles_without_gaps():
    order = prompt_order(5, 23, seed=3)
    assert len(order) == 23
    for epoch in range(4):
        assert sorted(order[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    assert not np.array_equal(order[:5], order[5:10])
    np.testing.assert_array_equal(prompt_order(5, 9, seed=3), order[:9])


def test_run_keys_are_file_names():
    assert run_key("plateau_r:threshold=0.3,zero_success=drop", 2) == (
        "plateau_r.threshold=0.3.zero_success=drop.seed=2"
    )


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "trl" else real(name, *more),
    )
    with pytest.raises(MissingExtraError, match=r"trl is not installed; pip install '.\[llm\]'"):
        train(small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_task_without_training_prompts_is_refused(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"problem": "1+1?", "answer": "2", "level": 1, "subject": "Algebra"}\n')
    config = small(task="math", model=str(tmp_path), test_path=str(rows))
    with pytest.raises(ValueError, match="task math has no training prompts"):
        train(config, tmp_path / "run", progress=False)


def test_a_broken_file_is_named_and_leaves_no_run(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"problem": "1+1?", "answer": "2", "level": 1, "subject": "Algebra"}\n{"pro\n')
    config = small(task="math", model=str(tmp_path), train_path=str(rows))
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: not valid JSON"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schemes": ("ppo",)}, "ppo needs a critic.*--launch verl"),
        ({"engine": "vllm", "vllm_mode": "server"}, "vllm_mode server needs a GPU"),
    ],
)
def test_what_cannot_be_trained_here_is_refused_before_a_run_exists(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(small(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_vllm_server_takes_one_training_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("llm_validation.train._on_cpu", lambda config: False)
    with pytest.raises(ValueError, match="follows the weights of one training"):
        train(small(engine="vllm", vllm_mode="server"), tmp_path / "run", progress=False)


def test_mixed_precision_keeps_float32_weights_that_bfloat16_would_not_move(tmp_path):
    # The dry run's warning in numbers: eight significant bits lose steps below |w| 2^-9.
    for dtype, moved in ((torch.bfloat16, False), (torch.float32, True)):
        weight = torch.nn.Parameter(torch.full((4,), 0.04, dtype=dtype))
        before = weight.detach().clone()
        optimizer = torch.optim.AdamW([weight], lr=1e-6, weight_decay=0.0)
        for _ in range(20):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        assert torch.equal(weight.detach(), before) is not moved
    config = small(schemes=("sqrt_r",), steps=2, measure_every=0, dtype="mixed")
    train(config, tmp_path / "run", progress=False)
    whole = dataclasses.replace(config, dtype="float32")
    train(whole, tmp_path / "whole", progress=False)
    mixed, full = (weights(tmp_path / name, "sqrt_r") for name in ("run", "whole"))
    assert all(value.dtype == torch.float32 for value in mixed.values())
    # It has been multiplied in bfloat16: the same training, but for rounding.
    differences = [float((mixed[name] - full[name]).abs().max()) for name in full]
    assert 0 < max(differences) < 4 * config.learning_rate


def test_a_model_folder_that_is_not_there_is_refused_at_once(tmp_path):
    config = small(task="math", model=str(tmp_path / "smollm2-135m-instruct"))
    with pytest.raises(FileNotFoundError, match="does not exist; `apw models fetch smoll"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_plans_its_prompts_and_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    counts = tmp_path / "counts.csv"
    # The ids of the tiny task's prompts; those that the file does not name are unknown.
    from llm_validation.train import load_training_task

    with load_training_task(small()) as task:
        ids = [example.id for example in task.train]
    rows = [f"{name},{number % 5},4" for number, name in enumerate(ids[:60])]
    counts.write_text("id,correct,tries\n" + "\n".join(rows) + "\n")
    config = small(
        schemes=("grpo",), plan_every=2, plan_target=0.95, plan_counts=str(counts), save_models=True
    )
    whole = train(config, tmp_path / "whole", progress=False)
    assert {"pool_low", "pool_high", "prompts_tried"} <= set(whole["metric"])
    planned = whole[whole["metric"] == "prompts_tried"]
    assert planned["value"].max() >= 60
    inner, steps = callbacks.Measure.on_step_end, []

    def killed(self, *arguments, **options):
        steps.append(1)
        if len(steps) == 5:
            raise RuntimeError("killed")
        return inner(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Measure, "on_step_end", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(config, tmp_path / "killed", progress=False)
    train(config, tmp_path / "killed", progress=False)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", ["grpo"])


def test_a_run_plans_by_the_true_pass_rates_of_its_present_policy(tmp_path, monkeypatch):
    """Every prompt of the batches after a plan had its rate in the pool when it was made."""
    plans, chosen = [], []
    plan_known = prompt_planner.plan_known

    def planned(rates, *arguments, **options):
        plans.append((rates, plan_known(rates, *arguments, **options)))
        return plans[-1][1]

    drawn = planned_sampler.draw

    def noted(chances, *arguments):
        chosen.append((np.array(chances), drawn(chances, *arguments)))
        return chosen[-1][1]

    monkeypatch.setattr(prompt_planner, "plan_known", planned)
    monkeypatch.setattr(planned_sampler, "draw", noted)
    config = small(schemes=("sqrt_r",), plan_every=2, plan_by="rates", plan_target=0.95)
    metrics = train(config, tmp_path / "run", progress=False)
    rates, first = plans[0]
    np.testing.assert_allclose(
        rates[:200].mean(),
        metrics.query("metric == 'success_train' and step == 0")["value"].iloc[0],
        rtol=1e-5,
    )
    assert not np.allclose(rates, plans[-1][0])  # the policy has moved
    for chances, batch in chosen[:2]:
        inside = (rates >= first.low) & (rates < first.high)
        assert inside[batch].all() == (inside.sum() >= len(batch))
        np.testing.assert_allclose(chances[inside], chances.max())


@pytest.mark.parametrize(
    ("fields", "text", "message"),
    [
        ({}, "id,correct,tries\nnobody,1,4\n", "names none of the [0-9,]+ prompts: its ids are "),
        ({}, "id,pass_rate\nnobody,0.3\n", "does not say how many tries"),
        ({"prompts_per_step": 100_000}, "id,correct,tries\nnobody,1,4\n", "different prompts"),
    ],
)
def test_plans_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path, fields, text, message
):
    counts = tmp_path / "counts.csv"
    counts.write_text(text)
    config = small(plan_every=2, plan_counts=str(counts), **fields)
    with pytest.raises(ValueError, match=message):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_plan_fields_need_plans():
    with pytest.raises(ValueError, match="need plan_every"):
        small(plan_counts="counts.csv")
    with pytest.raises(ValueError, match="need plan_every"):
        small(plan_by="rates")
    with pytest.raises(ValueError, match="needs model = 'tiny'"):
        small(plan_every=2, plan_by="rates", plan_counts="counts.csv")
