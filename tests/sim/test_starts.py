"""Initial success probabilities: distributions, files of measured rates, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from sim.starts import LEAST, check_start, initial_success


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


def test_a_broken_file_is_refused_before_anything_is_drawn(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("pass_rate\n1.2\n")
    with pytest.raises(ValueError, match=r"line 2: a pass rate must lie in \[0, 1\]; got '1.2'"):
        check_start(f"file:{path}")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        check_start(f"file:{tmp_path}")
