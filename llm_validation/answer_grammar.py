"""Which answers a scorer that evaluates text may see, and which scorers evaluate text."""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

_FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh"}
    | {"exp", "log", "ln", "sqrt", "Abs", "pi"}
)
_NUMBER = r"0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(
    rf"\s+|(?:{_NUMBER})|(?P<quoted>(['\"])[-+]?(?:[0-9]+(?:\.[0-9]+)?|[A-Za-z]{{1,8}})\2)"
    r"|(?P<name>[A-Za-z_]\w*)|[-+*/%^=,()\[\]{}]",
    re.ASCII,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_BEFORE_ITEMS = _OPENING | {"", ","}
_BEFORE_BRACKETS = _BEFORE_ITEMS | frozenset("-+*/%^=")
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_DANGEROUS = frozenset({*keyword.kwlist, *keyword.softkwlist} - {"_"}) | frozenset(dir(builtins))


def admitted(answer: str, reference: str = "") -> bool:
    r"""Whether an answer is made of numbers, operators, brackets, commas and known names alone.

    Known are single letters, elementary functions, and the words of the reference answer. There
    is no dot but in a number, hence no attribute; no keyword and no builtin; and in quotes nothing
    but a number or a word, as an item of a list. Names of several letters alone are called, and
    never with quoted text: SymPy's ``S('eval')`` is Python's ``eval``.

    Args:
        answer: What a model wrote.
        reference: Text whose words are names too, such as the reference answer.

    >>> admitted("2*x**2 - sin(x)/3"), admitted("[[0, 1], [1, 0]]"), admitted("x.real")
    (True, True, False)
    >>> admitted("_ Q _", "Q _ _"), admitted("eval(1)"), admitted("x if x else y")
    (True, False, False)
    >>> admitted("['a', 'b']"), admitted("S('chr')(95)"), admitted("sin('x')")
    (True, False, False)
    """
    known: set[str] | None = None
    place, last = 0, ""  # the token before this one
    calls: list[bool] = []  # for every open bracket, whether it is, or is within, a call
    while place < len(answer):
        token = _TOKEN.match(answer, place)
        if token is None:
            return False
        place, text, name = token.end(), token[0], token["name"]
        if text.isspace():
            continue
        if name is not None and name not in _FUNCTIONS and not (len(name) == 1 and name != "_"):
            if known is None:
                known = set(_WORD.findall(reference))
            if name not in known or name in _DANGEROUS or "__" in name:
                return False
        if token["quoted"] and (any(calls[-1:]) or last not in _BEFORE_ITEMS):
            return False
        if text in _OPENING:
            called = text == "(" and last not in _BEFORE_BRACKETS
            if called and (len(last) < 2 or not _WORD.fullmatch(last)):
                return False
            calls.append(called or any(calls[-1:]))
        elif text in _CLOSING and calls:
            calls.pop()
        last = text
    return True


def evaluates_text(scorer: Callable[..., Any]) -> bool:
    """Whether a scoring function, or one that it calls, evaluates text as Python or SymPy does.

    It is read, not run: the syntax tree of the function and of the functions of its own package
    that it names. Whatever belongs to SymPy counts, since most of it takes text for an expression,
    and so does a call of another scorer that is known only at run time, and a function whose
    source is not there.

    Args:
        scorer: A function or a bound method.
    """
    owner = getattr(scorer, "__self__", None)
    pending = [inspect.unwrap(getattr(scorer, "__func__", scorer))]
    seen: set[Any] = set()
    while pending:
        function = pending.pop()
        if function in seen:
            continue
        seen.add(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError, SyntaxError):
            return True
        scope = getattr(function, "__globals__", None) or vars(inspect.getmodule(function))
        for path in _called(tree):
            found = _resolve(path, scope, owner)
            if found in (eval, exec, compile, __import__):
                return True
            home = str(getattr(found, "__module__", "") or "")
            if home.partition(".")[0] == "sympy" or (found is None and path[-1] == "score_answer"):
                return True
            package = str(scope.get("__name__", "")).partition(".")[0]
            if home.partition(".")[0] == package and isinstance(
                found, types.FunctionType | types.MethodType | type
            ):
                pending.append(found.__func__ if isinstance(found, types.MethodType) else found)
    return False


def _called(tree: ast.AST) -> Iterator[list[str]]:
    """Dotted names that a syntax tree mentions; a call of an unnamed object gives its last name."""
    for node in ast.walk(tree):
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            yield [node.id, *names]
        elif names:
            yield ["", *names]


def _resolve(path: list[str], scope: dict[str, Any], owner: Any) -> Any:
    first, *rest = path
    if first in ("self", "cls") and owner is not None:
        found = owner
    else:
        found = scope.get(first, getattr(builtins, first, None) if first else None)
    for name in rest:
        found = (
            inspect.getattr_static(found, name, None)
            if found is owner
            else getattr(found, name, None)
        )
        found = getattr(found, "__func__", found)
    return found
