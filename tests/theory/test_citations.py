"""Citations: every source that the code names has an entry, and is found from the code."""

import importlib
import pkgutil
import re

import pytest

import theory
from theory import lens, logit_gradients
from theory.advantages import group_advantages
from theory.citations import BIBTEX, cite
from theory.schemes import SCHEMES

MODULES = [
    importlib.import_module(f"theory.{module.name}")
    for module in pkgutil.iter_modules(theory.__path__)
]


def keys(text):
    return re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE)


def test_every_entry_is_balanced_bibtex_with_the_fields_a_citation_needs():
    for key, entry in BIBTEX.items():
        assert keys(entry) == [key]
        assert entry.count("{") == entry.count("}")
        for field in ("title", "author", "year"):
            assert re.search(rf"^  {field} +=", entry, re.MULTILINE), (key, field)


def test_every_scheme_cites_its_paper():
    for name, scheme in SCHEMES.items():
        assert keys(cite(name)) == ([scheme.source] if scheme.source else [])  # ours: none
        assert cite(scheme) == cite(name)
    assert keys(cite("plateau_r:threshold=0.3")) == ["apw"]


def test_every_arxiv_number_in_the_code_has_an_entry():
    known = "\n".join(BIBTEX.values())
    for module in MODULES:
        with open(module.__file__, encoding="utf-8") as file:
            for number in re.findall(r"\b\d{4}\.\d{5}\b", file.read()):
                assert f"eprint        = {{{number}}}" in known, (module.__name__, number)


def test_the_papers_of_the_specification_have_entries():
    for number in (
        "2602.11128",
        "2510.08696",
        "2506.01347",
        "2602.02710",
        "2605.30154",
        "2605.24331",
        "2510.23049",
        "2503.06639",
        "2510.13651",
        "2503.20783",
        "2503.14476",
        "2402.14740",
        "2505.15201",
    ):
        assert sum(number in entry for entry in BIBTEX.values()) == 1


def test_modules_functions_and_classes_cite_what_their_docstrings_name():
    assert keys(cite(lens)) == ["lens"]
    assert keys(cite(lens.penalty_weight)) == ["lens"]
    assert keys(cite(logit_gradients)) == ["nsr"]
    assert set(keys(cite(group_advantages))) == {"apw", "nsr", "lens"}


def test_each_paper_is_cited_once_in_order_of_use():
    assert keys(cite("nsr", "psr", "sqrt_r", "w_reinforce", lens, "apw")) == ["nsr", "apw", "lens"]
    assert keys(cite()) == list(BIBTEX)
    assert keys(cite("curverl")) == ["curverl"]


def test_unknown_names_and_objects_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match="unknown scheme or citation key 'grpoo'; keys are: apw"):
        cite("grpoo")
    for thing in (lambda: None, 3, ["grpo"]):
        with pytest.raises(ValueError, match="cite takes schemes, names, modules"):
            cite(thing)
