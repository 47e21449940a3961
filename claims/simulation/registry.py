"""Every claim of the simulator by its id, and how to run one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from claims import (
    crossover,
    designs,
    elimination,
    gradients,
    lens,
    noise_dose,
    optimal_weights,
    reinforcement,
    shaping,
    spending,
    spread_and_sharing,
    time_to_target,
    unequal_prompts,
)
from claims.looks import until_decided
from claims.simulation.lab import Lab
from claims.simulation.tables import claim_table
from claims.verdicts import Finding
from runs.environment import describe_environment
from runs.files import write_json, write_text

CLAIMS: dict[str, Callable[[Lab], Finding]] = {
    "A1": optimal_weights.simulation_a1,
    "A2": optimal_weights.simulation_a2,
    "A3": optimal_weights.simulation_a3,
    "A4": time_to_target.simulation_a4,
    "A5": time_to_target.simulation_a5,
    "A6": time_to_target.simulation_a6,
    "L3": lens.simulation_l3,
    "L4": lens.simulation_l4,
    "L5": lens.simulation_l5,
    "N2": reinforcement.simulation_n2,
    "N3": reinforcement.simulation_n3,
    "N4": reinforcement.simulation_n4,
    "N5": gradients.simulation_n5,
    "N6": reinforcement.simulation_n6,
    "N7": reinforcement.simulation_n7,
    "O1": gradients.simulation_o1,
    "O2": designs.simulation_o2,
    "O3": gradients.simulation_o3,
    "O4": crossover.simulation_o4,
    "O5": designs.simulation_o5,
    "O6": designs.simulation_o6,
    "O7": unequal_prompts.simulation_o7,
    "O8": elimination.simulation_o8,
    "O9": noise_dose.simulation_o9,
    "O10": shaping.simulation_o10,
    "O11": spread_and_sharing.simulation_o11,
    "O12": unequal_prompts.simulation_o12,
    "S1": spending.simulation_s1,
    "S2": spending.simulation_s2,
    "S3": spending.simulation_s3,
}
"""Claims of the ledger that have a simulation."""


def check_claim(
    claim: str,
    folder: Path | str,
    *,
    quick: bool = False,
    executor: Literal["local", "ray"] = "local",
    progress: bool = False,
    replaced: set[Path] | None = None,
    looks: Sequence[int] = (),
) -> Finding:
    """Run a claim's simulations and write its evidence to ``folder/full/<id>``.

    That is ``verdict.json`` and ``table.csv``, what its figures need; the quick version's goes to
    ``folder/quick/<id>``.

    A killed run resumes, and a finished one is only judged again.

    Args:
        claim: Id in the ledger, such as ``"A4"``.
        folder: Folder of all claims; some share their runs.
        quick: The short version: seconds instead of minutes, wider intervals.
        executor: ``"ray"`` runs the cells of sweeps on a Ray cluster.
        progress: Show progress bars.
        replaced: An empty set to replace what the folder holds; given to several claims, runs that
            they share are run once.
        looks: Seeds to add, look by look, until the claim is decided (see :mod:`claims.looks`);
            none to run the claim's own number once.

    Returns:
        Checks with predictions, measurements and intervals, and the verdict.

    Raises:
        ValueError: A claim without a simulation; the message lists those that have one.
        OSError: A folder that cannot be written to.
    """
    if claim.upper() not in CLAIMS:
        raise ValueError(f"no simulation for claim {claim!r}; there are: {', '.join(CLAIMS)}")
    version = Path(folder) / ("quick" if quick else "full")
    lab = Lab(version, claim.upper(), quick, executor, progress, replaced)
    place = version / lab.claim
    place.mkdir(parents=True, exist_ok=True)  # before minutes are spent on what cannot be kept
    if not os.access(place, os.W_OK):
        raise PermissionError(f"{place} cannot be written to")
    if looks:
        found = until_decided(
            lambda seeds: CLAIMS[lab.claim](dataclasses.replace(lab, seeds=seeds)), looks
        )
    else:
        found = CLAIMS[lab.claim](lab)
    table = claim_table(lab.claim, lab.used).to_csv(index=False, float_format="%.6g")
    write_text(place / "table.csv", table)
    record = {**found.to_dict(), "source": "sim", "environment": describe_environment()}
    if lab.diverged:
        record["diverged"] = lab.diverged
    write_json(place / "verdict.json", record)
    return found
