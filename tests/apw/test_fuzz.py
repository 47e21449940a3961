"""Options × files × faults over every command: success, or one sentence and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import random
import shutil
import signal
import typing
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import claims
from apw import main as front
from apw.command_line import parse
from apw.options import bare, options_of
from runs.folder import Run
from sim.config import SimulationConfig

SECONDS = 240
"""A variant that takes longer hangs; the first, which imports all, may take a minute."""

BASES: dict[str, list[str]] = {
    "weights": [],
    "simulate": ["--out", "new/run"],
    "train": ["--recipe", "tiny-from-scratch", "--out", "new/run"],
    "evaluate": ["--samples-path", "samples.parquet", "--out", "new/run"],
    "figures": ["run", "--out", "new/figures"],
    "doctor": [],
    "advise": [],
    "claims": [],
    "audit": ["rollouts.jsonl", "--gold", "reward", "--response", "reward"],
    "diagnose": ["rollouts.jsonl"],
    "explore": ["--out", "new/page.html"],
    "models": ["list"],
    "probe": ["--recipe", "tiny", "--out", "new/run"],
    "reproduce": [],
}
"""A command line of each command that is in order; options that are varied come after."""

KEEP_OUT = {"--help", "--write", "--run", "--launch"}
"""Options that write into the project, or start hours of work; --launch has a test of its own."""

VALUES = (
    "",
    "nan",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1",
    "2.5",
    "1000000000",
    "9" * 400,
    "none",
    "true",
    "a b",
    "ünï",
    "--",
    "a=b",
    "=",
    "grpo",
    "../x",
    "beta:1",
    "file:",
    "file:pipe.csv",
    "x\ny",
    "{0}",
    "%s",
    "lam=linear",
    "[",
    "plateau_r:threshold=nan",
    "grpo:x=1",
    "A4",
    "0:1",
    "-",
)
FILES = (
    "nowhere.toml",
    "folder",
    "empty.json",
    "empty.toml",
    "empty.csv",
    "empty.jsonl",
    "empty.parquet",
    "binary.toml",
    "binary.json",
    "binary.jsonl",
    "binary.csv",
    "deep.json",
    "deep.toml",
    "cut.parquet",
    "cut.json",
    "list.json",
    "bom.json",
    "bom.toml",
    "bom.csv",
    "bom.jsonl",
    "pipe.jsonl",
    "pipe.csv",
    "pipe.toml",
    "pipe.json",
    "device.json",
    "device.csv",
    "loop.csv",
    "dangling.json",
    "wrong.parquet",
    "nan.json",
    "huge.json",
    "table.csv",
    "run",
    "half",
    "levels.parquet",
    "under/table.csv/x",
    "/dev/null",
    "/proc/nowhere/x",
    "samples.parquet",
    "rollouts.jsonl",
    "bare.csv",
    "quotes.csv",
    "mixed",
)


READERS = (
    ("diagnose", ""),
    ("figures", ""),
    ("advise", "--rates="),
    ("simulate", "--start=file:"),
    ("simulate", "--file="),
    ("simulate", "--sweep="),
    ("train", "--recipe="),
    ("train", "--recipe=tiny-from-scratch", "--task=gsm8k", "--out=new/run", "--data="),
    ("train", "--recipe=tiny-from-scratch", "--task=gsm8k", "--dry-run", "--data="),
    ("evaluate", "--model=folder", "--task=gsm8k", "--out=new/run", "--data="),
    ("evaluate", "--samples-path="),
    ("probe", "--recipe="),
    ("probe", "--recipe=tiny", "--model=folder", "--samples-path="),
    ("claims", "--evidence="),
)
"""Command lines that read each of the files in turn; the last word is what comes before it."""

TABLES = (
    ("simulate", "--file="),
    ("simulate", "--sweep="),
    ("train", "--recipe="),
    ("probe", "--recipe="),
)
TEXTS = {
    f"text-{number}.toml": text
    for number, text in enumerate(
        (
            "steps = true",
            "steps = nan",
            "steps = 20.0",
            "steps = 1979-05-27",
            "steps = [[]]",
            "steps = {}",
            "seeds = -inf",
            "learning_rate = '1'",
            "learning_rate = inf",
            "group_size = 1_000_000_000",
            "layers = 100_000",
            "schemes = 'grpo'",
            "schemes = [1]",
            "schedules = 3",
            "schedules = {lam = 0.5}",
            "unknown = 1",
            "[base]\nsteps = 0",
            "base = 1",
            "regimes = []",
            "[regimes.x]\nstart = nan",
            "learning_rates = [nan]",
            "tuning_seeds = 1e9",
            "[task_options]\nkind = nan",
            "task_options = {a = 1979-05-27}",
            "target = 1.0",
            "pass_k = [0]",
            "policy = 'bandit\\u0000'",
            "model = ''",
            "prompts = 1_000_000\ngroup_size = 65_536",
            "train_path = '\\u0000'",
            "task = 3",
        )
    )
}
"""Configurations, nearly all of which must be refused."""


RUN_FILES = (
    "config.json",
    "environment.json",
    "metrics.parquet",
    "summary.parquet",
    "curves.parquet",
    "samples.parquet",
    "tuning.parquet",
    "pass_rates.csv",
    "verdict.json",
    "A4.json",
)
CLAIM_FILES = ("A4/verdict.json", "A4/table.csv")
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json")
FOLDERS = (
    *(f"simulated/{name}" for name in RUN_FILES),
    "unfinished/parts/batch-0000-000000.parquet",
    *(f"claim/{name}" for name in CLAIM_FILES),
    *(f"model/{name}" for name in MODEL_FILES),
)
"""Files that commands look for in folders, by the folder; each is a pipe in a copy of it."""

FOLDER_READERS = (
    ("figures", ""),
    ("diagnose", ""),
    ("claims", "--evidence="),
    ("simulate", "--out="),
    ("train", "--recipe=tiny-from-scratch", "--dry-run", "--model="),
    ("evaluate", "--task=arithmetic", "--out=new/run", "--model="),
)


class ReachedError(BaseException):
    """The command line was accepted: long work would begin."""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in order and faulty ones."""
    shelf = tmp_path_factory.mktemp("shelf")
    rows = [{"prompt": f"p{n // 4}", "reward": n % 2, "step": n // 8} for n in range(16)]
    lines = "\n".join(map(json.dumps, rows)) + "\n"
    texts = {
        "table.csv": "pass_rate\n0.1\n0.5\n",
        "rollouts.jsonl": lines,
        "bare.csv": "0.1\n0.2\n",
        "quotes.csv": 'pass_rate\n"0.1\n',
        "cut.json": '{"schemes": ["grp',
        "list.json": "[1, 2]",
        "deep.json": "[" * 100_000,
        "deep.toml": "a = " + "[" * 100_000,
        "nan.json": '{"learning_rate": NaN}',
        "huge.json": '{"steps": ' + "9" * 5000 + "}",
    }
    for name, text in texts.items():
        (shelf / name).write_text(text)
    for name, text in TEXTS.items():
        (shelf / name).write_text(text)
    for name in ("json", "toml", "csv", "jsonl", "parquet"):
        (shelf / f"empty.{name}").touch()
        (shelf / f"binary.{name}").write_bytes(bytes(range(256)) * 4)
    for name, text in {
        "bom.json": '{"steps": 20}',
        "bom.toml": "steps = 20\n",
        "bom.csv": texts["table.csv"],
        "bom.jsonl": lines,
    }.items():
        (shelf / name).write_text(text, encoding="utf-8-sig")
    samples = pd.DataFrame(
        {
            "problem": ["a", "a", "b", "b"],
            "sample": [0, 1, 0, 1],
            "level": [1, 1, 5, 5],
            "outcome": ["correct", "wrong", "wrong", "wrong"],
            "tokens": 3,
            "truncated": False,
        }
    )
    samples.to_parquet(shelf / "samples.parquet")
    samples.rename(columns=str.upper).to_parquet(shelf / "wrong.parquet")
    samples.assign(level=["", "x", "5", None]).to_parquet(shelf / "levels.parquet")
    (shelf / "cut.parquet").write_bytes((shelf / "samples.parquet").read_bytes()[:200])
    for name in ("folder", "run", "half", "mixed"):
        (shelf / name).mkdir()
    for folder in ("run", "half"):
        (shelf / folder / "config.json").write_text("{}")
        (shelf / folder / "environment.json").write_text("{}")
    (shelf / "run" / "metrics.parquet").write_bytes(b"PAR1")
    (shelf / "mixed" / "a.csv").write_text(texts["table.csv"])
    (shelf / "mixed" / "b.jsonl").write_text(lines)
    simulated(shelf / "simulated", finished=True)
    simulated(shelf / "unfinished", finished=False)
    (shelf / "model").mkdir()
    (shelf / "claim/A4").mkdir(parents=True)
    evidence = Path(claims.__file__).parent / "evidence/sim"
    for name, copy in (("A4.json", "verdict.json"), ("A4.csv", "table.csv")):
        shutil.copy(evidence / name, shelf / "claim/A4" / copy)
    return shelf


def simulated(folder: Path, *, finished: bool) -> None:
    """Write the run folder of a simulation as the command would that names no options."""
    run = Run.open(folder, SimulationConfig().to_dict(), source="sim")
    for scheme in SimulationConfig().schemes:
        for step in (0, 400):
            values = {"updates": step, "responses": step, "clock/first_success": step}
            run.log(scheme=scheme, seed=0, step=step, success=step / 400, **values)
    if finished:
        run.finish()
    else:
        run.write_part("batch-0000-000000")
        run.close()


def special(folder: Path) -> None:
    """What cannot be copied: pipes, links, devices."""
    for ending in ("jsonl", "csv", "toml", "json"):
        os.mkfifo(folder / f"pipe.{ending}")
    for ending in ("json", "csv"):
        (folder / f"device.{ending}").symlink_to("/dev/zero")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "dangling.json").symlink_to("nowhere")
    for number, name in enumerate(FOLDERS):
        kind, _, file = name.partition("/")
        copy = folder / f"piped-{number}"
        shutil.copytree(folder / kind, copy)
        (copy / file).unlink(missing_ok=True)
        os.mkfifo(copy / file)


def variants() -> list[tuple[str, ...]]:
    """Command lines, the same at every time: each option of each command with several faults."""
    random_ = random.Random(20240229)
    found: list[tuple[str, ...]] = []
    for name, base in BASES.items():
        if name not in front.COMMANDS:
            continue
        kind = importlib.import_module(f"apw.commands.{name}").Options
        found.append((name, *base))
        for option, annotation in options_of(kind).items():
            if option in KEEP_OUT:
                continue
            if bare(annotation) is bool:
                found += [(name, *base, option), (name, *base, option, "x")]
                continue
            found.append((name, *base, option))
            reads = Path in (annotation, *typing.get_args(annotation)) or "path" in option
            files = ["pipe.csv", "/dev/null", *random_.sample(FILES, 2)] if reads else []
            for value in [*random_.sample(VALUES, 2), *files]:
                value = f"file:{value}" if option == "--start" and value in FILES else value
                found.append((name, *base, f"{option}={value}"))
        found += [(name, *base, word) for word in ("stray", "--unknown", "--unknown=1", "-x", "")]
    for *words, option in READERS:
        found += [(*words, f"{option}{file}") for file in random_.sample(FILES, 24)]
    found += [(*words, f"{option}{name}") for *words, option in TABLES for name in TEXTS]
    found += [
        (*words, f"{option}piped-{number}")
        for *words, option in FOLDER_READERS
        for number in range(len(FOLDERS))
    ]
    return list(dict.fromkeys(found))


VARIANTS = variants()


class Shop:
    """A working directory with all files; it is made again only where a command changed it."""

    def __init__(self, shelf: Path, path: Path) -> None:
        self.shelf, self.path = shelf, path
        self.restore()

    def restore(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.shelf, self.path)
        special(self.path)
        self.whole = tree(self.path)


@pytest.fixture(scope="session")
def shop(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(shelf, tmp_path_factory.mktemp("shop") / "place")


@pytest.fixture
def place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with all files, in which long work stops where it would begin."""
    monkeypatch.chdir(shop.path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def reached(*_: Any, **__: Any) -> None:
        raise ReachedError

    import apw.commands.doctor
    import apw.commands.reproduce
    import llm_validation.evaluate
    import llm_validation.generation
    import llm_validation.probe.run
    import llm_validation.train
    import sim.own_rates
    import sim.run
    import sim.sweep

    monkeypatch.setattr(sim.run, "_run_batch", reached)
    monkeypatch.setattr(sim.sweep, "_sweep", reached)
    monkeypatch.setattr(sim.own_rates, "tune", reached)
    monkeypatch.setattr(llm_validation.train, "_train_one", reached)
    monkeypatch.setattr(llm_validation.generation, "make_sampler", reached)
    monkeypatch.setattr(llm_validation.probe.run, "_source", reached)
    monkeypatch.setattr(llm_validation.evaluate, "check_model", lambda model: None)
    monkeypatch.setattr(apw.commands.doctor, "diagnose", lambda weights: [])
    read = apw.commands.reproduce.parse

    def parse(*words: Any, **named: Any) -> None:
        read(*words, **named)
        raise ReachedError

    monkeypatch.setattr(apw.commands.reproduce, "parse", parse)
    yield shop.path
    if tree(shop.path) != shop.whole:
        monkeypatch.undo()  # before the working directory goes
        shop.restore()


@contextlib.contextmanager
def clock(seconds: int) -> Iterator[None]:
    """Raise in what hangs; a pipe that nobody writes to is opened forever."""

    def late(*_: Any) -> None:
        raise AssertionError(f"hangs for {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tree(folder: Path) -> dict[str, int]:
    """Everything below a folder, with its time, links not followed."""
    found = {}
    for root, folders, files in os.walk(folder):
        found |= dict.fromkeys((f"{root}/{name}" for name in folders), 0)
        found |= {f"{root}/{name}": os.lstat(f"{root}/{name}").st_mtime_ns for name in files}
    return found


def outcome(words: Sequence[str]) -> int:
    """Exit status of a command line; 0 where long work would begin."""
    with clock(SECONDS), warnings.catch_warnings():
        try:
            return front.main(list(words))
        except ReachedError:
            return 0
        except SystemExit as stopped:
            return int(stopped.code or 0)


def check(words: Sequence[str], shop: Shop, capsys: Any) -> None:
    status = outcome(words)
    captured = capsys.readouterr()
    assert status in (0, 1, 2), status
    if status != 2:
        return
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith(f"apw {words[0]}: ")
    assert len(lines[0]) < 1500
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert tree(shop.path) == shop.whole, "left something behind"


@pytest.mark.parametrize("words", VARIANTS, ids=" ".join)
def test_a_sentence_or_success(
    words: tuple[str, ...], place: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    check(words, shop, capsys)


def test_there_are_enough_variants() -> None:
    assert len(VARIANTS) >= 400
    assert {words[0] for words in VARIANTS} == set(front.COMMANDS)


WRITERS = (
    ("explore", "--out", "new/page.html"),
    ("weights", "--figure", "new/w.png"),
    ("advise", "--figure", "new/a.svg"),
    ("diagnose", "rollouts.jsonl", "--out", "new/d"),
    ("weights", "--save", "new/s.json"),
    ("figures", "simulated", "--out", "new/f"),
    ("advise", "--out", "new/a.html"),
    ("audit", "rollouts.jsonl", "--gold", "reward", "--response", "reward", "--out", "new/o.csv"),
    ("simulate", "--out", "new/run"),
    ("evaluate", *BASES["evaluate"]),
    ("train", "--recipe", "tiny-from-scratch", "--launch", "accelerate", "--out", "new/l"),
)


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_full_disk_names_the_file(
    words: tuple[str, ...],
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() does, without a name

    monkeypatch.setattr(os, "fsync", full)
    assert outcome(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "new/" in line
    assert "no space left on device" in line
    assert not [path for path in place.rglob("*") if path.name.startswith(".") and path.is_file()]


OWN = (
    (("explore", "--out", "p.html"), "p.html"),
    (("weights", "--figure", "w.png"), "w.png"),
    (("weights", "--figure", "w.svg"), "w.svg"),
    (("weights", "--figure", "w.png"), "w.csv"),
    (("weights", "--figure", "w.png", "--save", "s.json"), "s.json"),
    (("advise", "--figure", "a.svg"), "a.svg"),
    (("advise", "--plan", "a.csv"), "a.csv"),
    (("advise", "--plan", "a.toml"), "a.toml"),
    (("advise", "--figure", "a.svg"), "a.csv"),
    (("advise", "--figure", "a.png", "--out", "a.html"), "a.html"),
    (
        ("audit", "rollouts.jsonl", "--gold", "reward", "--response", "reward", "--out=o.csv"),
        "o.csv",
    ),
    (("diagnose", "rollouts.jsonl", "--out", "d.html"), "d.html"),
    (("diagnose", "rollouts.jsonl", "--out", "d"), "d/steps.csv"),
    (("diagnose", "rollouts.jsonl", "--out", "d"), "d"),
    (("figures", "simulated", "--out", "f"), "f/simulated/convergence.png"),
    (("figures", "simulated", "--out", "f"), "f/simulated/convergence.csv"),
    (("figures", "simulated", "--out", "f"), "f"),
    (("train", "--recipe", "demo", "--launch", "accelerate", "--out", "l"), "l/run.sh"),
    (("train", "--recipe", "demo", "--launch", "accelerate", "--out", "l"), "l"),
    (("train", "--recipe", "demo", "--out", "l"), "l/notes"),
    (("simulate", "--out", "l"), "l/notes"),
    (("simulate", "--out", "l"), "l"),
    (("evaluate", *BASES["evaluate"][:2], "--out", "l"), "l/notes"),
    (("probe", "--recipe", "tiny", "--out", "l"), "l/notes"),
    (("models", "fetch", "smollm2-135m", "--to", "m"), "m/notes"),
    (("models", "fetch", "smollm2-135m", "--to", "m"), "m"),
    (("reproduce", "--out", "r"), "r/report.html"),
    (("reproduce", "--out", "r", "--quick"), "r/figures/sim/x.png"),
    (("reproduce", "--out", "r"), "r"),
)
"""Command lines that write, and a file in the place of what they would write."""


@pytest.mark.parametrize(("words", "mine"), OWN, ids=str)
def test_a_command_replaces_what_it_wrote_and_nothing_else(
    words: tuple[str, ...],
    mine: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import apw.commands.reproduce

    monkeypatch.setattr(apw.commands.reproduce, "parse", parse)
    path = place / mine
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    before = tree(place)
    assert outcome(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(Path(mine).parent if path.name == "notes" else mine) in line
    assert path.read_text() == "mine"
    assert tree(place) == before
    runs = ("models", "reproduce", "train", "simulate", "evaluate", "probe")
    if words[0] in runs or "--plan" in words:
        return
    path.unlink()
    for _ in range(2):
        assert outcome(words) == 0, capsys.readouterr().err
    assert path.exists()


READS = {
    *("--data", "--recipe", "--evidence", "--rates", "--file", "--sweep", "--weights", "--kernel"),
    *("--train-path", "--test-path", "--samples-path", "--publish"),
}
"""Options that name a file or folder which is read."""


def test_every_option_that_writes_is_tried_on_anothers_file() -> None:
    tried = {(words[0], word.partition("=")[0]) for words, _ in OWN for word in words[1:]}
    for name in front.COMMANDS:
        kind = importlib.import_module(f"apw.commands.{name}").Options
        for option, annotation in options_of(kind).items():
            if Path in (annotation, *typing.get_args(annotation)):
                reads = option in READS
                assert reads or (name, option) in tried, (name, option)


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_a_byte_order_mark_is_no_fault(
    ending: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(["simulate", "--file", f"bom.{ending}", "--out", "new/run"]) == 0
    assert json.loads((place / "new/run/config.json").read_text())["steps"] == 20
    assert outcome(["diagnose", "bom.jsonl", "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["overall"]["groups"]
    assert groups == 4
