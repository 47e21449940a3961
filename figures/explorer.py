"""An interactive page: pick a problem and a sampling design, see what each scheme takes.

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
from theory.designs import DESIGNS, DesignName
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
    "design": "fixed",
    "group_size": 16,
    "dynamics": "mirror",
    "update": 0,
    "response": 1,
    "threshold": 0.5,
}
"""What the page shows first."""

_CHOICES: dict[DesignName, str] = {
    "fixed": "all groups (TRL, verl)",
    "until_any": "until one response is correct",
    "until_mixed": "until groups are mixed (DAPO)",
    "first_success": "one by one until a success",
    "population": "the limit of large groups",
}
"""Sampling designs as the page's menu has them."""

_COLORS = {
    "light": {"ink": "#1f2328", "grid": "#d8dee4", "faint": "rgba(0,0,0,0.16)"},
    "dark": {"ink": "#e6e6e6", "grid": "#3c4046", "faint": "rgba(255,255,255,0.24)"},
}

ABOUT = (
    "A scheme gives the responses of a group advantages, by how many of them are correct. Which "
    "groups an update is made of and how many responses that costs is the sampling design: TRL and "
    "verl use all groups, DAPO draws again until a group is mixed. Design and advantages give the "
    "expected push on a prompt of success probability ρ, its noise, and the time to the target. "
    "Excess is time times noise over the best table of advantages for the design.",
    "This is one prompt, or prompts that are all alike: small steps, nothing learned from other "
    "prompts. The population is the limit of large groups on the clock α + β/ρ, in which the "
    "optimal weight is proportional to the root of the cost.",
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
    """
    from plotly.offline import get_plotlyjs

    unknown = sorted(set(problem) - set(PROBLEM))
    if unknown:
        raise ValueError(f"the explorer has no {unknown[0]!r}; it has: {', '.join(PROBLEM)}")
    settings = {
        "problem": {**PROBLEM, **problem},
        "schemes": [_scheme(name) for name in SCHEMES],
        "designs": {name: design.title for name, design in DESIGNS.items()},
        "colors": _COLORS,
    }
    # Inside a script element only "</" could end it early.
    data = json.dumps(settings, ensure_ascii=False).replace("</", "<\\/")
    scripts = [Markup(get_plotlyjs()), asset("explorer_theory.js"), asset("explorer.js")]
    template = TEMPLATES.get_template("explorer.html")
    return template.render(settings=Markup(data), scripts=scripts, designs=_CHOICES)


def write_explorer(path: Path, **problem: Any) -> None:
    """Write the explorer as one HTML file that opens from disk.

    Args:
        path: The file.
        **problem: What it shows first; see ``PROBLEM``.

    Raises:
        ValueError: A file that is there and no such page, or a setting that the explorer lacks.
    """
    write_page(
        path,
        "explorer_page.html",
        title="Which prompts should count how much?",
        head=explorer_head(),
        generator="apw explore",
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
