"""The picture of a probe: drawn from its tables, and its caption from what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figures.catalogue import run_pictures
from figures.probe import probe_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        (0.0, 0.25, 0.0, 0.25, "own", 3, 90.0, 70.0, 120.0),
        (0.0, 0.25, 0.0, 0.25, "others", 3, np.nan, np.nan, np.nan),
        (0.0, 0.25, 0.25, 0.5, "others", 9, -4.0, -9.0, 2.0),
        (0.25, 0.5, 0.25, 0.5, "others", 6, 12.0, np.nan, np.nan),
    ]
    names = ["low", "high", "other_low", "other_high", "kind", "prompts", "estimate"]
    pd.DataFrame(rows, columns=[*names, "low_end", "high_end"]).to_csv(
        tmp_path / "difficulty.csv", index=False
    )
    steps = [
        ("sgd", "grpo", "all", 0.010, 0.011, 0.008, 0.014),
        ("sgd", "grpo", "hard", 0.5, 0.5, 0.5, 0.5),
        ("adam", "lens", "all", 0.030, 0.020, 0.015, 0.025),
    ]
    names = ["optimizer", "scheme", "group", "predicted", "measured"]
    pd.DataFrame(steps, columns=[*names, "measured_low", "measured_high"]).to_csv(
        tmp_path / "steps.csv", index=False
    )
    (tmp_path / "probe.json").write_text("{}")  # no record of a claim
    return tmp_path


def test_the_picture_says_what_the_tables_hold(folder: Path) -> None:
    (picture,) = run_pictures(folder)  # published tables have no metrics beside them
    assert "1 of 2 predictions lie in the interval" in picture.caption
    assert "90 to 90 of a prompt with itself and from −4 to 12 between prompts" in picture.caption
    assert len(picture.data) == 3 + 2  # what was not measured and hard prompts are not drawn
    figure = picture.draw("dark")
    left, right = figure.axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["0–¼, a prompt", "0–¼ with ¼–½", "¼–½ with ¼–½"]
    assert right.get_ylabel() == "measured on held-out responses"
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"GRPO", "LENS"}
    assert picture.render("png")[:4] == b"\x89PNG"


def test_a_probe_without_steps_shows_its_kernel(folder: Path) -> None:
    steps = folder / "steps.csv"
    steps.write_text(steps.read_text().splitlines()[0] + "\n")
    picture = probe_picture(folder)
    assert "Right" not in picture.caption
    assert picture.draw("light").axes[1].get_title() == "no steps were taken"


def test_broken_tables_are_refused(folder: Path) -> None:
    (folder / "steps.csv").write_text("optimizer,scheme\nsgd,grpo\n")
    with pytest.raises(ValueError, match="lacks the column 'group'"):
        probe_picture(folder)
    table = pd.read_csv(folder / "difficulty.csv").assign(estimate=np.nan)
    table.to_csv(folder / "difficulty.csv", index=False)
    (folder / "steps.csv").write_text("optimizer,scheme,group,predicted,measured\n")
    with pytest.raises(ValueError, match="without a kernel"):
        probe_picture(folder)
