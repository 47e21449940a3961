"""Completion in a real shell: what stands after the words that were typed."""

import os
import shutil
import subprocess

import pytest

from apw.completion import completion_script
from apw.main import COMMANDS, main
from llm_validation.config import list_recipes
from theory.schemes import SCHEMES

ASK = r"""
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_apw apw "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[$((COMP_CWORD - 1))]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script():
    return completion_script("bash")


def completed(script, *words):
    ran = subprocess.run(
        ["bash", "-c", f"{script}\n{ASK}", "bash", "-", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not ran.stderr
    return set(ran.stdout.split())


def test_commands_options_choices_schemes_and_recipes(script):
    assert completed(script, "apw", "") == set(COMMANDS)
    assert completed(script, "apw", "si") == {"simulate"}
    assert completed(script, "apw", "train", "--report") == {"--report-to"}
    assert completed(script, "apw", "train", "--report-to", "") == {
        "tensorboard",
        "trackio",
        "wandb",
    }
    assert completed(script, "apw", "simulate", "--policy", "t") == {"tree"}
    assert completed(script, "apw", "weights", "--schemes", "") == set(SCHEMES)
    assert completed(script, "apw", "train", "--recipe", "") == set(list_recipes())
    assert completed(script, "apw", "train", "--out", "") == set()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_takes_it_whether_or_not_its_completion_was_switched_on(tmp_path):
    file = tmp_path / "apw.zsh"
    file.write_text(completion_script("zsh"))
    for before in ("", "autoload -Uz compinit && compinit -u -D;"):
        words = f"{before} source {file}; print -r -- $_comps[apw]"
        ran = subprocess.run(
            ["zsh", "-f", "-c", words],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert ran.stderr == ""
        assert "_apw" in ran.stdout


def test_words_are_data(script, tmp_path):
    completed(script, "apw", f"$(touch {tmp_path}/a)", f"`touch {tmp_path}/b`")
    assert not list(tmp_path.iterdir())


def test_the_front_door_prints_it(capsys, script):
    assert main(["--completion", "bash"]) == 0
    assert capsys.readouterr().out == script
    assert "bashcompinit" in completion_script("zsh")
    assert main(["--completion", "fish"]) == 2
    assert "takes one of bash, zsh; got 'fish'" in capsys.readouterr().err
