"""The page that ``apw explore`` writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apw.main import main
from theory.designs import excess


def test_the_page_opens_on_the_problem_asked_for(
    browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "new" / "page.html"
    words = [
        "explore",
        "--start",
        "0.05",
        "--group-size",
        "8",
        "--sampling",
        "until_mixed",
        "--out",
        str(page),
        "--json",
    ]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {"page": str(page)}
    browser.open(page.as_uri())
    shown = browser.run(
        "Array.from(document.querySelectorAll('[data-scheme=grpo] td'), (c) => c.textContent)"
    )
    setting = {"design": "until_mixed", "group_size": 8, "start": 0.05, "target": 0.9}
    ratios = [excess("grpo", budget=budget, **setting) for budget in ("energy", "weight")]
    assert shown[2:4] == [f"{ratio:.3f}" for ratio in ratios]
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--start", "0"], "--start must lie between 0.0001 and 0.95; got 0.0"),
        (["--start", "0.5", "--target", "0.5"], "--target must lie above --start"),
        (["--group-size", "1"], "--group-size must lie between 2 and 128; got 1"),
        (["--start", "nan"], "--start must be a finite number; got 'nan'"),
    ],
)
def test_what_the_page_could_not_show_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    assert main(["explore", *words, "--out", str(tmp_path / "page.html")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
