"""``apw doctor`` reports every check, and fails where something required does not work."""

from __future__ import annotations

import json

import pytest

from apw.main import main
from llm_validation.doctor import CHECKS, Check

FOUND = [
    Check("core", True, "numpy 2.4"),
    Check("vllm", None, "not installed", "pip install '.[vllm]'"),
    Check("verl", False, "the plug-in cannot be loaded: no", "pip install ."),
]


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apw.commands.doctor.diagnose", lambda weights: FOUND)


def test_it_says_what_was_found_and_what_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["core", "works"],
        ["vllm", "absent"],
        ["→", "pip"],
        ["verl", "BROKEN"],
        ["→", "pip"],
    ]


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["missing"], data["broken"]) == (["vllm"], ["verl"])
    assert data["checks"][2]["remedy"] == "pip install ."


def test_what_is_required_and_does_not_work_is_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--require", "core"]) == 0
    capsys.readouterr()
    assert main(["doctor", "--require", "core", "vllm", "verl"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "apw doctor: vllm: not installed; pip install '.[vllm]'; "
        "verl: the plug-in cannot be loaded: no; pip install .\n"
    )
    assert main(["doctor", "--require", "trl"]) == 2
    assert f"--require takes {', '.join(list(CHECKS)[:3])}" in capsys.readouterr().err
