"""``apw probe``: answers in words and in JSON, and errors in a sentence."""

import json
import shlex

import pytest

from apw.main import main

pytest.importorskip("torch")

SMALL = (
    "--recipe tiny --hidden-size 32 --layers 1 --warm-up-steps 80 --prompts 4 --group-size 6 "
    "--sizes 0.05 --schemes grpo lens --resamples 100"
)


def test_what_is_measured_is_said_and_advice_takes_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["probe", *shlex.split(SMALL), "--out", "run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["prompts_probed"] == 4
    assert {row["scheme"] for row in answer["schemes"]} == {"grpo", "lens"}
    assert {row["optimizer"] for row in answer["steps"]} == {"sgd", "adam"}
    assert answer["config"]["model"] == "tiny"
    words = ["probe", *shlex.split(SMALL), "--out", "run", "--overwrite"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "sharing among 4 prompts" in text
    assert "An update at rate 1" in text
    assert "one step" in text
    line = next(line for line in text.splitlines() if line.startswith("Which weight suits: "))
    advise = shlex.split(line.partition(": ")[2])
    assert advise[:2] == ["apw", "advise"]
    assert main([*advise[1:], "--json"]) == 0
    advised = json.loads(capsys.readouterr().out)
    assert advised["prompts"] == 4
    assert 0 <= advised["sharing"] <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name a recipe with --recipe: "),
        ("--recipe nothing", "no recipe 'nothing'; the recipes are "),
        ("--recipe tiny --groups 1", "--groups must be a whole number from 2"),
        ("--recipe tiny --data nowhere.jsonl", "nowhere.jsonl does not exist"),
        ("--recipe tiny --parameters experts", "no parameter has a name like 'experts'"),
        ("--recipe qwen-sums --model weights/none", "the model folder weights/none does not"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["probe", *shlex.split(words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"apw probe: {said}")
    assert not list(tmp_path.iterdir())
