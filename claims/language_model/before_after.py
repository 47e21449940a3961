"""One training of a real model, with pass@k before and after, as small tables.

The runs are one of ``apw train`` and two of ``apw evaluate``; ``apw claims --gain`` names them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from llm_validation.sample_metrics import read_samples
from runs.environment import describe_environment
from runs.files import write_json
from runs.folder import read_config, read_metrics
from theory.intervals import bounded_interval
from theory.pass_at_k import pass_at_k

CURVES = (
    "reward",
    "groups_all_wrong",
    "groups_mixed",
    "groups_all_right",
    "effective_weight",
    "advantage_square",
    "entropy",
    "response_length",
    "truncated",
    "grad_norm",
    "responses",
    "tokens",
)
"""Metrics of training that are kept."""


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Pass@k of two samples files on the problems they share, and the gain, paired by problem.

    Args:
        before: Responses of the model before training, one per row.
        after: Those after it.

    Returns:
        One row per k up to the smallest number of responses: k, problems, and for ``before``,
        ``after`` and ``gain`` the estimate and its 95 % interval (``_low``, ``_high``).

    Raises:
        ValueError: No problem in common.

    >>> names = ["problem", "outcome"]
    >>> one = pd.DataFrame([("a", "correct"), ("a", "wrong")], columns=names)
    >>> two = pd.DataFrame([("a", "correct"), ("a", "correct")], columns=names)
    >>> compare(one, two)[["k", "before", "after", "gain"]].values.tolist()
    [[1.0, 0.5, 1.0, 0.5], [2.0, 1.0, 1.0, 0.0]]
    """
    counts = [
        samples.assign(right=samples["outcome"] == "correct")
        .groupby("problem")["right"]
        .agg(["size", "sum"])
        for samples in (before, after)
    ]
    common = counts[0].index.intersection(counts[1].index)
    if common.empty:
        raise ValueError("the two evaluations have no problem in common")
    tables = [table.loc[common] for table in counts]
    attempts = np.arange(1, int(min(table["size"].min() for table in tables)) + 1)
    first, second = (
        pass_at_k(t["size"].to_numpy()[:, None], t["sum"].to_numpy()[:, None], attempts)
        for t in tables
    )
    rows: dict[str, object] = {"k": attempts, "problems": len(common)}
    for name, values in (("before", first), ("after", second), ("gain", second - first)):
        low, high = bounded_interval(values, low=-1.0 if name == "gain" else 0.0)
        rows |= {name: values.mean(axis=0), f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(rows)


def literal(samples: pd.DataFrame) -> dict[str, int]:
    r"""How many responses were right, and in how many of these the reference answer stands as text.

    A checker that works out what an expression is worth takes the problem said again for its
    answer: a right response without the reference answer's own text may be no more than that.
    Spaces, dollar signs and sizes of brackets do not count, nor does text within a longer number.
    The reference may stand there by chance, so the count is an upper bound on answers given.

    Args:
        samples: One response per row, with gold, response and outcome.

    Returns:
        ``responses``, ``correct`` and ``correct_literal``.

    >>> rows = [("4", "2^2 is 4.", "correct"), ("4", "2^{2}", "correct"), ("4", "54", "wrong")]
    >>> literal(pd.DataFrame(rows, columns=["gold", "response", "outcome"]))
    {'responses': 3, 'correct': 2, 'correct_literal': 1}
    """
    right = samples[samples["outcome"] == "correct"]
    stands = [
        re.search(rf"(?<![\w.]){re.escape(_plain(gold))}(?![\w^]|\.\d)", _plain(response))
        is not None
        for gold, response in zip(right["gold"], right["response"], strict=True)
    ]
    return {"responses": len(samples), "correct": len(right), "correct_literal": sum(stands)}


def _plain(text: str) -> str:
    text = re.sub(r"\\left|\\right|(?<=\d),(?=\d{3})|\$", "", text.replace("dfrac", "frac"))
    return re.sub(r"\s*([-+*/=^(){},])\s*", r"\1", " ".join(text.split()))


def publish(train: Path, before: Path, after: Path, to: Path) -> pd.DataFrame:
    """Write ``curves.csv``, ``pass_at_k.csv``, ``answers.csv`` and ``environment.json``.

    Returns:
        The table of pass@k.

    Raises:
        FileNotFoundError: A folder without a finished run.
    """
    metrics = read_metrics(train)
    kept = metrics[metrics["metric"].isin(CURVES)]
    curves = kept.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    samples = {
        name: read_samples(folder / "samples.parquet")
        for name, folder in (("before", before), ("after", after))
    }
    table = compare(samples["before"], samples["after"])
    to.mkdir(parents=True, exist_ok=True)
    columns = [name for name in CURVES if name in curves]
    curves[columns].reset_index().to_csv(to / "curves.csv", index=False, float_format="%.6g")
    table.to_csv(to / "pass_at_k.csv", index=False, float_format="%.6g")
    answers = pd.DataFrame([{"when": name, **literal(found)} for name, found in samples.items()])
    answers.to_csv(to / "answers.csv", index=False)
    folders = {"train": train, "before": before, "after": after}
    configurations = {name: read_config(folder) for name, folder in folders.items()}
    write_json(to / "environment.json", {**describe_environment(), **configurations})
    return table
