"""What the arms' tables say about the claims: the language-model column of the ledger.

The checks were written down before the judging runs. They read the published tables alone, so
whoever has the repository can derive every verdict again: ``apw claims --check`` does.

Ratios of times are judged by their logarithms, seed by seed, counted up to a factor of 20: a scheme
that never arrives is not infinitely worse, and a pair in which neither arrives says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from claims.language_model.arms import LENS_PARTS, TARGET
from claims.verdicts import BASE, Check, Finding, above, below, compared, finding
from runs.files import write_json
from theory.crossover import predicted_speedup

ASYMMETRIC = ("linear_r", "sqrt_r", "uniform_r")
DROPPING = "linear_r:zero_success=drop"
KS = (4, 16, 64, 256)
SLACK = 0.01
"""Differences of pass@k below this count as none."""
CEILING = float(np.log(20))
MARGIN = 0.1
"""A speed-up that is predicted to be less than this in logarithm must not be larger."""


@dataclasses.dataclass(frozen=True)
class ArmTables:
    """The published tables of one arm.

    Attributes:
        name: Name of the arm.
        outcomes: One row per scheme and seed.
        curves: Tidy metrics at the steps of measurement.
    """

    name: str
    outcomes: pd.DataFrame
    curves: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, name: str) -> ArmTables:
        """Read ``folder/<name>``.

        Raises:
            FileNotFoundError: The arm has not been published there.
        """
        place = folder / name
        return cls(
            name, pd.read_csv(place / "outcomes.csv"), pd.read_parquet(place / "curves.parquet")
        )

    def schemes(self) -> list[str]:
        """Schemes that were judged, in order."""
        return list(dict.fromkeys(self.outcomes["scheme"]))

    def log_ratio(self, scheme: str, reference: str) -> list[float]:
        """Logarithms of the ratios of responses to the target, seed by seed."""
        reached = self.outcomes.pivot(index="seed", columns="scheme", values="reached")
        ours, theirs = reached[scheme].to_numpy(), reached[reference].to_numpy()
        kept = np.isfinite(ours) | np.isfinite(theirs)
        with np.errstate(divide="ignore"):
            logs = np.log(ours[kept] / theirs[kept])
        return [float(x) for x in np.clip(logs, -CEILING, CEILING)]

    def course(self, scheme: str, metric: str) -> pd.DataFrame:
        """One row per seed, one column per step."""
        chosen = self.curves[(self.curves["scheme"] == scheme) & (self.curves["metric"] == metric)]
        return chosen.pivot(index="seed", columns="step", values="value").sort_index()

    def first(self, scheme: str, metric: str) -> np.ndarray:
        """First value of every seed; base, for metrics of the policy."""
        return self.course(scheme, metric).bfill(axis=1).iloc[:, 0].to_numpy(float)

    def last(self, scheme: str, metric: str) -> np.ndarray:
        """Last value of every seed."""
        return self.course(scheme, metric).ffill(axis=1).iloc[:, -1].to_numpy(float)

    def gain(self, scheme: str, metric: str) -> list[float]:
        """Last minus first value, by seed."""
        return list(self.last(scheme, metric) - self.first(scheme, metric))


def _a4(scratch: ArmTables) -> list[Check]:
    """Asymmetric weights reach the target sooner than GRPO from scratch."""
    return [
        below(
            "responses to target",
            0.0,
            scratch.log_ratio(scheme, "grpo"),
            **compared(scheme, "grpo", "log ratio"),
        )
        for scheme in ASYMMETRIC
    ]


def _a5(fine_tuned: ArmTables) -> list[Check]:
    """After fine-tuning they do not: no gain of a tenth."""
    return [
        above(
            "responses to target",
            float(np.log(0.9)),
            fine_tuned.log_ratio(scheme, "grpo"),
            **compared(scheme, "grpo", "log ratio"),
        )
        for scheme in ASYMMETRIC
    ]


def _a6(scratch: ArmTables) -> list[Check]:
    """Dropping all-wrong groups slows training from scratch."""
    ratios = scratch.log_ratio(DROPPING, "linear_r")
    return [
        above("responses to target", 0.0, ratios, **compared(DROPPING, "linear_r", "log ratio"))
    ]


def _l3(fine_tuned: ArmTables) -> list[Check]:
    """LENS is at or above GRPO at every pass@k."""
    return [
        above(
            metric,
            -SLACK,
            list(fine_tuned.last("lens", metric) - fine_tuned.last("grpo", metric)),
            **compared("lens", "grpo"),
        )
        for metric in _metrics()
    ]


def _l4(one_in_ten: ArmTables) -> list[Check]:
    """Both halves of LENS help: mixed groups alone and all-wrong groups alone each beat GRPO."""
    grpo = one_in_ten.course("grpo", "success").mean(axis=1)
    return [
        above(
            "mean success over training",
            0.0,
            list(one_in_ten.course(scheme, "success").mean(axis=1) - grpo),
            **compared(scheme, "grpo"),
        )
        for scheme in LENS_PARTS
    ]


def _l5(scratch: ArmTables) -> list[Check]:
    """The share of all-wrong groups falls during training, and falls faster with LENS."""
    name = "groups_all_wrong"
    lens, grpo = scratch.course("lens", name), scratch.course("grpo", name)
    # Runs stop when they arrive; thereafter their share counts as it was last.
    steps = lens.columns.union(grpo.columns)
    areas = [c.reindex(columns=steps).ffill(axis=1).mean(axis=1) for c in (lens, grpo)]
    share = "share of all-wrong groups"
    return [
        below(f"final {share}", 0.0, scratch.gain("lens", name), **compared("lens", BASE)),
        below(f"final {share}", 0.0, scratch.gain("grpo", name), **compared("grpo", BASE)),
        below(f"mean {share}", 0.0, list(areas[0] - areas[1]), **compared("lens", "grpo")),
    ]


def _n2(fine_tuned: ArmTables) -> list[Check]:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""
    return [
        above(
            metric,
            0.0 if metric == "success" else -SLACK,
            fine_tuned.gain("nsr", metric),
            **compared("nsr", BASE),
        )
        for metric in _metrics()
    ]


def _n3(fine_tuned: ArmTables) -> list[Check]:
    """PSR raises pass@1 and falls below base at large k."""
    metric = f"pass@{KS[-1]}"
    return [
        above("success", 0.0, fine_tuned.gain("psr", "success"), **compared("psr", BASE)),
        below(metric, 0.0, fine_tuned.gain("psr", metric), **compared("psr", BASE)),
    ]


def _n4(fine_tuned: ArmTables) -> list[Check]:
    """Entropy at the end: NSR near base and above GRPO, PSR below GRPO."""
    ends = {s: fine_tuned.last(s, "entropy") for s in ("nsr", "grpo", "psr")}
    base = fine_tuned.first("nsr", "entropy")
    return [
        above("entropy", 0.8, list(ends["nsr"] / base), **compared("nsr", BASE, "ratio")),
        above("entropy", 0.0, list(ends["nsr"] - ends["grpo"]), **compared("nsr", "grpo")),
        above("entropy", 0.0, list(ends["grpo"] - ends["psr"]), **compared("grpo", "psr")),
    ]


def _n5(fine_tuned: ArmTables) -> list[Check]:
    """NSR's update vanishes as errors stop."""
    ends, starts = (pick("nsr", "grad_norm") for pick in (fine_tuned.last, fine_tuned.first))
    ratios = list(ends / starts)
    return [below("gradient norm", 0.5, ratios, **compared("nsr", BASE, "ratio"))]


def _n6(fine_tuned: ArmTables) -> list[Check]:
    """W-REINFORCE has the pass@1 of GRPO with NSR's pass@k at large k."""
    large = f"pass@{KS[-1]}"
    return [
        above(
            metric,
            -SLACK,
            list(fine_tuned.last("w_reinforce", metric) - fine_tuned.last(other, metric)),
            **compared("w_reinforce", other),
        )
        for metric, other in (("success", "grpo"), (large, "nsr"))
    ]


def _n7(long: ArmTables) -> list[Check]:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""
    fall = {}
    for scheme in ("nsr", "w_reinforce"):
        course = long.course(scheme, "success")
        fall[scheme] = list(course.max(axis=1) - course.iloc[:, -1])
    return [
        above("fall of success from its peak to the end", SLACK, fall["nsr"], scheme="nsr"),
        below(
            "fall of success from its peak to the end",
            SLACK,
            fall["w_reinforce"],
            scheme="w_reinforce",
        ),
    ]


def _o4(*arms: ArmTables) -> list[Check]:
    """Asymmetric weights pay where drift dominates noise and not where noise dominates."""
    checks = []
    for arm in arms:
        # The rule is shared by all prompts; a memory belongs to one, and its noise to it alone.
        rule = arm.name.startswith("rule")
        predicted = predicted_speedup(
            "sqrt_r", "grpo", start=float(arm.outcomes["start"].mean()), target=TARGET,
            group_size=16, prompts=16 if rule else 1, sharing=1.0 if rule else 0.0,
            score_variance=1.0 if rule else 8.0, clock="regular", dynamics="softmax_gradient",
        )  # fmt: skip
        gain = [-value for value in arm.log_ratio("sqrt_r", "grpo")]
        about = compared("sqrt_r", "grpo", "log ratio", arm.name)
        if np.log(predicted) > MARGIN:
            checks.append(above("speed-up", 0.0, gain, **about))
        else:
            checks.append(below("speed-up", MARGIN, gain, **about))
    return checks


_SCRATCH, _FINE_TUNED = ("rule-from-scratch",), ("rule-post-sft",)
CLAIMS: dict[str, tuple[Callable[..., list[Check]], tuple[str, ...]]] = {
    "A4": (_a4, _SCRATCH),
    "A5": (_a5, _FINE_TUNED),
    "A6": (_a6, _SCRATCH),
    "L3": (_l3, _FINE_TUNED),
    "L4": (_l4, ("rule-one-in-ten",)),
    "L5": (_l5, _SCRATCH),
    "N2": (_n2, _FINE_TUNED),
    "N3": (_n3, _FINE_TUNED),
    "N4": (_n4, _FINE_TUNED),
    "N5": (_n5, _FINE_TUNED),
    "N6": (_n6, _FINE_TUNED),
    "N7": (_n7, ("rule-post-sft-long",)),
    "O4": (
        _o4,
        (*_SCRATCH, *_FINE_TUNED, "memorise-from-scratch", "memorise-post-sft"),
    ),
}
"""Claim → its checks, and the arms they read."""


def judge(folder: Path) -> Iterator[Finding]:
    """Findings on every claim whose arms are all published in ``folder``.

    Args:
        folder: Folder that :func:`claims.language_model.run.publish` wrote.

    Yields:
        Findings in the order of the ledger.
    """
    for claim, (checks, arms) in CLAIMS.items():
        if not all((folder / arm / "outcomes.csv").exists() for arm in arms):
            continue
        tables = [ArmTables.read(folder, arm) for arm in arms]
        sentence = (checks.__doc__ or "").strip()
        words = [f"{table.name}: {_describe(table)}" for table in tables]
        yield finding(claim, sentence, checks(*tables), words, quick=False)


def write_findings(folder: Path) -> list[Finding]:
    """Judge, and write ``folder/findings/<ID>.json``."""
    found = list(judge(folder))
    for item in found:
        arms = CLAIMS[item.id][1]
        write_json(
            folder / "findings" / f"{item.id}.json",
            {**item.to_dict(), "arm": "llm", "evidence": [f"{arm}/outcomes.csv" for arm in arms]},
        )
    return found


def _describe(table: ArmTables) -> str:
    start = table.outcomes["start"].mean()
    seeds = table.outcomes["seed"].nunique()
    largest = f"pass@{KS[-1]}"
    base = float(table.first(table.schemes()[0], largest).mean())
    # Where nearly every prompt is solved within k tries there is no diversity left to lose.
    weak = ", where large k can hardly tell schemes apart" if base > 1 - SLACK else ""
    return (
        f"tiny Llama through TRL, one right answer per prompt, pass rate {start:.3f} and "
        f"{largest} {base:.3f} at the start{weak}; {seeds} seeds, each scheme at its own best "
        "learning rate"
    )


def _metrics() -> list[str]:
    return ["success", *(f"pass@{k}" for k in KS)]
