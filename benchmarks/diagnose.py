"""``apw diagnose`` on ten million rollouts, against the same measures in plain pandas.

Bound: groups may be spread over files, so a reader in bounded memory must sort, on disk where
memory ends; everything after that is a pass over columns. JSON lines have to be parsed besides, and
no faster than DuckDB parses them into columns: their peer does that and nothing else. The log is
hard on it: the rows of a step stand in the order in which a sampler finishes them, the prompts are
texts. All programs run as processes of their own on one core, and apw and pandas must agree on what
they report. What counts is the processor time of the whole program, imports included, so that a
busy machine does not change it much.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runs.environment import describe_environment

STEPS, PROMPTS, GROUP_SIZE = 1000, 625, 16
ROWS = STEPS * PROMPTS * GROUP_SIZE
JSON_ROWS = 3_000_000
MEMORY_LIMIT = 2.0 * 2**30

_PARSER = """
import json, sys
import duckdb
kinds = dict.fromkeys(["step", "reward", "length", "log_prob", "sampler_log_prob"], "DOUBLE")
names = ", ".join(f"{name}: '{kind}'" for name, kind in {**kinds, "prompt": "VARCHAR"}.items())
connection = duckdb.connect(config={"threads": 1})
connection.execute("SET enable_progress_bar = false")
connection.sql(
    f"SELECT max(COLUMNS(*)) FROM read_json('{sys.argv[1]}', format='newline_delimited', "
    f"columns={{{names}}})"
).fetchall()
print(json.dumps({}))
"""

_PEER = """
import json, sys
import numpy as np, pandas as pd

table = pd.read_parquet(sys.argv[1])
mean = table["log_prob"] / table["length"]
table["confidence"] = np.exp(mean)
table["surprise"] = -table["log_prob"]
delta = table["log_prob"] - table["sampler_log_prob"]
table["ratio"] = np.exp(delta)
table["k3"] = table["ratio"] - 1 - delta
table["square"] = table["ratio"] ** 2
groups = table.groupby(["step", "prompt"], sort=False)["reward"].agg(["size", "sum"])
rate = groups["sum"] / groups["size"]
groups["all_wrong"], groups["all_right"] = rate == 0, rate == 1
groups["mass"] = 2 * groups["size"] * np.sqrt(rate * (1 - rate))
edges = [-1, 0, 0.25, 0.5, 0.75, 1 - 1e-9, 1]
by_rate = groups.groupby(pd.cut(rate, edges), observed=False)["mass"].sum()
shares = groups.groupby("step")[["all_wrong", "all_right"]].mean()
order = table.groupby(["step", "prompt"], sort=False).ngroup().to_numpy().argsort(kind="stable")
size = int(groups["size"].iloc[0])
reward = table["reward"].to_numpy()[order].reshape(-1, size)
confidence = table["confidence"].to_numpy()[order].reshape(-1, size)
solved = reward.sum(axis=1)
with np.errstate(divide="ignore"):
    scale = size / (reward / confidence).sum(axis=1)
scale = np.maximum(np.where(solved > 0, scale, 0), 2 * confidence.max(axis=1))[:, None]
lens = reward - (1 - reward) * confidence / (scale - confidence) / size
lens -= lens.mean(axis=1, keepdims=True)
deviation = np.where((solved > 0) & (solved < size), lens.std(axis=1), 4)
lens_mass = np.where(solved == size, 0, np.abs(lens).sum(axis=1) / deviation)
lens_by_rate = pd.Series(lens_mass).groupby(pd.cut(solved / size, edges), observed=False).sum()
sums = table.groupby("step")[
    ["reward", "confidence", "surprise", "length", "k3", "ratio", "square"]].sum()
total = sums.sum()
print(json.dumps({
    "pass_rate": total["reward"] / len(table),
    "all_wrong": float(groups["all_wrong"].mean()),
    "all_right": float(groups["all_right"].mean()),
    "confidence": total["confidence"] / len(table),
    "entropy": total["surprise"] / total["length"],
    "k3": total["k3"] / len(table),
    "effective_sample_size": total["ratio"] ** 2 / (len(table) * total["square"]),
    "last_all_wrong": float(shares["all_wrong"].iloc[-1]),
    "grpo": (by_rate / by_rate.sum()).tolist(),
    "lens": (lens_by_rate / lens_by_rate.sum()).tolist(),
}))
"""


class Finished(NamedTuple):
    """What a program printed, its processor time, and the most memory it held."""

    answer: dict[str, Any]
    seconds: float
    peak_bytes: float


def run() -> list[dict[str, object]]:
    """Time both on the same file, check that they agree, and return the benchmark's rows."""
    with tempfile.TemporaryDirectory(prefix="apw-benchmark-") as folder:
        path = Path(folder) / "rollouts.parquet"
        write_rollouts(path)
        words = [
            sys.executable,
            "-m",
            "apw.main",
            "diagnose",
            str(path),
            "--json",
            "--threads",
            "1",
        ]
        ours = _finished(words)
        peer = _finished([sys.executable, "-c", _PEER, str(path)])
        lines = Path(folder) / "rollouts.jsonl"
        duckdb.sql(
            f"COPY (SELECT * FROM read_parquet('{path}') LIMIT {JSON_ROWS}) TO '{lines}' "
            "(FORMAT json)"
        )
        words[4] = str(lines)
        ours_json = _finished(words)
        peer_json = _finished([sys.executable, "-c", _PARSER, str(lines)])
    _agree(ours.answer, peer.answer)
    environment = describe_environment()
    speeds = ROWS / ours.seconds, ROWS / peer.seconds
    return [
        {
            "name": "diagnose_rows_per_second",
            "ours": speeds[0],
            "peer": speeds[1],
            "ratio": speeds[0] / speeds[1],
            "unit": f"rows per second of one core, {ROWS:,} rollouts, start of the program "
            "included, against pandas with two of the seven schemes; ratio = ours / peer, higher "
            "is better",
            "environment": environment,
        },
        {
            "name": "diagnose_json_rows_per_second",
            "ours": JSON_ROWS / ours_json.seconds,
            "peer": JSON_ROWS / peer_json.seconds,
            "ratio": peer_json.seconds / ours_json.seconds,
            "unit": f"rows per second of one core, {JSON_ROWS:,} rollouts as JSON lines, start of "
            "the program included, against DuckDB parsing them alone, which is the bound; ratio = "
            "ours / peer, higher is better",
            "environment": environment,
        },
        {
            "name": "diagnose_memory",
            "ours": ours.peak_bytes,
            "peer": peer.peak_bytes,
            "ratio": ours.peak_bytes / MEMORY_LIMIT,
            "unit": f"peak resident bytes for {ROWS:,} rollouts, against pandas; ratio = ours / "
            "2 GiB, which it must not exceed",
            "environment": environment,
        },
    ]


def write_rollouts(path: Path, *, steps: int = STEPS, prompts: int = PROMPTS) -> None:
    """Write a log of a run that learns: a step's rows in random order, one row group each ten.

    Args:
        path: Parquet file to write.
        steps: Steps of training.
        prompts: Prompts of each step, of 20 times as many.
    """
    generator = np.random.default_rng(0)
    names = np.array([f"Problem {i}: what is {i} × {i + 1}?" for i in range(20 * prompts)])
    hardness = generator.normal(-2.0, 2.0, names.size)
    writer = None
    for first in range(0, steps, 10):
        parts = []
        for step in range(first, min(first + 10, steps)):
            drawn = generator.choice(names.size, prompts, replace=False)
            prompt = generator.permutation(np.repeat(drawn, GROUP_SIZE))
            success = 1 / (1 + np.exp(-hardness[prompt] - 3 * step / steps))
            length = generator.integers(20, 2000, prompt.size)
            log_prob = -length * generator.gamma(4.0, 0.1, prompt.size)
            drift = generator.normal(0.0, 0.05, prompt.size)
            parts.append(
                pa.table(
                    {
                        "step": np.full(prompt.size, step),
                        "prompt": names[prompt],
                        "reward": (generator.random(prompt.size) < success).astype(np.float64),
                        "length": length,
                        "log_prob": log_prob,
                        "sampler_log_prob": log_prob + drift,
                    }
                )
            )
        table = pa.concat_tables(parts)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _finished(words: list[str]) -> Finished:
    """Run a program on one core."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryFile() as printed:
        os.sched_setaffinity(0, {min(cores)})  # which a new process inherits
        try:
            process = subprocess.Popen(
                words, stdout=printed, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        finally:
            os.sched_setaffinity(0, cores)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{words[:3]} ended with status {process.returncode}")
        printed.seek(0)
        answer = json.load(printed)
    return Finished(answer, usage.ru_utime + usage.ru_stime, 1024.0 * usage.ru_maxrss)


def _agree(ours: dict[str, Any], peer: dict[str, Any]) -> None:
    overall = {**ours["overall"], "last_all_wrong": ours["steps"][-1]["all_wrong"]}
    for name, value in peer.items():
        shares = [row["share"] for row in ours["mass"] if row["scheme"] == name]
        found = shares or overall[name]
        if not np.allclose(found, value, rtol=1e-9, atol=1e-12):
            raise AssertionError(f"{name}: apw says {found}, pandas {value}")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
