"""Pass rates from numbers, histograms and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apw.advice.prompts import prompts_from


@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 5)), min_size=1, max_size=8))
def test_a_histogram_keeps_every_prompt_and_rate(bins: list[tuple[int, int]]) -> None:
    if not any(count for _, count in bins):
        bins.append((3, 1))
    words = [f"{correct / 16}:{count}" for correct, count in bins]
    prompts = prompts_from(start=0.5, histogram=words, tries=16)
    expected = [(k + 0.5) / 17 for k, count in bins for _ in range(count)]
    np.testing.assert_allclose(prompts.success, expected, rtol=1e-14)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_columns_of_counts_stand_for_their_prompts(tmp_path: Path, kind: str) -> None:
    table = pd.DataFrame({"rate": [0.0, 0.5, 0.25], "n": [4, 0, 2]})
    file = tmp_path / f"histogram.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "jsonl":
        table.to_json(file, orient="records", lines=True)
    else:
        table.to_parquet(file)
    prompts = prompts_from(start=0.5, rates=file, column="rate", count="n")
    assert (prompts.success.tolist(), prompts.unsolved) == ([0.25, 0.25], 4)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.txt", "0.5\n", "a column of counts needs a .csv, .jsonl or .parquet file"),
        ("a.csv", "pass_rate,n\n0.5,-1\n", r"a.csv, line 2: a number of prompts must be whole"),
        ("a.csv", "pass_rate,n\n0.5\n", r"line 2: a number of prompts .* got None"),
        ("a.csv", "pass_rate,m\n0.5,1\n", "lacks the column 'n'"),
        ("a.csv", "pass_rate,n\n0.5,0\n", "counts no prompts"),
        ("a.csv", "pass_rate,n\n0.5,9000000\n0.1,9000000\n", "more than 10,000,000 prompts"),
    ],
)
def test_broken_counts_are_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        prompts_from(start=0.5, rates=tmp_path / name, count="n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bom.csv", "\ufeffprompt,pass_rate\na,0.25\nb,0.5\n"),
        ("quoted.csv", 'prompt,pass_rate\r\n"a\nb",0.25\r\nc\u2028d,0.5\r\n'),
        ("separators.jsonl", '{"p": "a\u2028b", "pass_rate": 0.25}\r\n\r\n{"pass_rate": 0.5}'),
        ("bom.txt", "\ufeff0.25\n0.5\n"),
    ],
)
def test_lines_end_where_the_format_says(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    assert prompts_from(start=0.5, rates=file).success.tolist() == [0.25, 0.5]
