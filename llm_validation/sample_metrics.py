"""From a table of sampled responses to pass@k, entropy and length, with intervals, by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from llm_validation.outcomes import Outcome
from runs.files import read_table
from theory.intervals import bounded_interval, mean_interval
from theory.pass_at_k import pass_at_k_table

SAMPLE_COLUMNS = (
    "problem",
    "sample",
    "gold",
    "response",
    "outcome",
    "tokens",
    "truncated",
    "entropy",
    "log_probability",
    "level",
    "metadata",
)
"""Columns of a samples file: one sampled response per row."""

_NEEDED = ("problem", "outcome", "tokens", "truncated")
_MEANS = {
    "tokens": "response_tokens",
    "truncated": "truncated",
    "entropy": "entropy",
    "log_probability": "log_probability",
}


def read_samples(path: Path | str) -> pd.DataFrame:
    """Read a samples file, or all of those in a folder.

    Of a folder the samples of every evaluation in it are joined, of unfinished ones the parts that
    are there.

    Raises:
        FileNotFoundError: No such file, or a folder without samples.
        ValueError: Not Parquet, without rows, a column missing, an outcome that is none, or the
            same sample twice.
    """
    path = Path(path)
    found = [path] if path.is_file() else []
    if path.is_dir():
        found = sorted((*path.rglob("samples.parquet"), *path.rglob("samples/part-*.parquet")))
    if not found:
        raise FileNotFoundError(
            f"{path} is not a file; give the samples.parquet of an evaluation, or a folder of some"
        )
    samples = pd.concat([read_table(one) for one in found], ignore_index=True)
    if len(found) > 1 and {"problem", "sample"} <= set(samples):
        twice = samples[samples.duplicated(["problem", "sample"])]
        if len(twice):
            row = twice.iloc[0]
            raise ValueError(f"{path} holds sample {row['sample']} of {row['problem']} twice")
    missing = [column for column in _NEEDED if column not in samples]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}")
    unknown = sorted(set(samples["outcome"]) - {str(outcome) for outcome in Outcome})
    if unknown:
        raise ValueError(
            f"outcomes in {path} must be among {', '.join(Outcome)}; got {unknown[0]!r}"
        )
    if samples.empty:
        raise ValueError(f"{path} holds no samples")
    return samples


def pass_rates(samples: pd.DataFrame) -> pd.DataFrame:
    """Correct responses to each problem, in the order in which problems come first.

    Args:
        samples: As for :func:`summarise`; responses that could not be scored are not counted.

    Returns:
        Columns id, level (where known), n_correct, n_samples, tokens (their mean), truncated (how
        many were cut off).

    >>> outcomes = {"problem": ["a", "a"], "outcome": ["correct", "error"], "tokens": [9, 8]}
    >>> counted = pass_rates(pd.DataFrame({**outcomes, "truncated": [False, True]}))
    >>> counted.to_dict("records")
    [{'id': 'a', 'n_correct': 1, 'n_samples': 1, 'tokens': 9.0, 'truncated': 0}]
    """
    scored = samples["outcome"] != Outcome.ERROR
    counted = pd.DataFrame(
        {
            "id": samples["problem"],
            **({"level": samples["level"]} if "level" in samples else {}),
            "n_correct": (samples["outcome"] == Outcome.CORRECT).astype(int),
            "n_samples": scored.astype(int),
            "tokens": samples["tokens"].where(scored),
            "truncated": (samples["truncated"].astype(bool) & scored).astype(int),
        }
    )
    sums = {"n_correct": "sum", "n_samples": "sum", "tokens": "mean", "truncated": "sum"}
    known = {"level": "first"} if "level" in counted else {}
    return counted.groupby("id", sort=False).agg({**known, **sums}).reset_index()


def summarise(
    samples: pd.DataFrame,
    *,
    attempts: Sequence[int] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Estimates over all problems, by level where levels are known, and for levels 4 and 5.

    Every estimate is a mean over problems, with an interval over problems: that of shares for
    pass@k and truncation, Student's t for the rest. A problem with a response that could not be
    scored (``error``) has no pass@k and is counted.

    Args:
        samples: One response per row, with the columns problem, outcome, tokens, truncated, and
            where known entropy, log_probability and level.
        attempts: Values of k; default 1, 2, ..., n. Those above a group's smallest n are left out.
        level: Coverage of the intervals.

    Returns:
        Columns group, metric, k (0 where there is none), estimate, low, high, problems.
    """
    rows: list[Mapping[str, object]] = []
    for group, part in _groups(samples):
        rows += _pass_at_k(group, part, attempts, level)
        rows += _means(group, part, level)
        rows += _outcomes(group, part)
    columns = ["group", "metric", "k", "estimate", "low", "high", "problems"]
    return pd.DataFrame(rows, columns=columns)


def _groups(samples: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [("all", samples)]
    if "level" in samples and samples["level"].notna().any():
        for level in sorted(samples["level"].dropna().unique()):
            groups.append((f"level={int(level)}", samples[samples["level"] == level]))
        hard = samples[samples["level"].isin([4, 5])]
        if hard["level"].nunique() == 2:
            groups.append(("levels=4-5", hard))
    return groups


def _pass_at_k(
    group: str,
    samples: pd.DataFrame,
    attempts: Sequence[int] | None,
    level: float,
) -> list[Mapping[str, object]]:
    outcome = samples["outcome"].astype(str)
    by_problem = samples.assign(correct=outcome == "correct", error=outcome == "error").groupby(
        "problem", sort=True
    )
    scored = by_problem.agg(n=("correct", "size"), c=("correct", "sum"), errors=("error", "sum"))
    usable = scored[scored["errors"] == 0]
    rows = [
        _count(group, "problems", len(scored)),
        _count(group, "problems_unscored", len(scored) - len(usable)),
    ]
    if usable.empty:
        return rows
    most = int(usable["n"].min())
    k = [k for k in (attempts or range(1, most + 1)) if k <= most]
    if not k:
        return rows
    table = pass_at_k_table(usable["n"].to_numpy(), usable["c"].to_numpy(), k=k, level=level)
    rows += [
        {
            "group": group,
            "metric": "pass",
            "k": attempt,
            "estimate": estimate,
            "low": low,
            "high": high,
            "problems": table.problems,
        }
        for attempt, estimate, low, high in table.rows()
    ]
    return rows


def _means(
    group: str,
    samples: pd.DataFrame,
    level: float,
) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for column, metric in _MEANS.items():
        if column not in samples:
            continue
        known = samples.assign(value=samples[column].astype(float)).dropna(subset=["value"])
        means = known.groupby("problem", sort=True)["value"].mean().to_numpy(copy=True)
        if not len(means):
            continue
        low, high = (
            bounded_interval(means, level=level)
            if column == "truncated"
            else mean_interval(means, level=level)[1:]
        )
        rows.append(
            {
                "group": group,
                "metric": metric,
                "k": 0,
                "estimate": means.mean(),
                "low": float(low),
                "high": float(high),
                "problems": len(means),
            }
        )
    return rows


def _outcomes(group: str, samples: pd.DataFrame) -> list[Mapping[str, object]]:
    shares = samples["outcome"].astype(str).value_counts(normalize=True)
    problems = samples["problem"].nunique()
    return [
        {
            "group": group,
            "metric": f"outcome_{outcome}",
            "k": 0,
            "problems": problems,
            "estimate": float(shares.get(str(outcome), 0.0)),
            "low": np.nan,
            "high": np.nan,
        }
        for outcome in Outcome
    ]


def _count(group: str, metric: str, value: int) -> Mapping[str, object]:
    return {
        "group": group,
        "metric": metric,
        "k": 0,
        "estimate": float(value),
        "low": np.nan,
        "high": np.nan,
        "problems": value,
    }
