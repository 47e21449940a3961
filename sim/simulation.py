"""A simulation in one call: its configuration, its metrics and its times to a target."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from sim import presets
from sim.config import SimulationConfig
from sim.matched import matched_table
from sim.own_rates import compare
from sim.rates import compared_at, start_in_words
from sim.summary import reference_of, time_to_target
from sim.times_text import times_text
from theory._notebook import html_table


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What came of a simulation.

    Attributes:
        config: What was run.
        metrics: Tidy table: run, source, scheme, seed, step, metric, value.
        folder: The run folder; None if it was not to be kept.
        notes: What was read from a file of measured prompts and what became of zeros.
    """

    config: SimulationConfig
    metrics: pd.DataFrame = dataclasses.field(repr=False)
    folder: Path | None = None
    notes: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @property
    def reference(self) -> str:
        """Scheme that times are compared with: GRPO, or the first one if that was not run."""
        return reference_of(self.config.schemes)

    def times(self, metric: str = "success") -> pd.DataFrame:
        """Time to the target on every clock with intervals, see ``sim.summary.time_to_target``."""
        return time_to_target(
            self.metrics, self.config.target, metric=metric, reference=self.reference
        )

    def matched(self, at: str) -> pd.DataFrame:
        """Diversity where every scheme has gained the same, see ``sim.matched.matched_table``."""
        return matched_table(self.metrics, at, reference=self.reference)

    def __str__(self) -> str:
        return "\n".join(
            [
                *self.notes,
                times_text(
                    self.times(),
                    self.reference,
                    compared_at(self.config.to_dict()),
                    groups=self.config.group_size is not None,
                ),
            ]
        )

    def _repr_html_(self) -> str:
        table = self.times()
        return html_table({str(name): table[name].tolist() for name in table})


def simulate(
    config: SimulationConfig | None = None,
    out: str | Path | None = None,
    *,
    preset: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **fields: Any,
) -> Simulation:
    """Train schemes on simulated prompts.

    Where no step size is given, every scheme is compared at its own best one, found on other seeds.

    Args:
        config: What to run; the defaults if not given.
        out: Run folder. An unfinished run of the same configuration is continued, a finished one
            is read. Without it nothing is kept but the result.
        preset: Setting that ships with the package, see :func:`sim.presets.preset_names`, in the
            place of ``config``.
        overwrite: Delete whatever run the folder holds.
        progress: Show a progress bar on a terminal, else a line a minute.
        **fields: Fields of the configuration to change, such as ``schemes`` or ``steps``; schemes
            may be functions of the success probability that a module defines.

    Raises:
        ValueError: A field that there is not, a value that is not allowed, or a configuration and
            a preset at once.
        RunExistsError: The folder holds a run of another configuration.

    >>> found = simulate(schemes=["grpo"], seeds=1, prompts=4, steps=2, measure_every=1,
    ...                  learning_rate=1.0, progress=False)
    >>> found.metrics.query("metric == 'updates'")["value"].tolist()
    [0.0, 1.0, 2.0]
    """
    if preset is not None:
        if config is not None:
            raise ValueError("config and preset both say what to run: give one of them")
        config = presets.preset(preset)
    chosen = (
        {}
        if config is None
        else {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    )
    if "schemes" in fields:
        fields["schemes"] = tuple(fields["schemes"])
    config = SimulationConfig.from_dict({**chosen, **fields})
    notes = tuple(start_in_words(config))
    if out is not None:
        metrics = compare(config, out, overwrite=overwrite, progress=progress)
        return Simulation(config, metrics, Path(out), notes)
    with tempfile.TemporaryDirectory() as folder:
        metrics = compare(config, Path(folder) / "run", progress=progress)
        return Simulation(config, metrics, None, notes)
