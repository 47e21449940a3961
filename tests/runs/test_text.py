"""Numbers, shares, lists and times as sentences write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.text import duration, interval, listed, number, percent, plural


@given(st.floats(-1e300, 1e300, allow_subnormal=False), st.integers(1, 15))
def test_a_number_reads_back_to_its_significant_digits(value, digits):
    text = number(value, digits)
    assert "-" not in text
    back = float(text.replace("−", "-"))
    assert back == pytest.approx(value, rel=0.5000001 * 10 ** (1 - digits), abs=0)


@given(st.floats(-1e9, 1e9), st.integers(0, 6))
def test_fixed_decimals_read_back_and_never_show_a_negative_zero(value, decimals):
    text = number(value, decimals=decimals)
    back = float(text.replace("−", "-"))
    assert abs(back - value) <= 0.5 * 10**-decimals + 1e-15 * abs(value)
    assert not (text.startswith("−") and back == 0)
    assert len(text.partition(".")[2]) == decimals


def test_what_is_not_finite_has_a_sign_of_its_own():
    assert number(math.nan) == "–"
    assert (number(math.inf), number(-math.inf)) == ("∞", "−∞")
    assert number(math.inf, infinite="never") == "never"
    assert interval(math.nan, math.inf) == "– – ∞"


@given(st.floats(0, 1))
def test_a_share_is_nothing_or_all_only_if_it_is_exactly_that(share):
    text = percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)
    shown = float(text.strip("<>%")) / 100
    rounding = 0.0005 if share < 0.01 or share > 0.99 else 0.005
    assert abs(shown - share) <= (0.001 if text[0] in "<>" else rounding) + 1e-12


def test_an_unknown_share_is_said_to_be_unknown():
    assert (percent(math.nan), percent(math.nan, unknown="unknown")) == ("–", "unknown")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 seeds"), (1, "1 seed"), (2, "2 seeds"), (12345, "12,345 seeds")]
)
def test_only_one_is_singular(count, text):
    assert plural(count, "seed") == plural(range(count), "seed") == text


def test_lists_of_every_length():
    assert [listed("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(["a", "b", "c"], "or") == "a, b or c"


@given(st.floats(0, 1e6))
def test_a_duration_is_right_to_its_unit(seconds):
    text = duration(seconds)
    if text == "less than 1 s":
        assert seconds < 1
        return
    unit = {"s": 1, "min": 60, "h": 3600}
    words = text.split()
    counted = sum(int(n) * unit[u] for n, u in zip(words[::2], words[1::2], strict=True))
    assert abs(counted - seconds) <= max(0.5, 0.05 * seconds)
