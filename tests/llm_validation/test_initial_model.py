"""A model folder is loaded whole or refused."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

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
def test_missing_and_misshapen_tensors_are_refused(tiny_folder, tmp_path, change, sentence):
    broken = tmp_path / "model"
    shutil.copytree(tiny_folder, broken)
    weights = load_file(broken / "model.safetensors")
    change(weights)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    load(str(tiny_folder), TrainConfig())
    with pytest.raises(ValueError, match=sentence):
        load(str(broken), TrainConfig())
