"""Words of a command line: read by type, tables NAME=VALUE, recipes underneath."""

import importlib
import json
import re
from typing import Any, Literal

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from apw.command_line import parse
from apw.commands.reproduce import Options as ReproduceOptions
from apw.commands.simulate import Options as SimulateOptions
from apw.commands.train import Options
from apw.help import shipped
from apw.main import COMMANDS
from apw.options import option, options_of, read, read_ahead
from llm_validation.config import list_recipes, load_recipe
from runs.configuration import hints

names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
values = st.booleans() | st.integers(-(2**62), 2**62) | st.lists(st.integers(-9, 9), max_size=3)


@settings(max_examples=40)
@given(st.dictionaries(names, values, min_size=1, max_size=4))
def test_tables_are_read_as_toml(table):
    words = [f"{name}={json.dumps(value)}" for name, value in table.items()]
    assert read("--x", dict[str, Any], words) == table


def test_text_that_is_no_toml_is_text_and_dates_are_no_values():
    words = ["a=rule", "b=", "c=1979-05-27", "d=1\nx = 2", "e=hub:owner/name@train", "f=a=b"]
    assert read("--x", dict[str, Any], words) == {
        "a": "rule",
        "b": "",
        "c": "1979-05-27",
        "d": "1\nx = 2",
        "e": "hub:owner/name@train",
        "f": "a=b",
    }


@pytest.mark.parametrize(
    ("annotation", "words", "value"),
    [
        (float | str, ["0.5"], 0.5),
        (float | str, ["beta:1,9"], "beta:1,9"),
        (int | None, ["none"], None),
        (int | None, ["None"], None),
        (str | None, ["x"], "x"),
        (tuple[float, ...], ["1", "2e3"], (1.0, 2000.0)),
        (tuple[int, ...] | None, ["1", "2"], (1, 2)),
        (dict[str, float], ["plateau_r:threshold=0.3=0.5"], {"plateau_r:threshold=0.3": 0.5}),
        (dict[str, str], ["lam=0.5"], {"lam": "0.5"}),
    ],
)
def test_words_are_read_by_the_type_of_the_field(annotation, words, value):
    assert read("--x", annotation, words) == value


@pytest.mark.parametrize(
    ("annotation", "words", "sentence"),
    [
        (dict[str, Any], ["kind"], "--x takes words NAME=VALUE, such as kind=rule; got 'kind'"),
        (dict[str, Any], ["=1"], "--x takes words NAME=VALUE"),
        (dict[str, Any], ["a=1", "a=2"], "--x gives a twice"),
        (int, ["1.5"], "--x must be a whole number; got '1.5'"),
        (int, ["9" * 5000], "--x must be a whole number; got '999"),
        (float, ["nan"], "--x must be a finite number; got 'nan'"),
        (float | None, ["-inf"], "--x must be a finite number or none; got '-inf'"),
        (tuple[int, ...], ["1", "a"], "--x must be a list, each item a whole number; got 'a'"),
        (Literal["a", "b"], ["c"], "--x must be one of a, b; got 'c'"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(annotation, words, sentence):
    with pytest.raises(ValueError, match="--x") as raised:
        read("--x", annotation, words)
    assert str(raised.value).startswith(sentence)
    assert len(str(raised.value)) < 200


def test_options_win_over_the_recipe():
    words = [
        "--task-options",
        "kind=memorise",
        "train_size=32",
        "--schedules",
        "zero_success=warm_up:steps=5",
    ]
    default = Options(config=load_recipe("demo"), recipe="demo")
    config = parse(Options, words, command="train", default=default).config
    assert config.task_options == {"kind": "memorise", "train_size": 32}
    assert config.schedules_of(config.bound["sqrt_r"])["zero_success"].steps == 5
    untouched = parse(Options, [], command="train", default=default).config
    assert untouched == load_recipe("demo")


@pytest.mark.parametrize(
    ("words", "recipe"),
    [
        (["--recipe", "demo", "--help"], "demo"),
        (["--steps", "x", "--recipe=demo"], "demo"),
        (["--recipe", "a", "--recipe", "demo"], "demo"),
        (["--model=--recipe", "x"], None),
        (["--steps", "3", "--unknown"], None),
        (["--recipe"], None),
    ],
)
def test_what_others_defaults_come_from_is_read_ahead(words, recipe):
    assert read_ahead(Options, words, "recipe") == recipe


def test_a_flag_of_a_recipe_can_be_given_and_taken_back():
    default = Options(config=load_recipe("demo", cpu=True), recipe="demo")
    for words, value in (([], True), (["--cpu"], True), (["--no-cpu"], False)):
        assert parse(Options, words, command="train", default=default).config.cpu is value


def test_help_names_every_choice_range_and_default(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(SimulateOptions, ["--help-all"], command="simulate")
    assert not stopped.value.code
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--policy {bandit,tree,log_linear,shared_tree}" in shown
    assert "Takes a number in (0, 1). (default: 0.8)" in shown
    assert "Responses per prompt and update, M" in shown


def test_lines_of_help_end_where_the_terminal_does(capsys):
    shown = helped(capsys, ReproduceOptions, "--help", command="reproduce").splitlines()
    (out,) = (k for k, line in enumerate(shown) if "Folder for runs" in line)
    assert "default, with --quick results/demo." in shown[out + 1]
    (flag,) = (k for k, line in enumerate(shown) if "A first look in a few minutes" in line)
    assert all(len(line.rstrip("│ ")) > 60 for line in shown[flag : flag + 2]), shown[flag:]


def helped(capsys, kind, *words, command):
    with pytest.raises(SystemExit) as stopped:
        parse(kind, words, command=command)
    assert not stopped.value.code
    return capsys.readouterr().out


def positional(hint):
    return tyro.conf.Positional in getattr(hint, "__metadata__", ())


def listed(text):
    """The options that a help has entries for; a line may begin with both of a pair."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return set(re.findall(r"^[│| ] (--[a-z][\w-]*)", plain, flags=re.MULTILINE))


@pytest.mark.parametrize("name", COMMANDS)
def test_short_help_names_what_is_used_daily_and_where_the_rest_is(capsys, name):
    kind = importlib.import_module(f"apw.commands.{name}").Options
    known = set(options_of(kind))
    long = helped(capsys, kind, "--help-all", command=name)
    short = helped(capsys, kind, "--help", command=name)
    words = {option(n) for n, hint in hints(kind).items() if positional(hint)}
    assert listed(long) == known - words
    if not hasattr(kind, "DAILY"):
        assert short == long
        assert len(known) <= 13, f"{name} has many options: name those of daily use"
        return
    daily = {option(field) for field in kind.DAILY}
    assert daily <= known
    assert len(daily) <= 18
    assert listed(short) == daily - words
    assert f"apw {name} --help-all lists all {len(known)} options." in short


def test_help_lists_schemes_and_recipes(capsys):
    shown = " ".join(helped(capsys, Options, "--help", command="train").split())
    assert "Schemes: rloo, reinforce, grpo," in shown
    assert "Names for --recipe: " in shown
    assert all(recipe in shown for recipe in list_recipes())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_what_ships_with_the_very_command(capsys, name):
    kind = importlib.import_module(f"apw.commands.{name}").Options
    taken = {"--recipe", "--preset"} & set(options_of(kind))
    assert set(shipped(kind)) == taken
    shown = " ".join(helped(capsys, kind, "--help", command=name).split())
    for option_, names in shipped(kind).items():
        assert f"Names for {option_}: {', '.join(names)}." in shown


def test_hidden_options_are_still_read():
    assert parse(SimulateOptions, ["--decoys", "2"], command="simulate").config.decoys == 2
