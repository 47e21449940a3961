"""Expressions: the list against brute force, the reader against Python's own."""

import ast
import itertools
import operator
import random
import re
from fractions import Fraction

import pytest

from llm_validation.tasks.expressions import legal_expressions, number, product, read, spell, total

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
NODES = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def tree_values(numbers, legal):
    """Values of all trees over all orders of the numbers; legal ones have positive steps alone."""
    if len(numbers) == 1:
        return {Fraction(numbers[0])}
    found = set()
    for size in range(1, len(numbers)):
        for chosen in itertools.combinations(range(len(numbers)), size):
            left = [numbers[i] for i in chosen]
            right = [numbers[i] for i in range(len(numbers)) if i not in chosen]
            pairs = itertools.product(tree_values(left, legal), tree_values(right, legal))
            for (a, b), (sign, apply) in itertools.product(pairs, OPERATORS.items()):
                if sign == "/" and b == 0:
                    continue
                if not legal or apply(a, b) > 0:
                    found.add(apply(a, b))
    return found


@pytest.mark.parametrize(
    ("numbers", "inequivalent"), [((7,), 1), ((11, 101), 6), ((101, 1009, 10007), 68)]
)
def test_every_inequivalent_expression_is_listed_once(numbers, inequivalent):
    # Of numbers so far apart no two inequivalent expressions are worth the same. Of two numbers
    # there are 6 such expressions, of three 68, of four 1170 (OEIS A140606), signs included.
    values = tree_values(numbers, legal=False)
    assert len(values) == inequivalent
    listed = [e.value for e in legal_expressions(numbers)]
    assert sorted(listed) == sorted(value for value in values if value > 0)


def test_four_numbers_have_1170_inequivalent_expressions():
    numbers = (101, 1009, 10007, 1000003)
    values = tree_values(numbers, legal=False)
    assert len(values) == 1170
    assert sorted(e.value for e in legal_expressions(numbers)) == sorted(v for v in values if v > 0)


@pytest.mark.parametrize("numbers", [(1, 1, 1), (2, 2, 5), (3, 3, 3, 3), (1, 2, 14, 15)])
def test_what_can_be_reached_by_positive_steps_is_what_brute_force_reaches(numbers):
    listed = legal_expressions(numbers)
    assert {e.value for e in listed} == tree_values(numbers, legal=True)
    assert len({e.text for e in listed}) == len(listed)


def test_every_listed_expression_is_read_back_as_it_stands():
    for numbers in ((1, 1, 2), (3, 11, 14), (2, 5, 7, 15)):
        for expression in legal_expressions(numbers):
            assert read(expression.text) == expression
            assert expression.numbers == numbers


def written(rng, numbers):
    """A random expression of some numbers in a random spelling."""
    if len(numbers) == 1:
        text = spell(numbers[0])
    else:
        cut = rng.randrange(1, len(numbers))
        left, right = written(rng, numbers[:cut]), written(rng, numbers[cut:])
        sign = rng.choice("+-*/")
        brackets = [rng.choice(["({})", "({})", "{}"]).format(part) for part in (left, right)]
        text = sign.join(brackets)
    return f"({text})" if rng.random() < 0.1 else text


def python_value(text):
    """The value Python's grammar gives an expression, its numbers read to the base 36."""
    decimal = re.sub(r"[0-9a-z]+", lambda found: str(int(found[0], 36)), text)

    def value(node):
        if isinstance(node, ast.Constant):
            return Fraction(node.value)
        return OPERATORS[NODES[type(node.op)]](value(node.left), value(node.right))

    return value(ast.parse(decimal, mode="eval").body)


def test_random_expressions_are_worth_what_python_says():
    rng = random.Random(0)
    divided = 0
    for _ in range(3000):
        numbers = [rng.randrange(0, 40) for _ in range(rng.randrange(1, 7))]
        text = written(rng, numbers)
        try:
            expected = python_value(text)
        except ZeroDivisionError:
            divided += 1
            with pytest.raises(ValueError, match="divide by zero"):
                read(text)
            continue
        found = read(text)
        assert found.value == expected, text
        assert sorted(found.numbers) == sorted(numbers)
        # The normal form is worth the same, and is its own.
        assert python_value(found.text) == expected
        assert read(found.text) == found
    assert divided > 40


def test_what_differs_by_order_and_brackets_alone_is_the_same():
    same = ["2+5*b", "b*5+2", "(5*b)+2", "((2))+(b*(5))", "2+(b)*5"]
    assert {read(text).text for text in same} == {"2+5*b"}
    assert read("9-(5-2)").text == read("2+9-5").text == "2+9-5"
    assert read("c/(6/3)").text == read("3*c/6").text == "3*c/6"
    assert read("6/3*2").text != read("6/(3*2)").text
    assert not read("(3-5)*(1-4)").legal
    assert read("(5-3)*(4-1)").legal


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "()",
        "(",
        ")",
        "1+",
        "+1",
        "-1",
        "--1",
        "1++1",
        "1**2",
        "1//2",
        "1 + 1",
        "1\n",
        "1_0",
        "1;1",
        "0x1",
        "00",
        "01",
        "A",
        "1.5",
        "1e999)",
        "G",
        "½",
        "٣",
        "１",
        "²",
        "1+1=2",
        "1,2",
        "[1]",
        "__import__('os')",
        "lambda:1",
        "(1+2",
        "1+2)",
        "(1)(2)",
        "2(3)",
        "1\x00",
        "1−1",
        "1×1",
        "(" * 64,
        "(" * 10**6,
        "1" * 65,
        "1+" * 10**6 + "1",
        "(" * 31 + "1" + ")" * 33,
    ],
)
def test_hostile_text_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match=r"an expression|not an arithmetic"):
        read(text)


def test_numbers_that_cannot_be_listed_are_refused():
    for numbers in ((), (2, 1), (0, 1), (1,) * 6):
        with pytest.raises(ValueError, match="numbers must be 1 to 5 positive whole numbers"):
            legal_expressions(numbers)
    with pytest.raises(ValueError, match="divide by zero"):
        product([number(1)], [total([number(2)], [number(2)])])
