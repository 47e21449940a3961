"""The tiny model's evidence for the claims: schemes × learning rates × seeds.

Each task (a rule to find, answers to memorise) is run from scratch (ρ₀ ≈ 1 %) and post SFT
(ρ₀ ≈ 40 %). Every scheme is tried at every learning rate of one grid under picking seeds, and is
judged at the rate that served it best under other seeds. Every run folder is resumable, so the
whole is too: the same command goes on where it was stopped.

    python -m llm_validation.evidence --out results/evidence [--arms NAME …] [--dry-run]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from apw.runs import describe_environment, is_finished, read_metrics, write_json
from llm_validation.config import TrainConfig, load_recipe

SCHEMES = (
    "grpo", "rloo", "linear_r", "linear_r:zero_success=drop", "sqrt_r", "uniform_r", "lens", "psr",
    "nsr", "w_reinforce",
)  # fmt: skip
PICKING_SEEDS = 2
"""Seeds that learning rates are picked on; the seeds that follow judge."""
TARGET = 0.9
"""Success probability that times are taken to."""
COLLAPSE = 0.5
"""A run has collapsed if it ends below this share of its best success, or of its start."""
_OUTCOMES = ("scheme", "seed", "start", "final", "best", "reached", "collapsed")


@dataclasses.dataclass(frozen=True)
class Arm:
    """One setting that schemes are compared in.

    Attributes:
        name: Name of the arm's folder.
        recipe: Recipe it is made from.
        kind: Arithmetic task: ``rule`` or ``memorise``.
        claims: Ids of the claims it speaks to.
        schemes: Schemes compared.
        learning_rates: Grid, the same for every scheme.
        steps: Optimizer steps at most.
        stop_at: Success probability that ends a run; None for all steps, where the end matters.
        measure_every: Steps between measurements.
    """

    name: str
    recipe: str
    kind: str
    claims: tuple[str, ...]
    schemes: tuple[str, ...] = SCHEMES
    learning_rates: tuple[float, ...] = (5e-4, 1e-3)
    steps: int = 600
    stop_at: float | None = None
    measure_every: int = 10


ARMS = (
    Arm("rule-from-scratch", "tiny-from-scratch", "rule", ("A4", "A6", "L5", "O4"), stop_at=TARGET),
    Arm("rule-post-sft", "tiny-post-sft", "rule", ("A5", "L3", "N2", "N3", "N4", "N5", "N6"),
        learning_rates=(1e-4, 2.5e-4, 5e-4), steps=100, measure_every=4),
    Arm("memorise-from-scratch", "tiny-from-scratch", "memorise", ("O4",), ("grpo", "sqrt_r"),
        steps=200),
    Arm("memorise-post-sft", "tiny-post-sft", "memorise", ("O4",), ("grpo", "sqrt_r"), steps=200),
)  # fmt: skip


def tuning(arm: Arm, **changes: object) -> Iterator[tuple[str, TrainConfig]]:
    """Folder names and configurations that learning rates are picked by, one per rate.

    >>> [name for name, _ in tuning(ARMS[0])]
    ['rule-from-scratch/tune/lr=0.0005', 'rule-from-scratch/tune/lr=0.001']
    """
    for rate in arm.learning_rates:
        options = {"schemes": arm.schemes, "seeds": PICKING_SEEDS, **changes}
        yield f"{arm.name}/tune/lr={rate:g}", _configuration(arm, rate, **options)


def judging(
    arm: Arm, rates: Mapping[str, float], *, seeds: int = 5, **changes: object
) -> Iterator[tuple[str, TrainConfig]]:
    """Folder names and configurations of the runs that judge, every scheme at its own rate.

    Args:
        arm: The arm.
        rates: Scheme → learning rate.
        seeds: Seeds that judge.
        **changes: Fields of the configuration.

    >>> [(name, config.schemes) for name, config in
    ...  judging(ARMS[2], {"grpo": 1e-3, "sqrt_r": 5e-4})]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('memorise-from-scratch/judge/lr=0.0005', ('sqrt_r',)),
     ('memorise-from-scratch/judge/lr=0.001', ('grpo',))]
    """
    for rate in sorted(set(rates.values())):
        schemes = tuple(scheme for scheme in rates if rates[scheme] == rate)
        options = {"schemes": schemes, "first_seed": PICKING_SEEDS, "seeds": seeds, **changes}
        yield f"{arm.name}/judge/lr={rate:g}", _configuration(arm, rate, **options)


def _configuration(arm: Arm, rate: float, **options: object) -> TrainConfig:
    fixed = {
        "steps": arm.steps, "stop_at": arm.stop_at, "measure_every": arm.measure_every,
        "task_options": {"kind": arm.kind}, "learning_rate": rate,
    }  # fmt: skip
    return load_recipe(arm.recipe, **{**fixed, **options})


def pick_rates(out: Path, arm: Arm) -> dict[str, float]:
    """The learning rate of every scheme: the one with the least mean time to the target.

    A run that never arrives counts with all the responses it was given; ties (where none
    arrives, say) go to the higher mean success over the run.

    Raises:
        FileNotFoundError: A tuning run is not finished.
    """
    found = []
    for name, config in tuning(arm):
        metrics = read_metrics(out / name)
        table = outcomes(metrics).set_index(["scheme", "seed"])
        success = metrics[metrics["metric"] == "success"].groupby(["scheme", "seed"])["value"]
        budget = config.steps * config.responses_per_step
        table = table.assign(
            rate=config.learning_rate, time=table["reached"].clip(upper=budget), area=success.mean()
        )
        found.append(table.reset_index())
    means = pd.concat(found).groupby(["scheme", "rate"])[["time", "area"]].mean().reset_index()
    best = means.sort_values(["time", "area"], ascending=[True, False]).groupby("scheme").first()
    return {scheme: float(best.loc[scheme, "rate"]) for scheme in arm.schemes}


def run(out: Path, arms: Iterable[Arm] = ARMS, *, progress: bool = True, **options: object) -> None:
    """Train whatever is not finished yet, arm by arm, in folders under ``out``."""
    from llm_validation.train import train

    changes = {name: value for name, value in options.items() if name != "seeds"}
    for arm in arms:
        for name, config in tuning(arm, **changes):
            train(config, out / name, progress=progress)
        for name, config in judging(arm, pick_rates(out, arm), **options):  # type: ignore[arg-type]
            train(config, out / name, progress=progress)


def outcomes(metrics: pd.DataFrame, target: float = TARGET) -> pd.DataFrame:
    """What came of each training: one row per scheme and seed.

    Args:
        metrics: Metrics of a run with ``success`` and ``responses``.
        target: Success probability to reach.

    Returns:
        Columns scheme, seed, start, final, best, reached (responses until the target was first
        measured, ∞ if never), collapsed.

    >>> rows = [("a", 0, t, m, v) for t, s in enumerate((0.1, 0.95, 0.2))
    ...         for m, v in (("success", s), ("responses", 10 * t))]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> outcomes(table)[["best", "reached", "collapsed"]].values.tolist()
    [[0.95, 10.0, True]]
    """
    wanted = metrics[metrics["metric"].isin(["success", "responses"])]
    wide = wanted.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    wide = wide.dropna(subset=["success"])
    rows = []
    for (scheme, seed), part in wide.groupby(level=["scheme", "seed"], sort=False):
        success = part["success"].to_numpy()
        above = np.flatnonzero(success >= target)
        reached = float(part["responses"].to_numpy()[above[0]]) if len(above) else np.inf
        collapsed = bool(success[-1] < COLLAPSE * max(success.max(), success[0]))
        values = (scheme, seed, success[0], success[-1], success.max(), reached, collapsed)
        rows.append(dict(zip(_OUTCOMES, values, strict=True)))
    return pd.DataFrame(rows, columns=list(_OUTCOMES))


def judged_runs(out: Path, arm: Arm) -> pd.DataFrame:
    """Metrics of an arm's judging runs with a column ``learning_rate``; empty if not finished."""
    folders = sorted((out / arm.name / "judge").glob("lr=*"))
    if not folders or not all(is_finished(folder) for folder in folders):
        return pd.DataFrame()
    tables = [
        read_metrics(folder).assign(learning_rate=float(folder.name.removeprefix("lr=")))
        for folder in folders
    ]
    return pd.concat(tables, ignore_index=True)


def summarise(out: Path, arms: Iterable[Arm] = ARMS, *, reference: str = "grpo") -> pd.DataFrame:
    """Compare the schemes of every arm whose runs are all finished.

    Ratios of responses to the target are paired by seed; a seed in which only one of the two
    arrives counts as 0 or ∞, and one in which neither does says nothing.

    Returns:
        One row per arm and scheme: arm, claims, scheme, learning_rate, seeds, start, final (means),
        arrived, collapsed (shares of seeds), responses (median), ratio (median of the paired ratios
        to ``reference``), ratio_low, ratio_high (bootstrap 95 %), pairs.
    """
    rows: list[dict[str, object]] = []
    for arm in arms:
        metrics = judged_runs(out, arm)
        if not metrics.empty:
            rows += _compare(arm, metrics, reference)
    return pd.DataFrame(rows)


def _compare(arm: Arm, metrics: pd.DataFrame, reference: str) -> list[dict[str, object]]:
    rates = metrics.groupby("scheme")["learning_rate"].first()
    chosen = {
        scheme: part.set_index("seed").sort_index()
        for scheme, part in outcomes(metrics).groupby("scheme", sort=False)
    }
    rows = []
    for scheme in (s for s in arm.schemes if s in chosen):
        part = chosen[scheme]
        ratios = paired_ratios(part["reached"], chosen[reference]["reached"])
        low, high = _interval(ratios)
        rows.append({
            "arm": arm.name, "claims": " ".join(arm.claims), "scheme": scheme,
            "learning_rate": rates[scheme], "seeds": len(part), "start": part["start"].mean(),
            "final": part["final"].mean(), "arrived": np.isfinite(part["reached"]).mean(),
            "collapsed": part["collapsed"].mean(), "responses": _median(part["reached"]),
            "ratio": _median(ratios), "ratio_low": low, "ratio_high": high, "pairs": len(ratios),
        })  # fmt: skip
    return rows


def paired_ratios(reached: pd.Series, reference: pd.Series) -> np.ndarray:
    """Ratios of times seed by seed, without the seeds in which neither arrived."""
    ours, theirs = reached.to_numpy(), reference.loc[reached.index].to_numpy()
    informative = np.isfinite(ours) | np.isfinite(theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return ours[informative] / theirs[informative]


def _median(values: pd.Series | np.ndarray) -> float:
    """Median that stays defined where some values are ∞: the lower of the middle two."""
    ordered = np.sort(np.asarray(values, dtype=float))
    return float(ordered[(len(ordered) - 1) // 2]) if len(ordered) else float("nan")


def _interval(ratios: np.ndarray, resamples: int = 2000) -> tuple[float, float]:
    if not len(ratios):
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    draws = rng.choice(ratios, size=(resamples, len(ratios)))
    medians = np.sort(np.sort(draws, axis=1)[:, (len(ratios) - 1) // 2])
    return float(medians[int(0.025 * resamples)]), float(medians[int(0.975 * resamples) - 1])


def publish(out: Path, arms: Iterable[Arm], folder: Path) -> list[Path]:
    """Copy what verdicts follow from into ``folder``: small tables and their environment.

    Every finished arm gets ``<arm>/curves.parquet`` (the judging runs' metrics at the steps where
    success was measured, those of single batches averaged over the steps since), ``outcomes.csv``
    and ``environment.json`` (machine, versions, configurations, learning rates tried and picked).
    """
    written = []
    for arm in arms:
        metrics = judged_runs(out, arm)
        if metrics.empty:
            continue
        place = folder / arm.name
        place.mkdir(parents=True, exist_ok=True)
        rates = metrics.groupby("scheme")["learning_rate"].first()
        table = outcomes(metrics)
        table.insert(0, "arm", arm.name)
        table.insert(2, "learning_rate", table["scheme"].map(rates))
        table.to_csv(place / "outcomes.csv", index=False)
        curves(metrics).to_parquet(place / "curves.parquet", index=False)
        write_json(
            place / "environment.json",
            {
                **describe_environment(),
                "grid": list(arm.learning_rates),
                "picked": {scheme: float(rate) for scheme, rate in rates.items()},
                "picking_seeds": PICKING_SEEDS,
                "command": f"python -m llm_validation.evidence --arms {arm.name}",
                "configuration": _configuration(arm, arm.learning_rates[0]).to_dict(),
            },
        )
        written.append(place)
    return written


CURVES = (
    "success", "pass@4", "pass@16", "pass@64", "pass@256", "responses", "entropy", "grad_norm",
    "groups_all_wrong", "groups_mixed", "groups_all_right", "effective_weight",
)  # fmt: skip
"""Metrics whose course is kept."""
_PER_BATCH = CURVES[6:]


def curves(metrics: pd.DataFrame) -> pd.DataFrame:
    """Metrics at the steps of measurement; those of single batches are means since the last one.

    Returns:
        Columns scheme, seed, step, metric, value (float32).
    """
    kept = metrics[metrics["metric"].isin(CURVES)]
    wide = kept.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    parts = []
    for _, run in wide.groupby(level=["scheme", "seed"], sort=False):
        measured = run["success"].notna()
        block = measured[::-1].cumsum()[::-1]
        batches = [name for name in _PER_BATCH if name in run]
        averaged = run[batches].groupby(block).transform("mean")
        parts.append(run.assign(**{name: averaged[name] for name in batches})[measured])
    joined = pd.concat(parts).reset_index()
    tidy = joined.melt(id_vars=["scheme", "seed", "step"], var_name="metric").dropna()
    return tidy.astype({"value": "float32", "seed": "int16", "step": "int32"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: run what is left, then print and write the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_validation.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("results/evidence"))
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS])
    parser.add_argument("--seeds", type=int, default=5, help="seeds that judge")
    parser.add_argument("--steps", type=int, help="optimizer steps instead of the arm's")
    parser.add_argument("--dry-run", action="store_true", help="count the work, do none")
    parser.add_argument("--summary", action="store_true", help="train nothing, only compare")
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="write the tables here")
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if options.arms is None or arm.name in options.arms]
    if options.steps is not None:
        arms = [dataclasses.replace(arm, steps=options.steps) for arm in arms]
    if options.dry_run:
        _print_plan(arms, options.seeds)
        return 0
    try:
        if not options.summary:
            run(options.out, arms, seeds=options.seeds)
    except KeyboardInterrupt as stopped:
        print(stopped, file=sys.stderr)
        return 130
    table = summarise(options.out, arms)
    if table.empty:
        print("no arm is finished yet", file=sys.stderr)
        return 1
    table.to_csv(options.out / "summary.csv", index=False)
    print(table.to_string(index=False))
    if options.publish is not None:
        publish(options.out, arms, options.publish)
    print(json.dumps({"summary": str(options.out / "summary.csv")}), file=sys.stderr)
    return 0


def _print_plan(arms: Sequence[Arm], seeds: int) -> None:
    from llm_validation.dry_run import plan

    for arm in arms:
        # Which rates are picked is not known beforehand; the number of runs does not depend on it.
        picked = dict.fromkeys(arm.schemes, arm.learning_rates[0])
        for name, config in (*tuning(arm), *judging(arm, picked, seeds=seeds)):
            planned = plan(config)
            print(
                f"{name}: {planned.runs} trainings, at most {planned.total_responses:,} responses"
            )


if __name__ == "__main__":
    sys.exit(main())
