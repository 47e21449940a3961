"""``apw reproduce --quick``, made smaller: every stage, the report, what is kept between calls."""

from __future__ import annotations

import html
import html.parser
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from apw import demo
from apw.main import main
from claims.entries import counting_sentence
from claims.entries import ledger as published
from runs.folder import is_finished, read_metrics

pytestmark = pytest.mark.slow


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make simulation and training a matter of seconds."""
    smaller = {"learning_rate": 0.05, "prompts": 16, "seeds": 2, "steps": 100}
    monkeypatch.setattr(demo, "SIMULATION", {**demo.SIMULATION, **smaller})
    monkeypatch.setattr(demo, "TRAINING", {"steps": 4, "seeds": 1, "warm_up_steps": 5})


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = b"<svg><dc:title>apw reproduce</dc:title></svg>"
    monkeypatch.setattr("figures.picture.Picture.render", lambda *_, **__: ours)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "results"
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch)
        assert main(["reproduce", "--quick", "--out", str(out)]) == 0
    return out


def test_every_source_leaves_a_run_and_figures(folder: Path) -> None:
    for source in ("theory", "sim", "llm"):
        assert set(read_metrics(folder / source)["source"]) == {source}
    drawn = {str(path.relative_to(folder / "figures")) for path in folder.rglob("*.png")}
    assert drawn == {
        "theory/weights.png",
        "theory/excess.png",
        "sim/convergence.png",
        "sim/time_to_target.png",
        "llm/training.png",
    }


def test_theory_metrics_hold_the_published_numbers(folder: Path) -> None:
    metrics = read_metrics(folder / "theory").set_index(["metric", "scheme"])["value"]
    # theory.md: GRPO in groups as they come, and in the limit of arXiv 2602.11128.
    assert metrics["excess/fixed/0.01", "grpo"] == pytest.approx(1.023, abs=5e-4)
    assert metrics["excess/population/0.01", "grpo"] == pytest.approx(1.555, abs=5e-4)


class Page(html.parser.HTMLParser):
    """Collects what makes a page invalid or dependent on others."""

    VOID = ("meta", "link", "img", "source", "br", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.identifiers: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute of {tag} stands twice"
        self.addresses += [
            values[name] or "" for name in ("src", "href", "srcset") if name in values
        ]
        if values.get("id"):
            self.identifiers[values["id"] or ""] += 1
        if tag == "img":
            self.images.append(values)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_report_is_one_valid_page_that_loads_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.open == []
    assert set(page.identifiers.values()) == {1}
    for address in page.addresses:
        inside = address.startswith("#") and page.identifiers[address[1:]] == 1
        assert inside or address.startswith("data:"), address[:60]
    assert "@import" not in text
    assert not re.search(r"url\((?!['\"]?data:)", text)
    assert len(page.images) == 5
    assert all(image["alt"] for image in page.images)
    # The finding comes first, with its number and its figure; then what it rests on.
    finding = text.index("95% interval")
    assert finding < text.index('<figure id="figure-time_to_target"') < text.index("<nav")
    assert text.index("<nav") < text.index('<table class="ledger overview">')
    for entry in published():
        assert page.identifiers[f"claim-{entry.claim.id}"] == 1
    assert counting_sentence(published()) in html.unescape(text)
    words = " ".join(page.text)
    # Two seeds and four steps tell nothing apart, and the report must say so.
    assert "too few seeds to be compared" in words
    assert "apw simulate --schemes" in words
    for finding in ("1.55 times the optimal time", "with GRPO's time as 1"):
        assert finding in words


def test_finished_stages_are_kept_and_unfinished_ones_done(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_pictures: None,
) -> None:
    shrink(monkeypatch)
    out = tmp_path / "copy"
    shutil.copytree(folder, out)
    before = {
        source: (out / source / "metrics.parquet").stat().st_mtime_ns for source in ("sim", "llm")
    }
    (out / "theory" / "metrics.parquet").unlink()
    assert main(["reproduce", "--quick", "--out", str(out)]) == 0
    assert capsys.readouterr().err.count("already there") == 2
    assert is_finished(out / "theory")
    pd.testing.assert_frame_equal(read_metrics(out / "theory"), read_metrics(folder / "theory"))
    after = {
        source: (out / source / "metrics.parquet").stat().st_mtime_ns for source in ("sim", "llm")
    }
    assert after == before


def test_another_size_is_not_mixed_into_finished_results(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "--quick", "--out", str(folder)]) == 2
    assert (
        "sim holds a run with other settings; give --out another folder" in capsys.readouterr().err
    )


def test_without_the_extra_the_language_model_is_left_out(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_pictures: None,
) -> None:
    out = tmp_path / "bare"
    for source in ("theory", "sim"):
        shutil.copytree(folder / source, out / source)

    def missing(config: Any, path: Path) -> None:
        raise ImportError("torch is not installed; pip install '.[llm]'")

    shrink(monkeypatch)
    monkeypatch.setattr("llm_validation.train.train", missing)
    words = ["reproduce", "--quick", "--json", "--out", str(out)]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["skipped"] == "torch is not installed; pip install '.[llm]'"
    page = html.unescape(Path(answer["report"]).read_text(encoding="utf-8"))
    assert f"This part was left out: {answer['skipped']}." in page
    assert main([*words, "--sources", "theory", "sim"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == "it was not asked for"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_report_without_complaint(folder: Path, tmp_path: Path) -> None:
    command = [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        (folder / "report.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<figure ") == 5


def test_it_can_be_read_on_desks_and_phones_light_and_dark(folder: Path, browser: Any) -> None:
    assert browser.unreadable(folder / "report.html") == []
