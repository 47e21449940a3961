"""Simulations that ship with the package: settings that people ask about, one TOML file each."""

from __future__ import annotations

from pathlib import Path

from runs.configuration import read_toml, shown
from runs.recipes import recipe_names
from sim.config import SimulationConfig

PRESETS = Path(__file__).with_name("presets")


def preset_names() -> list[str]:
    """Names of the presets.

    >>> preset_names()
    ['after-fine-tuning', 'from-scratch', 'independent', 'math', 'tokens', 'unequal']
    """
    return recipe_names(PRESETS)


def preset(name: str) -> SimulationConfig:
    """The configuration of a preset.

    Args:
        name: One of :func:`preset_names`.

    Raises:
        ValueError: No such preset; the message lists them.

    >>> preset("unequal").start
    'loguniform:0.0005,0.3'
    """
    if name not in preset_names():
        raise ValueError(
            f"no preset {shown(name)}; the presets are {', '.join(preset_names())}; a file of your "
            "own is for --file"
        )
    path = PRESETS / f"{name}.toml"
    return SimulationConfig.from_dict(read_toml(path), where=str(path))
