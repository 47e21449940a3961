"""Pass rates from numbers, histograms and files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apw.advice.prompts import prompts_from


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 5)), min_size=1, max_size=8))
def test_a_histogram_keeps_every_prompt_and_rate(bins: list[tuple[int, int]]) -> None:
    if not any(count for _, count in bins):
        bins.append((3, 1))
    words = [f"{correct / 16}:{count}" for correct, count in bins]
    if not any(correct for correct, count in bins if count):
        bins.append((1, 1))
        words.append("0.0625:1")
    prompts = prompts_from(start=0.5, histogram=words, tries=16)
    assert prompts.measured is not None
    expected = [float(k) for k, count in bins for _ in range(count)]
    assert prompts.measured.correct.tolist() == expected
    assert prompts.known.prompts == len(expected)


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
    assert prompts.measured is not None
    assert prompts.measured.rate.tolist() == [0, 0, 0, 0, 0.25, 0.25]


OUTCOMES = {f"p{n}": [int(i < correct) for i in range(4)] for n, correct in enumerate([0, 1, 4])}


@pytest.mark.parametrize("form", ["rates", "outcomes", "counts", "log"])
def test_the_ways_people_store_pass_rates_say_the_same(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("rates.csv" if form == "counts" else "rates.json")
    forms = {
        "rates": {name: sum(right) / 4 for name, right in OUTCOMES.items()},
        "outcomes": OUTCOMES,
        "log": [{"prompt": p, "reward": r} for p, rights in OUTCOMES.items() for r in rights],
    }
    if form == "counts":
        rows = [f"{name},{sum(right)},4" for name, right in OUTCOMES.items()]
        path.write_text("id,n_correct,n_samples\n" + "\n".join(rows))
    else:
        path.write_text(json.dumps(forms[form]))
    prompts = prompts_from(start=0.5, rates=path)
    read = prompts.measured
    assert read is not None
    assert sorted(read.correct) == [0, 1, 4]
    assert read.tries is not None
    assert set(read.tries) == {4}


def test_a_file_that_is_neither_rates_nor_outcomes_is_refused_as_rates(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="lacks the column 'pass_rate'"):
        prompts_from(start=0.5, rates=path)
