"""Pass rates from files: every usual format gives the same numbers, and a broken one a sentence."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.pass_rates import MOST_PROMPTS, check_count, read_pass_rates, repeated

FILES = {
    "numbers.txt": "0.3\n\n0\n1\n",
    "numbers.csv": "0.3\n0\n1\n",
    "headed.txt": "pass_rate\n0.3\n0\n1\n",
    "table.csv": 'prompt,pass_rate\n"two\nlines",0.3\nb,0\nc\u2028d,1\n',
    "spreadsheet.csv": "\ufeffpass_rate,prompt\r\n0.3,a\r\n0,b\r\n1,c\r\n",
    "rows.jsonl": '{"pass_rate": 0.3}\r\n{"pass_rate": 0, "p": "\u2028"}\r\n\r\n{"pass_rate": 1}',
    "rows.txt": '{"pass_rate": 0.3}\n{"pass_rate": 0, "level": 5}\n{"pass_rate": 1}\n',
    "numbers.jsonl": "0.3\n0\n1\n",
    "list.json": "[0.3, 0, 1]",
    "objects.json": '[{"pass_rate": 0.3},\n {"pass_rate": 0},\n {"pass_rate": 1}]',
}


@pytest.mark.parametrize("name", FILES)
def test_every_text_format_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name].encode())
    assert read_pass_rates(tmp_path / name).tolist() == [0.3, 0, 1]


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=20).filter(
        lambda rows: any(count for _, count in rows)
    )
)
def test_tables_are_read_by_column_and_counted(tmp_path_factory, kind, rows):
    file = tmp_path_factory.mktemp("rates") / f"rates.{kind}"
    table = pd.DataFrame(rows, columns=["accuracy", "n"]).assign(prompt="1, 2")
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "parquet":
        table.to_parquet(file)
    else:
        # pandas writes ten digits of a number, json all of them.
        records = table.to_dict("records")
        lines = map(json.dumps, records)
        file.write_text("\n".join(lines) if kind == "jsonl" else json.dumps(records))
    rates = read_pass_rates(file, "accuracy")
    np.testing.assert_array_equal(rates, table["accuracy"])
    counted = read_pass_rates(file, "accuracy", "n")
    np.testing.assert_array_equal(counted, np.repeat(table["accuracy"], table["n"]))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "pass_rate\n0.1\nnan\n", r"line 3: a pass rate must lie in \[0, 1\]; got 'nan'"),
        ("a.csv", "pass_rate\n0.1\n1.2\n", "line 3: .* got '1.2'"),
        ("a.csv", "prompt,pass_rate\nx\n", "line 2: .* got None"),
        ("a.csv", "a,b\n1,2\n", "lacks the column 'pass_rate'; it has: a, b"),
        ("a.csv", "0.1\nmany\n", "line 2: .* got 'many'"),
        ("a.txt", "many\n0.1\n", "line 1: .* got 'many'"),
        ("a.csv", "", "holds no pass rates"),
        ("a.csv", "pass_rate\n", "holds no pass rates"),
        ("a.csv", b"\xff\xfe\x00\x01", "is not text"),
        ("a.csv", "0." + "1" * 200_000, "is not text"),
        ("a.jsonl", '{"pass_rate": 0.1}\n{"pass_rate": "x"}', "line 2: .* got 'x'"),
        ("a.jsonl", '{"rate": 0.1}', "line 1: no field 'pass_rate'"),
        ("a.jsonl", '{"pass_rate": true}', "line 1: .* got True"),
        ("a.jsonl", "[0.1]", r"line 1: .* got \[0.1\]"),
        ("a.jsonl", "{broken", "line 1: not valid JSON"),
        ("a.jsonl", "1" * 10_000, "not valid JSON .too deep or too long"),
        ("a.json", "[" * 100_000, "not valid JSON .too deep or too long"),
        ("a.json", '{"p": [0.1]}', "prompt 'p': the outcomes must be a list of 0 and 1"),
        ("a.json", '{"p": [{}]}', "must hold a JSON list"),
        ("a.json", "[0.1, null]", "item 2: .* got None"),
        ("a.json", json.dumps([[0.1] * 3000]), "item 1: .*…"),
        ("a.parquet", "0.1", "not a readable Parquet table"),
    ],
)
def test_a_broken_file_is_refused_in_a_short_sentence(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        read_pass_rates(path)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 120


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0.5\n", "has no columns, so none of counts; got 'n'"),
        ("a.json", "[0.5]", "has no columns"),
        ("a.csv", "pass_rate,n\n0.5,-1\n", "line 2: a number of prompts must be whole"),
        ("a.csv", "pass_rate,n\n0.5,1.5\n", "line 2: a number of prompts must be whole"),
        ("a.csv", "pass_rate,n\n0.5\n", "line 2: a number of prompts .* got None"),
        ("a.csv", "pass_rate,m\n0.5,1\n", "lacks the column 'n'"),
        ("a.jsonl", '{"pass_rate": 0.5}', "line 1: no field 'n'"),
        ("a.csv", "pass_rate,n\n0.5,0\n", "counts no prompts"),
        ("a.csv", "pass_rate,n\n0.5,9000000\n0.1,9000000\n", "more than 10,000,000 prompts"),
    ],
)
def test_broken_counts_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_pass_rates(tmp_path / name, count="n")


def test_other_columns_and_folders_are_named(tmp_path):
    pd.DataFrame({"rate": [0.1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="lacks the column 'pass_rate'; it has: rate"):
        read_pass_rates(tmp_path / "a.parquet")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_pass_rates(tmp_path)


def test_counts_are_whole_numbers_up_to_a_limit():
    assert [check_count(value, "here") for value in (3, 3.0, "3", MOST_PROMPTS)] == [
        3,
        3,
        3,
        MOST_PROMPTS,
    ]
    for value in (-1, 0.5, MOST_PROMPTS + 1, "many", None, True, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="here: a number of prompts must be whole"):
            check_count(value, "here")
    assert repeated([0.5, 0.25], [0, 2], "they").tolist() == [0.25, 0.25]
