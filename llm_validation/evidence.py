"""The tiny model's evidence for claims A4, A5, A6 and O4: schemes × learning rates × seeds.

Each task (a rule to find, answers to memorise) is run from scratch (ρ₀ ≈ 1 %) and post SFT
(ρ₀ ≈ 40 %), every scheme at every learning rate of one grid. A scheme is judged at its own best
rate, picked on other seeds than those it is judged by. Every run folder is resumable, so the whole
is too: the same command goes on where it was stopped.

    python -m llm_validation.evidence --out results/evidence [--dry-run]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from apw.runs import is_finished, read_metrics
from llm_validation.config import TrainConfig, load_recipe

SCHEMES = (
    "grpo", "rloo", "linear_r", "linear_r:zero_success=drop", "sqrt_r", "uniform_r", "lens", "psr",
    "nsr", "w_reinforce",
)  # fmt: skip
LEARNING_RATES = (1e-4, 2e-4, 4.5e-4, 1e-3)
PICKING_SEEDS = 2
"""Seeds that learning rates are picked on; the seeds that follow judge."""
TARGET = 0.9
COLLAPSE = 0.5
"""A run has collapsed if it ends below this share of its best success, or of its start."""
_OUTCOMES = ("scheme", "seed", "start", "final", "best", "reached", "collapsed")


@dataclasses.dataclass(frozen=True)
class Arm:
    """One setting that all schemes are compared in.

    Attributes:
        name: Name of the arm's folder.
        recipe: Recipe it is made from.
        kind: Arithmetic task: ``rule`` or ``memorise``.
        claims: Ids of the claims it speaks to.
    """

    name: str
    recipe: str
    kind: str
    claims: tuple[str, ...]


ARMS = (
    Arm("rule-from-scratch", "tiny-from-scratch", "rule", ("A4", "A6", "O4")),
    Arm("rule-post-sft", "tiny-post-sft", "rule", ("A5",)),
    Arm("memorise-from-scratch", "tiny-from-scratch", "memorise", ("O4",)),
    Arm("memorise-post-sft", "tiny-post-sft", "memorise", ("O4",)),
)


def configurations(
    arm: Arm, *, seeds: int = 5, learning_rates: Iterable[float] = LEARNING_RATES, **changes: object
) -> Iterator[tuple[str, TrainConfig]]:
    """Folder names and configurations of an arm, one per learning rate.

    >>> [name for name, _ in configurations(ARMS[0], learning_rates=(1e-4,))]
    ['rule-from-scratch/lr=0.0001']
    """
    for rate in learning_rates:
        config = load_recipe(
            arm.recipe,
            schemes=SCHEMES,
            seeds=PICKING_SEEDS + seeds,
            task_options={"kind": arm.kind},
            learning_rate=rate,
            **changes,
        )
        yield f"{arm.name}/lr={rate:g}", config


def run(out: Path, arms: Iterable[Arm] = ARMS, *, progress: bool = True, **options: object) -> None:
    """Train whatever is not finished yet, arm by arm, in folders under ``out``."""
    from llm_validation.train import train

    for arm in arms:
        for name, config in configurations(arm, **options):  # type: ignore[arg-type]
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


def summarise(out: Path, arms: Iterable[Arm] = ARMS, *, reference: str = "grpo") -> pd.DataFrame:
    """Compare the schemes of every arm whose runs are all finished.

    A scheme's learning rate is the one with the highest mean success over training (the area under
    its curve, so that speed and collapse both count) on the picking seeds. Ratios of responses to
    the target are paired by seed; a seed in which only one of the two arrives counts as 0 or ∞, and
    one in which neither does says nothing.

    Returns:
        One row per arm and scheme: arm, claims, scheme, learning_rate, seeds, start, final (means),
        arrived, collapsed (shares of seeds), responses (median), ratio (median of the paired ratios
        to ``reference``), ratio_low, ratio_high (bootstrap 95 %), pairs.
    """
    rows: list[dict[str, object]] = []
    for arm in arms:
        tables = []
        for folder in sorted((out / arm.name).glob("lr=*")):
            if not is_finished(folder):
                break
            metrics = read_metrics(folder)
            rate = float(folder.name.removeprefix("lr="))
            area = metrics[metrics["metric"] == "success"].groupby(["scheme", "seed"])["value"]
            table = outcomes(metrics).assign(learning_rate=rate)
            table["area"] = (
                area.mean().loc[pd.MultiIndex.from_frame(table[["scheme", "seed"]])].values
            )
            tables.append(table)
        else:
            if tables:
                rows += _compare(arm, pd.concat(tables), reference)
    return pd.DataFrame(rows)


def _compare(arm: Arm, table: pd.DataFrame, reference: str) -> list[dict[str, object]]:
    picking = table["seed"] < table["seed"].min() + PICKING_SEEDS
    areas = table[picking].groupby(["scheme", "learning_rate"], sort=False)["area"].mean()
    best = {scheme: areas[scheme].idxmax() for scheme in table["scheme"].unique()}
    judged = table[~picking]
    chosen = {
        scheme: judged[(judged["scheme"] == scheme) & (judged["learning_rate"] == rate)]
        .set_index("seed")
        .sort_index()
        for scheme, rate in best.items()
    }
    rows = []
    for scheme, part in chosen.items():
        ratios = _paired_ratios(part["reached"], chosen[reference]["reached"])
        low, high = _interval(ratios)
        rows.append({
            "arm": arm.name, "claims": " ".join(arm.claims), "scheme": scheme,
            "learning_rate": best[scheme], "seeds": len(part), "start": part["start"].mean(),
            "final": part["final"].mean(), "arrived": np.isfinite(part["reached"]).mean(),
            "collapsed": part["collapsed"].mean(), "responses": _median(part["reached"]),
            "ratio": _median(ratios), "ratio_low": low, "ratio_high": high, "pairs": len(ratios),
        })  # fmt: skip
    return rows


def _paired_ratios(reached: pd.Series, reference: pd.Series) -> np.ndarray:
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


def main(arguments: list[str] | None = None) -> int:
    """Command line: run what is left, then print and write the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_validation.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("results/evidence"))
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS])
    parser.add_argument("--seeds", type=int, default=5, help="seeds that judge")
    parser.add_argument("--steps", type=int, help="optimizer steps instead of the recipe's")
    parser.add_argument("--dry-run", action="store_true", help="count the work, do none")
    parser.add_argument("--summary", action="store_true", help="train nothing, only compare")
    options = parser.parse_args(arguments)
    arms = [arm for arm in ARMS if options.arms is None or arm.name in options.arms]
    if options.dry_run:
        from llm_validation.dry_run import plan

        for arm in arms:
            for name, config in configurations(arm, seeds=options.seeds, steps=options.steps):
                planned = plan(config)
                print(f"{name}: {planned.runs} trainings, {planned.total_responses:,} responses")
        return 0
    try:
        if not options.summary:
            run(options.out, arms, seeds=options.seeds, steps=options.steps)
    except KeyboardInterrupt as stopped:
        print(stopped, file=sys.stderr)
        return 130
    table = summarise(options.out, arms)
    if table.empty:
        print("no arm is finished yet", file=sys.stderr)
        return 1
    table.to_csv(options.out / "summary.csv", index=False)
    print(table.to_string(index=False))
    print(json.dumps({"summary": str(options.out / "summary.csv")}), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
