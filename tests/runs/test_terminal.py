"""Tables fit, lose nothing and read the same everywhere; progress is a bar or a line a minute."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import terminal
from runs.terminal import WIDTH, Progress, table

WORDS = st.text("abc[]/ρ✓\\ ", max_size=150).map(lambda text: " ".join(text.split()))


@given(st.lists(st.tuples(WORDS, st.floats(-9, 9).map(str), WORDS), max_size=5))
def test_a_table_fits_and_loses_nothing(rows):
    lines = table(["first", "number", "last"], rows, right="lrl").splitlines()
    assert all(len(line) <= WIDTH and line == line.rstrip() for line in lines)
    assert set(lines[1]) == {"-"}
    letters = sorted("".join("".join(row) for row in rows).replace(" ", ""))
    assert sorted("".join(lines[2:]).replace(" ", "")) == letters


def test_numbers_are_never_broken_even_where_they_need_more_than_the_width():
    cells = [f"{10**7 + n}" for n in range(20)]
    (line,) = table([""] * 20, [cells], right="r" * 20).splitlines()[2:]
    assert line.split() == cells


def test_numbers_beside_text_that_can_be_broken_are_whole():
    row = ["word " * 30, "0.853 (0.124 – 0.952)", "6 of 6"]
    lines = table(["scheme", "relative to GRPO, one common rate", "seeds"], [row], right="lrr")
    assert "0.853 (0.124 – 0.952)" in lines
    assert "relative to GRPO, one common rate" in lines


def test_in_a_notebook_a_table_is_text_and_nothing_else(monkeypatch):
    before = table(["text", "n"], [["a", "1"]], right="lr")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert table(["text", "n"], [["a", "1"]], right="lr") == before


def test_numbers_end_in_one_column_and_marks_do_not_count():
    lines = table(["mean π̄", "n"], [["π̄", "1"], ["abc", "23456"]], right="lr").splitlines()
    plain = [line.replace("\u0304", "") for line in lines]
    assert {len(line) for line in plain} == {len(plain[0])}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_takes_the_width_of_the_terminal(monkeypatch):
    row = ["word " * 60, "1"]
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    narrow = table(["text", "n"], [row], right="lr")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert max(map(len, narrow.splitlines())) <= 60
    assert max(map(len, table(["text", "n"], [row], right="lr").splitlines())) > 60


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_a_minute(clock, capsys):
    with Progress("run", 100, unit="updates") as progress:
        for _ in range(50):
            clock[0] += 6
            progress.advance(reward="0.5", zero_advantages="20%")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    expected = "run: 10 of 100 updates, about 9 min left, reward 0.5, zero advantages 20%"
    assert lines[0] == expected


def test_time_left_counts_neither_what_was_done_before_nor_what_came_before_the_first(clock):
    with Progress("run", 100, unit="steps", shown=False) as progress:
        progress.skip(90)
        clock[0] = 50.0  # a model was loaded
        progress.advance(1)
        assert str(progress) == "run: 91 of 100 steps"
        clock[0] = 90.0
        progress.advance(4)
        assert str(progress) == "run: 95 of 100 steps, about 50 s left"
        progress.advance(5)
        assert str(progress) == "run: 100 of 100 steps"


def test_on_a_terminal_a_live_bar_with_what_is_watched(monkeypatch):
    written = Terminal()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress("run", 3, unit="updates") as progress:
        progress.advance(3, reward="[0.43]")
    text = written.getvalue()
    assert "3/3" in text
    assert "reward [0.43]" in text
    assert "updates" in text


def test_on_a_terminal_of_80_columns_nothing_is_cut(monkeypatch, clock):
    written = Terminal()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    watched = {"training": "w_reinforce:lam=0.1, seed 11", "reward": "0.0469"}
    with Progress("countdown-post-sft", 2400, unit="steps") as progress:
        for _ in range(2):
            clock[0] += 60
            progress.advance(60, **watched, zero_advantages="38%")
    text = written.getvalue()
    assert "120/2400" in text
    assert "about 38 min left" in text
    assert "training w_reinforce:lam=0.1, seed 11, reward 0.0469, zero advantages 38%" in text
    assert "…" not in text


@pytest.mark.parametrize("tty", [True, False])
def test_nothing_is_shown_unasked(monkeypatch, clock, tty):
    written = Terminal() if tty else io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with Progress("run", 3, unit="steps", shown=False) as progress:
        clock[0] = 100.0
        progress.advance()
    assert written.getvalue() == ""
