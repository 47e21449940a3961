"""Which figures there are: those of the theory, and those a run folder can be drawn as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from apw.runs import read_config, read_metrics
from figures.excess_time import excess_time_picture
from figures.optimal_weights import optimal_weights_picture
from figures.picture import Picture
from figures.weights import weights_picture

THEORY: dict[str, Callable[[], Picture]] = {
    "weights": weights_picture,
    "optimal_weights": optimal_weights_picture,
    "excess_time": excess_time_picture,
}
"""Figures that need no run."""


def run_pictures(path: Path | str) -> list[Picture]:
    """Every figure of a finished run.

    Args:
        path: A run folder of ``apw simulate``, ``apw train`` or ``apw evaluate``.

    Raises:
        FileNotFoundError: The folder holds no finished run.
        ValueError: Its tables are broken, or of an arm without figures.

    Source: the tables of run folders, theory.md for predictions.
    """
    path = Path(path)
    metrics, config = read_metrics(path), read_config(path)
    if (path / "summary.parquet").exists():
        from figures.pass_at_k import pass_at_k_picture

        return [pass_at_k_picture({config["scheme"]: pd.read_parquet(path / "summary.parquet")})]
    arms = set(metrics["arm"])
    if arms == {"sim"}:
        from figures.convergence import convergence_picture
        from figures.time_to_target import time_to_target_picture

        pictures = [convergence_picture(metrics, target=config["target"])]
        reference = "grpo" if "grpo" in config["schemes"] else config["schemes"][0]
        return [*pictures, time_to_target_picture(metrics, config, reference=reference)]
    if arms == {"llm"}:
        from figures.training import training_picture

        return [training_picture(metrics)]
    raise ValueError(f"{path} is a run of {' and '.join(sorted(arms)) or 'nothing'}: no figures")
