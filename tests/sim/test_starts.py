"""Initial success probabilities: distributions, files of measured rates, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sim.starts import LEAST, check_start, initial_success, read_pass_rates


def drawn(start, prompts=2000, seed=0):
    return initial_success(start, prompts, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("start", "distribution"),
    [
        ("beta:0.6,1.4", stats.beta(0.6, 1.4)),
        ("beta:1,9", stats.beta(1, 9)),
        ("loguniform:0.001,0.5", stats.loguniform(0.001, 0.5)),
    ],
)
def test_prompts_are_spread_as_the_distribution_hardest_first(start, distribution):
    values = drawn(start)
    assert np.all(np.diff(values) >= 0)
    # One stratum of mass 1/n each: the empirical distribution is within 1/n of the true one.
    assert stats.kstest(values, distribution.cdf).statistic <= 1 / len(values) + 1e-9
    assert not np.array_equal(values, drawn(start, seed=1))


def test_a_point_is_every_prompt():
    assert drawn(0.25, 3).tolist() == drawn("0.25", 3).tolist() == [0.25] * 3


FILES = {
    "numbers.txt": "0.3\n\n0\n1\n",
    "numbers.csv": "0.3\n0\n1\n",
    "table.csv": 'prompt,pass_rate\n"two\nlines",0.3\nb,0\nc,1\n',
    "spreadsheet.csv": "\ufeffpass_rate,prompt\r\n0.3,a\r\n0,b\r\n1,c\r\n",
    "rows.jsonl": '{"pass_rate": 0.3}\n{"pass_rate": 0, "level": 5}\n{"pass_rate": 1}\n',
    "list.json": "[0.3, 0, 1]",
    "objects.json": '[{"pass_rate": 0.3},\n {"pass_rate": 0},\n {"pass_rate": 1}]',
}


@pytest.mark.parametrize("name", [*FILES, "table.parquet"])
def test_measured_rates_are_read_in_the_usual_formats(tmp_path, name):
    path = tmp_path / name
    if name in FILES:
        path.write_text(FILES[name], encoding="utf-8")
    else:
        pd.DataFrame({"prompt": ["a", "b", "c"], "pass_rate": [0.3, 0, 1]}).to_parquet(path)
    assert read_pass_rates(path).tolist() == [0.3, 0, 1]
    assert drawn(f"file:{path}", 3).tolist() == [LEAST, 0.3, 1 - LEAST]
    many = drawn(f"file:{path}", 1000)
    assert {x.item() for x in np.unique(many)} == {LEAST, 0.3, 1 - LEAST}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "pass_rate\n0.1\nnan\n", "line 3: a pass_rate in .0, 1. is wanted; got nan"),
        ("a.csv", "pass_rate\n0.1\n1.2\n", "line 3: .* got 1.2"),
        ("a.csv", "prompt,pass_rate\nx\n", "line 2: .* got x"),
        ("a.csv", "a,b\n1,2\n", "line 1: .* got a"),
        ("a.csv", "", "holds no pass rates"),
        ("a.csv", "pass_rate\n", "holds no pass rates"),
        ("a.csv", b"\xff\xfe\x00\x01", "is not text"),
        ("a.csv", "0." + "1" * 200_000, "is not text"),
        ("a.jsonl", '{"pass_rate": 0.1}\n{"pass_rate": "x"}', "line 2: .* got x"),
        ("a.jsonl", '{"rate": 0.1}', "line 1: .* got {'rate': 0.1}"),
        ("a.jsonl", '{"pass_rate": true}', "line 1: .* got True"),
        ("a.jsonl", "{broken", "line 1: .* got {broken"),
        ("a.json", '{"pass_rate": [0.1]}', "must hold a JSON list"),
        ("a.json", "[0.1, null]", "item 2: .* got None"),
        ("a.json", json.dumps([[0.1] * 3000]), "item 1: .*…"),
        ("a.parquet", "0.1", "not a readable Parquet table"),
    ],
)
def test_a_broken_file_is_refused_in_a_short_sentence(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        check_start(f"file:{path}")
    assert len(str(error.value)) < len(str(path)) + 120


def test_other_columns_and_folders_are_named(tmp_path):
    pd.DataFrame({"rate": [0.1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="lacks the column pass_rate; it has: rate"):
        read_pass_rates(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="is not a file"):
        read_pass_rates(tmp_path)
