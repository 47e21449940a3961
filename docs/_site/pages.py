"""Pages of the site that no file in docs/ is: the reference of every module, evidence, changes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "theory": "what the mathematics says: arrays in, arrays out",
    "rollouts": "what logs say: readers of every engine's layouts, tallies, sentences",
    "sim": "what a cheap learner does, in JAX",
    "llm_validation": "what a language model does: trainer, tasks, verifier, recipes",
}
"""Package of the reference → what it holds."""

COPIED = {
    "CHANGELOG.md": "changelog.md",
    "claims/evidence/sim/README.md": "evidence/simulation.md",
    "claims/evidence/llm/README.md": "evidence/language_model.md",
}
"""File outside docs/ → the page that shows it."""


def modules(package: str) -> list[str]:
    """Public modules of a package, those of its subpackages among them."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return found


def reference(module: str) -> str:
    """The page of a module."""
    return f"reference/{module.replace('.', '/')}.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation."""
    nav: list[Any] = config.nav or []
    parts: list[Any] = ["reference/README.md"]
    for package in PACKAGES:
        parts.append({package: [{_short(name): reference(name)} for name in modules(package)]})
    places = {
        title: position
        for position, entry in enumerate(nav)
        if isinstance(entry, dict)
        for title in entry
    }
    nav[places["Ledger"]]["Ledger"] += [
        {"Evidence of the simulator": "evidence/simulation.md"},
        {"Evidence of the language model": "evidence/language_model.md"},
    ]
    nav[places["Contributing"]]["Contributing"].append({"Changes": "changelog.md"})
    nav.insert(places["Ledger"], {"Reference": parts})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {"reference/README.md": _public_names()}
    for package in PACKAGES:
        for name in modules(package):
            pages[reference(name)] = f"::: {name}\n"
    for source, page in COPIED.items():
        pages[page] = (ROOT / source).read_text(encoding="utf-8")
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def _short(module: str) -> str:
    return module.partition(".")[2]


def _public_names() -> str:
    """The page that lists what ``import apw`` offers, with the page of each name."""
    tree = ast.parse((ROOT / "apw" / "__init__.py").read_text(encoding="utf-8"))
    defined = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODULES"
    )
    lines = [
        "# Reference",
        "",
        "From the docstrings, a page per module, as the packages are:",
        "",
        *(f"- `{package}`: {words}." for package, words in PACKAGES.items()),
        "",
        "## import apw",
        "",
        "These names are public: they keep their meaning from one version to the next.",
        "",
        "| name | |",
        "|---|---|",
    ]
    for name, module in sorted(defined.items(), key=lambda item: item[0].lower()):
        shown = f"[`{module}`][{module}]" if module.partition(".")[0] in PACKAGES else f"`{module}`"
        lines.append(f"| `apw.{name}` | {shown} |")
    lines.append(
        "| `apw.trl.WeightedGRPOTrainer` | [`llm_validation.trainer`][llm_validation.trainer] |"
    )
    return "\n".join(lines) + "\n"
