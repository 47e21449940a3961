"""A model folder is loaded whole or refused."""

import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from apw.main import main
from llm_validation.config import TrainConfig
from llm_validation.initial_model import load

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
    assert "the weights of the model" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
