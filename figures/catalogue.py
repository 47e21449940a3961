"""Which figures there are: those of the theory, and those a run folder can be drawn as."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from claims.across_sources import read_outcomes
from claims.metrics import curves_file
from claims.records import PUBLISHED, VERDICT_FILE, Record, read_records
from figures.claim_tables import claim_pictures
from figures.excess import excess_picture
from figures.finite_weights import finite_weights_picture
from figures.lens import lens_picture
from figures.logit_updates import logit_updates_picture
from figures.optimal_weights import optimal_weights_picture
from figures.pass_rates import pass_rates_picture
from figures.picture import Picture
from figures.probe import is_probe, probe_picture
from figures.sources import sources_picture
from figures.spending import spending_picture
from figures.weights import weights_picture
from runs.files import read_table
from runs.folder import is_run, read_config, read_metrics

THEORY: dict[str, Callable[[], Picture]] = {
    "weights": weights_picture,
    "optimal_weights": optimal_weights_picture,
    "excess": excess_picture,
    "finite_weights": finite_weights_picture,
    "lens": lens_picture,
    "logit_updates": logit_updates_picture,
    "spending": spending_picture,
}
"""Figures that need no run."""

RATES = "pass_rates.csv"
"""Correct responses to each problem, as ``apw evaluate`` writes them."""

_WEIGHTS = ("rloo", "grpo", "linear_r", "linear_r:zero_success=drop", "sqrt_r", "uniform_r", "lens")
"""Schemes of the published evidence whose speed is drawn."""

_SIGNS = ("grpo", "psr", "nsr", "w_reinforce", "lens")
"""Schemes of the published evidence whose diversity is drawn."""


def published_sources_picture() -> Picture:
    """Time to the target by all sources, from the evidence that is published with the package.

    Source: the ledger's evidence for claims A4 and A5.
    """
    records = read_records(PUBLISHED["sim"])
    findings = {id: record.finding for (_, id), record in records.items()}
    return sources_picture(findings, read_outcomes(PUBLISHED["llm"].parent))


def run_pictures(path: Path | str) -> list[Picture]:
    """Every figure of a finished run.

    Args:
        path: A run folder of ``apw simulate``, ``train``, ``evaluate`` or ``probe``; that of a
            sweep, whose regimes are drawn one by one; a setting's published tables, pass rates
            among them; or the folder of a claim's finding, or of several.

    Raises:
        FileNotFoundError: The folder holds no finished run.
        ValueError: Its tables are broken, or of a source without figures.

    Source: the tables of run folders, theory.md for predictions.
    """
    path = Path(path)
    if is_probe(path):
        return [probe_picture(path)]
    found = claim_records(path)
    if found:
        return [picture for record in found for picture in claim_pictures(record)]
    if (path / RATES).exists() and not is_run(path):
        return [pass_rates_picture(read_table(path / RATES))]
    if curves_file(path).exists():
        return _evidence_pictures(read_table(curves_file(path)))
    metrics, config = read_metrics(path), read_config(path)
    if (path / "summary.parquet").exists():
        pictures = [evaluations_picture([path])]
        if (path / RATES).exists():  # earlier evaluations wrote none
            rates = read_table(path / RATES)
            if rates["n_samples"].max() > 1:
                pictures.append(pass_rates_picture(rates))
        return pictures
    sources = set(metrics["source"])
    if sources == {"sim"}:
        return [
            dataclasses.replace(picture, name=f"{picture.name}{suffix}")
            for suffix, part, base in _regimes(metrics, config)
            for picture in _simulation_pictures(part, base)
        ]
    if sources == {"llm"}:
        return _training_pictures(metrics)
    raise ValueError(f"{path} is a run of {' and '.join(sorted(sources)) or 'nothing'}: no figures")


def claim_records(path: Path) -> list[Record]:
    """Findings of claims that a folder holds, by id; none if it is the folder of anything else."""
    if is_run(path) or not (list(path.glob("*.json")) or list(path.glob(f"*/{VERDICT_FILE}"))):
        return []
    return [record for _, record in sorted(read_records(path).items())]


def evaluations_picture(paths: Sequence[Path | str]) -> Picture:
    """Pass@k of evaluations, in one picture.

    Args:
        paths: Run folders of ``apw evaluate``; several are told apart by their names.

    Raises:
        FileNotFoundError: A folder holds no evaluation.
        ValueError: Two folders of one name, or a table that is broken.

    Source: arXiv 2506.01347, the comparison of pass@k curves.
    """
    from figures.pass_at_k import pass_at_k_picture

    summaries: dict[str, pd.DataFrame] = {}
    for path in map(Path, paths):
        file = path / "summary.parquet"
        if not file.exists():
            raise FileNotFoundError(f"{path} holds no evaluation: summary.parquet is missing")
        scheme = read_config(path).get("scheme")
        if not isinstance(scheme, str):
            raise ValueError(f"{path} holds a summary.parquet but is no evaluation's folder")
        name = path.resolve().name if len(paths) > 1 else scheme
        if name in summaries:
            raise ValueError(f"two evaluations are named {name}; folders need names of their own")
        summaries[name] = read_table(file)
    return pass_at_k_picture(summaries)


def _simulation_pictures(metrics: pd.DataFrame, config: Mapping[str, Any]) -> list[Picture]:
    from figures.convergence import convergence_picture
    from figures.entropy import entropy_picture
    from figures.negative_groups import negative_groups_picture
    from figures.pass_at_k import trained_pass_at_k_picture
    from figures.time_to_target import time_to_target_picture
    from sim.summary import reference_of

    measured = set(metrics["metric"])
    reference = reference_of(config["schemes"])
    pictures = [
        convergence_picture(metrics, config),
        time_to_target_picture(metrics, config, reference=reference),
    ]
    if "all_wrong" in measured:
        pictures.append(negative_groups_picture(metrics))
    if "entropy" in measured:
        pictures.append(entropy_picture(metrics))
    if len([metric for metric in measured if metric.startswith("pass@") and "/" not in metric]) > 1:
        pictures.append(trained_pass_at_k_picture(metrics))
    return pictures


def _training_pictures(metrics: pd.DataFrame) -> list[Picture]:
    from figures.entropy import entropy_picture
    from figures.negative_groups import negative_groups_picture
    from figures.training import training_picture

    measured = set(metrics["metric"])
    pictures = [training_picture(metrics)]
    if "groups_all_wrong" in measured:
        pictures.append(negative_groups_picture(metrics))
    if "entropy" in measured:
        pictures.append(entropy_picture(metrics))
    return pictures


def _evidence_pictures(curves: pd.DataFrame) -> list[Picture]:
    from figures.entropy import entropy_picture
    from figures.negative_groups import negative_groups_picture
    from figures.pass_at_k import trained_pass_at_k_picture
    from figures.training import training_picture

    # The published curves are averages over batches already: they are not smoothed again.
    curves = curves.assign(source="evidence", run="evidence")
    curves, stopped = _carried_on(curves)
    weights = curves[curves["scheme"].isin(_WEIGHTS)]
    signs = curves[curves["scheme"].isin(_SIGNS)]
    names = {m: f"held_out/{m}" for m in signs["metric"].unique() if str(m).startswith("pass@")}
    solved = signs.replace({"metric": {**names, "success": "held_out/pass@1"}})
    pictures: list[Picture] = []
    if not weights.empty:
        pictures += [training_picture(weights), negative_groups_picture(weights)]
    if not signs.empty:
        pictures += [entropy_picture(signs), trained_pass_at_k_picture(solved)]
    if not stopped:
        return pictures
    words = "Runs stop when they arrive, and count as they were last."
    return [dataclasses.replace(p, caption=f"{p.caption} {words}") for p in pictures]


def _carried_on(curves: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Curves with every run's last values carried on to the last step, and whether any were."""
    keys = ["source", "run", "scheme", "seed"]
    wide = curves.pivot(index=[*keys, "metric"], columns="step", values="value")
    stopped = bool(wide.iloc[:, -1].isna().any())
    tall = wide.ffill(axis=1).reset_index().melt(id_vars=[*keys, "metric"], var_name="step")
    return tall.dropna(subset=["value"]).astype({"step": int}), stopped


def _regimes(
    metrics: pd.DataFrame, config: Mapping[str, Any]
) -> Iterator[tuple[str, pd.DataFrame, Mapping[str, Any]]]:
    """Ending of names, metrics and configuration of each regime; of the run itself if no sweep."""
    if "regimes" not in config:
        yield "", metrics, config
        return
    several = len(config["regimes"]) > 1
    for name, changes in config["regimes"].items():
        # Rates were tuned: the budgets that the theory compares at are not equal.
        base = {**config["base"], **changes, "comparison": "own_rates"}
        yield f"-{name}" if several else "", metrics[metrics["run"] == name], base
