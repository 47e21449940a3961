"""One SQL statement that turns a table of rollouts into numbers, sorted by step and prompt.

Nothing of the data is ever part of a statement: names of columns are quoted as identifiers or
handed over as JSON pointers inside string literals, and values stay values.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence

from rollouts.beside import CUT_OFF, EVALUATION
from rollouts.columns import Columns, Table
from rollouts.restated import restated

NAN = "CAST('NaN' AS DOUBLE)"

NUMBERS = ("advantage", "truncated", "age", "characters", "restated")
"""What may be known of a response, as numbers."""

MOST_TRIES = 1_000_000
"""More responses to a prompt than these are a mistake in a column of counts."""


class Status(enum.IntEnum):
    """What is wrong with a row, if anything."""

    GOOD = 0
    UNREADABLE = 1
    NO_REWARD = 2
    REWARD_NOT_A_NUMBER = 3
    REWARD_NOT_FINITE = 4
    NO_PROMPT = 5
    NO_STEP = 6
    EVALUATION = 7
    GREEDY = 8

    @property
    def words(self) -> str:
        """What is wrong, as it is told."""
        return {
            Status.GOOD: "good",
            Status.UNREADABLE: "unreadable",
            Status.NO_REWARD: "without a reward",
            Status.REWARD_NOT_A_NUMBER: "with a reward that is no number",
            Status.REWARD_NOT_FINITE: "with a reward that is NaN or infinite",
            Status.NO_PROMPT: "without a prompt",
            Status.NO_STEP: "without a step that is a whole number",
            Status.EVALUATION: "of evaluations",
            Status.GREEDY: "sampled greedily",
        }[self]


@dataclasses.dataclass(frozen=True)
class Value:
    """A value in SQL.

    Attributes:
        sql: Expression.
        type: DuckDB type; ``JSON`` for a JSON value of any type.
        string: Expression of a JSON value's text, where one is at hand that needs no parsing.
    """

    sql: str
    type: str
    string: str | None = None

    @property
    def text(self) -> str:
        """The value as text, NULL if it is missing."""
        if self.type == "JSON":
            return self.string or f"({self.sql} ->> '$')"
        return f"CAST({self.sql} AS VARCHAR)"

    @property
    def written(self) -> str:
        """The value as text, of lists and objects their JSON; NULL if it is missing."""
        if self.type in ("JSON", "VARCHAR"):
            return self.text
        return f"CAST(to_json({self.sql}) AS VARCHAR)"

    @property
    def present(self) -> str:
        """Whether there is a value at all."""
        if self.type in ("JSON", "VARCHAR"):
            # Most texts begin with no blank, and trimming is what takes time.
            text = self.text
            trimmed = f"trim(coalesce({text}, ''))"
            return f"(CASE WHEN ascii({text}) > 32 THEN true ELSE {trimmed} <> '' END)"
        return f"({self.sql} IS NOT NULL)"

    @property
    def number(self) -> str:
        """The value as DOUBLE, NULL if it is no number; true is 1 and false 0."""
        if self.type in ("JSON", "VARCHAR"):
            text = self.text
            return (
                f"coalesce(TRY_CAST({text} AS DOUBLE), "
                f"CASE lower({text}) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END)"
            )
        if self.type == "BOOLEAN":
            return f"CAST(CAST({self.sql} AS INTEGER) AS DOUBLE)"
        return f"TRY_CAST({self.sql} AS DOUBLE)"

    @property
    def sum_and_count(self) -> tuple[str, str]:
        """Sum and number of a list's numbers, NULL if one is missing; a number has no count."""
        if self.type == "JSON":
            numbers = f"TRY_CAST({self.sql} AS DOUBLE[])"
            is_list = f"starts_with(CAST({self.sql} AS VARCHAR), '[')"
        elif self.type.endswith("[]"):
            numbers, is_list = f"CAST({self.sql} AS DOUBLE[])", f"{self.sql} IS NOT NULL"
        else:
            return self.number, "CAST(NULL AS DOUBLE)"
        whole = f"list_count({numbers}) = len({numbers})"
        total = f"CASE WHEN {whole} THEN list_sum({numbers}) END"
        other = self.number if self.type == "JSON" else "NULL"
        return (
            f"CASE WHEN {is_list} THEN {total} ELSE {other} END",
            f"CASE WHEN {is_list} THEN CAST(len({numbers}) AS DOUBLE) END",
        )


def identifier(name: str) -> str:
    """A column's name in SQL.

    >>> print(identifier('a"; drop table x'))
    "a""; drop table x"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL.

    >>> print(literal("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def pointer(column: str, fields: Sequence[str]) -> str:
    """JSON pointer to a column of JSON lines; dots lead into nested objects.

    >>> pointer("a/b", []), pointer("info.score", []), pointer("info.score", ["info.score"])
    ('/a~1b', '/info/score', '/info.score')
    """
    parts = [column] if column in fields else column.split(".")
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def fields_query(table: Table, columns: Columns, source: str) -> str:
    """Statement for one row per row of ``source``: status, step, prompt, reward and the rest.

    Args:
        table: The table's columns.
        columns: Which stand for what.
        source: FROM clause; of JSON lines one with the column ``json``, and with ``__file`` where
            the step is in the files' names.

    Returns:
        SELECT with the columns status, step, prompt, reward, shown (the offending value), and of
        text, log_confidence, length and log_ratio those that the columns tell.
    """
    lines = table.kind == "jsonl"
    values, value, source = row_values(table, columns, source)
    reward = value("reward")
    assert reward is not None
    prompts = (
        [Value(f"({columns.formulas['prompt']})", "VARCHAR")]
        if "prompt" in columns.formulas
        else [values[name] for name in columns.roles["prompt"]]
    )
    parts = [prompt.text if prompt.type == "JSON" else prompt.sql for prompt in prompts]
    missing = " OR ".join(f"NOT {prompt.present}" for prompt in prompts)
    step, step_value = "0.0", value("step")
    if columns.step_from_name:
        step = "CAST(regexp_extract(__file, '([0-9]+)-[0-9]+[.][a-z.]+$', 1) AS DOUBLE)"
    elif step_value is not None:
        step = step_value.number
    fields = {
        "unreadable": "json IS NULL OR left(ltrim(json), 1) <> '{'" if lines else "FALSE",
        "has_reward": reward.present,
        "shown": f"left({reward.text}, 60)",
        "reward": reward.number,
        "prompt": f"CASE WHEN {missing} THEN NULL ELSE hash({', '.join(parts)}) END",
        "step": step,
        **_set_aside(value),
        **_optional_fields(columns, values, value),
    }
    inner = ", ".join(f"{sql} AS {name}" for name, sql in fields.items())
    chosen = {
        "status": f"""CASE
            WHEN unreadable THEN {Status.UNREADABLE.value}
            WHEN evaluation THEN {Status.EVALUATION.value}
            WHEN greedy THEN {Status.GREEDY.value}
            WHEN NOT has_reward THEN {Status.NO_REWARD.value}
            WHEN reward IS NULL THEN {Status.REWARD_NOT_A_NUMBER.value}
            WHEN NOT isfinite(reward) THEN {Status.REWARD_NOT_FINITE.value}
            WHEN prompt IS NULL THEN {Status.NO_PROMPT.value}
            WHEN step IS NULL OR NOT isfinite(step) OR abs(step) > 9e15 OR step <> floor(step)
                THEN {Status.NO_STEP.value}
            ELSE 0 END""",
        "step": "coalesce(TRY_CAST(step AS BIGINT), 0)",
        "prompt": "coalesce(prompt, 0)",
        "reward": f"coalesce(reward, {NAN})",
        "shown": "shown",
        **_optional_columns(columns, set(fields)),
    }
    if "rollout" in columns.formulas:
        inner += f", {columns.formulas['rollout']} AS rollout, {columns.formulas['turn']} AS turn"
        outer = ", ".join(f"{sql} AS {name}" for name, sql in chosen.items())
        return _folded(f"SELECT {outer}, rollout, turn FROM (SELECT {inner} FROM {source})", chosen)
    outer = ", ".join(f"{sql} AS {name}" for name, sql in chosen.items())
    return f"SELECT {outer} FROM (SELECT {inner} FROM {source})"


def row_values(
    table: Table, columns: Columns, source: str, *, also: Sequence[str] = ()
) -> tuple[Mapping[str, Value], Callable[[str], Value | None], str]:
    """What the columns hold in a row for every response.

    Args:
        table: The table's columns.
        columns: Which stand for what.
        source: FROM clause, as for :func:`fields_query`.
        also: Further columns that are wanted.

    Returns:
        Values by column, a function that gives a role's value, and the FROM clause of the rows.
    """
    lines = table.kind == "jsonl"
    source = columns.layout.rows.format(source=source)
    if columns.only is not None:
        source = f"(SELECT * FROM {source} WHERE coalesce({columns.only}, true))"
    names = [*(name for role in columns.roles.values() for name in role), *also]
    values: dict[str, Value] = {}
    if lines:
        # Parsing a line is what takes time: one function does it once for all paths.
        paths = ", ".join(literal(pointer(name, table.columns)) for name in names)
        values = {
            name: Value(f"s[{i}]", "JSON", string=f"s[{i}]") for i, name in enumerate(names, 1)
        }
        extracted = f", json_extract_string(json, [{paths}]) AS s" if names else ""
        source = f"(SELECT *{extracted} FROM {source})"
    else:
        values = {name: _column(name, table) for name in names}
    source = _one_row_a_response(columns, values, source)

    def value(role: str) -> Value | None:
        if role in columns.formulas:
            kind = {
                "reward": "DOUBLE",
                "step": "DOUBLE",
                "length": "DOUBLE",
                "age": "DOUBLE",
                "sampler_log_prob": "JSON",
            }.get(role, "VARCHAR")
            return Value(f"({columns.formulas[role]})", kind)
        if role == "reward" and "correct" in columns.roles:
            return Value("counted", "DOUBLE")
        return values[columns.roles[role][0]] if role in columns.roles else None

    return values, value, source


def _column(name: str, table: Table) -> Value:
    """A column of Parquet or CSV; dots lead into a STRUCT."""
    if name in table.types:
        return Value(identifier(name), table.types[name])
    # Whatever lies inside is read as text, and numbers from that.
    inside = ".".join(identifier(part) for part in name.split("."))
    return Value(f"CAST({inside} AS VARCHAR)", "VARCHAR")


def _one_row_a_response(columns: Columns, values: dict[str, Value], source: str) -> str:
    """Take lists apart, and counts; the values of the columns come to be those of a response."""
    made = []
    for role in columns.lists:
        name = columns.roles[role][0]
        value = values[name]
        if value.type == "JSON":
            items = (
                f"coalesce(TRY_CAST(TRY_CAST({value.sql} AS JSON) AS JSON[]), "
                f"[to_json({value.sql})])"
            )
            values[name] = Value(f"each_{role}", "JSON")
        else:
            items = f"coalesce({value.sql}, [NULL])"
            values[name] = Value(f"each_{role}", value.type.removesuffix("[]"))
        made.append(
            f"unnest(CASE WHEN len({items}) = 0 THEN [NULL] ELSE {items} END) AS each_{role}"
        )
    if "correct" in columns.roles:
        right, tried = (
            f"TRY_CAST({values[columns.roles[role][0]].number} AS BIGINT)"
            for role in ("correct", "tried")
        )
        zeros = f"list_resize(CAST([] AS DOUBLE[]), {tried} - {right}, 0.0)"
        ones = f"list_resize(CAST([] AS DOUBLE[]), {right}, 1.0)"
        made.append(
            f"unnest(CASE WHEN {right} BETWEEN 0 AND {tried} AND {tried} BETWEEN 1 AND {MOST_TRIES}"
            f" THEN list_concat({ones}, {zeros}) ELSE [NULL] END) AS counted"
        )
    return f"(SELECT *, {', '.join(made)} FROM {source})" if made else source


def _set_aside(value: Callable[[str], Value | None]) -> dict[str, str]:
    """Whether a row is an evaluation, or was sampled greedily beside others that were not."""
    split, temperature = value("split"), value("temperature")
    names = ", ".join(map(literal, sorted(EVALUATION)))
    return {
        "evaluation": "false"
        if split is None
        else f"coalesce(lower({split.text}) IN ({names}), false)",
        "greedy": "false" if temperature is None else f"coalesce({temperature.number} = 0, false)",
    }


def _folded(rows: str, columns: Mapping[str, str]) -> str:
    """The turns of a rollout as one row: the last one's reward, and sums over all of them."""
    sums = {
        "length": "sum(length)",
        "characters": "sum(characters)",
        "age": "max(age)",
        "truncated": "max(truncated)",
        "log_ratio": "sum(log_ratio)",
        "log_confidence": "sum(log_confidence * length) / sum(length)"
        if "length" in columns
        else "avg(log_confidence)",
    }
    keys = ("step", "prompt")
    chosen = ", ".join(
        name if name in keys else f"{sums.get(name, f'arg_max({name}, turn)')} AS {name}"
        for name in columns
    )
    return f"SELECT {chosen} FROM ({rows}) GROUP BY {', '.join(keys)}, rollout"


def _optional_fields(
    columns: Columns, values: Mapping[str, Value], value: Callable[[str], Value | None]
) -> dict[str, str]:
    fields: dict[str, str] = {}
    response, length = value("response"), value("length")
    if response is not None:
        text = response.written
        fields["text"] = f"hash({text})"
        fields["has_text"] = f"{text} IS NOT NULL"
        if length is None:
            fields["characters"] = f"CAST(length({text}) AS DOUBLE)"
        if columns.boxed and (asked := value("prompt")) is not None:
            fields["restated"] = restated(asked.written, text)
    if (advantage := value("advantage")) is not None:
        fields["advantage"] = advantage.number
    if (truncated := value("truncated")) is not None:
        words = ", ".join(map(literal, CUT_OFF))
        fields["truncated"] = f"CAST(lower({truncated.text}) IN ({words}) AS DOUBLE)"
    if (age := value("age")) is not None:
        fields["age"] = age.number
    elif (version := value("version")) is not None and (step := value("step")) is not None:
        fields["age"] = f"{step.number} - {version.number}"
    for place, name in enumerate(columns.roles.get("component", ())):
        fields[f"component_{place}"] = values[name].number
    for role, short in (("log_prob", "trainer"), ("sampler_log_prob", "sampler")):
        found = value(role)
        if found is not None:
            fields[short], fields[f"{short}_count"] = found.sum_and_count
    counts = [name for name in ("trainer_count", "sampler_count") if name in fields]
    if length is not None:
        fields["length"] = length.number
    elif counts:
        fields["length"] = "CAST(NULL AS DOUBLE)"
    return fields


def _optional_columns(columns: Columns, fields: set[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    if "text" in fields:
        chosen["text"] = "CASE WHEN has_text THEN text ELSE 0 END"
    for name in sorted(fields):
        if name in NUMBERS or name.startswith("component_"):
            chosen[name] = f"CASE WHEN isfinite({name}) THEN {name} ELSE {NAN} END"
    which = "trainer" if "trainer" in fields else "sampler"
    if which in fields:
        count = f"coalesce({which}_count, length)"
        # Log-probabilities of certain tokens may be a rounding error above 0.
        mean = which if columns.mean_log_prob else f"{which} / {count}"
        mean = f"CASE WHEN {which}_count IS NULL THEN {mean} ELSE {which} / {which}_count END"
        usable = f"isfinite({mean}) AND {mean} <= 1e-6 AND coalesce({count}, 1) > 0"
        chosen["log_confidence"] = f"CASE WHEN {usable} THEN least({mean}, 0.0) ELSE {NAN} END"
    if "length" in fields:
        count = f"coalesce({which}_count, length)" if which in fields else "length"
        chosen["length"] = (
            f"CASE WHEN isfinite({count}) AND {count} > 0 THEN CAST({count} AS DOUBLE) "
            f"ELSE {NAN} END"
        )
    if {"trainer", "sampler"} <= fields:
        log_ratio = "trainer - sampler"
        if columns.mean_log_prob:
            # Lists are of tokens, whatever scalars are.
            factor = "CASE WHEN trainer_count IS NULL THEN length ELSE 1 END"
            log_ratio = f"({log_ratio}) * {factor}"
        same = "trainer_count IS NOT DISTINCT FROM sampler_count"
        chosen["log_ratio"] = (
            f"CASE WHEN isfinite({log_ratio}) AND {same} THEN {log_ratio} ELSE {NAN} END"
        )
    return chosen


def sorted_query(fields: str, columns: Sequence[str]) -> str:
    """Statement for the numbers alone, whole groups one after the other.

    Args:
        fields: Statement of :func:`fields_query`.
        columns: Its columns, without ``shown``.
    """
    keys = ["step", "prompt", *(["text"] if "text" in columns else [])]
    return f"SELECT {', '.join(columns)} FROM ({fields}) ORDER BY {', '.join(keys)}"
