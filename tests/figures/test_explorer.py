"""The explorer: its formulas are the theory's, moving a control changes the curves."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figures.explorer import PROBLEM, SCHEMES, explorer_body, write_explorer
from theory.best_tables import best_table
from theory.designs import excess, excess_of_all
from theory.optimal import optimal_weight
from theory.schemes import resolve

# The theory's quadrature promises a relative 1e-9; the page's has a third of its points.
TOLERANCE = 1e-8


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
        "design": design,
        "group_size": size,
        "update": update,
        "response": response,
        "dynamics": dynamics,
        "threshold": threshold,
    }
    for (start, target), (design, size, update, response, dynamics, threshold) in itertools.product(
        ((1e-3, 0.999), (0.01, 0.9), (0.3, 0.35), (0.6, 0.99)),
        (
            ("fixed", 2, 0, 1, "mirror", 0.5),
            ("fixed", 64, 1.5, 0, "softmax_gradient", 0.2),
            ("until_any", 5, 1, 0.1, "mirror", 0.0),
            ("until_mixed", 16, 0, 1, "mirror", 1.0),
            ("first_success", 16, 0, 1, "mirror", 0.95),
            ("population", 16, 1.5, 0.02, "softmax_gradient", 0.3),
        ),
    )
]


def setting_of(problem: dict[str, Any]) -> dict[str, Any]:
    """Arguments of theory.designs for a problem of the page."""
    grouped = problem["design"] not in ("first_success", "population")
    return {
        "design": problem["design"],
        "group_size": problem["group_size"] if grouped else None,
        "start": problem["start"],
        "target": problem["target"],
        "update_cost": problem["update"],
        "response_cost": problem["response"],
        "dynamics": problem["dynamics"],
    }


def number_of(value: float | None) -> float:
    """A number that JSON carried: it has no infinities."""
    return np.inf if value is None else value


def test_excess_is_the_theorys_under_every_design(open_page: Any) -> None:
    script = f"""{json.dumps(PROBLEMS)}.map((problem) => {{
        const found = apwTheory.solve(problem);
        return Object.fromEntries(Object.entries(found.schemes).map(
            ([name, {{energy, weight}}]) => [name, [energy, weight]]));
    }})"""
    for problem, found in zip(PROBLEMS, open_page.run(script), strict=True):
        names = [named(scheme, problem["threshold"]) for scheme in SCHEMES]
        for field, budget in enumerate(("energy", "weight")):
            expected = excess_of_all(names, budget=budget, **setting_of(problem))
            np.testing.assert_allclose(
                [number_of(found[scheme][field]) for scheme in SCHEMES],
                [expected[name] for name in names],
                rtol=TOLERANCE,
                err_msg=str(problem),
            )


def test_tables_are_the_theorys(open_page: Any) -> None:
    sizes, thresholds = [2, 3, 16], [0.0, 0.3, 1.0]
    script = f"""{json.dumps(thresholds)}.flatMap((threshold) => {sizes}.flatMap((m) => {{
        const problem = {{design: "fixed", group_size: m, threshold}};
        return {json.dumps(SCHEMES)}.map(
            (s) => apwTheory.tableOf(s, apwTheory.outcomesOf(problem), problem));
    }}))"""
    found = iter(open_page.run(script))
    for threshold, size, scheme in itertools.product(thresholds, sizes, SCHEMES):
        table = next(found)
        positive, negative = resolve(named(scheme, threshold)).table(size)
        np.testing.assert_allclose(table["positive"], positive, rtol=1e-12)
        np.testing.assert_allclose(table["negative"], negative, rtol=1e-12)


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
    # As theory.md has them for fixed groups of 16.
    assert table_row(browser, "grpo")[2:4] == ["1.023", "1.035"]
    assert "advantage of −0.2," in browser.run("document.querySelector('.answer').textContent")


def test_moving_a_control_changes_curves_table_and_sentence(browser: Any, page: Path) -> None:
    browser.open(page.as_uri())
    before = curve(browser, "explorer-weights", "Optimal")
    sentence = browser.run("document.querySelector('.answer').textContent")
    set_control(browser, "start", 0.2)
    after = curve(browser, "explorer-weights", "Optimal")
    assert after != before
    assert browser.run("document.querySelector('.answer').textContent") != sentence
    expected = excess("grpo", group_size=16, start=0.2, target=0.9)
    assert table_row(browser, "grpo")[2] == f"{expected:.3f}"
    set_control(browser, "group_size", 4)
    best = best_table(start=0.2, target=0.9, group_size=4)
    size = np.array([0.2, 0.9])
    ours = curve(browser, "explorer-weights", "Optimal")
    drifts = best.drift(size)
    assert ours[0] / ours[-1] == pytest.approx(drifts[0] / drifts[1], rel=TOLERANCE)
    assert not browser.run("document.querySelector('[data-groups]').hidden")
    set_control(browser, "design", "population")
    assert browser.run("document.querySelector('[data-groups]').hidden")
    assert browser.run("document.querySelector('[data-tables]').hidden")
    limit = optimal_weight(0.2, 0.9)
    assert table_row(browser, "grpo")[2] == f"{limit.excess('grpo'):.3f}"
    np.testing.assert_allclose(
        np.array(curve(browser, "explorer-weights", "Optimal"))[[0, -1]],
        limit.weight(np.array([0.2, 0.9])),
        rtol=TOLERANCE,
    )
    set_control(browser, "response", 0)
    set_control(browser, "update", 1)
    assert table_row(browser, "grpo")[2] == "1.000"
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


def test_it_can_be_read_on_desks_and_phones_light_and_dark(browser: Any, page: Path) -> None:
    assert browser.unreadable(page) == []


@pytest.mark.parametrize("width", [390, 1280, 1400])
def test_no_choice_of_a_menu_is_cut(browser: Any, page: Path, width: int) -> None:
    browser.open(page.as_uri(), width=width)
    # A menu as wide as it likes is as wide as its longest choice.
    cut = browser.run(
        """Array.from(document.querySelectorAll('select'), (menu) => {
            const given = menu.offsetWidth;
            Object.assign(menu.style, {width: 'max-content', flex: 'none'});
            return [menu.name, menu.offsetWidth, given];
        }).filter(([, wanted, given]) => wanted > given)"""
    )
    assert cut == []


def test_it_starts_where_it_is_told_to() -> None:
    assert '"start": 0.05' in explorer_body(start=0.05)
    with pytest.raises(ValueError, match="the explorer has no 'origin'; it has: start, target"):
        explorer_body(origin=0.1)
