"""Run claims: ``python -m claims.simulation A4 N3 --quick``; all of them if none is named."""

from __future__ import annotations

import argparse
import sys
import time

from claims.simulation.registry import CLAIMS, check_claim


def main() -> None:
    """Run the named claims and print their checks."""
    parser = argparse.ArgumentParser(prog="python -m claims.simulation", description=__doc__)
    parser.add_argument("claims", nargs="*", help=f"of: {', '.join(CLAIMS)}")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--out", default="results/claims-sim", help="folder of the runs")
    options = parser.parse_args()
    for claim in options.claims or CLAIMS:
        started = time.monotonic()
        try:
            found = check_claim(claim, options.out, quick=options.quick)
        except (ValueError, OSError) as error:
            parser.error(str(error))
        seconds = time.monotonic() - started
        print(f"{found.id} {found.verdict} ({seconds:.0f} s): {found.claim.strip()}")
        for check in found.checks:
            print(
                f"    {check.verdict:12s} {check.name}: {check.measurement:.4g} "
                f"[{check.low:.4g}, {check.high:.4g}], {check.relation} {check.prediction:.4g}"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
