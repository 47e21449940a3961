"""From files of rollouts to what they say: one call, one result."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rollouts.credit import credit_table
from rollouts.findings import Finding, find
from rollouts.layouts import ROLES
from rollouts.reader import Reading, open_rollouts
from rollouts.report import describe
from rollouts.sentences import sentences
from rollouts.tables import MOST_ROWS, age_table, lens_on_all_wrong, mass_table, step_table
from rollouts.tally import Rollouts, Tally
from runs.files import write_text
from runs.ownership import refuse_file
from runs.text import plural
from theory._notebook import html_fields
from theory.schemes import Scheme, resolve

AGAINST = ("rloo", "linear_r", "sqrt_r", "maxrl", "w_reinforce", "lens")
"""Schemes with which the one that was trained is compared."""

OF_GROUPS = ("all_wrong", "mixed", "all_right", "zero_advantage")
"""Columns that say nothing where groups are not known."""

_ALONE = 0.9
"""With this share of responses alone in their groups, groups are not known."""

TARGET = 0.9
"""Prompts with this pass rate have arrived; the target of ``apw advise``."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What the rollouts of a training run say.

    Attributes:
        rollouts: Counts and sums.
        reading: What was read, and how it was understood.
        schemes: Name → scheme; the first is what was trained with.
    """

    rollouts: Rollouts
    reading: Reading
    schemes: Mapping[str, Scheme]

    def __repr__(self) -> str:
        sizes = self.sizes
        return (
            f"<Diagnosis: {plural(sizes['groups'], 'group')}, "
            f"{plural(sizes['responses'], 'response')}, {self.schemes[self.trained].label}>"
        )

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        shares = {name.replace("_", " "): value for name, value in self.overall.items()}
        return f"<ul>{said}</ul>{html_fields(shares, 'Over the whole run')}"

    @functools.cached_property
    def grouped(self) -> bool:
        """Whether responses were compared: groups of one are groups that the log does not show."""
        outcomes = self.rollouts.outcomes
        alone = outcomes.loc[outcomes["size"] == 1, "groups"].sum()
        return bool(alone < _ALONE * (outcomes["groups"] * outcomes["size"]).sum())

    @property
    def trained(self) -> str:
        """Name of the scheme that was trained with."""
        return next(iter(self.schemes))

    def steps(self, rows: int = MOST_ROWS) -> pd.DataFrame:
        """What happened at each step, or in each of at most ``rows`` bins of steps.

        What groups came to is NaN where groups are not known.
        """
        table = step_table(self.rollouts, self.schemes[self.trained], rows=rows)
        return table if self.grouped else table.assign(**dict.fromkeys(OF_GROUPS, np.nan))

    def mass(self, rows: int = 1) -> pd.DataFrame:
        """Gradient mass by difficulty under each scheme, in bins of steps or over the whole run."""
        return mass_table(self.rollouts, self.schemes, rows=rows)

    @property
    def overall(self) -> dict[str, Any]:
        """The row of :meth:`steps` for the whole run."""
        return _records(self.steps(1))[0]

    @property
    def sentences(self) -> list[str]:
        """What a practitioner should know, the most important first."""
        return [finding.sentence for finding in self.findings if finding.raised] + self.account

    @functools.cached_property
    def account(self) -> list[str]:
        """What happened, whether or not something is wrong."""
        if not self.grouped:
            other = self.reading.columns.groupings or "--prompt"
            return [
                "Nothing can be concluded about groups: hardly two rows share a prompt, so that "
                "the log does not show which responses were compared with each other; name the "
                f"column that tells the prompt with {other}."
            ]
        return sentences(self.rollouts, self.schemes, self.components)

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """What was looked for, raised or not, the raised ones first; none without groups."""
        return find(self.rollouts, self.schemes, self.components) if self.grouped else []

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the reward's components beside the outcome."""
        return self.reading.columns.roles.get("component", ())

    def credit(self) -> pd.DataFrame | None:
        """What the logged advantages came to by difficulty; None where there are none."""
        if self.rollouts.advantages is None or not self.grouped:
            return None
        return credit_table(self.rollouts.advantages, self.components)

    def ages(self) -> pd.DataFrame | None:
        """Responses by the number of updates since they were sampled; None where not known."""
        return age_table(self.rollouts)

    @property
    def sizes(self) -> dict[str, int]:
        """Groups, responses, the usual group size, and groups smaller or larger than that."""
        counted = self.rollouts.outcomes.groupby("size")["groups"].sum()
        sizes, groups = counted.index.to_numpy(), counted.to_numpy()
        usual = int(sizes[groups.argmax()])
        return {
            "groups": int(groups.sum()),
            "responses": int((sizes * groups).sum()),
            "usual_group": usual,
            "smaller_groups": int(groups[sizes < usual].sum()),
            "larger_groups": int(groups[sizes > usual].sum()),
        }

    def advise_call(self, rates: Path | None = None) -> str | None:
        """The ``apw advise`` call for the latest pass rates; None if they have all but arrived.

        Args:
            rates: File that :meth:`write` wrote them to; None to call with their median.
        """
        if not self.grouped:
            return None
        recent = self.rollouts.recent
        tries = int(recent["responses"].median())
        # As apw advise takes them with --tries: the posterior mean under Jeffreys' prior.
        smoothed = (recent["pass_rate"].to_numpy() * tries + 0.5) / (tries + 1)
        below = smoothed[smoothed < TARGET]
        if not below.size:
            return None
        words = (
            ["--start", f"{np.median(below):.3g}"]
            if rates is None
            else ["--rates", str(rates), "--tries", str(tries)]
        )
        words += ["--group-size", str(max(self.sizes["usual_group"], 2))]
        if self.schemes[self.trained].name == "dapo":
            words += ["--sampling", "until_mixed"]
        return shlex.join(["apw", "advise", *words])

    def data(self) -> dict[str, Any]:
        """Everything as plain values."""
        lens = lens_on_all_wrong(self.rollouts) if self.grouped else None
        credit, ages = self.credit(), self.ages()
        return {
            **self.reading.data(),
            "scheme": self.trained,
            **self.sizes,
            "grouped": self.grouped,
            "overall": self.overall,
            "steps": _records(self.steps()),
            "mass": _records(self.mass().drop(columns="step")) if self.grouped else [],
            "lens_on_all_wrong": _records(lens)[:1] if lens is not None else None,
            "findings": [finding.data() for finding in self.findings],
            "credit": _records(credit) if credit is not None else [],
            "ages": _records(ages) if ages is not None else [],
            "in_words": self.sentences,
        }

    def write(self, folder: Path) -> list[Path]:
        """Write the tables as CSV and return their files.

        Raises:
            ValueError: The folder is a file.
        """
        refuse_file(folder)
        tables = {
            "steps": self.steps(),
            "mass": self.mass(MOST_ROWS),
            "mass_overall": self.mass().drop(columns="step"),
            "pass_rates": self.rollouts.recent,
            "lens_on_all_wrong": lens_on_all_wrong(self.rollouts, rows=MOST_ROWS),
            "credit": self.credit(),
            "ages": self.ages(),
        }
        written = []
        for name, frame in tables.items():
            if frame is not None:
                written.append(folder / f"{name}.csv")
                write_text(written[-1], frame.to_csv(index=False, float_format="%.10g"))
        return written

    def __str__(self) -> str:
        mass = self.mass() if self.grouped else None
        return describe(
            self.reading,
            self.sizes,
            self.steps,
            mass,
            self.schemes,
            self.credit(),
            self.findings,
            self.account,
        )


def diagnose(
    path: str | Path | Sequence[str | Path],
    *,
    scheme: str | Scheme = "grpo",
    against: Sequence[str | Scheme] = AGAINST,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    threshold: float | None = None,
    mean_log_prob: bool | None = None,
    every: int = 1,
    memory: float = 1.0,
    threads: int | None = None,
    progress: bool = False,
) -> Diagnosis:
    r"""Say what the rollouts of a training run teach.

    Args:
        path: A file or folder of rollouts, or several of one kind.
        scheme: The scheme that the run was trained with.
        against: Schemes to compare it with; LENS takes part if log-probabilities are known.
        columns: Role → its column, such as ``{"reward": "info.score"}``, or several that together
            name the prompt; the roles are ``rollouts.layouts.ROLES``.
        threshold: Reward from which on a response is correct; needed unless rewards say it.
        mean_log_prob: Log-probabilities are means over tokens; None to go by the layout.
        every: Steps that are reported together, at least 1.
        memory: GiB for sorting, at least 0.1; the rest goes to disk.
        threads: Cores to use; None for all.
        progress: Show how far the reading is.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without rollouts.
        ValueError: Rollouts that cannot be understood, or an option out of its range.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "rollouts.csv")
    ...     _ = file.write_text("prompt,reward\na,0\na,1\nb,0\nb,0\n")
    ...     overall = diagnose(file).overall
    >>> overall["all_wrong"], overall["mixed"], overall["zero_advantage"]
    (0.5, 0.5, 0.5)
    """
    given = [path] if isinstance(path, str | Path) else list(path)
    chosen = {_name(one): resolve(one) for one in (scheme, *against)}
    _check(given, next(iter(chosen.values())), columns or {}, threshold, every, memory, threads)
    lens = [one for one in chosen.values() if one.needs_confidence]
    with open_rollouts(
        [Path(one) for one in given],
        given={
            role: (column,) if isinstance(column, str) else tuple(column)
            for role, column in (columns or {}).items()
        },
        threshold=threshold,
        mean_log_prob=mean_log_prob,
        memory=f"{int(memory * 1024)}MiB",
        threads=threads,
    ) as reading:
        tally = Tally(lens[0] if lens else None)
        for groups in reading.groups(every=every, progress=progress):
            tally.add(groups)
        # The first rows may have shown only one of two rewards that are not 0 and 1.
        if (rewards := reading.rewards.again()) is not None:
            reading, tally = reading.again(rewards), Tally(lens[0] if lens else None)
            for groups in reading.groups(every=every, progress=progress):
                tally.add(groups)
        reading.check()
    rollouts = tally.result()
    trained, *others = chosen
    kept = [
        name
        for name in others
        if chosen[name].has_table or (chosen[name].needs_confidence and rollouts.lens is not None)
    ]
    return Diagnosis(rollouts, reading, {name: chosen[name] for name in (trained, *kept)})


def _name(scheme: str | Scheme) -> str:
    return scheme if isinstance(scheme, str) else scheme.name


def _check(
    paths: Sequence[object],
    trained: Scheme,
    columns: Mapping[str, object],
    threshold: float | None,
    every: int,
    memory: float,
    threads: int | None,
) -> None:
    if not paths:
        raise ValueError("name at least one file or folder of rollouts")
    if not (trained.has_table or trained.needs_confidence):
        raise ValueError(
            f"{trained.name} needs more than a group's rewards (a critic's values, lengths or the "
            "whole batch); name a scheme whose baseline is the group"
        )
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        raise ValueError(f"columns may be named for {', '.join(ROLES)}; got {', '.join(unknown)}")
    if every < 1:
        raise ValueError(f"every must be at least 1; got {every}")
    if not 0.1 <= memory < np.inf:
        raise ValueError(f"memory must be at least 0.1 GiB; got {memory:g}")
    if threshold is not None and not np.isfinite(threshold):
        raise ValueError(f"threshold must be a finite reward; got {threshold:g}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): value.item() if isinstance(value, np.generic) else value
            for key, value in row.items()
        }
        for row in frame.to_dict("records")
    ]
