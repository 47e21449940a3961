"""Run every benchmark module and write ``results/bench.json``.

A benchmark is a module of this package with ``run() -> list[dict]``; each dictionary has name,
ours, peer, ratio, unit and environment.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil
import sys
import time
from pathlib import Path
from typing import Any

from runs.files import write_json

FIELDS = ("name", "ours", "peer", "ratio", "unit", "environment")


def find() -> list[str]:
    """Names of the modules of this package that have a ``run``."""
    package = Path(__file__).parent
    names = [m.name for m in pkgutil.iter_modules([str(package)]) if not m.name.startswith("_")]
    return sorted(names)


def run_all(names: list[str]) -> list[dict[str, Any]]:
    """Run the benchmarks of the named modules, one after the other."""
    results: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} ...", file=sys.stderr, flush=True)
        started = time.perf_counter()
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        for row in module.run():
            missing = [field for field in FIELDS if field not in row]
            if missing:
                raise ValueError(f"benchmark {name}: a row lacks {missing[0]!r}")
            results.append(row)
            print(
                f"    {row['name']:28s} {row['ratio']:8.2f}   ours {row['ours']:.4g}, "
                f"peer {row['peer']:.4g} {row['unit']}",
                file=sys.stderr,
                flush=True,
            )
        print(f"    {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return results


def main() -> None:
    """Command line of ``python -m benchmarks``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"benchmarks to run, of: {', '.join(find())}")
    parser.add_argument("--out", type=Path, default=Path("results/bench.json"))
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(find()))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(find())}")
    results = run_all(options.names or find())
    write_json(options.out, results)
    print(f"wrote {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
