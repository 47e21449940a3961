"""The pages on contributing: their edits are made to a copy of the code, and do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in (ROOT / "docs" / "contributing").glob("[a-z]*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([\w./]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PACKAGES = ("theory", "runs", "sim", "rollouts", "llm_validation", "claims", "figures", "apw")


def edited(text: str, hunk: str) -> str:
    """A file with the lines marked + below the line before them, which must be there once."""
    lines = hunk.splitlines()
    before = lines[0][1:]
    added = [line[1:] for line in lines[1:]]
    assert lines[0].startswith(" ")
    assert all(line.startswith("+") for line in lines[1:])
    whole = text.split("\n")
    assert whole.count(before) == 1, f"{before!r} stands {whole.count(before)} times"
    place = whole.index(before) + 1
    return "\n".join([*whole[:place], *added, *whole[place:]])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_adds_works(page: Path, tmp_path: Path) -> None:
    if page.stem == "task":
        pytest.importorskip("torch")
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("evidence"))
    (tmp_path / "folder").mkdir()
    tried = 0
    for kind, title, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        file = tree / title
        if kind == "diff":
            file.write_text(edited(file.read_text(encoding="utf-8"), body), encoding="utf-8")
        elif title:
            assert not file.exists()
            file.write_text(body, encoding="utf-8")
        elif kind == "python":
            tried += 1
            words = [sys.executable, "-c", body]
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            ran = subprocess.run(
                words,
                cwd=tmp_path / "folder",
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
    assert tried == 1
    named = r"`((?:tests|claims|theory)/[\w./]+\.(?:py|toml))`"
    for name in re.findall(named, page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_an_edit_needs_its_place() -> None:
    assert edited("a\nb\n", " a\n+c\n") == "a\nc\nb\n"
    with pytest.raises(AssertionError, match="stands 0 times"):
        edited("a\nb\n", " x\n+c\n")
