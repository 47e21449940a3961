"""Finished runs: every command that writes a run folder answers the same words again, all alike."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from apw.main import main

SIMULATE = (
    "simulate --schemes grpo sqrt_r --prompts 6 --answers 4 --correct-answers 1 --steps 6 "
    "--seeds 2 --measure-every 2 --pass-k 1"
)
COMMANDS = {
    "simulate at own rates": f"{SIMULATE} --tuning-seeds 2",
    "simulate at given rates": f"{SIMULATE} --learning-rate 1",
    "train": "train --recipe demo --hidden-size 32 --layers 1 --warm-up-steps 20 --steps 2 "
    "--seeds 1 --schemes grpo",
    "evaluate": "evaluate --model {model} --task arithmetic --samples 2 --limit 6 "
    "--max-response-tokens 3 --cpu",
    "probe": "probe --recipe tiny --hidden-size 32 --layers 1 --warm-up-steps 80 --prompts 4 "
    "--group-size 6 --sizes 0.05 --schemes grpo --resamples 100",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = character_tokenizer()
    tiny_llama(tokenizer, hidden_size=32, layers=1, seed=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_words_answer_from_the_folder_and_others_are_refused(
    name: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = COMMANDS[name]
    if not name.startswith("simulate"):
        words = words.format(model=request.getfixturevalue("model"))
    command = words.split()[0]
    other = "task-seed" if command == "train" else "seed"
    monkeypatch.chdir(tmp_path)
    said = []
    for json_wanted in (True, False):
        folder = ["--out", f"json={json_wanted}", *["--json"] * json_wanted]
        assert main([*shlex.split(words), *folder]) == 0
        said.append(capsys.readouterr().out)
        with monkeypatch.context() as patch:  # nothing may be begun
            patch.setattr("runs.folder.Run.open", None)
            assert main([*shlex.split(words), *folder]) == 0
        again = capsys.readouterr()
        assert again.out == said[-1]
        assert again.err == ""
        assert main([*shlex.split(words), *folder, f"--{other}", "77"]) == 2
        refusal = capsys.readouterr().err
        assert refusal == (
            f"apw {command}: json={json_wanted} holds a finished run with other options "
            f"({other} is 0 there and 77 here); choose another name or pass --overwrite\n"
        )
    assert json.loads(said[0])["run"] == "json=True"
