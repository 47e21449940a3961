"""A model folder is loaded whole or refused."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from apw.main import main
from llm_validation.config import TrainConfig
from llm_validation.initial_model import load, load_tokenizer, prepare
from llm_validation.tasks import load_task

NAME = "model.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda weights: weights.pop(NAME), rf"lacks {NAME}: it is not whole"),
        (
            lambda weights: weights.update({NAME: torch.zeros(3, 64)}),
            rf"has another shape of {NAME}: it is not whole",
        ),
    ],
)
def test_missing_and_misshapen_tensors_are_refused(tiny_folder, tmp_path, change, sentence, capfd):
    broken = tmp_path / "model"
    shutil.copytree(tiny_folder, broken)
    weights = load_file(broken / "model.safetensors")
    change(weights)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    load(str(tiny_folder), TrainConfig())
    with pytest.raises(ValueError, match=sentence):
        load(str(broken), TrainConfig())
    # The commands find it out before there is a folder, and say nothing else.
    out = ["--model", str(broken), "--task", "arithmetic", "--out", str(tmp_path / "out")]
    for words in (["train", "--recipe", "demo"], ["evaluate"]):
        capfd.readouterr()
        assert main([*words, *out]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert re.search(sentence, line)
        assert not (tmp_path / "out").exists()


def test_weights_that_are_cut_short_are_refused(tiny_folder, tmp_path, capfd):
    broken = tmp_path / "model"
    shutil.copytree(tiny_folder, broken)
    file = broken / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    out = ["--out", str(tmp_path / "out")]
    assert main(["train", "--recipe", "demo", "--model", str(broken), *out]) == 2
    assert "weights of the model" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


TINY_COUNTDOWN = TrainConfig(
    task="small_countdown",
    task_options={"largest": 4},
    initial_success=0.9,
    warm_up_steps=2,
    hidden_size=32,
    layers=1,
    initial_seed=5,
)


def test_runs_that_name_a_folder_share_their_initial_models(tmp_path):
    shared = dataclasses.replace(TINY_COUNTDOWN, initial_folder=str(tmp_path / "shared"))
    with load_task("small_countdown", largest=4) as task:
        first = prepare(shared, task, 0, tmp_path / "one")
        made = Path(first, "model.safetensors").stat().st_mtime_ns
        assert prepare(dataclasses.replace(shared, steps=9), task, 1, tmp_path / "two") == first
        assert Path(first, "model.safetensors").stat().st_mtime_ns == made
        for change in ({"initial_seed": 6}, {"warm_up_steps": 3}, {"initial_success": 0.8}):
            assert (
                prepare(dataclasses.replace(shared, **change), task, 0, tmp_path / "one") != first
            )
        own = prepare(TINY_COUNTDOWN, task, 0, tmp_path / "own")
    with load_task("small_countdown", largest=4, limit=3) as task:
        few = dataclasses.replace(TINY_COUNTDOWN, task_limit=3)
        assert (
            prepare(dataclasses.replace(shared, task_limit=3), task, 0, tmp_path / "one") == first
        )
        alone = load_file(Path(prepare(few, task, 0, tmp_path / "few"), "model.safetensors"))
    assert own == str(tmp_path / "own" / "seed=5")
    same = load_file(Path(own, "model.safetensors")), load_file(Path(first, "model.safetensors"))
    assert all(torch.equal(same[0][name], value) for name, value in same[1].items())
    assert all(torch.equal(alone[name], value) for name, value in same[1].items())
    tokenizer = load(own, TINY_COUNTDOWN)[1]
    assert tokenizer.decode(tokenizer("25b:57=2+5*b")["input_ids"]) == "25b:57=2+5*b"


def test_a_task_that_the_tiny_model_cannot_read_is_refused():
    with pytest.raises(
        ValueError, match="reads arithmetic and small_countdown; got the task 'math'"
    ):
        load_tokenizer(TrainConfig(task="math"))
