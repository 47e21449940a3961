"""``apw diagnose`` from a table to its answer, the files it writes and the call it ends in."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apw.commands.diagnose import _NAMES
from apw.main import main

SIZE = 8


@pytest.fixture
def table(tmp_path: Path) -> Path:
    generator = np.random.default_rng(3)
    steps, prompts = 6, 20
    rate = np.repeat(generator.beta(0.6, 1.5, (steps, prompts)).ravel(), SIZE)
    rows = rate.size
    length = generator.integers(3, 30, rows)
    log_prob = -length * generator.gamma(4, 0.1, rows)
    frame = pd.DataFrame(
        {
            "step": np.repeat(np.arange(steps), prompts * SIZE),
            "prompt_id": np.repeat(np.tile(np.arange(prompts), steps), SIZE),
            "reward": (generator.random(rows) < rate).astype(int),
            "response": [f"answer {n}" for n in generator.integers(0, 40, rows)],
            "length": length,
            "log_prob": log_prob,
            "sampler_log_prob": log_prob + generator.normal(0, 0.05, rows),
        }
    )
    path = tmp_path / "rollouts.parquet"
    frame.to_parquet(path)
    return path


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["diagnose", "--json", "--threads", "1", *map(str, words)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def complaint(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["diagnose", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_answer_is_that_of_pandas(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    answer = ask(capsys, table)
    frame = pd.read_parquet(table)
    rates = frame.groupby(["step", "prompt_id"])["reward"].mean()
    assert (answer["groups"], answer["responses"], answer["usual_group"]) == (120, 960, SIZE)
    whole = answer["overall"]
    assert whole["pass_rate"] == frame["reward"].mean()
    assert whole["all_wrong"] == (rates == 0).mean()
    assert whole["zero_advantage"] == rates.isin([0, 1]).mean()
    delta = frame["log_prob"] - frame["sampler_log_prob"]
    assert whole["k3"] == pytest.approx((np.exp(delta) - 1 - delta).mean(), rel=1e-9)
    assert whole["entropy"] == pytest.approx(-frame["log_prob"].sum() / frame["length"].sum())
    assert {row["scheme"] for row in answer["mass"]} >= {"grpo", "sqrt_r", "lens"}
    assert [row["step"] for row in answer["steps"]] == list(range(6))


@pytest.mark.parametrize("scheme", ["grpo", "dapo", "lens", "plateau_r:threshold=0.3"])
@pytest.mark.parametrize("out", [False, True])
def test_the_call_it_ends_in_runs(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path, out: bool, scheme: str
) -> None:
    # A folder whose name a shell would take apart.
    words = ["--out", tmp_path / "my results"] if out else []
    call = shlex.split(ask(capsys, table, "--scheme", scheme, *words)["advise"])
    assert call[:2] == ["apw", "advise"]
    assert ("--rates" in call) == out
    assert ("until_mixed" in call) == (scheme == "dapo")
    assert main([*call[1:], "--json"]) == 0
    advice = json.loads(capsys.readouterr().out)
    assert advice["group_size"] == SIZE
    if out:
        assert advice["prompts"] == 20


def test_it_writes_tables_summary_and_picture(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = ask(capsys, table, "--out", out)
    assert sorted(answer["written"]) == sorted(str(path) for path in out.iterdir())
    steps = pd.read_csv(out / "steps.csv")
    assert steps["groups"].tolist() == [20] * 6
    mass = pd.read_csv(out / "mass.csv").groupby(["step", "scheme"])["share"].sum()
    assert mass.to_numpy() == pytest.approx(1)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["overall"] == answer["overall"]
    rates = pd.read_csv(out / "pass_rates.csv")
    assert rates["pass_rate"].tolist() == pytest.approx(
        (rates["correct"] / rates["responses"]).tolist()
    )
    assert (out / "diagnosis.png").stat().st_size > 10_000


def test_only_files_it_wrote_are_replaced(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = ask(capsys, table, "--out", out)
    assert {Path(name).name for name in first["written"]} <= _NAMES
    (out / "notes.txt").write_text("mine")
    ask(capsys, table, "--out", out)
    (out / "credit.csv").write_text("mine")
    said = complaint(capsys, table, "--out", out)
    assert "out/credit.csv would be replaced and is not by apw diagnose" in said
    assert (out / "credit.csv").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "summary.json").write_text("{}")
    assert "name another folder" in complaint(capsys, table, "--out", other)
    assert [path.name for path in other.iterdir()] == ["summary.json"]


def test_what_was_done_to_the_data_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        "prompt,reward,log_prob,length\np,1,-1,2\np,-1,,2\np,-1,-3,2\nq,-1,-1,1\nq,\x1b[31m,-1,1\n"
    )
    assert main(["diagnose", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "a table; prompt ← prompt, reward ← reward, log_prob ← log_prob, length" in printed
    assert "There is no column of steps (--step)" in printed
    assert "Rewards are −1 and 1 and were taken for 0 and 1" in printed
    assert "Responses without a usable log-probability: 1;" in printed
    assert "1 of 5 rows were left out: 1 with a reward that is no number" in printed
    assert r"row 5: with a reward that is no number: '\x1b[31m'" in printed
    assert "\x1b" not in printed
    assert "of which 1 smaller" in printed or "of which 1 larger" in printed


def test_every_step_shows_its_histogram_of_pass_rates(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    groups = {1: ("00", "00", "00", "00", "01", "11"), 2: ("0001", "1111")}
    rows = [
        f"{step},{prompt},{reward}"
        for step, texts in groups.items()
        for prompt, text in enumerate(texts)
        for reward in text
    ]
    path.write_text("step,prompt,reward\n" + "\n".join(rows) + "\n")
    assert main(["diagnose", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    # Bins: 0, ten tenths, 1; one half lies in (0.4, 0.5] and one quarter in (0.2, 0.3].
    assert next(line for line in lines if line.lstrip().startswith("1 ")).endswith("█····▂·····▂")
    assert next(line for line in lines if line.lstrip().startswith("2 ")).endswith("···█·······█")


def test_thresholds_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "graded.csv"
    path.write_text("prompt,reward\np,0.7\np,0.2\np,1\n")
    assert "--threshold 0.5" in complaint(capsys, path)
    assert main(["diagnose", str(path), "--threshold", "0.5"]) == 0
    assert (
        "Rewards of 0.5 and more count as correct; 2 of 3 were neither" in capsys.readouterr().out
    )


def test_solved_prompts_end_without_a_call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "solved.csv"
    path.write_text("prompt,reward\n" + "p,1\n" * 16)
    assert ask(capsys, path)["advise"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--scheme", "ppo"], "critic's values"),
        (["--scheme", "grop"], "unknown scheme 'grop'"),
        (["--scheme", "lens"], "lens needs log-probabilities and lengths"),
        (["--every", "0"], "every must be at least 1"),
        (["--memory", "0"], "memory must be at least 0.1"),
        (["--threads", "0"], "threads must be at least 1"),
        (["--threshold", "nan"], "threshold must be a finite number"),
        (["--reward", "rewrad"], "no column 'rewrad' (--reward); it has: prompt, reward"),
        (["--reward", "prompt"], "none of the 2 rows"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("prompt,reward\np,1\np,0\n")
    error = complaint(capsys, path, *words)
    assert sentence in error
    assert error.count("\n") == 1


def test_no_paths_and_no_rows_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "name at least one file" in complaint(capsys)
    path = tmp_path / "header.csv"
    path.write_text("prompt,reward\n")
    assert "holds no rows" in complaint(capsys, path)


HOSTILE = "x</td><script>alert(1)</script>$\\frac{$ format"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Advantages for a format whose column has a hostile name, in a file with one."""
    generator = np.random.default_rng(1)
    right = np.repeat(generator.random(40) < 0.4, SIZE) & (generator.random(40 * SIZE) < 0.6)
    bonus = (generator.random(40 * SIZE) < 0.5).astype(float)
    path = tmp_path / "<img src=x onerror=alert(1)>.jsonl"
    rows = pd.DataFrame(
        {
            "prompt": np.repeat([f"<b>q{p}</b>" for p in range(40)], SIZE),
            "reward": right.astype(int),
            HOSTILE: bonus,
            "advantage": bonus - 0.5,
            "response": "</svg><script>alert(2)</script>",
        }
    )
    rows.to_json(path, orient="records", lines=True)
    return path


def test_a_page_says_the_finding_first_and_shows_hostile_names_as_text(
    capsys: pytest.CaptureFixture[str], hostile: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    answer = ask(capsys, hostile, "--out", page)
    assert answer["written"] == [str(page)]
    text = page.read_text(encoding="utf-8")
    first = answer["findings"][0]
    assert first["name"] == "phantom-advantages"
    assert text.index("of Σ|A| lies in groups without a correct response") < text.index("<figure")
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "alert(2)" not in text  # no response is shown
    ask(capsys, hostile, "--out", page)  # its own page is replaced


@pytest.mark.parametrize("command", ["diagnose", "advise"])
def test_pages_of_others_are_not_replaced(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path, command: str
) -> None:
    page = tmp_path / "mine.html"
    page.write_text("<h1>mine</h1>")
    words = [str(table)] if command == "diagnose" else ["--start", "0.1", "--schemes", "grpo"]
    assert main([command, *words, "--out", str(page)]) == 2
    assert "name another file" in capsys.readouterr().err
    assert page.read_text() == "<h1>mine</h1>"


def test_an_advice_is_a_page_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "advice.html"
    words = ["--start", "0.01", "--schemes", "grpo", "sqrt_r", "--out", str(page)]
    assert main(["advise", *words]) == 0
    assert f"Written: {page}" in capsys.readouterr().out
    assert page.read_text().count("<figure") == 2
    assert main(["advise", "--start", "0.01", "--out", str(tmp_path / "folder")]) == 2


def test_pages_can_be_read_on_desks_and_phones_light_and_dark(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path, browser: Any
) -> None:
    counts = tmp_path / "counts.csv"
    rows = [f"prompt {number},{number % 17},16" for number in range(90)]
    counts.write_text("\n".join(["id,correct,tries", *rows]))
    for command, source in (("diagnose", table), ("advise", counts)):
        page = tmp_path / f"{command}.html"
        assert main([command, str(source), "--out", str(page)]) == 0
        capsys.readouterr()
        assert browser.unreadable(page) == []


@pytest.mark.parametrize(
    ("wanted", "status", "sentence"),
    [
        (["any"], 1, "Failed on phantom-advantages"),
        (["phantom-advantages"], 1, "Failed on phantom-advantages."),
        (["dead-groups"], 0, "Passed: none of dead-groups was found."),
        (["falling-entropy"], 2, "falling-entropy cannot be looked for in this log"),
        (["phantoms"], 2, "--fail-on takes any, phantom-advantages"),
    ],
)
def test_findings_can_fail_a_pipeline(
    capsys: pytest.CaptureFixture[str],
    hostile: Path,
    wanted: list[str],
    status: int,
    sentence: str,
) -> None:
    assert main(["diagnose", str(hostile), "--fail-on", *wanted]) == status
    captured = capsys.readouterr()
    assert sentence in captured.out + captured.err


def test_what_cannot_be_done_is_said_before_the_log_is_read(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    table: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("rollouts.diagnosis.diagnose", lambda *_, **__: pytest.fail("read"))
    (tmp_path / "mine.html").write_text("<h1>mine</h1>")
    (tmp_path / "summary.json").write_text("{}")
    assert "name another file" in complaint(capsys, table, "--out", tmp_path / "mine.html")
    assert "name another folder" in complaint(capsys, table, "--out", tmp_path)
    assert "got 'phantoms'" in complaint(capsys, table, "--fail-on", "phantoms")
