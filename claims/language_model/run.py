"""Run the settings, pick learning rates on the way, and publish what verdicts follow from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from claims.language_model.outcomes import curves, judged_runs, outcomes
from claims.language_model.settings import (
    PICKING_SEEDS,
    SETTINGS,
    Setting,
    configuration,
    judging,
    tuning,
)
from runs.environment import describe_environment
from runs.files import write_json
from runs.folder import read_metrics

if TYPE_CHECKING:
    from llm_validation.config import TrainConfig


def run(
    out: Path, settings: Iterable[Setting] = SETTINGS, *, progress: bool = True, **options: object
) -> None:
    """Train whatever is not finished yet, setting by setting, in folders under ``out``."""
    from llm_validation.train import train

    def start(trainings: Iterable[tuple[str, TrainConfig]]) -> None:
        for name, config in trainings:
            if config.initial_seed is not None:  # one model for all: it is made once
                config = dataclasses.replace(config, initial_folder=str(out / "initial"))
            train(config, out / name, progress=progress)

    changes = {name: value for name, value in options.items() if name != "seeds"}
    for setting in settings:
        start(tuning(setting, **changes))
        start(judging(setting, pick_rates(out, setting), **options))  # type: ignore[arg-type]


def pick_rates(out: Path, setting: Setting) -> dict[str, float]:
    """The learning rate of every scheme: the one with the least mean time to the target.

    A run that never arrives counts with all the responses it was given; ties (where none
    arrives, say) go to the higher mean success over the run.

    Raises:
        FileNotFoundError: A tuning run is not finished.
    """
    if len(setting.learning_rates) == 1:
        return dict.fromkeys(setting.schemes, setting.learning_rates[0])
    found = []
    for name, config in tuning(setting):
        metrics = read_metrics(out / name)
        table = outcomes(metrics, setting.target, setting.target_metric).set_index(
            ["scheme", "seed"]
        )
        success = metrics[metrics["metric"] == "success"].groupby(["scheme", "seed"])["value"]
        budget = config.steps * config.responses_per_step
        table = table.assign(
            rate=config.learning_rate, time=table["reached"].clip(upper=budget), area=success.mean()
        )
        found.append(table.reset_index())
    means = pd.concat(found).groupby(["scheme", "rate"])[["time", "area"]].mean().reset_index()
    best = means.sort_values(["time", "area"], ascending=[True, False]).groupby("scheme").first()
    rates = {str(scheme): float(rate) for scheme, rate in best["rate"].items()}
    return {scheme: rates[scheme] for scheme in setting.schemes}


def publish(out: Path, settings: Iterable[Setting], folder: Path) -> list[Path]:
    """Copy what verdicts follow from into ``folder``: small tables and their environment.

    Every finished setting gets ``<setting>/curves.csv`` (the judging runs' metrics at the steps
    where success was measured, those of single batches averaged over the steps since),
    ``outcomes.csv`` and ``environment.json`` (machine, versions, configurations, learning rates
    tried and picked).
    """
    written = []
    for setting in settings:
        metrics = judged_runs(out, setting)
        if metrics.empty:
            continue
        place = folder / setting.name
        place.mkdir(parents=True, exist_ok=True)
        rates = metrics.groupby("scheme")["learning_rate"].first()
        table = outcomes(metrics, setting.target, setting.target_metric)
        table.insert(0, "setting", setting.name)
        table.insert(2, "learning_rate", table["scheme"].map(rates))
        table.to_csv(place / "outcomes.csv", index=False)
        (place / "curves.parquet").unlink(missing_ok=True)
        curves(metrics).to_csv(place / "curves.csv", index=False, float_format="%.7g")
        write_json(
            place / "environment.json",
            {
                **describe_environment(),
                "grid": list(setting.learning_rates),
                "picked": {scheme: float(rate) for scheme, rate in rates.items()},
                "picked_at_an_edge": sorted(
                    scheme
                    for scheme, rate in rates.items()
                    if len(setting.learning_rates) > 2
                    and rate in (min(setting.learning_rates), max(setting.learning_rates))
                ),
                "picking_seeds": PICKING_SEEDS,
                "command": f"apw claims {' '.join(setting.claims)} --run llm",
                "configuration": configuration(setting, setting.learning_rates[0]).to_dict(),
            },
        )
        written.append(place)
    return written
