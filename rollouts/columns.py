"""Which column of a table stands for what: as told, as the layout says, or by its name."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence

from rollouts.beside import beside
from rollouts.layouts import (
    MEANS,
    NAMES,
    ROLES,
    TABLE,
    Layout,
    is_metrics,
    layout_of,
)
from rollouts.rewards import two_values
from rollouts.sample import Sample, binary, flat, number
from runs.pass_rates import CORRECT, TRIES
from runs.text import listed

FLAGS = {role: f"--{role.replace('_', '-')}" for role in ROLES}
"""Role → the option of ``apw diagnose`` that names its column."""

_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN)$")
_TEXT = ("VARCHAR", "JSON")

OUTCOMES = (
    "acc",
    "accuracy",
    "correct",
    "is_correct",
    "correctness",
    "correct_answer",
    "solved",
    "success",
    "exact_match",
    "passed",
)
"""Names of columns that say whether a response is correct, beside a reward that does not."""

_OUTCOME = re.compile(
    r"(^|_)(acc|accuracy|correct|correctness|solved|exact|math|verif\w*|success)(_|$)"
)

_KEY = re.compile(r"(^|[_.])(id|idx|index|uid|key|hash|group|prompt|problem|question|task)$")


@dataclasses.dataclass(frozen=True)
class Table:
    """What is known of a table before it is read.

    Attributes:
        kind: ``parquet``, ``csv``, ``jsonl``, or ``typed`` (JSON lines with types).
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
        roles: Role → its columns; those of :mod:`rollouts.beside` too, and ``correct`` and
            ``tried``, which are counts where a row is a prompt.
        formulas: Role → SQL instead of columns.
        mean_log_prob: Log-probabilities are means over tokens.
        step_from_name: The step is the one that a file's path names.
        lists: Roles whose columns hold a list, with an item for every response of a prompt.
        only: SQL that is true of the rows to read; None for all.
        notes: How they were chosen, where that is not plain, in sentences.
        offers: Other columns that may say whether a response is correct, for complaints.
        groupings: Other columns that may name the prompt, as options.
        pair: Rewards that stand for wrong and correct.
        boxed: Prompts and responses are texts, and answers stand in boxes.
    """

    layout: Layout
    roles: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str]
    mean_log_prob: bool
    step_from_name: bool
    lists: tuple[str, ...] = ()
    only: str | None = None
    notes: tuple[str, ...] = ()
    offers: str = ""
    groupings: str = ""
    pair: tuple[float, float] = (0.0, 1.0)
    boxed: bool = False

    def has(self, role: str) -> bool:
        """Tell whether something stands for a role."""
        return role in self.roles or role in self.formulas

    def described(self) -> dict[str, str]:
        """Role → what stands for it, in words."""
        words = {role: " + ".join(names) for role, names in self.roles.items()}
        words |= dict.fromkeys(self.formulas, "as the layout says")
        if "correct" in self.roles:
            words["reward"] = f"{words['correct']} of {words['tried']}"
        if self.step_from_name:
            words["step"] = "in the files' names"
        return {role: words[role] for role in ROLES if role in words}


def choose_columns(
    table: Table,
    given: Mapping[str, Sequence[str]],
    *,
    sample: Sample | None = None,
    threshold: float | None = None,
    mean_log_prob: bool | None = None,
    name: str = "the table",
) -> Columns:
    """Say what every column stands for.

    Args:
        table: Its columns.
        given: Role → columns named by the user; they win.
        sample: Its first rows.
        threshold: The reward from which on a response is correct, if the user named one.
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
    sample = sample or Sample(())
    layout = layout_of(table.columns, sample, lines=table.kind == "jsonl")
    roles: dict[str, tuple[str, ...]] = {}
    formulas = {
        role: layout.formulas[role]
        for role in ("rollout", "turn", "age")
        if role in layout.formulas
    }
    there = {column.lower(): column for column in reversed(table.columns)}
    for role in ROLES:
        if given.get(role):
            roles[role] = tuple(_existing(table, column, role, name) for column in given[role])
        elif role in layout.formulas:
            formulas[role] = layout.formulas[role]
        elif all(_there(table, column) for column in layout.roles.get(role, ("",))):
            roles[role] = layout.roles[role]
        elif layout is TABLE or role not in ("prompt", "reward", "length"):
            taken = {column for columns in layout.roles.values() for column in columns}
            found = [there[other] for other in NAMES[role] if other in there]
            if role == "step" and not found and "checkpoint" in there:
                # Other checkpoints' answers are another policy's; a path is no step.
                numbered = map(number, flat(sample.values(there["checkpoint"])))
                found = [there["checkpoint"]] * all(n is not None for n in numbered)
            if found and found[0] not in taken:
                roles[role] = (found[0],)
    offers = _offers(sample, [name for names in roles.values() for name in names])
    notes: list[str] = []
    if not given.get("reward"):
        notes += _choose_reward(table, layout, roles, formulas, sample, threshold, name, offers)
    others, note = beside(table.types, layout, roles, sample)
    roles |= others
    notes += note
    only, note = _only(layout, sample)
    notes += note
    if (
        layout is TABLE
        and "prompt" not in roles
        and table.kind == "jsonl"
        and _listed(roles, sample)
    ):
        formulas["prompt"] = "json"
        notes.append("No column names the prompt; rewards are lists, and every row is a group.")
    if layout.ordered is not None and "prompt" not in roles:
        formulas["prompt"], note = _by_order(layout, sample)
        notes += note
    for role in ("prompt", "reward"):
        if (
            role not in roles
            and role not in formulas
            and not (role == "reward" and "correct" in roles)
        ):
            if role == "prompt" and is_metrics(table.columns):
                raise ValueError(
                    f"{name} holds metrics of training steps and no prompts: it is no log of "
                    "rollouts, which has a row for every response"
                )
            raise ValueError(
                f"{name} has no column that looks like a {role}; it has: {_shown(table.columns)}; "
                f"name one with {FLAGS[role]}{offers if role == 'reward' else ''}"
            )
    lists = _lists(table, roles, sample)
    for role in ROLES:
        _check_type(table, role, roles.get(role, ()), name, role in lists)
    if mean_log_prob is None:
        named = {column.lower() for role in ("log_prob",) for column in roles.get(role, ())}
        mean_log_prob = (layout.mean_log_prob and not given.get("log_prob")) or bool(named & MEANS)
    rewards = sample.values(roles["reward"][0]) if "reward" in roles else []
    pair = None if binary(rewards) else two_values(rewards)
    used = [name for names in roles.values() for name in names]
    return Columns(
        layout=layout,
        roles=roles,
        formulas=formulas,
        mean_log_prob=mean_log_prob,
        step_from_name="step" not in {*roles, *formulas} and table.steps_in_names,
        lists=lists,
        only=only,
        notes=tuple(notes),
        offers=offers,
        groupings=_groupings(sample, used),
        pair=pair or (0.0, 1.0),
        boxed=len(roles.get("prompt", ())) == 1
        and any("boxed{" in str(text) for text in sample.values(roles.get("response", ("",))[0])),
    )


def _there(table: Table, column: str) -> bool:
    return column in table.types or column.partition(".")[0] in table.types


def _choose_reward(
    table: Table,
    layout: Layout,
    roles: dict[str, tuple[str, ...]],
    formulas: dict[str, str],
    sample: Sample,
    threshold: float | None,
    name: str,
    offers: str,
) -> list[str]:
    """Choose what says whether a response is correct, and say so where it is not the reward."""
    if layout.name == "TRL completions":
        roles["reward"], notes = _trl_reward(table, sample, name, offers)
        return notes
    if layout.name == "lighteval details":
        found = [
            leaf
            for leaf in sample.leaves()
            if leaf.startswith(("metric.", "__metric__.")) and binary(sample.values(leaf))
        ]
        if found:
            roles["reward"] = (found[0],)
        return []
    counts = {column.lower(): column for column in table.columns}
    right = next((counts[name] for name in CORRECT if name in counts), None)
    tried = next((counts[name] for name in (*TRIES, "n") if name in counts), None)
    rewards = sample.values(roles["reward"][0]) if "reward" in roles else []
    told = sample.nested is not None or any(isinstance(value, list) for value in rewards)
    if right is not None and tried is not None and not told and _counted(right, tried, sample):
        # What else such a row holds is not of one response.
        for role in ("reward", "response", "log_prob", "sampler_log_prob", "length"):
            roles.pop(role, None)
        roles |= {"correct": (right,), "tried": (tried,)}
        return []
    if "reward" in formulas or threshold is not None or not sample.rows:
        return []
    better = [column for column in layout.outcomes if binary(sample.values(column))]
    if not better and not binary(rewards) and two_values(rewards) is None:
        better = [
            leaf
            for word in OUTCOMES
            for leaf in sample.leaves()
            if leaf.lower().rpartition(".")[2] == word
            and binary(sample.values(leaf))
            # A column of some tasks alone says nothing of the responses to the others.
            and 4 * _known(sample.values(leaf)) >= 3 * _known(rewards)
        ]
    if not better and "reward" not in roles:
        named = [leaf for leaf in sample.leaves() if _OUTCOME.search(leaf)]
        alone = [leaf for leaf in named if binary(sample.values(leaf))]
        better = alone if len(alone) == 1 else []
    if not better:
        return []
    beside = f", not by {roles['reward'][0]}" if "reward" in roles else ""
    roles["reward"] = (better[0],)
    return [f"A response is correct by {better[0]}{beside}."]


def _counted(right: str, tried: str, sample: Sample) -> bool:
    """Tell whether a row counts several responses; counts of hard prompts are 0 and 1 too.

    A column that is called correct counts only if it says so itself.
    """
    telling = (right, tried) if right.lower() == "correct" else (tried,)
    return all(
        any((count := number(value)) is not None and count > 1 for value in sample.values(name))
        for name in telling
    )


def _known(values: Sequence[object]) -> int:
    return sum(value is not None for value in values)


def _trl_reward(
    table: Table, sample: Sample, name: str, offers: str
) -> tuple[tuple[str, ...], list[str]]:
    """TRL writes one column per reward function, between the completion and the advantage."""
    names = table.columns
    between = names[names.index("completion") + 1 : names.index("advantage")]
    rewards = [
        column
        for column in between
        if _NUMBERS.match(table.types[column]) or table.types[column] == "JSON"
    ]
    if len(rewards) == 1:
        return (rewards[0],), []
    # After the reward functions come extra columns that a reward function may log.
    right = [
        column for column in rewards if _OUTCOME.search(column) and binary(sample.values(column))
    ]
    if len(right) == 1:
        return (right[0],), [f"A response is correct by {right[0]}, one of {listed(rewards)}."]
    what = "no reward function's column" if not rewards else "several columns of rewards"
    raise ValueError(
        f"{name} has {what}; it has: {_shown(names)}; name the one that says whether a "
        f"response is correct with --reward{offers}"
    )


def _only(layout: Layout, sample: Sample) -> tuple[str | None, list[str]]:
    """Of rows that stand there once for every filter of answers, those of one."""
    filters = list(dict.fromkeys(map(str, sample.values("filter"))))
    if layout.name != "lm-eval samples" or len(filters) < 2:
        return None, []
    return (
        f"json ->> '$.filter' = {_literal(filters[0])}",
        [f"Rows of the filter {filters[0]} only; the others repeat them."],
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _by_order(layout: Layout, sample: Sample) -> tuple[str, list[str]]:
    """Groups by the order of rows, if their texts show how many rows begin alike."""
    assert layout.ordered is not None
    text, index = layout.ordered
    rows = [
        (str(flat([t])[0]), n)
        for t, n in zip(sample.values(text), sample.values(index), strict=True)
        if flat([t])
    ]
    if rows and [n for _, n in rows[: len(rows)]] != list(range(len(rows))):
        # The second file of the sample begins again.
        again = next(i for i, (_, n) in enumerate(rows) if n != i)
        rows = rows[:again]
    size = group_size([words for words, _ in rows])
    number_of_row = f"TRY_CAST(json ->> '$.{index}' AS BIGINT)"
    if size is None:
        return f"CAST({number_of_row} AS VARCHAR)", [
            "No column names the prompt, and the texts do not show which rows share one."
        ]
    return f"CAST({number_of_row} // {size} AS VARCHAR)", [
        f"No column names the prompt; {size} rows after each other begin alike and are a group."
    ]


def group_size(texts: Sequence[str]) -> int | None:
    """Rows of a group, where texts begin with the prompt and groups stand one after the other.

    Two texts of one group agree at least as far as the prompt goes, and texts of two groups less
    far than those of either. The smallest size of which that is true throughout.

    >>> group_size(["ab1", "ab2", "ac1", "ac2", "bc1", "bc3"])
    2
    """
    shared = [
        next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        for a, b in itertools.pairwise(texts)
    ]
    for size in range(2, len(texts) // 3 + 1):
        if len(texts) % size:
            continue
        inside = [min(shared[first : first + size - 1]) for first in range(0, len(texts), size)]
        between = shared[size - 1 :: size]
        if all(
            here < min(before, after)
            for here, before, after in zip(between, inside[:-1], inside[1:], strict=True)
        ):
            return size
    return None


def _lists(table: Table, roles: Mapping[str, tuple[str, ...]], sample: Sample) -> tuple[str, ...]:
    """Roles that have an item for every response, where a row is a prompt."""
    if "reward" not in roles or len(roles["reward"]) != 1:
        return ()
    if not _listed(roles, sample):
        return ()
    rewards = sample.values(roles["reward"][0])
    lengths = [len(value) if isinstance(value, list) else None for value in rewards]
    same = [
        role
        for role, columns in roles.items()
        if role in ("prompt", "step", "response", "length")
        and len(columns) == 1
        and [len(v) if isinstance(v, list) else None for v in sample.values(columns[0])] == lengths
    ]
    return ("reward", *same)


def _listed(roles: Mapping[str, tuple[str, ...]], sample: Sample) -> bool:
    """Whether the rewards of most rows are lists."""
    known = [value for value in sample.values(roles.get("reward", ("",))[0]) if value is not None]
    return 2 * sum(isinstance(value, list) for value in known) > len(known)


def _groupings(sample: Sample, taken: Sequence[str]) -> str:
    """Columns whose values repeat as those of a group would, as options that can be copied."""
    found = []
    for leaf in sample.leaves():
        values = [str(value) for value in sample.values(leaf) if value is not None]
        if (
            leaf not in taken
            and _KEY.search(leaf)
            and 2 <= len(set(values)) <= len(sample.rows) / 2 <= len(values)
        ):
            found.append(shlex.join(["--prompt", leaf]))
    return listed(found[:5], "or")


def _offers(sample: Sample, taken: Sequence[str]) -> str:
    """Columns of 0 and 1 as options that can be copied."""
    found = [
        leaf
        for leaf in sample.leaves()
        if leaf not in (*taken, "advantage") and binary(sample.values(leaf))
    ]
    known = [leaf for leaf in found if leaf.lower().rpartition(".")[2] in OUTCOMES]
    # A version, or whether a rollout is complete, is the same throughout.
    told = [leaf for leaf in found if len({number(v) for v in flat(sample.values(leaf))}) > 1]
    best = dict.fromkeys([*known, *told]) or found
    shown = [shlex.join(["--reward", leaf]) for leaf in best][:5]
    return f"; columns of 0 and 1: {listed(shown, 'or')}" if shown else ""


def _existing(table: Table, column: str, role: str, name: str) -> str:
    if "\0" in column:
        raise ValueError(f"{FLAGS[role]} must name a column; a name cannot hold a NUL character")
    # Lines of JSON need not have the same fields, and a name may lead into a nested one.
    if _there(table, column) or table.kind == "jsonl":
        return column
    raise ValueError(
        f"{name} has no column {column!r} ({FLAGS[role]}); it has: {_shown(table.columns)}"
    )


def _check_type(table: Table, role: str, columns: Sequence[str], name: str, in_lists: bool) -> None:
    if role in ("prompt", "response"):
        return
    if len(columns) > 1:
        raise ValueError(f"{FLAGS[role]} names one column; got {listed(list(columns))}")
    for column in columns:
        kind = table.types.get(column, "JSON")
        lists = in_lists or role in ("log_prob", "sampler_log_prob")
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
