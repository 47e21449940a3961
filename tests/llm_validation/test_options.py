"""Options on a command line are read as they are written in a recipe."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apw.command_line import parse
from apw.commands.train import Options
from llm_validation.config import load_recipe
from llm_validation.options import parse_options, to_toml, write_options

names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
leaves = st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_back(options):
    assert parse_options(write_options(options)) == options


@settings(max_examples=40)
@given(values)
def test_values_are_written_as_toml_reads_them(value):
    assert tomllib.loads(f"value = {to_toml(value)}") == {"value": value}


def test_text_that_is_no_toml_is_text_and_dates_are_no_values():
    words = ["a=rule", "b=", "c=1979-05-27", "d=1\nx = 2", "e=hub:owner/name@train", "f=a=b"]
    assert parse_options(words) == {
        "a": "rule", "b": "", "c": "1979-05-27", "d": "1\nx = 2", "e": "hub:owner/name@train",
        "f": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["kind"], "options are written NAME=VALUE, such as kind=rule; got 'kind'"),
        (["=1"], "options are written NAME=VALUE"),
        (["a=1", "a=2"], "option a is given twice"),
    ],
)
def test_what_is_no_option_is_refused(words, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_options(words)


def test_the_command_line_takes_them():
    words = ["--task-options", "kind=memorise", "train_size=32",
             "--schedules", "zero_success=warm_up:steps=5"]  # fmt: skip
    default = Options(config=load_recipe("demo"), recipe="demo")
    config = parse(Options, words, command="train", default=default).config
    assert config.task_options == {"kind": "memorise", "train_size": 32}
    assert config.schedules_of("sqrt_r")["zero_success"].steps == 5
    untouched = parse(Options, [], command="train", default=default).config
    assert untouched == load_recipe("demo")
