"""The front door: help, errors in a sentence with status 2, JSON alone on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
import types

import pytest

from apw import main as front
from apw.command_line import Answer


def python(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = front.main(list(words))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], words: tuple[str]) -> None:
    status, out, _ = run(capsys, *words)
    assert status == 0
    for name, summary in front.COMMANDS.items():
        assert f"{name} " in out
        assert summary in out


@pytest.mark.parametrize("name", front.COMMANDS)
def test_every_command_has_help_of_its_own(capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        front.main([name, "--help"])
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert f"usage: apw {name}" in out
    assert "--json" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.metadata

    assert run(capsys, "--version")[1] == f"apw {importlib.metadata.version('apw')}\n"


def test_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "weight")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "weights, simulate" in err


def replace_weights(monkeypatch: pytest.MonkeyPatch, command: object) -> None:
    module = types.ModuleType("apw.commands.weights")
    module.main = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "apw.commands.weights", module)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("start must lie\nin [0, 1]"), "start must lie in [0, 1]"),
        (FileNotFoundError(2, "No such file", "x.json"), "x.json: no such file"),
        (ModuleNotFoundError("No module named 'trl'", name="trl"), "pip install '.[llm]'"),
        (ModuleNotFoundError("", name="vllm.engine"), "pip install '.[vllm]'"),
        (KeyboardInterrupt(), "the same command resumes the run"),
    ],
)
def test_errors_are_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    sentence: str,
) -> None:
    def command(arguments: list[str]) -> Answer:
        raise error

    replace_weights(monkeypatch, command)
    status, out, err = run(capsys, "weights")
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 2)
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_weights(monkeypatch, lambda arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        front.main(["weights"])


def test_json_keeps_prints_off_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(arguments: list[str]) -> Answer:
        print("chatter")
        return Answer({"a": 1}, "words")

    replace_weights(monkeypatch, command)
    status, out, err = run(capsys, "weights", "--json")
    assert (status, json.loads(out)) == (0, {"a": 1})
    assert "chatter" in err
    assert run(capsys, "weights")[1] == "chatter\nwords\n"


CHATTY = """
import os, subprocess, sys, types
from apw.command_line import Answer
from apw.main import main
def command(arguments):
    print("printed")
    os.write(1, b"written\\n")
    subprocess.run(["echo", "echoed"])
    return Answer({"a": 1}, "words")
module = types.ModuleType("apw.commands.weights")
module.main = command
sys.modules["apw.commands.weights"] = module
status = main(["weights", "--json"])
os.write(1, b"after\\n")
sys.exit(status)
"""


def test_json_keeps_file_descriptors_and_children_off_standard_output() -> None:
    done = python(CHATTY)
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"a": 1}\nafter\n'
    assert {"printed", "written", "echoed"} <= set(done.stderr.split())


LIGHT = """
import sys
from apw.main import main
main(["--help"])
assert not {"numpy", "tyro", "jax", "torch"} & set(sys.modules), "help must be quick"
main(["weights"])
assert not {"jax", "torch", "matplotlib", "pandas"} & set(sys.modules), "weights must be quick"
"""


def test_help_and_weights_import_nothing_heavy() -> None:
    done = python(LIGHT)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m apw.main weights --json --points 20000 | head -c 10"
    words = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
