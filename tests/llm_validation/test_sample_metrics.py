"""Summaries of sampled responses against enumeration, by group."""

import itertools

import numpy as np
import pandas as pd
import pytest

from llm_validation.sample_metrics import pass_rates, read_samples, summarise

OUTCOMES = {
    "a": "correct wrong wrong unparsable",
    "b": "wrong wrong timeout wrong",
    "c": "correct correct correct wrong",
    "d": "correct error wrong wrong",
}
LEVELS = {"a": 1, "b": 4, "c": 5, "d": 5}


@pytest.fixture
def samples() -> pd.DataFrame:
    rows = [
        {
            "problem": problem,
            "outcome": outcome,
            "tokens": 10 * (i + 1),
            "truncated": i == 3,
            "entropy": 0.5 if problem == "a" else np.nan,
            "level": LEVELS[problem],
        }
        for problem, outcomes in OUTCOMES.items()
        for i, outcome in enumerate(outcomes.split())
    ]
    return pd.DataFrame(rows).astype({"level": "Int64"})


def find(summary: pd.DataFrame, group: str, metric: str, k: int = 0) -> pd.Series:
    rows = summary[
        (summary["group"] == group) & (summary["metric"] == metric) & (summary["k"] == k)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def by_enumeration(problems: str, k: int) -> float:
    """Share of the k-subsets of a problem's responses with a correct one, averaged."""
    shares = []
    for problem in problems:
        subsets = list(itertools.combinations(OUTCOMES[problem].split(), k))
        shares.append(np.mean(["correct" in subset for subset in subsets]))
    return float(np.mean(shares))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_pass_at_k_is_the_share_of_subsets(samples, k):
    summary = summarise(samples)
    # Problem d has a response that could not be scored.
    groups = {"all": "abc", "level=1": "a", "level=5": "c", "levels=4-5": "bc"}
    for group, problems in groups.items():
        row = find(summary, group, "pass", k)
        assert row["estimate"] == pytest.approx(by_enumeration(problems, k), abs=1e-12)
        assert row["low"] <= row["estimate"] <= row["high"]
        assert row["problems"] == len(problems)
    assert find(summary, "all", "problems")["estimate"] == 4
    assert find(summary, "all", "problems_unscored")["estimate"] == 1


def test_means_and_outcome_shares(samples):
    summary = summarise(samples)
    assert find(summary, "all", "response_tokens")["estimate"] == 25
    assert find(summary, "all", "truncated")["estimate"] == 0.25
    entropy = find(summary, "all", "entropy")
    assert (entropy["estimate"], entropy["problems"]) == (0.5, 1)  # known for one problem only
    assert find(summary, "all", "outcome_correct")["estimate"] == 5 / 16
    assert find(summary, "level=5", "outcome_error")["estimate"] == 1 / 8
    assert "entropy" not in set(summary[summary["group"] == "level=4"]["metric"])


def test_attempts_beyond_the_samples_are_left_out(samples):
    summary = summarise(samples, attempts=(1, 4, 8))
    assert summary[summary["metric"] == "pass"]["k"].unique().tolist() == [1, 4]


def test_nothing_scored_gives_no_pass_at_k(samples):
    broken = samples.assign(outcome="error")
    summary = summarise(broken)
    assert "pass" not in set(summary["metric"])
    assert find(summary, "all", "problems_unscored")["estimate"] == 4


def test_without_levels_there_is_one_group(samples):
    summary = summarise(samples.drop(columns="level"))
    assert set(summary["group"]) == {"all"}


def test_broken_samples_files(samples, tmp_path):
    file = tmp_path / "samples.parquet"
    with pytest.raises(FileNotFoundError, match=r"is not a file; give the samples\.parquet"):
        read_samples(file)
    file.write_text("no Parquet")
    with pytest.raises(ValueError, match="is not a readable Parquet table"):
        read_samples(file)
    samples.drop(columns="tokens").to_parquet(file)
    with pytest.raises(ValueError, match="lacks the column 'tokens'"):
        read_samples(file)
    samples.assign(outcome="maybe").to_parquet(file)
    with pytest.raises(ValueError, match=r"must be among correct, wrong.*got 'maybe'"):
        read_samples(file)
    samples[:0].to_parquet(file)
    with pytest.raises(ValueError, match="holds no samples"):
        read_samples(file)


def test_evaluations_in_a_folder_are_read_together(samples, tmp_path):
    numbered = samples.assign(sample=samples.groupby("problem").cumcount())
    first, later = (
        numbered[numbered["sample"].isin(some)].reset_index(drop=True) for some in ((0, 1), (2, 3))
    )
    (tmp_path / "one").mkdir()
    first.to_parquet(tmp_path / "one" / "samples.parquet")
    with pytest.raises(FileNotFoundError, match="a folder of some"):
        read_samples(tmp_path / "two")
    parts = tmp_path / "two" / "samples"  # an evaluation that was stopped
    parts.mkdir(parents=True)
    later[:3].to_parquet(parts / "part-00000000.parquet")
    later[3:].to_parquet(parts / "part-00000001.parquet")
    together = read_samples(tmp_path)
    assert len(together) == len(samples)
    pd.testing.assert_frame_equal(summarise(together), summarise(samples))
    first[:1].to_parquet(parts / "part-00000002.parquet")
    with pytest.raises(ValueError, match="holds sample 0 of a twice"):
        read_samples(tmp_path)


def test_pass_rates_count_what_was_scored(samples):
    rates = pass_rates(samples).set_index("id")
    assert rates["n_correct"].to_dict() == {"a": 1, "b": 0, "c": 3, "d": 1}
    assert rates["n_samples"].to_dict() == {"a": 4, "b": 4, "c": 4, "d": 3}
    assert rates["level"].to_dict() == LEVELS
    assert rates.loc["d", "tokens"] == pytest.approx((10 + 30 + 40) / 3)
    assert rates["truncated"].to_dict() == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert "level" not in pass_rates(samples.drop(columns="level"))
