"""A model that cannot be had is refused at once, with the reason."""

import json

import huggingface_hub
import pytest
from huggingface_hub import errors

from apw.main import main
from llm_validation.model_source import check_model


def test_a_folder_the_tiny_model_and_none_are_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("llm_validation.model_source._why_not_on_hub", lambda model: "never")
    for model in (str(tmp_path), "tiny", ""):
        check_model(model)


def test_a_folder_that_is_not_there_names_its_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; `apw models fetch smoll"):
        check_model(str(tmp_path / "smollm2-135m-instruct"))
    with pytest.raises(FileNotFoundError, match=r"folder \./other does not exist$"):
        check_model("./other")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.OfflineModeIsEnabled("no"), "not in the local Hugging Face cache"),
        (errors.HFValidationError("no"), "no name that the hub could have"),
        (ConnectionError("no route"), r"the hub cannot be reached \(ConnectionError\)"),
    ],
)
def test_the_reason_is_said(monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(
        FileNotFoundError, match=f"model owner/none is no folder here, and .*{sentence}"
    ):
        check_model("owner/none")


def test_a_model_the_hub_has_is_taken(monkeypatch):
    asked = []
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "model_info",
        lambda _, model, timeout: asked.append((model, timeout)),
    )
    check_model("owner/one")
    assert asked == [("owner/one", 5.0)]


def test_evaluating_a_missing_model_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("llm_validation.model_source._why_not_on_hub", lambda model: "it is gone")
    out = tmp_path / "run"
    words = ["evaluate", "--model", "nonexistent", "--task", "arithmetic", "--out", str(out)]
    assert main(words) == 2
    error = "apw evaluate: model nonexistent is no folder here, and it is gone\n"
    assert capsys.readouterr().err == error
    assert not out.exists()


def test_the_tiny_model_is_no_model_to_evaluate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--model", "tiny", "--task", "arithmetic", "--out", "run"]) == 2
    assert "evaluate a folder that a run with --save-models left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 32,
    "intermediate_size": 64,
}


@pytest.mark.parametrize(
    ("config", "tokenizer", "said"),
    [
        (LLAMA, "{}", "tokenizer"),
        (LLAMA, "[]", "tokenizer"),
        ([1], "{}", "tokenizer"),
        ({**LLAMA, "vocab_size": 1e9}, "{}", "tokenizer"),
        ({**LLAMA, "hidden_size": 10**30}, "{}", "tokenizer"),
        ({**LLAMA, "num_hidden_layers": "x"}, "{}", "tokenizer"),
    ],
)
def test_a_folder_whose_files_are_hostile_ends_with_a_sentence(
    tmp_path, capsys, config, tokenizer, said
):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tokenizer)
    (folder / "model.safetensors").write_bytes(b"\1\2")
    common = ["--model", str(folder), "--out", str(tmp_path / "run"), "--cpu"]
    for command in (
        ["train", "--recipe", "smollm2-sums-cpu", *common],
        ["evaluate", "--task", "arithmetic", *common],
    ):
        assert main(command) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("apw ")]
        assert len(line) < 1500
        if command[0] == "train":
            assert f"the {said} of the model {folder} cannot be read: " in line
    assert not (tmp_path / "run").exists()
