"""Looking several times errs as rarely as it says, and stops when a claim is decided."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from claims.looks import LOOKS, at_level, corrected_level, until_decided
from claims.verdicts import above, finding

RUNS = 100


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


def many(samples, looks, delta=0.0, level=None):
    """Verdict of the whole procedure for every row of samples, bound 0, all rows at once."""
    each = corrected_level(len(looks)) if level is None else level
    verdicts = np.full(len(samples), "open", dtype="U9")
    for seeds in looks:
        seen = samples[:, :seeds]
        half = stats.t.ppf((1 + each) / 2, seeds - 1) * seen.std(axis=1, ddof=1) / np.sqrt(seeds)
        low, high = seen.mean(axis=1) - half, seen.mean(axis=1) + half
        here = np.where(low > 0, "confirmed", np.where(high <= 0, "refuted", "open"))
        here = np.where((delta > 0) & (-delta <= low) & (high <= delta), "no effect", here)
        verdicts = np.where(verdicts == "open", here, verdicts)
    return verdicts


def share(verdicts, *wanted):
    return float(np.isin(verdicts, wanted).mean())


KINDS = {
    "normal": lambda generator, size: generator.normal(0.0, 1.0, size),
    "skewed": lambda generator, size: generator.exponential(1.0, size) - 1.0,  # skewness 2
    # The logarithm of a time that is exponential, of mean 0.
    "log of skewed": lambda generator, size: (
        np.log(generator.exponential(1.0, size)) + np.euler_gamma
    ),
}
"""Samples of mean 0 and a standard deviation of about 1."""

MANY = 8_000
SLACK = 3 * np.sqrt(0.05 * 0.95 / MANY)  # three standard errors of a share of 5 %: 0.7 points


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delta", [0.0, 0.3])
def test_all_rows_at_once_are_judged_as_one_by_one(kind, delta):
    looks = LOOKS["sim"]
    samples = KINDS[kind](np.random.default_rng(3), (20, looks[-1])) + 0.1

    def one(row):
        def measure(seeds):
            check = above("x", 0.0, list(row[:seeds]), delta=delta)
            return finding("A6", "", [check], [], quick=False)

        return until_decided(measure, looks).verdict

    assert many(samples, looks, delta).tolist() == [one(row) for row in samples]


@pytest.mark.parametrize(
    ("source", "kind", "most"),
    [
        ("sim", "normal", 0.05),
        ("llm", "normal", 0.05),
        ("sim", "skewed", 0.08),
        ("sim", "log of skewed", 0.08),
        ("llm", "log of skewed", 0.08),
    ],
)
def test_an_effect_that_is_not_there_is_found_as_rarely_as_stated(source, kind, most):
    """Found in either direction by the whole procedure, with every look, at a true mean of 0."""
    looks = LOOKS[source]
    samples = KINDS[kind](np.random.default_rng(0), (MANY, looks[-1]))
    for delta in (0.0, 0.3):
        found = many(samples, looks, delta)
        assert share(found, "confirmed", "refuted") < most + SLACK


def test_an_effect_that_is_there_is_found_and_not_called_none():
    """True means at ±δ, where "no effect" is wrong, and at 2δ, where everything else is."""
    generator, looks, delta = np.random.default_rng(1), LOOKS["sim"], 0.3
    for kind in KINDS:
        samples = KINDS[kind](generator, (MANY // 4, looks[-1]))
        most = 0.05 if kind == "normal" else 0.08
        for sign in (-1, 1):
            assert share(many(samples + sign * delta, looks, delta), "no effect") < most + 2 * SLACK
        assert share(many(samples + 2 * delta, looks, delta), "confirmed") > 0.99
        # Nothing at all is called so: 640 seeds tell δ = 0.3 from 0, and few runs stay open.
        assert share(many(samples, looks, delta), "no effect") > 0.9
        assert share(many(samples, looks, delta), "open") < 0.01


def test_looks_without_correction_and_skewed_numbers_without_logarithms_err_more_often():
    """The test can tell, and says why levels are corrected and times taken in logarithms."""
    generator = np.random.default_rng(1)
    samples = KINDS["normal"](generator, (MANY, LOOKS["sim"][-1]))
    assert share(many(samples, LOOKS["sim"], level=0.95), "confirmed", "refuted") > 0.12
    samples = KINDS["skewed"](generator, (MANY, LOOKS["llm"][-1]))
    assert share(many(samples, LOOKS["llm"]), "confirmed", "refuted") > 0.1


def test_what_is_clear_is_decided_at_the_first_look_and_what_is_not_at_a_later_one():
    clear = outcomes(2.0, LOOKS["sim"])
    assert {seeds for _, seeds in clear} == {20}
    assert {verdict for verdict, _ in clear} == {"confirmed"}
    small = outcomes(0.2, LOOKS["sim"])
    assert [verdict for verdict, _ in small].count("confirmed") > 0.9 * RUNS
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
