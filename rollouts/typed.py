"""JSON lines parsed straight into typed columns, where the first rows allow it."""

from __future__ import annotations

from typing import Any

from rollouts.beside import TEXTS
from rollouts.columns import Columns, Table
from rollouts.sample import Sample, flat


def typed(table: Table, columns: Columns, sample: Sample) -> Table | None:
    """The table with types for its columns, where JSON lines can be parsed straight into them.

    Numbers that are parsed into columns of numbers need not be written out as text and read again,
    which takes twice as long. What a later line holds beside these types is an error there, and
    whoever reads has to begin again without types.

    Returns:
        None where rows are made from nested values, or a column of numbers shows something else.

    >>> from rollouts.layouts import TABLE
    >>> rows = ({"q": "a", "reward": 1}, {"q": "b", "reward": None})
    >>> table = Table("jsonl", {"q": "JSON", "reward": "JSON"})
    >>> columns = Columns(TABLE, {"prompt": ("q",), "reward": ("reward",)}, {}, False, False)
    >>> typed(table, columns, Sample(rows)).types
    {'q': 'VARCHAR', 'reward': 'DOUBLE'}
    """
    plain = table.kind == "jsonl" and sample.container == "lines" and sample.nested is None
    if not plain or columns.formulas or columns.only or columns.layout.rows != "{source}":
        return None
    types: dict[str, str] = {}
    for role, names in columns.roles.items():
        for name in names:
            kind = _kind(sample.values(name), role, role in columns.lists)
            if name not in table.types or kind is None or types.get(name, kind) != kind:
                return None
            types[name] = kind
    if len({name.lower() for name in types}) < len(types):
        return None
    return Table("typed", types, table.steps_in_names)


def _kind(values: list[Any], role: str, in_list: bool) -> str | None:
    """DuckDB's type for a role's values; None if they are not all of one."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    lists = all(isinstance(value, list) for value in known)
    if in_list and not lists:
        return None
    if role in ("prompt", "response", *TEXTS):
        return "VARCHAR[]" if in_list else "VARCHAR"
    if lists and (in_list or role in ("log_prob", "sampler_log_prob")):
        numbers = all(isinstance(item, int | float) for item in flat(known))
        return "DOUBLE[]" if numbers else None
    return "DOUBLE" if all(isinstance(value, int | float) for value in known) else None
