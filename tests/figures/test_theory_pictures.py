"""Figures of the theory: their tables against formulas, their captions against their tables."""

from __future__ import annotations

import numpy as np
import pytest

from claims.records import published_checks
from figures.excess import excess_picture
from figures.optimal_weights import optimal_weights_picture, optimal_weights_table
from figures.problem import design_picture, problem_picture
from figures.spending import spending_picture
from figures.weights import weights_picture, weights_table
from theory.best_tables import best_table
from theory.designs import excess
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES


def test_weights_are_the_papers_formulas() -> None:
    table = weights_table(["grpo", "sqrt_r"], points=5)
    for scheme, weight in (
        ("grpo", lambda p: 1 / np.sqrt(p * (1 - p))),
        ("sqrt_r", lambda p: 1 / (p * np.sqrt(1 - p))),
    ):
        part = table[table["scheme"] == scheme]
        p = part["success"].to_numpy()
        np.testing.assert_allclose(part["weight"], weight(p), rtol=1e-12)
        np.testing.assert_allclose(part["effective_weight"], weight(p) * p * (1 - p), rtol=1e-12)
        slope = np.gradient(part["surrogate"], p)[2] * weight(0.5)
        assert slope > 0
        assert part["surrogate"].iloc[2] == pytest.approx(0, abs=1e-12)


def test_the_caption_of_weights_names_who_ignores_hard_prompts() -> None:
    caption = weights_picture(["rloo", "grpo", "sqrt_r", "uniform_r"]).caption
    assert "RLOO and GRPO goes to zero" in caption
    assert "Sqrt-R and Uniform-R keep it at 1" in caption


def test_optimal_weights_have_the_named_shapes_and_unit_budgets() -> None:
    table = optimal_weights_table(starts=(0.01, 0.1), points=2001)
    for clock, scheme in (("updates", "grpo"), ("responses", "sqrt_r")):
        part = table[(table["clock"] == clock) & (table["start"] == 0.01)]
        ratio = part["weight"] / SCHEMES[scheme].weight(part["success"].to_numpy())
        np.testing.assert_allclose(ratio, ratio.iloc[0], rtol=1e-10)
    for _, part in table.groupby(["clock", "start"]):
        # The trapezoid rule on 2,001 points is good to 1e-5 here.
        assert np.trapezoid(part["weight"], part["success"]) == pytest.approx(1, rel=1e-4)


def test_the_picture_of_excess_is_the_theorys_under_a_design() -> None:
    picture = excess_picture(["grpo", "rloo"], points=2)
    chosen = picture.data.set_index(["design", "scheme", "start"])["excess"]
    expected = excess("grpo", group_size=16, start=0.5, target=0.9)
    assert chosen["fixed", "grpo", 0.5] == pytest.approx(expected, rel=1e-9)
    assert (picture.data["excess"] >= 1 - 1e-9).all()
    worst = excess("grpo", design="population", start=0.001, target=0.9)
    assert f"a factor of {worst:.2g} in that limit" in picture.caption


def test_pictures_of_population_weights_say_that_no_group_has_them() -> None:
    """Their clocks charge waiting, and weights of groups are those that did not wait."""
    for picture in (
        optimal_weights_picture(starts=(0.01, 0.1)),
        problem_picture(optimal_weight(0.01, 0.9), ["grpo"]),
    ):
        assert "limit of large groups" in f"{picture.title}: {picture.caption}"
    assert not any("group" in clock for clock in optimal_weights_table(starts=[0.1])["clock"])


def test_the_picture_of_spending_says_what_the_best_choice_saves() -> None:
    picture = spending_picture()
    theory = picture.data[picture.data["source"] == "theory"]
    chosen = theory.set_index(["regime", "way"])["ratio"]
    for regime, target in picture.data.groupby("regime")["target"].first().items():
        ratios = chosen[regime]
        assert ratios["Dynamic sampling"] == 1
        assert ratios.drop("CurveRL").min() == ratios["Best choice, sizes and weights"]
        assert f"{1 - ratios['Best choice']:.0%}" in picture.caption
        assert f"{regime}\\nto a mean of {target:g}" in str(
            [axes.get_title() for axes in picture.draw("dark").axes]
        )
    assert np.isinf(chosen["after fine-tuning", "Difficulty pool"])
    simulated = picture.data[picture.data["source"] == "sim"]
    assert len(simulated) == 3 * 10
    assert (
        (simulated["low"] < simulated["ratio"]) & (simulated["ratio"] < simulated["high"])
    ).all()
    for check in published_checks("sim", "S1"):  # the paired ratios of the ledger
        here = (simulated["regime"] == check.regime) & (simulated["way"] == "Best choice")
        np.testing.assert_allclose(
            np.log(simulated.loc[here, "ratio"]), check.measurement, atol=1e-4
        )


@pytest.mark.parametrize(
    "picture",
    [
        weights_picture(["grpo", "sqrt_r"]),
        optimal_weights_picture(starts=(0.01, 0.1)),
        excess_picture(["grpo", "sqrt_r"], points=3),
        problem_picture(optimal_weight(0.01, 0.9), ["grpo", "ppo", "sqrt_r"]),
        design_picture(
            best_table(start=0.01, target=0.9, group_size=4),
            {"grpo": 1.1, "rloo": 1.2},
            np.linspace(0.1, 0.8, 9),
        ),
        problem_picture(optimal_weight(0.0, 1.0, clock="updates"), ["grpo", "rloo"]),
    ],
    ids=lambda picture: picture.name,
)
def test_every_picture_can_be_drawn(picture) -> None:  # type: ignore[no-untyped-def]
    assert picture.render("svg").count(b"<path") > 10
    assert len(picture.data) > 10
    assert picture.caption.endswith(".")
    assert picture.alternative
