"""Initial success probabilities: distributions, files of measured rates, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from runs.pass_rates import read_measured
from sim.config import SimulationConfig
from sim.rates import start_in_words
from sim.starts import LEAST, initial_success, read_start
from theory.beta_binomial import fit_pass_rates


def drawn(start, prompts=2000, seed=0):
    return initial_success(start, prompts, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("start", "distribution"),
    [
        ("beta:0.6,1.4", stats.beta(0.6, 1.4)),
        ("beta:1,9", stats.beta(1, 9)),
        ("loguniform:0.001,0.5", stats.loguniform(0.001, 0.5)),
    ],
)
def test_prompts_are_spread_as_the_distribution_hardest_first(start, distribution):
    values = drawn(start)
    assert np.all(np.diff(values) >= 0)
    # One stratum of mass 1/n each: the empirical distribution is within 1/n of the true one.
    assert stats.kstest(values, distribution.cdf).statistic <= 1 / len(values) + 1e-9
    assert not np.array_equal(values, drawn(start, seed=1))


def test_a_point_is_every_prompt():
    assert drawn(0.25, 3).tolist() == drawn("0.25", 3).tolist() == [0.25] * 3


@pytest.mark.parametrize("prompts", [3, 1000])
def test_measured_rates_are_kept_or_drawn_from_and_never_0_or_1(tmp_path, prompts):
    path = tmp_path / "rates.csv"
    path.write_text("pass_rate\n0.3\n0\n1\n")
    values = drawn(f"file:{path}", prompts)
    assert np.all(np.diff(values) >= 0)
    assert set(values.tolist()) == {LEAST, 0.3, 1 - LEAST}
    assert prompts > 3 or values.tolist() == [LEAST, 0.3, 1 - LEAST]


COUNTS = [0] * 60 + [1] * 12 + [3] * 10 + [8] * 18
"""Of eight tries each."""


def written(path, column="pass_rate", tries=8):
    path.write_text("\n".join([column, *(repr(k / tries) for k in COUNTS)]))
    return f"file:{path}"


def test_measured_prompts_start_at_draws_from_the_posteriors_that_advice_uses(tmp_path):
    start = written(tmp_path / "rates.csv", "solved")
    config = SimulationConfig(start=start, column="solved", tries=8, prompts=100)
    many = np.stack([drawn(config.first, 100, seed) for seed in range(100)])
    fit = fit_pass_rates(COUNTS, 8)
    # A further eight tries leave as many unsolved as the fit says, and about as many as the file.
    # (1 − ρ)^8 of 100 × 100 draws has a mean with a standard error of at most 0.005.
    again = np.mean((1 - many) ** 8)
    assert again == pytest.approx(fit.posterior(COUNTS, 8).all_wrong(8).mean(), abs=0.015)
    assert again == pytest.approx(0.6, abs=0.04)
    # A prompt that was never solved is neither at 0 nor at 1/18.
    hardest = many[:, :60]
    assert np.unique(hardest).size > 1000
    assert not np.array_equal(many[0], many[1])


def test_what_a_file_says_does_not_depend_on_how_it_says_it(tmp_path):
    rates = read_start(written(tmp_path / "rates.csv"))  # multiples of 1/8: taken as 8 tries
    (tmp_path / "counts.csv").write_text(
        "\n".join(["n_correct,n_samples", *(f"{k},8" for k in COUNTS)])
    )
    counts = read_start(f"file:{tmp_path / 'counts.csv'}")
    assert rates.guessed == 8
    for prompts in (50, 100):
        np.testing.assert_array_equal(drawn(rates, prompts), drawn(counts, prompts))
    assert read_measured(tmp_path / "counts.csv").tries.tolist() == rates.tries.tolist()


def test_what_became_of_zeros_is_said_and_why_a_target_is_out_of_reach(tmp_path):
    config = SimulationConfig(start=written(tmp_path / "rates.csv"), prompts=100, target=0.9)
    words = " ".join(start_in_words(config))
    assert "60 (60%) never solved" in words
    assert "draw from the posterior" in words
    assert "taken as 8 tries" in words
    assert "cannot have a mean of 0.9" in words
    exact = tmp_path / "exact.txt"
    exact.write_text("0\n0.3\n0.7\n")
    words = " ".join(start_in_words(SimulationConfig(start=f"file:{exact}", prompts=3)))
    assert "how many tries they are from is not known (--tries says it)" in words
    assert "1 of 3 start below 0.001, 1 of them at 0, for which 1e-12 stands" in words
    assert start_in_words(SimulationConfig()) == []


@pytest.mark.parametrize("option", [{"tries": 8}, {"column": "solved"}])
def test_what_belongs_to_files_is_refused_without_one(option):
    with pytest.raises(ValueError, match="belong to a start from a file"):
        SimulationConfig(start=0.01, **option)


def test_pass_rates_that_so_many_tries_do_not_give_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not come from 7 tries"):
        SimulationConfig(start=written(tmp_path / "rates.csv"), tries=7)


def test_a_broken_file_is_refused_before_anything_is_drawn(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("pass_rate\n1.2\n")
    with pytest.raises(ValueError, match=r"line 2: a pass rate must lie in \[0, 1\]; got '1.2'"):
        read_start(f"file:{path}")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_start(f"file:{tmp_path}")
