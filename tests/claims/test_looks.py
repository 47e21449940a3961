"""Looking several times errs as rarely as it says, and stops when a claim is decided."""

from __future__ import annotations

import numpy as np
import pytest

from claims.looks import LOOKS, at_level, corrected_level, until_decided
from claims.verdicts import above, finding

RUNS = 700


def outcomes(mean, looks, seed=0, **about):
    """Verdict and seeds of many runs of a check of normal samples with this mean."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(RUNS):
        samples = generator.normal(mean, 1.0, looks[-1])

        def measure(seeds, samples=samples):
            check = above("x", 0.0, list(samples[:seeds]), **about)
            return finding("A6", "", [check], [], quick=False)

        found.append(until_decided(measure, looks))
    return [(item.verdict, item.checks[0].seeds) for item in found]


@pytest.mark.parametrize("looks", LOOKS.values(), ids=list(LOOKS))
def test_no_error_is_more_frequent_than_stated(looks):
    """On the bound itself a verdict either way is an error, and with ±δ there so is none at δ."""
    verdicts = [verdict for verdict, _ in outcomes(0.0, looks)]
    # Three standard errors above 2.5 % for each side.
    for wrong in ("confirmed", "refuted"):
        assert verdicts.count(wrong) / RUNS < 0.025 + 0.018
    none = [verdict for verdict, _ in outcomes(0.2, looks, delta=0.2)]
    assert none.count("no effect") / RUNS < 0.025 + 0.018


def test_without_the_correction_it_would_err_more_often():
    """The test can tell: looks at 95 % each confirm a true null in far more than one of forty."""
    generator, wrong = np.random.default_rng(1), 0
    for _ in range(RUNS):
        samples = generator.normal(0.0, 1.0, LOOKS["sim"][-1])
        checks = [above("x", 0.0, list(samples[:seeds])) for seeds in LOOKS["sim"]]
        wrong += any(check.verdict == "confirmed" for check in checks)
    assert wrong / RUNS > 0.05


def test_what_is_clear_is_decided_at_the_first_look_and_what_is_not_at_a_later_one():
    clear = outcomes(2.0, LOOKS["sim"])
    assert {seeds for _, seeds in clear} == {20}
    assert {verdict for verdict, _ in clear} == {"confirmed"}
    small = outcomes(0.2, LOOKS["sim"])
    assert [verdict for verdict, _ in small].count("confirmed") > 0.95 * RUNS
    assert 80 < np.mean([seeds for _, seeds in small]) < 640


def test_the_level_is_kept_with_the_check():
    found = until_decided(
        lambda seeds: finding("A6", "", [above("x", 0.0, [1.0, 1.1] * seeds)], [], quick=False),
        (5, 10),
    )
    assert found.checks[0].level == corrected_level(2) == 0.975
    assert at_level(found, 0.975) == found
    assert found.checks[0].low < at_level(found, 0.95).checks[0].low


@pytest.mark.parametrize("looks", [(), (20, 20), (40, 20)])
def test_looks_must_rise(looks):
    with pytest.raises(ValueError, match="looks must be rising numbers of seeds"):
        until_decided(lambda seeds: pytest.fail("measured"), looks)


def test_bad_levels_are_refused():
    with pytest.raises(ValueError, match="looks must be at least 1"):
        corrected_level(0)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
        corrected_level(2, 95)
