"""Which column of a table stands for what: as told, as the layout says, or by its name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from rollouts.layouts import MEANS, NAMES, ROLES, TABLE, Layout, layout_of
from runs.text import listed

FLAGS = {role: f"--{role.replace('_', '-')}" for role in ROLES}
"""Role → the option of ``apw diagnose`` that names its column."""

_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN)$")
_TEXT = ("VARCHAR", "JSON")


@dataclasses.dataclass(frozen=True)
class Table:
    """What is known of a table before it is read.

    Attributes:
        kind: ``parquet``, ``csv`` or ``jsonl``.
        types: Column → DuckDB type, in the table's order; ``JSON`` for JSON lines.
        steps_in_names: Every file's path names a step.
    """

    kind: str
    types: Mapping[str, str]
    steps_in_names: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.types)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns stand for what.

    Attributes:
        layout: How the table is laid out.
        roles: Role → its columns.
        formulas: Role → SQL instead of columns.
        mean_log_prob: Log-probabilities are means over tokens.
        step_from_name: The step is the one that a file's path names.
    """

    layout: Layout
    roles: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str]
    mean_log_prob: bool
    step_from_name: bool

    def has(self, role: str) -> bool:
        """Tell whether something stands for a role."""
        return role in self.roles or role in self.formulas

    def described(self) -> dict[str, str]:
        """Role → what stands for it, in words."""
        words = {role: " + ".join(names) for role, names in self.roles.items()}
        words |= dict.fromkeys(self.formulas, "as the format says")
        if self.step_from_name:
            words["step"] = "in the files' names"
        return {role: words[role] for role in ROLES if role in words}


def choose_columns(
    table: Table,
    given: Mapping[str, Sequence[str]],
    *,
    mean_log_prob: bool | None = None,
    name: str = "the table",
) -> Columns:
    """Say what every column stands for.

    Args:
        table: Its columns.
        given: Role → columns named by the user; they win.
        mean_log_prob: Whether log-probabilities are means over tokens; None to go by the layout.
        name: What the table is called in complaints.

    Raises:
        ValueError: No column for the prompt or the reward, several that could be it, a column that
            is not there, or one that holds no numbers. The sentence names the columns there are and
            the option to use.

    >>> table = Table("csv", {"prompt_id": "VARCHAR", "score": "VARCHAR"})
    >>> choose_columns(table, {}).described()
    {'prompt': 'prompt_id', 'reward': 'score'}
    """
    layout = layout_of(table.columns)
    roles: dict[str, tuple[str, ...]] = {}
    formulas: dict[str, str] = {}
    there = {column.lower(): column for column in reversed(table.columns)}
    for role in ROLES:
        if given.get(role):
            roles[role] = tuple(_existing(table, column, role, name) for column in given[role])
        elif role in layout.formulas:
            formulas[role] = layout.formulas[role]
        elif all(column in table.types for column in layout.roles.get(role, ("",))):
            roles[role] = layout.roles[role]
        elif layout is TABLE or role not in ("prompt", "reward", "length"):
            found = [there[other] for other in NAMES[role] if other in there]
            if found:
                roles[role] = (found[0],)
    if layout.name == "TRL completions" and "reward" not in roles:
        roles["reward"] = (_trl_reward(table, name),)
    by_name = "step" not in roles and table.steps_in_names
    for role in ("prompt", "reward"):
        if role not in roles and role not in formulas:
            raise ValueError(
                f"{name} has no column that looks like a {role}; it has: {_shown(table.columns)}; "
                f"name one with {FLAGS[role]}"
            )
    for role in ROLES:
        _check_type(table, role, roles.get(role, ()), name)
    if mean_log_prob is None:
        named = {column.lower() for role in ("log_prob",) for column in roles.get(role, ())}
        mean_log_prob = (layout.mean_log_prob and not given.get("log_prob")) or bool(named & MEANS)
    return Columns(layout, roles, formulas, mean_log_prob, by_name)


def _existing(table: Table, column: str, role: str, name: str) -> str:
    if "\0" in column:
        raise ValueError(f"{FLAGS[role]} must name a column; a name cannot hold a NUL character")
    # Lines of JSON need not have the same fields, and a name may lead into a nested one.
    if column in table.types or table.kind == "jsonl":
        return column
    raise ValueError(
        f"{name} has no column {column!r} ({FLAGS[role]}); it has: {_shown(table.columns)}"
    )


def _trl_reward(table: Table, name: str) -> str:
    """TRL writes one column per reward function, between the completion and the advantage."""
    names = table.columns
    between = names[names.index("completion") + 1 : names.index("advantage")]
    rewards = [column for column in between if _NUMBERS.match(table.types[column])]
    if len(rewards) != 1:
        what = "no reward function's column" if not rewards else "several columns of rewards"
        raise ValueError(
            f"{name} has {what}; it has: {_shown(names)}; name the one that says whether a "
            "response is correct with --reward"
        )
    return rewards[0]


def _check_type(table: Table, role: str, columns: Sequence[str], name: str) -> None:
    if role in ("prompt", "response"):
        return
    if len(columns) > 1:
        raise ValueError(f"{FLAGS[role]} names one column; got {listed(list(columns))}")
    for column in columns:
        kind = table.types.get(column, "JSON")
        lists = role in ("log_prob", "sampler_log_prob") and kind.endswith("[]")
        kind = kind.removesuffix("[]") if lists else kind
        # A column of nothing but nulls has the type of nothing.
        if not (_NUMBERS.match(kind) or kind in (*_TEXT, "NULL", '"NULL"')):
            raise ValueError(
                f"column {column!r} of {name} holds {kind.lower()}, not numbers; name another "
                f"with {FLAGS[role]}"
            )


def _shown(columns: Sequence[str], most: int = 30) -> str:
    """Names of columns, on one line, whatever characters they hold."""
    names = [repr(c) if not c.isidentifier() else c for c in columns[:most]]
    rest = f" and {len(columns) - most} more" if len(columns) > most else ""
    return ", ".join(names) + rest if names else "none"
