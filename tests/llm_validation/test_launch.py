"""Launch scripts: what they run is the recipe, their parsers read them, and one really runs."""

import argparse
import dataclasses
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from apw.main import main
from llm_validation.config import TrainConfig, list_recipes, load_recipe
from llm_validation.launch import LAUNCHERS, Machines, launch_files, write_files
from llm_validation.launch.files import recipe_text
from runs.folder import read_metrics

PAPERS = [name for name in list_recipes() if name.startswith(("apw-", "lens-", "nsr-"))]
HOSTILE = 'it\'s; rm -rf $HOME `id` "x"\n'


def commands(script):
    """Logical lines of a script that are no comments."""
    lines = script.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def check_shell(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_as_text_is_the_recipe(name):
    config = load_recipe(name)
    assert TrainConfig.from_dict(tomllib.loads(recipe_text(config))) == config


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_has_a_script_of_every_launcher_that_can_carry_it(name, launcher):
    config = load_recipe(name)
    if "ppo" in config.schemes and launcher != "verl":
        with pytest.raises(ValueError, match="needs a critic, which only --launch verl has"):
            launch_files(config, launcher, name)
        return
    files = launch_files(config, launcher, name)
    check_shell(files["run.sh"])
    assert TrainConfig.from_dict(tomllib.loads(files["recipe.toml"])) == config
    trained = [shlex.split(line) for line in commands(files["run.sh"]) if "train " in line[:6]]
    if launcher != "verl":
        assert [words[1] for words in trained] == list(config.schemes)


def test_accelerates_own_parser_reads_its_configurations(tmp_path):
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    config = load_recipe("lens-qwen2.5-3b")
    for kind in ("accelerate", "fsdp", "deepspeed"):
        files = launch_files(config, kind, "mine", Machines(nodes=2, gpus=4))
        write_files(files, tmp_path / kind)
        read = load_config_from_file(str(tmp_path / kind / "accelerate.yaml"))
        assert (read.num_processes, read.num_machines, read.mixed_precision) == (8, 2, "bf16")
        (line,) = [line for line in commands(files["run.sh"]) if "accelerate launch" in line]
        for variable, value in (("here", tmp_path / kind), ("NODE_RANK", 1)):
            line = line.replace(f"${variable}", str(value))
        words = shlex.split(line.replace("${MAIN_PORT:-29500}", "29500"))
        parsed = launch_command_parser().parse_args(words[2:])
        assert (parsed.module, parsed.training_script) == (True, "apw.main")
        assert parsed.training_script_args[0] == "train"
        if kind == "deepspeed":
            assert read.deepspeed_config["zero_stage"] == 3
            continue  # the rest of accelerate's check wants DeepSpeed installed
        checked, _, _ = _validate_launch_command(parsed)
        environment = prepare_multi_gpu_env(argparse.Namespace(**vars(checked)))
        assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"
        if kind == "fsdp":
            assert environment["FSDP_VERSION"] == "2"
            assert environment["FSDP_AUTO_WRAP_POLICY"] == "TRANSFORMER_BASED_WRAP"


def test_deepspeeds_own_parser_reads_what_accelerate_makes_of_the_configuration(tmp_path):
    pytest.importorskip("deepspeed")
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import DeepSpeedPlugin
    from deepspeed.runtime.config import DeepSpeedConfig

    write_files(launch_files(load_recipe("lens-qwen2.5-3b"), "deepspeed", "mine"), tmp_path)
    read = load_config_from_file(str(tmp_path / "accelerate.yaml")).deepspeed_config
    names = ("zero_stage", "zero3_init_flag", "zero3_save_16bit_model")
    plugin = DeepSpeedPlugin(**{name: read[name] for name in names})
    values = {**plugin.deepspeed_config, "train_batch_size": 8, "gradient_accumulation_steps": 1}
    assert DeepSpeedConfig(values).zero_optimization_stage == 3


def test_a_servers_line_is_one_that_trl_reads_and_its_gpus_are_not_the_trainers():
    from trl.scripts.vllm_serve import make_parser

    config = dataclasses.replace(
        load_recipe("apw-math-post-sft"), vllm_mode="server", vllm_tensor_parallel=2
    )
    files = launch_files(config, "deepspeed", "mine")
    (serve,) = [line for line in commands(files["run.sh"]) if "vllm-serve" in line]
    words = shlex.split(serve.removesuffix("&"))
    assert words[0] == "CUDA_VISIBLE_DEVICES=4,5,6,7"
    (read,) = make_parser().parse_args_and_config(words[3:])
    assert (read.model, read.tensor_parallel_size, read.data_parallel_size) == (
        "meta-llama/Llama-3.1-8B-Instruct",
        2,
        2,
    )
    assert (read.port, read.max_model_len) == (8000, 1024 + 2048)
    (train,) = [line for line in commands(files["run.sh"]) if "accelerate launch" in line]
    assert train.startswith("CUDA_VISIBLE_DEVICES=0,1,2,3 ")
    assert "num_processes: 4" in files["accelerate.yaml"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_whatever_a_configuration_holds_stays_one_word(tmp_path, launcher):
    config = dataclasses.replace(
        load_recipe("apw-countdown-qwen2.5-3b"),
        model=HOSTILE,
        vllm_mode="server",
        description=HOSTILE,
        schemes=("sqrt_r",),
    )
    files = launch_files(config, launcher, "a name; touch pwned\nrm -rf x")
    check_shell(files["run.sh"])
    assert TrainConfig.from_dict(tomllib.loads(files["recipe.toml"])) == config
    # Run with every program replaced by one that prints its arguments.
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("accelerate", "trl", "python"):
        (tools / tool).write_text('#!/bin/bash\nprintf "%s\\0" "$@" > "$LOG/$$"; sleep 0.2\n')
        (tools / tool).chmod(0o755)
    write_files(files, tmp_path)
    log = tmp_path / "log"  # a file per program: two at a time would write into each other's lines
    log.mkdir()
    subprocess.run(
        ["bash", str(tmp_path / "run.sh")],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LOG": str(log)},
    )
    words = "".join(path.read_text() for path in log.iterdir()).split("\0")
    if launcher == "verl":
        # Hydra quotes within the word; what bash sees is one word.
        assert any(word.startswith("actor_rollout_ref.model.path='it\\'s; rm") for word in words)
    else:
        assert HOSTILE in words
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*files, "bin", "log"])


@pytest.mark.parametrize(
    ("launcher", "changes", "machines", "sentence"),
    [
        ("slurm", {}, {}, "launch must be one of accelerate, fsdp, deepspeed, verl; got 'slurm'"),
        ("fsdp", {}, {"gpus": 3}, "must be divisible by the 3 processes that train"),
        ("fsdp", {}, {"gpus": 0}, "gpus must be a whole number from 1 to 1,024; got 0"),
        ("fsdp", {}, {"gpus": 8, "server_gpus": 8}, "server_gpus must leave GPUs to train on"),
        ("fsdp", {}, {"server_gpus": 2}, "server_gpus are for vllm_mode server"),
        ("fsdp", {"micro_batch": 512}, {"gpus": 8}, None),
        ("fsdp", {"cpu": True}, {}, "on a CPU there is --launch accelerate alone"),
        ("verl", {"schemes": ("lens",)}, {}, "no log-probabilities of the sampler, which lens"),
        ("verl", {"model": "tiny"}, {}, "verl trains on GPUs"),
        ("verl", {"loss": "cispo"}, {}, "verl carries loss dapo, grpo, dr_grpo; got cispo"),
        ("verl", {"mask_truncated": True}, {}, "mask_truncated = false"),
        (
            "verl",
            {"schemes": ("w_reinforce",), "schedules": {"lam": "linear:start=1,end=0.1,steps=9"}},
            {},
            "verl gives its estimators no step.*has one for lam",
        ),
    ],
)
def test_what_cannot_be_launched_is_refused(launcher, changes, machines, sentence):
    config = dataclasses.replace(load_recipe("apw-math-post-sft"), **changes)
    if sentence is None:  # a micro batch larger than a process's share is that share
        assert launch_files(config, launcher, "mine", Machines(**machines))
        return
    with pytest.raises(ValueError, match=sentence):
        launch_files(config, launcher, "mine", Machines(**machines))


def test_the_command_writes_the_files_and_nothing_of_another_launch(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = ["train", "--recipe", "lens-qwen2.5-3b", "--launch", "deepspeed"]
    assert main(line) == 0
    assert "Start it with launch/lens-qwen2.5-3b.deepspeed/run.sh" in capsys.readouterr().out
    script = Path("launch/lens-qwen2.5-3b.deepspeed/run.sh")
    assert os.access(script, os.X_OK)
    assert "results/deepspeed/lens-qwen2.5-3b/grpo.seed=0" in script.read_text()
    assert main(line) == 0  # the same again
    assert main([*line, "--gpus", "4"]) == 2
    assert "exists and differs; name another folder with --out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_written_script_trains_on_two_processes_and_stops_where_all_is_done(tmp_path):
    config = TrainConfig(
        schemes=("lens:alpha=0.5",),
        seeds=1,
        steps=2,
        warm_up_steps=10,
        initial_success=0.3,
        prompts_per_step=4,
        group_size=4,
        measure_every=1,
        checkpoint_every=0,
        threads=1,
        cpu=True,
    )
    files = launch_files(config, "accelerate", "mine", Machines(gpus=2))
    script = write_files(files, tmp_path / "launch")[0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for _ in range(2):  # the second time there is nothing to do
        done = subprocess.run(
            [str(script)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    metrics = read_metrics(tmp_path / "results" / "accelerate" / "mine" / "lens.alpha=0.5.seed=0")
    assert set(metrics["scheme"]) == {"lens:alpha=0.5"}
    responses = metrics[metrics["metric"] == "responses"].set_index("step")["value"]
    assert responses.to_dict() == {0: 0, 1: 16, 2: 32}
