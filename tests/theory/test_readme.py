"""The derivation in theory/README.md: its examples run and its links lead somewhere."""

import doctest
import re
from pathlib import Path

README = Path(__file__).parents[2] / "theory" / "README.md"


def test_examples_run():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 15
    assert result.failed == 0


def test_links_lead_to_modules():
    links = re.findall(r"\]\((\w+\.py)\)", README.read_text(encoding="utf-8"))
    assert len(links) >= 15
    for link in links:
        assert (README.parent / link).exists(), link
