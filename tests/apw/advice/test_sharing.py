"""What advice says of prompts that share: kernels that are read, and answers by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from apw.advice.sharing import read_kernel, trained_ratios
from apw.main import main
from claims.records import PUBLISHED, read_record
from theory.sharing import block_kernel, path_costs, spread_odds

SCHEMES = ("--schemes", "grpo", "sqrt_r", "rloo", "maxrl")


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["advise", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def probe(tmp_path: Path) -> tuple[str, Path]:
    """Twelve prompts with known pass rates in no order, and a kernel in two blocks."""
    rates = expit(spread_odds(0.2, 1.5, 12))[np.random.default_rng(2).permutation(12)]
    file = tmp_path / "rates.txt"
    file.write_text("\n".join(map(str, rates.tolist())))
    kernel = tmp_path / "kernel.npy"
    np.save(kernel, block_kernel([4, 8], 0.7))
    return str(file), kernel


def test_a_spread_is_that_of_log_odds_around_a_mean(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, "--start", "0.1", "--spread", "2", "--sharing", "0", *SCHEMES)
    assert found["spread"]["estimate"] == pytest.approx(2, rel=0.03)
    costs = path_costs(
        ["sqrt_r", "grpo"], spread_odds(0.1, 2.0), target=0.9, group_size=16, budget="steps"
    )[:, 0]
    told = found["readings"]["long responses, equal steps"]["sqrt_r"]
    assert told == pytest.approx(costs[0] / costs[1], rel=1e-6)
    assert found["cost"]["sqrt_r"] == pytest.approx(0.526, abs=5e-4)
    assert found["sharing"] == 0


def test_equal_prompts_have_no_such_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert "readings" not in ask(capsys, "--start", "0.1", *SCHEMES)
    assert main(["advise", "--start", "0.1"]) == 0
    assert "Prompts that share" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_a_kernel_is_taken_prompt_by_prompt_in_the_order_of_the_file(
    capsys: pytest.CaptureFixture[str], probe: tuple[str, Path], suffix: str
) -> None:
    file, npy = probe
    kernel = np.load(npy)
    path = npy.with_suffix(suffix)
    if suffix == ".csv":
        np.savetxt(path, kernel, delimiter=",")
    found = ask(capsys, file, "--kernel", str(path), *SCHEMES)
    odds = logit(np.loadtxt(file))
    costs = path_costs(["sqrt_r", "grpo"], odds, target=0.9, group_size=16, kernel=kernel)[:, 0]
    told = found["readings"]["long responses, constant rate"]["sqrt_r"]
    assert told == pytest.approx(costs[0] / costs[1], rel=1e-6)
    other = path_costs(["sqrt_r", "grpo"], np.sort(odds), target=0.9, group_size=16, kernel=kernel)
    assert told != pytest.approx(other[0, 0] / other[1, 0], rel=1e-3)
    assert 0 < found["sharing"] < 0.7


def test_what_not_every_reading_says_comes_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dropped = "sqrt_r:zero_success=drop"
    words = ["--start", "0.05", "--spread", "3", "--target", "0.6", "--schemes", "grpo", dropped]
    answer = ask(capsys, *words)
    costs = [by_scheme[dropped] for by_scheme in answer["readings"].values()]
    assert (answer["recommended"], answer["steady"]) == (dropped, "grpo")
    assert min(costs) < 0.95 < 1 < max(costs)
    assert main(["advise", *words]) == 0
    said = capsys.readouterr().out
    assert "it saves 6%; by other readings of the noise −" in said
    assert "No scheme saves 5% over GRPO by all four readings" in said
    apart = [*words[:4], "--sharing", "0", *words[4:]]
    assert main(["advise", *apart]) == 0
    said = capsys.readouterr().out
    assert "other readings" not in said
    assert "By every reading Sqrt-R" in said


def test_what_training_showed_is_that_of_the_published_evidence() -> None:
    rows = trained_ratios()
    finding = read_record(PUBLISHED["sim"] / "O12.json").finding
    by_regime = {row["regime"]: row for row in rows if row["claim"] == "O12"}
    for check in finding.checks:
        if check.scheme == "sqrt_r" and check.reference == "grpo":
            row = by_regime.pop(check.regime, None)
            if row is not None:
                assert np.log(row["ratio"]) == pytest.approx(check.measurement)
                assert row["low"] <= row["ratio"] <= row["high"]
    assert not by_regime
    assert len([row for row in rows if row["claim"] == "O11"]) == 4


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[1.0, 0.5]], "has the shape"),
        ([[1.0, 0.5], [0.2, 1.0]], "not symmetric"),
        ([[1.0, np.nan], [np.nan, 1.0]], "not finite"),
        ([[0.0, 0.0], [0.0, 0.0]], "nothing on its diagonal"),
    ],
)
def test_what_is_no_kernel_is_refused(
    tmp_path: Path, matrix: list[list[float]], words: str
) -> None:
    np.save(tmp_path / "k.npy", np.array(matrix))
    with pytest.raises(ValueError, match=words):
        read_kernel(tmp_path / "k.npy")


class _Loud:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("ran",))


def test_nothing_in_a_kernel_file_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.array([_Loud()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds no matrix"):
        read_kernel(tmp_path / "k.npy")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kernel", "{kernel}"], "a prompt a row, as many as its own 12; got 0"),
        (["{file}", "--kernel", "{kernel}", "--sharing", "0.5"], "--sharing or a --kernel"),
        (["{file}", "--spread", "1"], "--spread goes with --start"),
        (["{file}", "--kernel", "{file}"], "in .csv or .npy"),
        (["--spread", "-1"], "spread"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    capsys: pytest.CaptureFixture[str], probe: tuple[str, Path], words: list[str], said: str
) -> None:
    file, kernel = probe
    assert main(["advise", *(word.format(file=file, kernel=kernel) for word in words)]) == 2
    assert said in capsys.readouterr().err
