"""The tutorial: the blocks of each page run in order, in one folder, and print what is shown."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apw.main import main
from theory import schemes

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "tutorial").glob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own, no schemes of other tests, and modules of the page forgotten after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(schemes.IMPORTS, "")
    monkeypatch.setenv("APW_VERL_SCHEMES", "")
    monkeypatch.setattr(schemes, "_KNOWN", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_schemes", None)


def played(text: str, command: Callable[[str], str]) -> str:
    """A page with the outputs that its commands have now.

    Files are written, Python runs in one session, and lines for a shell run without comparison.
    With APW_WRITE_TUTORIAL=1 in the environment the test writes the page.
    """
    session: dict[str, Any] = {"__name__": "page"}

    def play(block: re.Match[str]) -> str:
        kind, title, body = block.groups()
        if title:
            Path(title).write_text(body, encoding="utf-8")
        elif kind == "python":
            exec(compile(body, "page", "exec"), session)
        elif kind == "console":
            (line,) = re.findall(r"^\$ (.*)$", body, flags=re.MULTILINE)
            return f"```console\n$ {line}\n{_cut(command(line), body)}```"
        elif kind == "sh":
            for line in body.splitlines():
                if line.startswith("apw "):
                    command(line)
        return block[0]

    return BLOCK.sub(play, text)


def _cut(output: str, shown: str) -> str:
    """Output as far as a page shows it: a last line of … leaves out the rest."""
    if not shown.endswith("\n…\n"):
        return output
    lines = shown.count("\n") - 2  # the command and the … are none of it
    return "".join(output.splitlines(keepends=True)[:lines]) + "…\n"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_shows(page: Path, fresh: None) -> None:
    def command(line: str) -> str:
        words = shlex.split(line)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            assert words[0] == "apw"
            assert main(words[1:]) == 0
        return output.getvalue()

    if "trl" in page.stem:
        pytest.importorskip("trl")
    text = page.read_text(encoding="utf-8")
    assert BLOCK.search(text)
    now = played(text, command)
    if os.environ.get("APW_WRITE_TUTORIAL"):
        page.write_text(now, encoding="utf-8")
    assert now == text


def test_the_player_notices_an_output_that_has_changed() -> None:
    page = "```console\n$ apw --version\napw 0.0\n```\n"
    assert played(page, lambda line: "apw 0.1\n") != page
    assert played(page, lambda line: "apw 0.0\n") == page
    cut = page.replace("apw 0.0\n", "apw 0.0\n…\n")
    assert played(cut, lambda line: "apw 0.0\nmore\n") == cut
    assert played(cut, lambda line: "apw 0.1\nmore\n") != cut
