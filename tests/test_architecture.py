"""The house: imports go one way, every public name is documented, modules stay small."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each folder may import of the others: only what stands below it.
GROUND = {"theory", "runs"}
SIDE_BY_SIDE = ("sim", "rollouts", "llm_validation")
BELOW: dict[str, set[str]] = {
    "theory": set(),
    "runs": set(),
    **dict.fromkeys(SIDE_BY_SIDE, GROUND),
    "claims": {*GROUND, *SIDE_BY_SIDE},
    "figures": {*GROUND, *SIDE_BY_SIDE, "claims"},
    "apw": {*GROUND, *SIDE_BY_SIDE, "claims", "figures"},
}
FILES = [path for folder in BELOW for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_only_go_down(path):
    folder = path.relative_to(ROOT).parts[0]
    ours = {name.partition(".")[0] for name in imports_of(path)} & set(BELOW)
    above = ours - BELOW[folder] - {folder}
    assert not above, f"{name_of(path)} must not import {', '.join(sorted(above))}"


def modules_of(folder: str) -> list[str]:
    package = importlib.import_module(folder)
    return [folder, *(f"{folder}.{m.name}" for m in pkgutil.iter_modules(package.__path__))]


def test_theory_imports_neither_torch_nor_jax():
    """It serves their arrays, but must not cost their start-up."""
    names = modules_of("theory")
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print([m for m in ('torch', 'jax', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_configurations_import_neither_torch_nor_jax():
    names = [name_of(path) for path in FILES if path.stem == "config"]
    assert names
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print([m for m in ('torch', 'jax') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


# Documentation is read from the source, so that no optional dependency is needed to check it.


def public_definitions(path: Path) -> list[tuple[str, ast.AST]]:
    """Public functions and classes of a module, and public methods of those classes."""
    found: list[tuple[str, ast.AST]] = []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, kinds) or node.name.startswith("_"):
            continue
        found.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            found += [
                (f"{node.name}.{member.name}", member)
                for member in node.body
                if isinstance(member, kinds) and not member.name.startswith("_")
            ]
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_public_name_is_documented(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or not path.stat().st_size
    if any(part.startswith("_") for part in path.relative_to(ROOT).with_suffix("").parts[1:]):
        return  # private modules
    missing = [name for name, node in public_definitions(path) if not ast.get_docstring(node)]
    assert not missing, f"{name_of(path)}: no docstring on {', '.join(missing)}"


THEORY = [path for path in FILES if path.parts[-2] == "theory" and not path.name.startswith("_")]


@pytest.mark.parametrize("path", THEORY, ids=name_of)
def test_every_public_formula_shows_an_example(path):
    for name, node in public_definitions(path):
        if "." in name or isinstance(node, ast.ClassDef):
            continue  # what a class is for is shown by the functions that make and take it
        text = ast.get_docstring(node) or ""
        assert ">>>" in text, f"{name_of(path)}.{name} shows no example"


def test_every_module_of_theory_has_its_test_file():
    for path in THEORY:
        assert (ROOT / "tests" / "theory" / f"test_{path.stem}.py").exists(), path.stem


def test_docstrings_of_arguments_name_real_arguments():
    """An ``Args:`` section that names something the function does not take is out of date."""
    for path in THEORY:
        module = importlib.import_module(name_of(path))
        for name, _ in public_definitions(path):
            function = getattr(module, name, None)
            if not inspect.isfunction(function):
                continue
            section = (inspect.getdoc(function) or "").partition("Args:\n")[2].split("\n\n")[0]
            named = [
                line.strip().partition(":")[0].lstrip("*")
                for line in section.splitlines()
                if line.startswith("    ") and not line.startswith("     ") and ":" in line
            ]
            assert set(named) <= set(inspect.signature(function).parameters), name
