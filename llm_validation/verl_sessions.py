"""Rollouts with several outputs in verl's V1 trainers: the last output of a session counts.

verl 0.9.1 names the rows of a batch ``{uid}_{session}_{index}`` and, for its own GRPO alone,
compares the last output of each session and gives its advantage to the earlier ones
(``verl.trainer.ppo.v1.utils.compute_advantage_for_multi_trajectories``). Other estimators would
take every output for a response of its own; here ours are treated as GRPO is.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Container, Sequence
from types import ModuleType
from typing import Any

import torch

MODULE = "verl.trainer.ppo.v1.utils"
FUNCTION = "compute_advantage_for_multi_trajectories"


def by_last_output(inner: Callable[..., Any], ours: Container[str]) -> Callable[..., Any]:
    """verl's function with the advantages of our estimators made from last outputs.

    Args:
        inner: verl's own, to which every other estimator is left.
        ours: Names of our estimators.

    Returns:
        Function of (data, batch_keys, adv_estimator, **options) to the data with ``advantages`` and
        ``returns``, both (rows, T).
    """

    def compute(data: Any, batch_keys: Sequence[str], adv_estimator: Any, **options: Any) -> Any:
        if str(adv_estimator) not in ours:
            return inner(data, batch_keys, adv_estimator, **options)
        last: dict[str, tuple[int, int]] = {}
        sessions = []
        for row, key in enumerate(batch_keys):
            session, _, index = key.rpartition("_")
            sessions.append(session)
            last[session] = max(last.get(session, (-1, -1)), (int(index), row))
        rows = [row for _, row in last.values()]
        keys = [batch_keys[row] for row in rows]
        chosen = inner(data.select_idxs(rows), keys, adv_estimator, **options)
        # Every token of a response has its advantage; the others, and padding, have 0.
        spread, mask = chosen.batch["advantages"], chosen.batch["response_mask"]
        values = spread.gather(1, mask.argmax(dim=1, keepdim=True)).squeeze(1)
        place = {session: number for number, session in enumerate(last)}
        each = values[torch.tensor([place[session] for session in sessions])]
        advantages = each[:, None] * data.batch["response_mask"]
        data.batch["advantages"] = data.batch["returns"] = advantages
        return data

    return compute


def install(ours: Container[str]) -> None:
    """Put it where verl's V1 trainers look, now or once they are imported.

    Importing them here would be too early: verl loads its plug-ins while it is imported itself.
    """
    if MODULE in sys.modules:
        _replace(sys.modules[MODULE], ours)
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport(ours))


def _replace(module: ModuleType, ours: Container[str]) -> None:
    inner = getattr(module, FUNCTION, None)  # earlier versions of verl have none
    if inner is None or getattr(inner, "ours", None) is ours:
        return
    replaced: Any = by_last_output(inner, ours)
    replaced.ours = ours
    setattr(module, FUNCTION, replaced)
    trainers = sys.modules.get(MODULE.replace(".utils", ".trainer_base"))
    if trainers is not None and hasattr(trainers, FUNCTION):
        setattr(trainers, FUNCTION, replaced)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Waits for one module, lets it load as it would have, and then changes it."""

    def __init__(self, ours: Container[str]) -> None:
        self.ours = ours

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """The module's own specification, with the change after its execution."""
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_replace(module: ModuleType) -> None:
                execute(module)
                _replace(module, self.ours)

            loader.exec_module = execute_and_replace
        return spec
