"""Prompt weighting in reinforcement learning with verifiable rewards: the public names.

Every name is imported when it is first used, so that ``import apw`` costs nothing.

>>> import apw
>>> apw.group_advantages([[1, 0, 0, 0]], "Linear-R").tolist()
[[3.0, -1.0, -1.0, -1.0]]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apw import trl as trl
    from apw.saved_schemes import load_scheme as load_scheme
    from apw.saved_schemes import save_scheme as save_scheme
    from rollouts.diagnosis import diagnose as diagnose
    from sim.config import SimulationConfig as SimulationConfig
    from sim.simulation import simulate as simulate
    from theory.advantages import group_advantages as group_advantages
    from theory.advice import advise as advise
    from theory.best_spending import best_spending as best_spending
    from theory.best_tables import best_table as best_table
    from theory.citations import cite as cite
    from theory.designs import excess as excess
    from theory.dynamics import time_to_target as time_to_target
    from theory.finite_group import expected_weight as expected_weight
    from theory.finite_group import moments as moments
    from theory.learning_time import learning_time as learning_time
    from theory.optimal import optimal_weight as optimal_weight
    from theory.pass_at_k import pass_at_k as pass_at_k
    from theory.population import optimal_population as optimal_population
    from theory.schemes import SCHEMES as SCHEMES
    from theory.schemes import Allowed as Allowed
    from theory.schemes import Scheme as Scheme
    from theory.schemes import allow_import as allow_import
    from theory.schemes import register as register
    from theory.schemes import resolve as resolve
    from theory.spending import relative_spending as relative_spending
    from theory.spending import spending_cost as spending_cost

__version__ = "0.1.0"

_MODULES = {
    "SCHEMES": "theory.schemes",
    "Allowed": "theory.schemes",
    "Scheme": "theory.schemes",
    "SimulationConfig": "sim.config",
    "advise": "theory.advice",
    "allow_import": "theory.schemes",
    "best_spending": "theory.best_spending",
    "best_table": "theory.best_tables",
    "cite": "theory.citations",
    "diagnose": "rollouts.diagnosis",
    "excess": "theory.designs",
    "expected_weight": "theory.finite_group",
    "group_advantages": "theory.advantages",
    "learning_time": "theory.learning_time",
    "load_scheme": "apw.saved_schemes",
    "moments": "theory.finite_group",
    "optimal_population": "theory.population",
    "optimal_weight": "theory.optimal",
    "pass_at_k": "theory.pass_at_k",
    "register": "theory.schemes",
    "relative_spending": "theory.spending",
    "resolve": "theory.schemes",
    "save_scheme": "apw.saved_schemes",
    "simulate": "sim.simulation",
    "spending_cost": "theory.spending",
    "time_to_target": "theory.dynamics",
}
"""Public name → the module that defines it."""

__all__ = [*_MODULES, "trl"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "trl":
        return importlib.import_module("apw.trl")
    if name not in _MODULES:
        raise AttributeError(f"apw has no {name!r}; it has {', '.join(__all__)}")
    from apw.packages import check_packages

    check_packages()
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
