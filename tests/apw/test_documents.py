"""What README and docs show is what the commands print, and every command line in them runs."""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import io
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apw.command_line import parse
from apw.commands.claims import Options as ClaimsOptions
from apw.commands.models import Options as ModelsOptions
from apw.commands.reproduce import Options as ReproduceOptions
from apw.commands.simulate import Options as SimulateOptions
from apw.main import COMMANDS, main
from apw.saved_schemes import save_scheme
from claims.spec import claims
from runs.folder import Run
from sim.config import SimulationConfig
from sim.sweep import SweepConfig
from theory import schemes

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INLINE_PAGES = [
    *PAGES,
    *(ROOT / "claims" / "evidence" / source / "README.md" for source in ("sim", "llm")),
]


@pytest.fixture(autouse=True)
def own_schemes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(schemes.IMPORTS, "")
    monkeypatch.setattr(schemes, "_KNOWN", {})
    yield
    for name in set(schemes.SCHEMES) - set(schemes.DEFINITIONS):
        del schemes.SCHEMES[name]


BLOCK = re.compile(r"^```(\w+)(?: title=\S+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLAYED = [page for page in PAGES if page.parent.name in ("tutorial", "contributing")]
"""Pages that test_tutorial.py and test_contributing.py play from top to bottom."""


def blocks(kind: str) -> list[object]:
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        if page not in PLAYED
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if found == kind
    ]


@pytest.mark.parametrize("text", blocks("console"))
def test_shown_output_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, expected = shown.partition("\n")
        words = shlex.split(line)
        assert words[0] == "apw"
        main(words[1:])
        captured = capsys.readouterr()
        assert (captured.out or captured.err) == expected


@pytest.mark.parametrize("text", blocks("python"))
def test_python_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(text, "document", "exec"), {})
    written = any(tmp_path.iterdir())
    assert output.getvalue() or written or "print" not in text


SHELL_LINES = sorted(
    {
        line.partition("#")[0].strip()
        for page in PAGES
        if page not in PLAYED
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind == "sh"
        for line in re.sub(r"\\\n\s*", " ", text).splitlines()
        if line.strip() and not line.startswith("#")
    }
)


@pytest.fixture
def small_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that documents name, and cores that do less than they are asked to."""
    import claims.language_model.before_after
    import claims.language_model.identities
    import claims.published
    import claims.running
    import llm_validation.evaluate
    import llm_validation.probe.run
    import llm_validation.reporting
    import llm_validation.train
    import sim.own_rates
    import sim.run
    from llm_validation.config import TrainConfig

    simulate = sim.run.simulate

    def fewer_steps(config: SimulationConfig, *arguments: Any, **options: Any) -> pd.DataFrame:
        fewer = dataclasses.replace(
            config,
            comparison="same_budget" if config.comparison == "same_budget" else None,
            prompts=5,
            batch=config.batch and min(config.batch, 5),
            steps=2,
            measure_every=1,
            seeds=2,
            learning_rate=1.0,
            pass_k=(1,),
        )
        return simulate(fewer, *arguments, **options)

    def no_training(
        config: TrainConfig, path: Path, overwrite: bool, report_to: str | None
    ) -> pd.DataFrame:
        rows = [(scheme, 0, step, "reward", 0.5) for scheme in config.schemes for step in (1, 2)]
        run = Run.open(path, config.to_dict(), source="llm", overwrite=overwrite)
        run.log_table(pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"]))
        return run.finish()

    def no_sampling(config: Any, path: Path, **_: Any) -> llm_validation.evaluate.Evaluation:
        row = {
            "group": "all",
            "metric": "pass",
            "k": 1,
            "estimate": 0.5,
            "low": 0.4,
            "high": 0.6,
            "problems": 9,
        }
        return llm_validation.evaluate.Evaluation(path, pd.DataFrame([row]), pd.DataFrame(), 0)

    def no_probe(config: Any, path: Path, **_: Any) -> llm_validation.probe.run.Probe:
        ends = {"estimate": 0.5, "low": 0.4, "high": 0.6}
        names = ("spread", "ratio", "sharing", "sharing_in_training", "norm_exponent")
        summary = {
            "config": config.to_dict(),
            **dict.fromkeys(("prompts_probed", "responses", "training_prompts", "parameters"), 9),
            **dict.fromkeys(("pass_rate", "mixed"), 0.5),
            **{name: dict(ends) for name in names},
            "projection_error": 0.0,
        }
        gains = [
            {"scheme": "grpo", "quantity": quantity, **ends}
            for quantity in ("gain", "hard", "noise", "signal", "cost", "hard_cost")
        ]
        none = pd.DataFrame()
        return llm_validation.probe.run.Probe(path, summary, none, none, pd.DataFrame(gains), none)

    # tests/claims runs and writes.
    monkeypatch.setattr(claims.running, "run_missing", lambda *_, **__: [])
    monkeypatch.setattr(claims.published, "write", lambda entries: [])
    monkeypatch.setattr(claims.language_model.identities, "judge_model", lambda *_: None)
    monkeypatch.setattr(claims.running, "publish", lambda folder: ["N3"])
    gain = pd.DataFrame([{"k": 1, "gain": 0.1}])
    monkeypatch.setattr(claims.language_model.before_after, "publish", lambda *_: gain)
    monkeypatch.setattr(sim.run, "simulate", fewer_steps)
    monkeypatch.setattr(sim.own_rates, "compare", fewer_steps)
    monkeypatch.setattr(llm_validation.train, "train", no_training)
    monkeypatch.setattr(llm_validation.reporting, "_installed", lambda package: True)
    monkeypatch.setattr(llm_validation.evaluate, "evaluate", no_sampling)
    monkeypatch.setattr(llm_validation.probe.run, "probe", no_probe)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-simulation.toml").write_text('schemes = ["grpo", "sqrt_r"]\nstart = 0.1\n')
    (tmp_path / "sweep.toml").write_text(
        "learning_rates = [0.3, 1]\ntuning_seeds = 2\nwiden = 0\n"
        "[base]\nprompts = 4\nsteps = 2\nmeasure_every = 1\nseeds = 2\npass_k = [1]\n"
        "[regimes.scratch]\nstart = 0.1\n"
    )
    (tmp_path / "own_schemes.py").write_text(
        "def cube_root(success):\n    return (1 - success) ** (1 / 3) / (success * (1 - success))\n"
        "def power(success, *, exponent: float = 0.5):\n    return success**-exponent\n"
    )
    (tmp_path / "pass-rates.txt").write_text("0\n0.125\n0.5\n")
    np.save(tmp_path / "kernel.npy", np.eye(3) + 0.1)
    probed = tmp_path / "results" / "probe" / "tiny"
    probed.mkdir(parents=True)
    np.savetxt(probed / "kernel.csv", np.eye(3) + 0.1, delimiter=",")
    (probed / "prompts.csv").write_text("id,n_correct,n_samples\na,1,8\nb,4,8\nc,7,8\n")
    rollouts = ("1,a,1", "1,a,0", "1,b,0", "1,b,0", "2,a,1", "2,a,1", "2,b,1", "2,b,0")
    (tmp_path / "rollouts.csv").write_text("\n".join(("step,prompt_id,reward", *rollouts)))
    (tmp_path / "graded.csv").write_text("prompt,reward\na,0.2\na,0.7\nb,1\nb,0\n")
    (tmp_path / "results" / "claims").mkdir(parents=True)
    for claim in (tmp_path / "results/claims/sim/full/N3", tmp_path / "claims/evidence/sim"):
        claim.mkdir(parents=True)
        (claim / "N3.json").write_bytes((ROOT / "claims/evidence/sim/N3.json").read_bytes())
    for name in ("math/train.jsonl", "math/test.jsonl", "path/to/math/train.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    runs = {
        "own-rates": "sim",
        **dict.fromkeys(("simulate", "from-scratch"), "sim"),
        **dict.fromkeys(("mine", "demo/llm", "before", "train/smollm2-math-cpu"), "llm"),
    }
    for name, source in runs.items():
        _finished_run(tmp_path / "results" / name, source)
    rates = Path("claims/evidence/llm/qwen-math-map/pass_rates.csv")
    for folder in (rates.parent, Path("results/before")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / rates.name).write_bytes((ROOT / rates).read_bytes())
    _training_logs(tmp_path)
    save_scheme("best_table:start=0.02,group_size=8", tmp_path / "best.json")


def _finished_run(path: Path, source: str) -> None:
    run = Run.open(path, SimulationConfig().to_dict(), source=source)
    for seed in (0, 1):
        for step in (0, 1):
            clocks = {"updates": step, "responses": step, "success": 0.5 * step}
            run.log(scheme="grpo", seed=seed, step=step, reward=0.5, **clocks)
    run.finish()


def _training_logs(folder: Path) -> None:
    """Rollouts as verl and TRL log them, and samples of an evaluation."""
    verl = [{"input": "p", "output": "o", "score": score, "step": 1} for score in (0.0, 1.0)]
    (folder / "rollouts").mkdir()
    (folder / "rollouts" / "1.jsonl").write_text("\n".join(map(json.dumps, verl)))
    trl = {"step": 1, "prompt": "p", "completion": "c", "correct": [1.0, 0.0], "advantage": 0.0}
    (folder / "results" / "mine" / "completions").mkdir()
    pd.DataFrame(trl).to_parquet(folder / "results/mine/completions/completions_00001.parquet")
    samples = {
        "problem": 0,
        "sample": [0, 1],
        "outcome": ["correct", "wrong"],
        "truncated": False,
        "response": "r",
        "tokens": 4,
        "log_probability": -0.5,
    }
    (folder / "results" / "mine-evaluation").mkdir()
    pd.DataFrame(samples).to_parquet(folder / "results" / "mine-evaluation" / "samples.parquet")


@pytest.mark.parametrize("line", SHELL_LINES)
def test_every_command_line_runs(
    capsys: pytest.CaptureFixture[str], small_world: None, line: str
) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        make_knows(words)
    elif words[0] == "pip":
        extras_exist(line)
    elif words[:2] == ["apw", "reproduce"]:  # tests/apw/commands run it
        assert parse(ReproduceOptions, words[2:], command="reproduce")
    elif words[:3] == ["apw", "models", "fetch"]:  # a gigabyte
        assert parse(ModelsOptions, words[2:], command="models").action == "fetch"
    elif "--ray" in words:  # tests/sim/test_sweep.py runs it, in an environment that has Ray
        known = {"simulate": SimulateOptions, "claims": ClaimsOptions}
        assert parse(known[words[1]], words[2:], command=words[1]).ray
    else:
        assert words[0] == "apw"
        again = ["--overwrite"] if words[1] in ("simulate", "train", "evaluate", "probe") else []
        assert main([*words[1:], *again]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out


def make_knows(words: list[str]) -> None:
    """Let make say what it would do; what its targets run is tested where that lives."""
    subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, check=True)


def extras_exist(line: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.search(r"\[(\w+)\]", line)
    assert named is None or named[1] in project["optional-dependencies"]


INLINE = sorted(
    {
        line
        for page in INLINE_PAGES
        for line in re.findall(
            r"`((?:apw|make|pip|python -m) [^`\n]+)`",
            BLOCK.sub("", page.read_text(encoding="utf-8")),
        )
    }
)


@pytest.mark.parametrize("line", INLINE)
def test_every_command_line_within_a_sentence_is_one_that_is_understood(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    words = shlex.split(line.replace("COMMAND", "weights"))
    if words[0] == "make":
        make_knows(words)
    elif words[0] == "pip":
        extras_exist(line)
    elif words[0] == "apw":
        assert words[1] in COMMANDS
        if words[2:] in (["--help"], ["--help-all"]):
            with pytest.raises(SystemExit, match=r"^0$"):
                main(words[1:])
        elif len(words) > 2:
            command = importlib.import_module(f"apw.commands.{words[1]}")
            options = parse(command.Options, words[2:], command=words[1])
            if words[1] == "claims":
                # X1 is the claim that the page on how to add one adds.
                assert set(options.claims) <= {*claims(), "X1"}
    else:
        run_until_parsed(words[2], words[3:], monkeypatch)


class ParsedError(Exception):
    """A module's own parser has taken the words it was given."""


def run_until_parsed(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    understand = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        understand(parser, *arguments)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr("sys.argv", [module, *words])
    found = importlib.util.find_spec(module)
    package = found is not None and found.submodule_search_locations is not None
    with pytest.raises(ParsedError):
        importlib.import_module(f"{module}.__main__" if package else module).main()


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    for page in PAGES:
        fences = re.findall(
            r"^```(\w*)(?: title=\S+)?$", page.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        assert set(fences[::2]) <= {
            "sh",
            "console",
            "diff",
            "python",
            "py",
            "pycon",
            "toml",
            "yaml",
        }, page
        assert not any(fences[1::2]), page


def test_yaml_on_pages_can_be_read() -> None:
    yaml = pytest.importorskip("yaml")
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    for block in re.findall(r"^```yaml\n(.*?)^```$", "\n".join(texts), flags=re.M | re.S):
        assert isinstance(yaml.safe_load(block), dict), block


@pytest.mark.parametrize("text", blocks("toml"))
def test_files_that_pages_show_are_read(text: str) -> None:
    assert SweepConfig.from_dict(tomllib.loads(text)).regimes


@pytest.mark.parametrize("text", blocks("py"))
def test_calls_with_gaps_to_fill_take_the_arguments_they_show(text: str) -> None:
    tree = ast.parse(text)
    names: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            exec(compile(ast.Module([statement], []), "document", "exec"), names)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert calls
    for call in calls:
        assert isinstance(call.func, ast.Name)
        given = {keyword.arg for keyword in call.keywords}
        makers = names[call.func.id].__mro__
        known = {name for maker in makers for name in inspect.signature(maker.__init__).parameters}
        assert given <= known


def test_links_and_images_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_folder_has_a_page_that_the_index_names() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for folder in ("theory", "sim", "llm_validation", "figures", "apw", "benchmarks"):
        assert f"]({folder}.md)" in index
    for name in COMMANDS:
        assert f"](commands/{name}.md)" in index


def test_every_command_is_in_the_readme_and_has_a_page() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"`apw {name}`" in text
        assert (ROOT / "docs" / "commands" / f"{name}.md").exists()
