"""The explorer: its formulas are the theory's, moving a control changes the curves."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figures.explorer import PROBLEM, SCHEMES, explorer_body, write_explorer
from theory.finite_group import expected_weight
from theory.optimal import optimal_weight
from theory.schemes import resolve

# The theory's quadrature promises a relative 1e-10; the page's has about as many points.
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    write_explorer(path)
    return path


@pytest.fixture(scope="module")
def open_page(browser: Any, page: Path) -> Any:
    browser.open(page.as_uri())
    return browser


def named(scheme: str, threshold: float) -> str:
    return f"plateau_r:threshold={threshold}" if scheme == "plateau_r" else scheme


def set_control(browser: Any, name: str, value: object) -> None:
    browser.run(
        f"(() => {{ const box = document.querySelector('[name={name}]'); "
        f"box.value = {json.dumps(str(value))}; "
        "box.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def curve(browser: Any, plot: str, name: str) -> list[float]:
    found = browser.run(
        f"Array.from(document.getElementById({plot!r}).data.find((t) => t.name === {name!r}).y)"
    )
    assert isinstance(found, list)
    return found


def table_row(browser: Any, scheme: str) -> list[str]:
    return browser.run(
        f"Array.from(document.querySelectorAll('[data-scheme={scheme}] td'), (c) => c.textContent)"
    )


PROBLEMS = [
    {
        "start": start,
        "target": target,
        "clock": clock,
        "dynamics": dynamics,
        "group_size": size,
        "update": 1.5,
        "response": 0.02,
        "threshold": threshold,
    }
    for (start, target), dynamics, (clock, size, threshold) in itertools.product(
        ((1e-4, 0.999), (0.01, 0.9), (0.3, 0.35), (0.6, 0.99)),
        ("mirror", "softmax_gradient"),
        (
            ("updates", 2, 0.0),
            ("responses", 16, 0.5),
            ("affine", 5, 1.0),
            ("any_success", 64, 0.95),
            ("mixed_group", 256, 0.2),
        ),
    )
]


def clock_of(problem: dict[str, Any]) -> str:
    options = {
        "affine": f":update={problem['update']},response={problem['response']}",
        "any_success": f":group_size={problem['group_size']}",
        "mixed_group": f":group_size={problem['group_size']}",
    }
    return problem["clock"] + options.get(problem["clock"], "")


def test_optima_and_excess_times_are_the_theorys(open_page: Any) -> None:
    points = [0.02, 0.5, 0.9]
    script = f"""{json.dumps(PROBLEMS)}.map((problem) => {{
        const found = apwTheory.solve(problem);
        return {{...found, optimal: {points}.map((p) => found.optimal(p, 1 - p))}};
    }})"""
    for problem, found in zip(PROBLEMS, open_page.run(script), strict=True):
        best = optimal_weight(
            problem["start"],
            problem["target"],
            clock=clock_of(problem),
            dynamics=problem["dynamics"],
        )
        assert found["time"] == pytest.approx(best.time, rel=TOLERANCE), problem
        np.testing.assert_allclose(found["optimal"], best.weight(np.array(points)), rtol=TOLERANCE)
        schemes = {scheme: named(scheme, problem["threshold"]) for scheme in SCHEMES}
        for field, size in (("limit", None), ("finite", problem["group_size"])):
            expected = best.excess_of_all(schemes.values(), group_size=size, hypothetical=True)
            for scheme, name in schemes.items():
                assert found["schemes"][scheme][field] == pytest.approx(
                    expected[name], rel=TOLERANCE
                ), (problem, scheme, field)


def test_weights_are_the_theorys_in_the_limit_and_in_groups(open_page: Any) -> None:
    points = [1e-6, 1e-3, 0.05, 0.3, 0.5, 0.8, 0.999]
    sizes, thresholds = [2, 3, 16, 64, 256], [0.0, 0.3, 1.0]
    script = f"""{json.dumps(thresholds)}.flatMap((threshold) => {json.dumps(SCHEMES)}.map((s) => [
        {points}.map((p) => apwTheory.weight(s, p, 1 - p, {{threshold}})),
        ...{sizes}.map((m) => {points}.map(
            (p) => apwTheory.expectedWeight(s, m, p, 1 - p, {{threshold}})))]))"""
    found = iter(open_page.run(script))
    success = np.array(points)
    for threshold, scheme in itertools.product(thresholds, SCHEMES):
        limit, *finite = next(found)
        name = named(scheme, threshold)
        np.testing.assert_allclose(limit, resolve(name).weight(success), rtol=1e-12)
        for size, values in zip(sizes, finite, strict=True):
            # Logarithms of binomials up to 255! ≈ e^1167 leave 1167 ulp ≈ 3e-13 at worst.
            np.testing.assert_allclose(values, expected_weight(name, size, success), rtol=1e-11)


def test_it_opens_from_a_file_without_complaint_and_loads_nothing(browser: Any, page: Path) -> None:
    browser.open(page.as_uri())
    assert browser.complaints == []
    assert (
        browser.run(
            "performance.getEntriesByType('resource').filter((e) => "
            "!e.name.startsWith('data:')).length"
        )
        == 0
    )
    assert browser.run("document.querySelectorAll('.plot .main-svg').length") >= 3
    # The published numbers of arXiv 2602.11128 and of theory.md, section 4.
    assert table_row(browser, "grpo")[2:4] == ["1.555", "2.288"]
    assert "It is the weight of Sqrt-R." in browser.run(
        "document.querySelector('.answer').textContent"
    )


def test_moving_a_control_changes_curves_table_and_sentence(browser: Any, page: Path) -> None:
    browser.open(page.as_uri())
    before = curve(browser, "explorer-weights", "Optimal")
    sentence = browser.run("document.querySelector('.answer').textContent")
    browser.run("""(() => { const slider = document.querySelector('[data-for=start]');
        slider.value = apwTheory.logit(0.2); slider.dispatchEvent(new Event('input')); })()""")
    assert browser.run("document.querySelector('[name=start]').value") == "0.2"
    after = curve(browser, "explorer-weights", "Optimal")
    expected = optimal_weight(0.2, 0.9).weight(np.array([0.2, 0.9]))
    np.testing.assert_allclose([after[0], after[-1]], expected, rtol=TOLERANCE)
    assert after != before
    assert browser.run("document.querySelector('.answer').textContent") != sentence
    limit = optimal_weight(0.2, 0.9).excess("grpo")
    assert table_row(browser, "grpo")[2] == f"{limit:.3f}"
    set_control(browser, "clock", "updates")
    assert table_row(browser, "grpo")[2] == "1.000"
    set_control(browser, "group_size", 4)
    np.testing.assert_allclose(
        curve(browser, "explorer-finite", "GRPO, M = 4")[0],
        expected_weight("grpo", 4, 0.001),
        rtol=TOLERANCE,
    )
    set_control(browser, "clock", "affine")
    assert not browser.run("document.querySelector('[data-only=affine]').hidden")
    set_control(browser, "response", 100000)
    assert float(table_row(browser, "sqrt_r")[2]) == pytest.approx(1, abs=1e-3)
    browser.run("document.querySelector('[name=draw-grpo]').click()")
    names = browser.run("document.getElementById('explorer-weights').data.map((t) => t.name)")
    assert "GRPO" not in names
    assert "Sqrt-R" in names
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("start", "2", "success at the start must lie between 0.0001 and 0.95"),
        ("start", "", "success at the start must lie between"),
        ("target", "0.005", "must lie above the success at the start"),
        ("group_size", "2.5", "must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    browser: Any, page: Path, name: str, value: str, sentence: str
) -> None:
    browser.open(page.as_uri())
    before = table_row(browser, "grpo")
    set_control(browser, name, value)
    assert sentence in browser.run("document.querySelector('.complaint').textContent")
    assert table_row(browser, "grpo") == before
    set_control(browser, name, PROBLEM[name])
    assert browser.run("document.querySelector('.complaint').hidden")
    assert browser.complaints == []


def test_a_phone_scrolls_in_one_direction_only(browser: Any, page: Path) -> None:
    browser.open(page.as_uri(), width=390)
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_it_starts_where_it_is_told_to() -> None:
    assert '"start": 0.05' in explorer_body(start=0.05)
    with pytest.raises(ValueError, match="the explorer has no 'origin'; it has: start, target"):
        explorer_body(origin=0.1)
