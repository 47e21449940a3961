"""What the form of an answer decides: each rule with pairs on either side of it."""

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_validation.answer_form import decide, literal, tolerance
from llm_validation.boxed import all_boxed
from llm_validation.restated import restates
from llm_validation.tasks import Task
from llm_validation.verifier import Verifier, _decided

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases"


def box(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


@pytest.fixture(scope="module")
def verifier():
    with Verifier(workers=1, timeout=60.0) as shared:
        yield shared


def rows(name):
    if not (CASES / name).exists():
        pytest.skip(f"{name} is not at hand")
    return [json.loads(line) for line in (CASES / name).read_text().splitlines()]


WRONG = [
    ("7919", r"\neq 7919"),
    ("7919", r"x \ne 7919"),
    ("7919", "7918=7919"),
    ("7919", "7919=7918"),
    ("101_2", "101_3"),
    ("101_2", "110_2"),
    ("4343_6", "4344"),
    ("17", "17_{18}"),
    ("(1,2)", r"\{1,2\}"),
    (r"\{1,2\}", "(1,2)"),
    ("(1,2)", "(2,1)"),
    ("[1,2]", "(1,2)"),
    (r"5\text{ cm}", r"5\text{ kg}"),
    (r"5\text{ cm}^2", r"5\text{ cm}"),
    (r"5\text{ inches}", r"5\text{ ft}"),
    ("12:30", "12/30"),
    (r"\text{4:30 p.m.}", r"\text{4:30 a.m.}"),
    ("7919", r"7919\text{ is wrong}"),
    ("7919", r"\text{not }7919"),
    ("17", r"\leq 17"),
    ("17", ">17"),
    ("2.718", "e"),
    ("3.14", r"\pi"),
    (r"\frac{2}{3}", "0.666667"),
    (r"\sqrt{2}", "1.41421356"),
    ("0", "10^{-9}"),
    ("10^{-8}", "0"),
    (r"3^{70}", r"3^{70}+1"),
    ("1, 2, \\ldots, m", r"1, 4, \ldots, 3m-2"),
    ("(-\\infty, 5)", r"x \le 5"),
    ("(0, 2.5)", "0 < x < 2.6"),
    (r"x \in [-2,7]", r"-2 < x \le 7"),
    (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup[3,\infty)"),
    ("7:32", r"7:33"),
    ("5", r"5\text{ million}"),
    ("32349", "32, 349"),
    (r"\$5", r"5\text{ cents}"),
    (r"\$30", r"30\%"),
    (r"30^\circ", r"30\text{ radians}"),
    ("7919", r"\neg 7919"),
    ("7919", r"\not{7919}"),
    ("7919", r"\lnot 7919"),
    ("7919", r"7919\text{ nope}"),
    (r"5\text{ cm}", "5kg"),
    (r"5\text{ cm}", "5 m"),
    ("5 cm", r"5\text{ kg}"),
    ("5 cm", "5 cm^2"),
    ("(1,2)", "1<x<2"),
    ("(1,2)", r"x \in (1,2)"),
    (r"\left(1,2\right)", r"1 < x < 2"),
    ("7919", r"\text{about }7919"),
    ("7919", "ca. 7919"),
    ("7919", "x =\u0338 7919"),
    ("7919", "=\u0338 7919"),
    ("7919", "79\u033619"),
    ("7919", "7919\u20e0"),
    ("7919", "✗ 7919"),
    ("7919", "✘7919"),
    ("7919", "7919 ❌"),
    ("7919", "7919 👎"),
    ("7919", r"\phantom{7919}"),
    ("7919", r"\hphantom{7919}"),
    ("7919", r"7919\text{ or so}"),
    ("7919", r"7920 \approx 7919"),
    (r"\sqrt{2}", r"\approx \sqrt{2}"),
    (r"\sqrt{2}", r"x \approx \sqrt{2}"),
    ("x", "x'"),
    ("f'(x)", "f(x)"),
    ("y=2x", "y'=2x"),
    (r"30^\circ", "30'"),
    ("7919", r"7919^{\prime}"),
    ("7919", r"7919″"),
    ("x+1", r"\hat{x}+1"),
    ("7919", r"\text{The answer is not }7919"),
    ("7919", r"\text{The answer isn't }7919"),
    ("7919", r"\text{The answer is never }7919"),
    ("7919", r"\text{The wrong answer is }7919"),
    ("7919", r"\text{The answer is }7918\text{, not }7919"),
    ("7919", r"\text{The answer is }7919\text{ or }7918"),
    ("7919", r"\text{The answer is about }7919"),
    ("7919", r"\text{The answer is twice }7919"),
    ("7919", r"\text{The answer is }-7919"),
    ("7919", r"\text{The answer is at least }7919"),
    ("7919", r"7919\text{ is not the answer}"),
    ("7919", r"7919\text{ is the wrong answer}"),
    ("7919", r"7919\text{ or more}"),
    ("7919", r"7919\text{ maybe}"),
    ("7919", r"7919\text{ squared}"),
    ("800", r"\text{The answer is }801"),
]
RIGHT = [
    ("7919", "x = 7919"),
    ("7919", "7919 = x"),
    ("7919", "7918 + 1 = 7919"),
    (r"\log_2 8 = 3", "3"),
    ("101_2", r"101_{2}"),
    ("4343_6", "4343"),
    ("17", "17_{10}"),
    ("1,2", r"\{2, 1\}"),
    (r"5\text{ inches}", r"5\text{ in.}"),
    (r"5\text{ square cm}", r"5\text{ cm}^2"),
    (r"5\text{ cm}", "5"),
    ("30", r"30\text{ apples}"),
    (r"\text{4:30 p.m.}", "4:30"),
    (r"\neq 3", r"\ne 3"),
    (r"x \neq 3", r"x \neq 3"),
    ("0.333333", r"\frac{1}{3}"),
    ("0.5", r"\frac12"),
    ("625", "625?"),
    ("(-\\infty, 5)", "x<5"),
    ("(-\\infty, 5]", r"5 \ge x"),
    ("[0, 2.5)", r"0 \le x < 2.5"),
    ("x<5", r"(-\infty,5)"),
    ("1, 2, \\ldots, m", r"1,2,\dots,m"),
    (r"\text{(C)}", "C"),
    ("0.25", r"25\%"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    ("1+\\sqrt{2}", r"\frac{1}{\sqrt{2}-1}"),
    (r"\frac{5\sqrt{42}}{27}", r"\frac{10\sqrt{10.5}}{27}"),
    ("2/3", "2/3."),
    (r"x \in [-2,7]", r"-2 \le x \le 7"),
    (r"-2 \le x \le 7", r"x \in [-2,7]"),
    (r"-2 \le x \le 7", "[-2,7]"),
    (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup(3,\infty)"),
    (r"(-\infty,1)\cup(3,\infty)", r"x<1 \text{ or } x>3"),
    (r"S_{ABC}:S=7:32", "7:32"),
    (r"\boxed{1}\boxed{2}", "2,1"),
    (r"$${1,2,3}$$", "3,2,1"),
    (r"5\text{ cm}", "x = 5"),
    ("12", r"\$12.00"),
    (r"30^\circ", "30"),
    ("0,111", "0.111"),
    (r"30^\circ", r"30\text{ degrees}"),
    (r"\$5", r"5\text{ dollars}"),
    (r"5\text{ million}", r"5{,}000{,}000"),
    (r"5\text{ cm}", "5cm"),
    ("5m", "5m"),
    ("3.14", r"\pi \approx 3.14"),
    ("3.14", r"\approx 3.14"),
    ("3.14", r"\text{about }3.14"),
    (r"\frac{22}{7}", r"\frac{22}{7} \approx 3.14"),
    (r"\frac{22}{7}", r"x = \frac{22}{7} \approx 3.14"),
    (r"\frac{22}{7}", r"\frac{22}{7}\text{, about }3.14"),
    (r"\approx 8.24 \text{ mph}", "8.24"),
    ("(0, 2.5)", "0 < x < 2.5"),
    (r"5~\text{cm}", r"5\text{ cm}"),
    ("2x", "f'(x) = 2x"),
    (r"5\text{ ft}", "5'"),
    (r"5\text{ inches}", "5''"),
    ("30'", "30"),
    ("7919", r"\text{The answer is }7919"),
    ("7919", r"\text{The answer is 7919.}"),
    ("7919", r"\text{Answer: }7919"),
    ("7919", r"\textbf{Final answer:} 7919"),
    ("7919", "The answer is 7919"),
    ("7919", r"\text{Therefore, the final answer is } x = 7919"),
    ("7919", r"7919\text{ is the answer}"),
    ("7919", r"7919\text{, which is the correct answer.}"),
    ("7919", r"\underline{7919}"),
    ("7919", r"\implies x=7919"),
    ("7919", "“7919”"),
    (r"\frac{1}{2}", r"\text{The answer is }\frac{2}{4}"),
    (r"\text{Evelyn}", r"\text{The answer is Evelyn}"),
    (r"5\text{ cm}", r"\text{The length is }5\text{ cm}"),
    (r"x \in (1,2)", "1<x<2"),
    ("[1,2]", r"1 \le x \le 2"),
    (r"(1,\infty)", "x>1"),
]


def test_what_another_form_makes_another_answer(verifier):
    outcomes = verifier.score([gold for gold, _ in WRONG], [box(answer) for _, answer in WRONG])
    assert dict(zip(WRONG, outcomes, strict=True)) == dict.fromkeys(WRONG, "wrong")


def test_what_another_form_leaves_right(verifier):
    outcomes = verifier.score([gold for gold, _ in RIGHT], [box(answer) for _, answer in RIGHT])
    assert dict(zip(RIGHT, outcomes, strict=True)) == dict.fromkeys(RIGHT, "correct")


RELATIONS = """
approx approxeq sim simeq cong thickapprox thicksim backsim backsimeq doteq asymp doteqdot eqsim
bumpeq circeq triangleq fallingdotseq equiv propto varpropto models to vdash perp parallel mid ni
subset subseteq supset supseteq sqsubset sqsubseteq prec succ preceq succeq precsim succapprox
lesssim gtrsim lessapprox gtrapprox lessgtr leqq geqq lneq gneq nless ngtr nleq ngeq nsim ncong in
notin neq ne leq geq lt gt ll gg leqslant lll ggg bowtie smile between gets rightarrow leftarrow
longrightarrow le leftrightarrow Leftarrow uparrow mapsto leadsto because hookrightarrow
vartriangleleft ge trianglelefteq nmid nparallel nsubseteq rightharpoonup
"""
SIGNS = "∼∽≂≃≅≈≊≋≌≍≎≏≐≑≒≓≔≕≖≗≘≙≚≛≜≝≞≟≠≡≢≣≤≥≦≧≨≩≪≫≬≭≮≯≰≱≲≳≴≵≶≷≸≹≺≻≼≽≾≿⊀⊁⊂⊃⊄⊅⊆⊇⊈⊉⊊⊋⊏⊐⊑⊒⊢⊣⊥"
SIGNS += "∈∉∊∋∌∍∝∣∤∥∦∵⊨⊩⊰⊱⊲⊳⊴⊵⋍⋐⋑⋕⋖⋗⋘⋙⋚⋛⋜⋝⋞⋟⋠⋡⋦⋧⋨⋩⋪⋫⋬⋭⩽⩾⪅⪆←↑→↓↔↦↪⇌⇐⟵⟶⟷⟸⟼"


@pytest.mark.parametrize(
    "sign", [*(f"\\{name}" for name in RELATIONS.split()), *SIGNS, "=?", "= ~"]
)
def test_no_relation_but_equality_says_a_value(sign: str) -> None:
    for gold in ("7919", r"\frac{3}{4}", r"\sqrt{2}"):
        for answer in (
            f"{sign} {gold}",
            f"x {sign} {gold}",
            rf"\text{{The answer }} {sign} {gold}",
        ):
            assert _decided(gold, answer) == "wrong", answer
        assert _decided(f"x {sign} {gold}", f"x {sign} {gold}") == "correct"


def test_a_tilde_before_a_number_says_about_and_between_words_is_a_blank() -> None:
    assert _decided("7919", "~7919") == "wrong"
    assert _decided("7919", "x = ~7919") == "wrong"
    assert _decided(r"5\text{ cm}", r"5~\text{cm}") == "correct"


DECORATIONS = [
    "{0}'",
    "{0}''",
    "{0}’",
    "{0}^\\prime",
    "{0}^{{\\prime\\prime}}",
    "{0}^*",
    "{0}^{{*}}",
    "{0}^\\dagger",
    "{0}^\\star",
    "{0}^+",
    "{0}^{{-}}",
    *(
        f"\\{name}{{{{{{0}}}}}}"
        for name in (
            *(
                "hat",
                "widehat",
                "tilde",
                "widetilde",
                "bar",
                "dot",
                "ddot",
                "acute",
                "grave",
                "breve",
            ),
            *("check", "mathring", "overline", "cancel", "xcancel", "bcancel", "sout", "not"),
            *("overrightarrow", "overbrace", "underbrace"),
        )
    ),
]


@pytest.mark.parametrize("form", DECORATIONS)
def test_no_prime_or_mark_is_dropped(form: str) -> None:
    for gold in ("7919", "x", r"\sqrt{x}"):
        answer = form.format(gold)
        assert _decided(gold, answer) == "wrong", answer
        assert _decided(answer, answer) == "correct"


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("I think the answer is not 7919.", "wrong"),
        ("It isn't 7919.", "wrong"),
        ("So it must be at least 7919.", "wrong"),
        ("The answer is approximately 7919.", "wrong"),
        (r"Hence $x \approx 7919$.", "wrong"),
        (r"Hence $x \neq 7919$.", "wrong"),
        ("7919 is wrong.", "wrong"),
        ("It is not 7918 but 7919.", "correct"),
        ("Not 7918. The answer is 7919.", "correct"),
        (r"Hence $x = 7919$.", "correct"),
    ],
)
def test_a_denial_outside_of_a_box_is_one(verifier, response, outcome):
    assert verifier.score(["7919"], [response]) == [outcome]


def test_a_pair_is_an_interval_where_its_problem_asks_for_one(verifier):
    golds, boxes = ["(1,2)"] * 4, [box("1<x<2")] * 3 + [box("(1,2)")]
    asked = ["Solve the inequality $|2x-3| < 1$.", "Find the vertex.", "", "What is the domain?"]
    found = verifier.score(golds, boxes, asked)
    assert found == ["correct", "wrong", "wrong", "correct"]


def test_a_sentence_around_the_answer_does_not_hide_a_restated_problem():
    with Verifier(workers=1, timeout=60.0, refuse_restated=True) as strict:
        for answer, outcome in (
            (r"\text{The answer is }45^2-35^2", "wrong"),
            (r"\text{The answer is }\frac{1600}{2}", "correct"),
            (r"\text{The answer is }800", "correct"),
        ):
            assert strict.score(["800"], [box(answer)], ["Compute 45^2-35^2."]) == [outcome], answer


@pytest.mark.parametrize(
    ("gold", "response", "outcome"),
    [
        ("17", r"\boxed{16} or \boxed{17}", "wrong"),
        ("17", r"\boxed{17} or \boxed{16}", "wrong"),
        ("17", r"\boxed{17}, that is \boxed{\frac{34}{2}}", "correct"),
        ("1,2", r"\boxed{1} and \boxed{2}", "correct"),
        (r"\{1,2\}", r"\boxed{2} and \boxed{1}", "correct"),
        ("1,2", r"\boxed{1} and \boxed{3}", "wrong"),
        ("1,2", r"\boxed{1}, \boxed{2} and \boxed{3}", "wrong"),
        ("(1,2)", r"\boxed{1} and \boxed{2}", "wrong"),
        ("7,200", r"\boxed{7} and \boxed{200}", "wrong"),
        (r"$${1,2,3}$$", r"\boxed{1},\boxed{2},\boxed{3}", "correct"),
        ("12:00", "$12:00$", "correct"),
        (r"x \in [-2,7]", r"$-2 \le x \le 7$", "correct"),
        ("7", r"<think>\boxed{8}? no</think> \boxed{7}", "correct"),
        ("8", r"<think>\boxed{8}? no</think> \boxed{7}", "wrong"),
    ],
)
def test_several_boxes_are_one_list_or_agree(verifier, gold, response, outcome):
    assert verifier.score([gold], [response]) == [outcome]


def test_small_inputs_with_known_answers(verifier):
    known = rows("verifier.jsonl")
    outcomes = verifier.score([row["gold"] for row in known], [row["response"] for row in known])
    for row, outcome in zip(known, outcomes, strict=True):
        assert (outcome == "correct") == (row["expected"] == "correct"), row


def test_restated_problems_are_refused_and_solved_ones_are_not():
    known = rows("restated.jsonl")
    with Verifier(workers=1, timeout=60.0, refuse_restated=True) as strict:
        task = Task("t", (), (), "", "", strict)
        columns = [[row[name] for row in known] for name in ("gold", "response", "problem")]
        outcomes = task.score(*columns)
    for row, outcome in zip(known, outcomes, strict=True):
        assert (outcome == "correct") == (row["kind"] == "solved"), row


@pytest.mark.parametrize("gold", ["12", "-3", "0.5", r"\frac{4}{5}", "1,000", r"5\text{ cm}"])
def test_a_reference_answer_is_never_restated(gold):
    assert not restates(f"What is {gold}?", gold, gold)
    assert not restates(f"What is {gold}?", gold, f"x = {gold}")


@given(st.integers(-999, 999), st.integers(2, 99))
def test_work_left_is_refused_and_numbers_are_not(value, part):
    for work in (f"{value - part}+{part}", f"{value * part}\\div{part}", f"\\sqrt{{{value**2}}}"):
        assert restates("", str(value), work)
    for number in (f"{value}", f"{value}.0", f"x={value}", f"\\frac{{{value * part}}}{{{part}}}"):
        assert not restates("", str(value), number), number


SMALL = st.integers(2, 40)


@settings(max_examples=15, deadline=None)
@given(st.integers(30, 400), st.integers(1, 3), st.sampled_from([1, -1]), SMALL, st.integers(0, 2))
def test_tiny_and_huge_numbers_are_compared_exactly(verifier, size, step, sign, base, shape):
    form = (r"\frac{1}{N!}", rf"\frac{{1}}{{{base}^{{N}}}}", rf"{base}^{{N}}")[shape]
    gold, other = (form.replace("N", str(n)) for n in (size, size + sign * step))
    same = rf"2\cdot {gold}\cdot\frac{{1}}{{2}}"
    found = verifier.score([gold] * 2, [box(other), box(same)])
    assert found == ["wrong", "correct"], (gold, other)


numbers = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.tuples(st.integers(-999, 999), st.integers(0, 999)).map(lambda p: f"{p[0]}.{p[1]:03}"),
    st.tuples(st.integers(0, 999), st.integers(1, 999)).map(
        lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}"
    ),
)


@settings(max_examples=40, deadline=None)
@given(numbers, numbers, st.booleans())
def test_numbers_decided_on_the_spot_agree_with_the_workers(verifier, gold, other, same):
    answer = gold if same else other
    if not same:
        assert literal(gold) is not None
    here = verifier._at_once(gold, box(answer))
    assert here is not None
    assert verifier._ask([(gold, box(answer))]) == {(gold, box(answer)): here}


@given(st.integers(-999, 999), st.integers(1, 999))
def test_literals_are_read_exactly(above, below):
    sign = "-" if above < 0 else ""
    for text in (f"{above}/{below}", f"{sign}\\frac{{{abs(above)}}}{{{below}}}"):
        assert literal(text) == Fraction(above, below)
    assert literal(f"{above}.{below:03}") == Fraction(f"{above}.{below:03}")


@given(st.floats(0.01, 1000).filter(lambda x: not math.isinf(x)), st.integers(0, 12))
def test_what_rounds_to_a_long_decimal_is_within_its_tolerance(value, places):
    gold = f"{value:.{places}f}"
    significant = len(gold.replace(".", "").lstrip("0"))
    expected = Fraction(1, 2 * 10**places) if significant >= 6 and places else 0
    assert tolerance(gold) == expected
    if expected:
        assert abs(Fraction(value) - Fraction(gold)) <= tolerance(gold)


@given(st.text(alphabet="\\boxed{}12 <think>/", max_size=300))
def test_boxes_are_found_in_any_text(text):
    found = all_boxed(text)
    assert len(found) == len(set(found)) <= 8
    assert all(content in text for content in found)


HOSTILE = ["{" * 2000, "=" * 2000, "1=" * 900, "a<" * 900, "\\text{" * 300, ",(" * 900, "1" * 2000]
HOSTILE += ["\\frac" * 400, "0." * 900, "_{" * 900, "\\ldots," * 200, "\\{" * 900, ".?" * 900]
HOSTILE += [
    "so " * 600,
    "the answer is " * 140,
    "'" * 2000,
    "\\approx " * 220,
    "about " * 330,
    "~" * 2000,
]
HOSTILE += [
    "\\underline{" * 180,
    "x_{" * 600,
    "\\{" * 900 + "\\}",
    "\\text{about" * 150,
    "$" * 2000,
]
HOSTILE += ["the final correct " * 110, " " * 2000, "is the " * 280, "^{\\prime " * 200]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:6])
def test_no_form_takes_long_to_read(text):
    import time

    from llm_validation import answer_claim as claim
    from llm_validation import answer_form as form

    start = time.process_time()
    for gold, answer in ((text, "1"), ("1", text), (text, text + "1")):
        claim.claimed(gold, claim.value_of(gold, answer))
        claim.denied(gold, answer)
        form.as_asked(gold, answer)
        form.decide(gold, answer)
        form.sides(answer)
        form.as_interval(answer)
        form.listed(gold)
        restates(gold, gold, answer)
    assert time.process_time() - start < 2  # linear: a few milliseconds


@pytest.mark.parametrize("digits", [3, 20, 60, 150])
def test_irrational_numbers_are_compared_to_the_digit_where_they_part(digits: int) -> None:
    import sympy

    from llm_validation.exact import exactly_equal

    large = sympy.Integer(10) ** digits
    near = sympy.sqrt(large**2 + 1)
    assert not exactly_equal([near], [large], Fraction(0), percent=False)
    assert exactly_equal([near], [sympy.sqrt(large**2 + 1, evaluate=False)], Fraction(0), False)
    nested = sympy.sqrt(5 + 2 * sympy.sqrt(6))
    same = (sympy.sqrt(2) + sympy.sqrt(3)) * large / large
    assert exactly_equal([nested], [same], Fraction(0), percent=False)
    assert not exactly_equal([nested], [same + 1 / large], Fraction(0), percent=False)


@given(
    before=st.integers(0, 99),
    after=st.text("0123456789", max_size=3),
    period=st.text("0123456789", min_size=1, max_size=6),
)
def test_recurring_decimals_are_the_quotients_they_write_down(
    before: int, after: str, period: str
) -> None:
    # Long division by hand: the digits after the point, so often repeated that rest is below 1e-60.
    digits = after + period * 70
    value = Fraction(int(f"{before}{digits}"), 10 ** len(digits)).limit_denominator(10**10)
    quotient = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    for text in (
        rf"{before}.{after}\overline{{{period}}}",
        rf"{before}.{after}\bar{{{period}}}",
        f"{before}.{after}{period * 3}...",
        rf"{before}.{after}{period * 3}\ldots",
    ):
        assert decide(quotient, text)[0] is True
        assert decide(text, quotient)[0] is True
        assert decide(f"{value + 1}", text)[0] is False
    assert decide(rf"{before}.\overline{{{period}}}", f"{before}.5{period}")[0] is not True


def test_dots_after_digits_that_do_not_recur_say_nothing() -> None:
    for text in ("3.1415...", "0.33...", "0.12...", "0.1155..."):
        assert decide("1/3", text) == decide(text, "1/3") == (None, "")
