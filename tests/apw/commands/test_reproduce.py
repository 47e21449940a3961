"""The pipeline, shortened: one page, links lead somewhere, nothing done twice, kills survived."""

from __future__ import annotations

import functools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import claims.simulation.registry
from apw.commands import reproduce
from apw.main import main
from claims.language_model import settings
from claims.records import read_records
from figures.reproduction import made_elsewhere, reproduced_ledger, same_trainings
from runs.folder import Run

pytestmark = pytest.mark.slow

CLAIMS = ["A1", "O1"]
WITHOUT_MODEL = ["reproduce", "--sources", "theory", "sim", "--claims", *CLAIMS]
WORDS = ["reproduce", "--claims", *CLAIMS, "--settings", "rule-post-sft", "--seeds", "1"]


def shorten_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train every scheme for a few steps, a matter of seconds."""
    short = functools.partial(settings.judging, steps=8, measure_every=2, warm_up_steps=40)
    monkeypatch.setattr(settings, "judging", short)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reproduce") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten_training(monkeypatch)
        assert main([*WORDS, "--out", str(out)]) == 0
    return out


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = b"<svg><dc:title>apw reproduce</dc:title></svg>"
    monkeypatch.setattr("figures.picture.Picture.render", lambda *_, **__: ours)


def test_the_page_is_whole_and_its_links_lead_somewhere(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    anchors = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(anchors)) == len(anchors)
    addresses = re.findall(r'\b(?:href|src|srcset)="([^"]+)"', page)
    for address in addresses:
        if address.startswith("#"):
            assert address[1:] in anchors
        elif not address.startswith("data:"):
            assert (folder / urllib.parse.unquote(address)).is_file(), address
    assert {f"#claim-{id}" for id in CLAIMS} <= set(addresses)
    assert "claims/sim/quick/O1/verdict.json" in addresses
    assert "evidence/findings/A5.json" in addresses
    assert "figures/theory-lens.csv" in addresses


def test_the_page_loads_only_figures_and_opens_with_its_finding(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) < 2_000_000
    assert not re.search(r"""(?:src|srcset|href|action)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"@import|url\(", page)
    assert "<script" not in page
    ledger = page.index('<table class="ledger overview">')
    finding, figure, *_ = (found.start() for found in re.finditer("<figure ", page))
    assert finding < page.index("The ledger of claims</h2>") < ledger < figure
    assert figure < page.index('<a href="explorer.html">')


def test_every_verdict_of_the_page_has_a_picture(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    drawn = set(re.findall(r'<figure id="figure-([^"]+)"', text))
    assert {"sim-claim_a1", "sim-claim_o1", "theory-lens", "all-time_to_target_sources"} <= drawn
    assert "for a rare token it is the other way round. Claims N1, N5." in text
    assert {"llm-claim_a5", "llm-rule-post-sft-training", "llm-rule-post-sft-entropy"} <= drawn
    assert {f"{name}.png" for name in drawn} <= {p.name for p in (folder / "figures").iterdir()}
    for id in CLAIMS:
        section = text[text.index(f'id="claim-{id}"') :]
        assert f'href="#figure-sim-claim_{id.lower()}"' in section[: section.index("</section>")]


def test_a_browser_shows_it_and_loads_nothing_from_elsewhere(folder: Path, browser: Any) -> None:
    for theme in ("light", "dark"):
        browser.open((folder / "report.html").as_uri(), theme=theme)
        shown = browser.run(
            "Array.from(document.images, (i) => [i.currentSrc, i.complete && i.naturalWidth > 0])"
        )
        assert shown
        assert all(whole for _, whole in shown)
        assert all(name.startswith((folder / "figures").as_uri()) for name, _ in shown)
        assert all(name.endswith(".dark.svg") == (theme == "dark") for name, _ in shown)
        assert browser.complaints == []
    assert browser.unreadable(folder / "explorer.html") == []


def test_it_can_be_read_on_desks_and_phones_light_and_dark(folder: Path, browser: Any) -> None:
    assert browser.unreadable(folder / "report.html") == []


def test_finished_claims_are_kept_and_missing_ones_made(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_pictures: None,
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    (out / "claims/sim/quick/O1/verdict.json").unlink()
    made = []
    check_claim = claims.simulation.registry.check_claim

    def counted(id: str, *arguments: Any, **options: Any) -> Any:
        made.append(id)
        return check_claim(id, *arguments, **options)

    monkeypatch.setattr(claims.simulation.registry, "check_claim", counted)
    words = [
        "reproduce",
        "--sources",
        "theory",
        "sim",
        "--claims",
        *CLAIMS,
        "--json",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    assert made == ["O1"]
    answer = json.loads(capsys.readouterr().out)
    assert answer["skipped"] == "it was not asked for"
    assert "1 identity, 1 from quick runs only" in answer["verdicts"]
    page = (out / "report.html").read_text()
    assert "This part was left out: it was not asked for." in page
    # What the language model left there before is not shown beside that sentence.
    assert "evidence/findings" in (folder / "report.html").read_text()
    assert "evidence/findings" not in page
    assert 'id="figure-llm' not in page
    assert main(words) == 0
    assert made == ["O1"]
    assert "already there" in capsys.readouterr().err
    assert main(["reproduce", "--sources", "sim", "--claims", *CLAIMS, "--out", str(out)]) == 0
    assert "left out: it was not asked for" in capsys.readouterr().err
    assert 'id="figure-theory' not in (out / "report.html").read_text()


def test_killed_between_parts_it_goes_on_with_the_next(
    tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*WITHOUT_MODEL, "--out", str(out)]
    verdicts = [out / "claims" / "sim" / "quick" / id / "verdict.json" for id in CLAIMS]
    process = subprocess.Popen(
        [sys.executable, "-m", "apw.main", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 300
    while not verdicts[0].exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (out / "report.html").exists()
    first = verdicts[0].read_bytes(), verdicts[0].stat().st_mtime_ns
    assert main(words) == 0
    assert (verdicts[0].read_bytes(), verdicts[0].stat().st_mtime_ns) == first
    assert verdicts[1].exists()
    assert (out / "report.html").exists()
    assert "A1:" not in capsys.readouterr().err


def test_finished_trainings_are_kept_and_other_settings_refused(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_pictures: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    metrics = out / "llm" / "rule-post-sft" / "judge" / "lr=0.0005" / "metrics.parquet"
    before = metrics.stat().st_mtime_ns
    words = [*WORDS, "--out", str(out)]
    with monkeypatch.context() as shortened:
        shorten_training(shortened)
        assert main(words) == 0
    assert metrics.stat().st_mtime_ns == before
    assert main(words) == 2
    assert "holds a run with other settings; give --out another folder" in capsys.readouterr().err


def fake_training(config: Any, path: Path) -> None:
    """What a training leaves: success that rises from the start, sooner under Sqrt-R."""
    run = Run.open(path, config.to_dict(), source="llm")
    for scheme in config.schemes:
        for seed in config.seed_range():
            for step in range(0, 21, 4):
                pace = (1.5 if scheme == "sqrt_r" else 1.0) + 0.01 * seed
                success = float(np.clip(0.4 + 0.05 * pace * step, 0, 0.95))
                passes = {f"pass@{k}": 1 - (1 - success) ** k for k in (4, 16, 64, 256)}
                run.log(
                    scheme=scheme,
                    seed=seed,
                    step=step,
                    success=success,
                    responses=256 * step,
                    entropy=1 - success,
                    grad_norm=1 - success,
                    groups_all_wrong=(1 - success) ** 16,
                    **passes,
                )
    run.finish()


def test_language_models_are_trained_judged_and_drawn(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(folder / "claims", out / "claims")
    trained: list[Path] = []

    def train(config: Any, path: Path) -> None:
        trained.append(path)
        if not (path / "metrics.parquet").exists():
            fake_training(config, path)

    monkeypatch.setattr("llm_validation.train.train", train)
    words = ["reproduce", "--settings", "rule-post-sft", "--claims", *CLAIMS, "--out", str(out)]
    assert main(words) == 0
    assert trained
    assert all(path.is_relative_to(out / "llm" / "rule-post-sft" / "judge") for path in trained)
    outcomes = pd.read_csv(out / "evidence" / "rule-post-sft" / "outcomes.csv")
    assert set(outcomes["scheme"]) == set(reproduce.SCHEMES["rule-post-sft"])
    verdicts = {e.claim.id: e.verdicts["llm"] for e in reproduced_ledger(out)}
    assert verdicts["A5"] is not None
    assert verdicts["A5"].verdict == "refuted"  # Sqrt-R was made the sooner
    assert verdicts["A4"] is None
    text = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="figure-llm-rule-post-sft-pass_at_k"' in text


def test_trainings_are_compared_with_the_published_to_the_last_digit(tmp_path: Path) -> None:
    here, there = tmp_path / "out" / "evidence" / "rule", tmp_path / "published" / "rule"
    table = pd.DataFrame(
        {
            "scheme": ["grpo", "grpo", "nsr"],
            "seed": [2, 3, 2],
            "final": [0.1, 0.2, 0.3],
            "reached": [10.0, np.nan, np.nan],
        }
    )
    for place in (here, there):
        place.mkdir(parents=True)
        table.to_csv(place / "outcomes.csv", index=False)
    assert "3 of 3 trainings" in same_trainings(tmp_path / "out", tmp_path / "published")
    table.loc[1, "final"] += 1e-16
    table.loc[2, "reached"] = 20.0
    table.to_csv(here / "outcomes.csv", index=False)
    assert "1 of 3 trainings" in same_trainings(tmp_path / "out", tmp_path / "published")
    assert same_trainings(tmp_path, tmp_path / "published") == ""


def test_without_the_extra_the_language_model_is_left_out_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, _ = reproduce._trainings(reproduce.Options(), tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert reproduce._train(tmp_path, trainings) == "torch is not installed; pip install '.[llm]'"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--settings", "everything"], "rule-from-scratch and countdown-post-sft; got everything"),
        (["--seeds", "0"], "--seeds must be at least 1; got 0"),
        (
            ["--quick", "--seeds", "2"],
            "--quick tests no claim: leave out --claims",
        ),
        (["--quick", "--claims", "A1"], "--quick tests no claim"),
        (["--quick", "--settings", "rule-post-sft"], "--quick tests no claim"),
        (["--claims", "L1"], "L1 has no simulation; claims that do: A1"),
    ],
)
def test_what_there_is_not_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    assert main(["reproduce", *words, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err


def test_what_other_code_left_is_named(folder: Path) -> None:
    entries = reproduced_ledger(folder, ("theory", "sim"))
    commit = read_records(folder / "claims")["sim", "A1"].environment["commit"]
    assert made_elsewhere(entries, f"not {commit}").count("(simulation)") == len(CLAIMS)
    assert "A1" not in made_elsewhere(entries, commit)
