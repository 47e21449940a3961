"""The page docs/theory.md: its examples run, its links lead somewhere, references find sections."""

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "theory.md"
REFERENCE = re.compile(r'theory\.md,?\s+sections?\s+(\d+)(?:\s+and\s+(\d+))?(?:\s+"([^"]+)")?')


def test_examples_run():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 15
    assert result.failed == 0


def test_links_lead_to_modules():
    links = re.findall(r"\]\((\.\./theory/\w+\.py)\)", PAGE.read_text(encoding="utf-8"))
    assert len(links) >= 15
    for link in links:
        assert (PAGE.parent / link).exists(), link


def test_references_to_numbered_sections_find_them():
    parts = re.split(r"^## (\d+)\. ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(sections) == [str(number) for number in range(1, len(sections) + 1)]
    found = 0
    folders = ["theory", "sim", "rollouts", "llm_validation", "claims", "figures", "apw", "tests"]
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for first, second, named in REFERENCE.findall(path.read_text(encoding="utf-8")):
            found += 1
            for number in filter(None, (first, second)):
                assert number in sections, f"{path} refers to section {number}"
            assert not named or f"### {named}\n" in sections[first], f"{path}: {named}"
    assert found >= 20
