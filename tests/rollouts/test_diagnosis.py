"""Outcomes, masses, sums over responses and words, on groups whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures.diagnosis import diagnosis_picture
from rollouts.groups import Groups, whole_groups
from rollouts.outcomes import PASS_RATES, add_up, coefficients, in_bins, outcome_table, scheme_mass
from rollouts.responses import lens_sums, response_sums
from rollouts.sentences import sentences
from rollouts.tables import lens_on_all_wrong, mass_table, step_table
from rollouts.tally import RECENT_GROUPS, Tally, bins_of_steps
from theory.schemes import SCHEMES, Scheme, resolve

GRPO = resolve("grpo")


def named(*names: str) -> dict[str, Scheme]:
    return {name: resolve(name) for name in names}


def groups_of(*outcomes: tuple[int, int, int], **columns: np.ndarray) -> Groups:
    """Groups given as (step, size, correct), each of a prompt of its own."""
    step = np.concatenate([np.full(size, at) for at, size, _ in outcomes])
    prompt = np.concatenate([np.full(size, i) for i, (_, size, _) in enumerate(outcomes)])
    success = np.concatenate([np.arange(size) < correct for _, size, correct in outcomes])
    return whole_groups(step, prompt.astype(np.uint64), success, **columns)


def tallied(*batches: Groups) -> Tally:
    tally = Tally()
    for batch in batches:
        tally.add(batch)
    return tally


def test_outcomes_are_counted_by_step_size_and_correct() -> None:
    groups = groups_of((1, 4, 0), (1, 4, 0), (1, 2, 1), (1, 4, 4), (2, 4, 0))
    assert outcome_table(groups).values.tolist() == [
        [1, 2, 1, 1],
        [1, 4, 0, 2],
        [1, 4, 4, 1],
        [2, 4, 0, 1],
    ]


@given(size=st.integers(1, 64), data=st.data(), bins=st.integers(1, 12))
def test_bins_hold_what_fractions_say(size: int, data: st.DataObject, bins: int) -> None:
    correct = data.draw(st.integers(0, size))
    place = int(in_bins(np.array([size]), np.array([correct]), bins)[0])
    if correct in (0, size):
        assert place == (bins + 1 if correct == size else 0)
    else:
        assert (place - 1) * size < correct * bins <= place * size


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if scheme.has_table])
@pytest.mark.parametrize("size", [1, 2, 8])
def test_coefficients_are_those_of_the_schemes_tables(name: str, size: int) -> None:
    scheme = resolve(name)
    correct = np.arange(size + 1)
    positive, negative = coefficients(scheme, np.full(size + 1, size), correct)
    try:
        expected = scheme.table(size)
    except ValueError:  # too small a group to compare anything in
        expected = (np.zeros(size + 1), np.zeros(size + 1))
    np.testing.assert_allclose(positive, expected[0], rtol=1e-14)
    np.testing.assert_allclose(negative, expected[1], rtol=1e-14)


def test_mass_by_hand() -> None:
    table = outcome_table(groups_of((1, 4, 0), (1, 4, 1), (1, 4, 4)))
    grpo = scheme_mass(resolve("grpo"), table)
    assert grpo["mass"].tolist() == pytest.approx([0, math.sqrt(3) + 3 / math.sqrt(3), 0])
    assert grpo["zero_advantage"].tolist() == [4, 0, 4]
    assert scheme_mass(resolve("linear_r"), table)["mass"].tolist() == [4, 6, 0]
    assert scheme_mass(resolve("nsr"), table)["zero_advantage"].tolist() == [0, 1, 4]
    with pytest.raises(ValueError, match="lens has no table"):
        scheme_mass(resolve("lens"), table)


def test_batches_add_up_whatever_their_bounds() -> None:
    generator = np.random.default_rng(1)
    outcomes = [
        (step, size, int(generator.integers(0, size + 1)))
        for step in range(5)
        for size in (1, 4, 8, 8)
    ]
    rows = sum(size for _, size, _ in outcomes)
    columns = {
        "text": generator.integers(0, 4, rows).astype(np.uint64),
        "log_confidence": -generator.exponential(size=rows),
        "length": generator.integers(1, 90, rows).astype(float),
        "log_ratio": 300 * generator.normal(size=rows),
    }
    columns["log_confidence"][::7] = np.nan
    columns["log_ratio"][::5] = np.nan
    whole = groups_of(*outcomes, **columns)
    pieces, at = [], 0
    for first in range(0, len(outcomes), 3):
        part = outcomes[first : first + 3]
        count = sum(size for _, size, _ in part)
        pieces.append(groups_of(*part, **{k: v[at : at + count] for k, v in columns.items()}))
        at += count
    one, many = tallied(whole).result(), tallied(*pieces).result()
    pd.testing.assert_frame_equal(one.outcomes, many.outcomes)
    assert one.lens is not None
    assert many.lens is not None
    pd.testing.assert_frame_equal(one.lens, many.lens, check_dtype=False)
    table, other = step_table(one, GRPO), step_table(many, GRPO)
    pd.testing.assert_frame_equal(table, other, rtol=1e-12)
    # Ratios of e^300 and their squares neither overflow nor vanish in the effective sample.
    assert table["effective_sample_size"].between(0, 1).all()
    assert step_table(one, GRPO, rows=1)["effective_sample_size"].item() == pytest.approx(
        step_table(many, GRPO, rows=1)["effective_sample_size"].item(), rel=1e-12
    )


def test_an_effective_sample_is_whole_without_mismatch_and_one_response_at_worst() -> None:
    same = groups_of((1, 4, 1), log_ratio=np.full(4, -3.0))
    assert step_table(tallied(same).result(), GRPO)["effective_sample_size"].item() == 1
    worst = groups_of((1, 4, 1), log_ratio=np.array([900.0, 0, 0, 0]))
    table = step_table(tallied(worst).result(), GRPO)
    assert table["effective_sample_size"].item() == pytest.approx(0.25)
    assert table["k3"].item() == math.inf


def test_repetitions_are_found_in_any_order() -> None:
    text = np.array([5, 7, 5, 0, 0, 5, 5, 5], dtype=np.uint64)
    sums = response_sums(groups_of((1, 5, 0), (1, 3, 0), text=text))
    assert (sums["texts"].item(), sums["repeated"].item()) == (6, 3)


def test_lens_pushes_confident_wrong_answers_down_by_its_formula() -> None:
    confidence = np.array([0.8, 0.4, 0.1])
    table = lens_sums(groups_of((1, 3, 0), log_confidence=np.log(confidence)), resolve("lens"))
    penalty = confidence / (2 * 0.8 - confidence) / 3
    advantage = -0.25 * (penalty - penalty.mean())
    assert table["mass"].item() == pytest.approx(np.abs(advantage).sum())
    assert table["raised"].item() == np.count_nonzero(advantage > 0)
    assert table["advantage_largest"].item() == pytest.approx(-advantage[0])
    assert table["confidence"].item() == pytest.approx(0.8)


def test_today_is_the_latest_steps_with_enough_groups() -> None:
    batches = [groups_of(*[(step, 4, step % 5)] * 400) for step in range(6)]
    recent = tallied(*batches).result().recent
    # Three steps of 400 hold 1,000 groups, of the same 400 prompts.
    assert RECENT_GROUPS <= 3 * 400
    assert len(recent) == 400
    assert recent["responses"].unique().tolist() == [12]
    assert recent["correct"].unique().tolist() == [3 + 4 + 0]
    assert recent["step"].unique().tolist() == [5]


def test_too_many_steps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollouts.tally.MOST_STEPS", 3)
    with pytest.raises(ValueError, match=r"more than 3 different steps.*--step.*--every"):
        tallied(groups_of(*[(step, 2, 1) for step in range(4)])).result()
    with pytest.raises(ValueError, match="no group"):
        Tally().result()


def test_bins_of_steps_are_equally_many_steps() -> None:
    assert bins_of_steps(np.array([7, 7, 2, 9, 30]), 2).tolist() == [2, 2, 2, 9, 9]
    table = step_table(
        tallied(groups_of(*[(s, 2, s % 3) for s in range(7)])).result(), GRPO, rows=3
    )
    assert table[["step", "last_step", "groups"]].values.tolist() == [
        [0, 2, 3],
        [3, 5, 3],
        [6, 6, 1],
    ]
    assert table[[f"groups {name}" for name in PASS_RATES]].sum(axis=1).tolist() == [3, 3, 1]


def test_schemes_that_need_what_is_not_known_are_refused() -> None:
    rollouts = tallied(groups_of((1, 2, 1))).result()
    with pytest.raises(ValueError, match=r"lens needs log-prob.*--log-prob and --length"):
        mass_table(rollouts, {"lens": resolve("lens")})
    with pytest.raises(ValueError, match="ppo has no table"):
        mass_table(rollouts, {"ppo": resolve("ppo")})
    assert lens_on_all_wrong(rollouts) is None


def said(*groups: Groups, scheme: str = "grpo") -> str:
    rollouts = tallied(*groups).result()
    others = ["sqrt_r", *(["lens"] if rollouts.lens is not None else [])]
    return "\n".join(sentences(rollouts, named(scheme, *others)))


def test_words_say_what_the_tables_say() -> None:
    columns = {"log_confidence": np.full(16, -0.1), "length": np.full(16, 10.0)}
    columns |= {"log_ratio": np.tile([2.0, -2.0], 8), "text": np.ones(16, np.uint64)}
    words = said(groups_of((1, 4, 0), (1, 4, 0), (2, 4, 1), (3, 4, 4), **columns))
    assert "50% of the groups are all wrong, 25% mixed and 25% all right" in words
    assert "75% of the responses taught nothing, because GRPO gave them advantage 0" in words
    assert "100% of GRPO's gradient mass lies in groups with at most a quarter" in words
    assert "From step 1 to step 3, the pass rate went from 0% to 100%" in words
    assert "the share of all-wrong groups from 100% to 0%" in words
    assert "LENS would give the 2 all-wrong groups 0% of its gradient mass" in words
    assert "entropy from about 0.100 to 0.100 nats per token, which is steady" in words
    assert "75% of the responses repeat another" in words
    assert "importance weights would keep 52% of the sample" in words


def test_words_do_without_what_is_not_known() -> None:
    words = said(groups_of((1, 4, 4)))
    assert "Under GRPO no response taught anything" in words
    assert "cannot be said: it takes the responses' log-probabilities" in words
    assert "entropy" not in words
    assert "From" not in words


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_draws_its_tables(theme: str) -> None:
    rollouts = tallied(groups_of((1, 4, 0), (1, 4, 1), (5, 4, 2), (5, 4, 4))).result()
    steps, mass = step_table(rollouts, GRPO), mass_table(rollouts, named("grpo", "sqrt_r"), rows=1)
    picture = diagnosis_picture(steps, mass, "grpo")
    assert picture.render("svg", theme).startswith(b"<?xml")  # type: ignore[arg-type]
    shares = picture.data[picture.data["panel"] == "groups"]
    assert shares.groupby("step")["value"].sum().tolist() == [1.0, 1.0]
    assert "0% are all wrong" in picture.caption


def test_maxima_stay_maxima_when_sums_are_added() -> None:
    parts = [response_sums(groups_of((1, 2, 1), log_ratio=np.array([d, 0.0]))) for d in (-3.0, 2)]
    total = add_up(parts, ["step"])
    assert total["log_ratio_largest"].item() == 3
    weight = total["ratio"].item() * math.exp(total["ratio_shift"].item())
    assert weight == pytest.approx(math.exp(-3) + math.exp(2) + 2)
