"""Measured pass rates are drawn as they were counted, beside what the Beta fit expects."""

import numpy as np
import pandas as pd
import pytest

from figures.catalogue import run_pictures
from figures.pass_rates import pass_rates_picture


def counts_of(a, b, problems, tries, seed):
    generator = np.random.default_rng(seed)
    n = np.resize(tries, problems)
    correct = generator.binomial(n, generator.beta(a, b, problems))
    return pd.DataFrame({"id": np.arange(problems), "n_correct": correct, "n_samples": n})


def test_the_fit_expects_what_it_was_drawn_from():
    data = pass_rates_picture(counts_of(0.3, 2.0, 2000, [8], 1)).data
    assert data["problems"].sum() == 2000
    assert data["expected"].sum() == pytest.approx(2000)
    assert ((data["problems"] >= data["low"]) & (data["problems"] <= data["high"])).mean() > 0.8
    # Two kinds of problems and nothing between are no Beta distribution.
    halves = np.where(np.arange(2000) % 2, 0.3, 0.7)
    correct = np.random.default_rng(0).binomial(8, halves)
    other = pass_rates_picture(pd.DataFrame({"n_correct": correct, "n_samples": 8})).data
    assert ((other["problems"] < other["low"]) | (other["problems"] > other["high"])).sum() >= 3


def test_problems_may_have_unequal_numbers_of_responses():
    table = counts_of(0.5, 1.0, 300, [2, 4, 6], 2)
    data = pass_rates_picture(pd.concat([table, table.assign(n_correct=0, n_samples=0)])).data
    assert data["problems"].sum() == 300
    assert data["expected"].sum() == pytest.approx(300)
    assert data["problems"].tolist() == [(table["n_correct"] == k).sum() for k in range(7)]


def test_a_folder_of_published_rates_is_drawn(tmp_path):
    counts_of(0.3, 2.0, 50, [4], 3).to_csv(tmp_path / "pass_rates.csv", index=False)
    (picture,) = run_pictures(tmp_path)
    assert picture.name == "pass_rates"
    assert len(picture.render("png")) > 5000
    with pytest.raises(ValueError, match="at least 2 responses"):
        pass_rates_picture(counts_of(1.0, 1.0, 9, [1], 0))
