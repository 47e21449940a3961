"""An interactive page: pick a problem, see optimal weights, excess times and finite groups.

The page computes in the browser, from ``explorer_theory.js``; names, formulas and looks of the
schemes come from here, so that they agree with every other figure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from figures.page import TEMPLATES, asset, write_page
from figures.style import THEMES, Dash, look
from theory.schemes import SCHEMES as THEORY

SCHEMES = (
    "rloo",
    "grpo",
    "linear_r",
    "sqrt_r",
    "plateau_r",
    "uniform_r",
    "maxrl",
    "psr",
    "nsr",
    "w_reinforce",
)
"""Schemes of the explorer, in the order of its legend."""

_CURVES = SCHEMES[:7]
"""Those with a curve: PSR, NSR and W-REINFORCE weigh every prompt alike, as RLOO does."""

_DRAWN = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
"""Those drawn before the reader chooses."""

PROBLEM: dict[str, Any] = {
    "start": 0.01,
    "target": 0.9,
    "group_size": 16,
    "clock": "responses",
    "dynamics": "mirror",
    "update": 1,
    "response": 0.1,
    "threshold": 0.5,
}
"""What the page shows first."""

_COLORS = {
    "light": {"ink": "#1f2328", "grid": "#d8dee4", "faint": "rgba(0,0,0,0.16)"},
    "dark": {"ink": "#e6e6e6", "grid": "#3c4046", "faint": "rgba(255,255,255,0.24)"},
}

_MARK = 'id="explorer-settings"'
"""What every page of the explorer holds."""

ABOUT = (
    "A scheme weighs a prompt of success probability ρ by ω(ρ). Time runs as dρ/dt = ω(ρ)v(ρ); the "
    "clock charges c(ρ) for every unit of it; the update budget ∫ω dρ is fixed. The weight that "
    "arrives soonest is then proportional to √(c/v), and the excess time of a scheme is the factor "
    "by which it is slower.",
    "This is the expected motion of one prompt, or of prompts that are all alike: no sampling "
    "noise, small steps, nothing learned from other prompts. Where noise dominates, the "
    "asymmetric schemes can be the slower ones.",
)
"""What the explorer computes and what it leaves out."""


def explorer_head() -> str:
    """Style sheet of the explorer, for the head of a page."""
    return f"<style>\n{asset('explorer.css')}</style>"


def explorer_body(**problem: Any) -> str:
    """The explorer as HTML that loads nothing: controls, plotly, and the theory in JavaScript.

    Args:
        **problem: What it shows first; see ``PROBLEM``.

    Raises:
        ValueError: A setting that the explorer does not have.

    Source: theory.md, sections 3 and 4.
    """
    from plotly.offline import get_plotlyjs

    unknown = sorted(set(problem) - set(PROBLEM))
    if unknown:
        raise ValueError(f"the explorer has no {unknown[0]!r}; it has: {', '.join(PROBLEM)}")
    settings = {
        "problem": {**PROBLEM, **problem},
        "schemes": [_scheme(name) for name in SCHEMES],
        "colors": _COLORS,
    }
    # Inside a script element only "</" could end it early.
    data = json.dumps(settings, ensure_ascii=False).replace("</", "<\\/")
    scripts = [Markup(get_plotlyjs()), asset("explorer_theory.js"), asset("explorer.js")]
    template = TEMPLATES.get_template("explorer.html")
    return template.render(settings=Markup(data), scripts=scripts)


def write_explorer(path: Path, **problem: Any) -> None:
    """Write the explorer as one HTML file that opens from disk.

    Args:
        path: The file.
        **problem: What it shows first; see ``PROBLEM``.

    Raises:
        FileExistsError: A file is there that is no such page.
        ValueError: A setting that the explorer does not have.

    Source: theory.md, sections 3 and 4.
    """
    if path.exists() and not (path.is_file() and _MARK.encode() in path.read_bytes()):
        raise FileExistsError(
            f"{path} exists and is no page of this command; name another file with --out"
        )
    write_page(
        path,
        "explorer_page.html",
        title="Which prompts should count how much?",
        head=explorer_head(),
        about=ABOUT,
        explorer=Markup(explorer_body(**problem)),
    )


def _scheme(name: str) -> dict[str, Any]:
    scheme = THEORY[name]
    return {
        "name": name,
        "title": scheme.title,
        "formula": scheme.formula,
        "curve": name in _CURVES,
        "drawn": name in _DRAWN,
        "dash": _css(look(name).dash),
        "color": {theme: look(name, theme).color for theme in THEMES},
    }


def _css(dash: Dash) -> str:
    """A Matplotlib dash as plotly and SVG write it, for lines about twice as wide.

    >>> _css("-"), _css((0.0, (4.5, 1.6)))
    ('solid', '9px,3.2px')
    """
    if isinstance(dash, str):
        return "solid"
    return ",".join(f"{2 * length:g}px" for length in dash[1])
