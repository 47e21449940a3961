"""Prompt-weighting schemes: the tables a⁺, a⁻ that turn a group's rewards into advantages.

A group of M responses to one prompt has K successes and the pass rate ρ̂ = K/M. Every method with
a binary reward is a pair of coefficients, a⁺ for a correct response and −a⁻ for a wrong one:

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂).

*Centred* methods have one weight ω, with a⁺ = ω(1−ρ̂) and a⁻ = ωρ̂, so that A_i = ω(r_i − ρ̂).
In the population limit M → ∞ the method ascends E[F(ρ)] with F′ = ω = a⁺ + a⁻.

Each scheme of the papers is written once (in ``theory._definitions`` and ``_difficulty``), as a
function of ρ̂, the variance of the group's rewards and M, in the array namespace it is called with;
tables, weights and advantages all derive from that function. A scheme of your own is a function of
the success probability: :meth:`Scheme.from_weight` makes it one and :func:`register` gives it a
name.
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from theory._arrays import Array
from theory._difficulty import DEFINITIONS
from theory._options import Allowed, Option, split_reference, write_options
from theory._scheme import Scheme, finite_coefficients
from theory.problem_schemes import PROBLEM_SCHEMES

__all__ = [
    "IMPORTS",
    "SCHEMES",
    "Allowed",
    "Option",
    "Scheme",
    "SchemeLike",
    "allow_import",
    "finite_coefficients",
    "in_order",
    "keep_schemes",
    "name_of",
    "printed",
    "reference",
    "references",
    "register",
    "resolve",
    "schemes_by_name",
    "title",
]

SchemeLike = str | Scheme | Callable[..., Array]
"""A scheme, a name of one, or its weight ω as a function of the success probability."""

SCHEMES: dict[str, Scheme] = dict(DEFINITIONS)
"""Every scheme by name, with its default options."""

IMPORTS = "APW_IMPORT"
"""Environment variable with the ``module:function`` references that may be imported."""

_BUILT_IN = frozenset(DEFINITIONS) | frozenset(PROBLEM_SCHEMES)
_KNOWN: dict[str, Scheme] = {}  # by module:function, or by name without one
_CODE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*(?::.*=.*)?")


def register(
    scheme: Scheme | Callable[..., Array], name: str | None = None, **fields: Any
) -> Scheme:
    """Give a scheme of your own its name: it is then known wherever schemes are named.

    Args:
        scheme: A :class:`Scheme`, or its weight function, see :meth:`Scheme.from_weight`.
        name: Registry name, if it is not to be that of the scheme or the function.
        **fields: ``title``, ``formula``, ``source``, ``color``, ``dash``, ``marker``, ...

    Returns:
        The scheme. Registered again it takes the place of the earlier one.

    Raises:
        ValueError: A name or title of one of the papers' schemes, or one with a colon.

    >>> half = register(lambda success: success**-0.5, "half", title="Half-R")
    >>> resolve("Half-R").name, SCHEMES.pop("half") is half
    ('half', True)
    """
    made = scheme if isinstance(scheme, Scheme) else Scheme.from_weight(scheme, name, **fields)
    if isinstance(scheme, Scheme):
        made = scheme.renamed(name or scheme.name, **fields)
    if not re.fullmatch(r"\w+", made.name):
        raise ValueError(f"a scheme's name has letters, digits and _; got {made.name!r}")
    taken = [known for known in SCHEMES.values() if known.name != made.name]
    clash = {_key(text) for known in taken for text in (known.name, known.title)}
    clash |= {_key(name) for name in PROBLEM_SCHEMES}
    if made.name in _BUILT_IN or {_key(made.name), _key(made.title)} & clash:
        raise ValueError(
            f"there is a scheme called {made.name!r} or {made.title!r} already; choose another "
            f"name; known schemes: {', '.join(SCHEMES)}"
        )
    SCHEMES[made.name] = made
    code = _import_name(made.function)
    if code:
        _KNOWN[code] = made
    return made


def resolve(scheme: SchemeLike, **options: Option) -> Scheme:
    """Return the scheme a caller means, with options bound.

    Args:
        scheme: A :class:`Scheme`; a name in ``SCHEMES`` or as it is printed, or a scheme made for
            a problem, see :mod:`theory.problem_schemes`; a name with options
            as written on a command line, ``"plateau_r:threshold=0.3,zero_success=drop"``; the
            weight ω as a function; or where such a function is found, ``"module:function"``, if
            importing it has been allowed (:func:`allow_import`).
        **options: Further options; they win over those in the string.

    Raises:
        ValueError: An unknown scheme (the message lists the known ones) or option.

    >>> resolve("w_reinforce:lam=0.2").label
    'W-REINFORCE (lam=0.2)'
    >>> resolve("GRPO", engine="trl").label
    'GRPO (ddof=1, eps=0.0001)'
    """
    if isinstance(scheme, str):
        scheme, written = _named(scheme)
        options = {**written, **options}
    elif callable(scheme):
        scheme = Scheme.from_weight(scheme)
    elif not isinstance(scheme, Scheme):
        raise ValueError(
            f"a scheme is a Scheme, a name or a function of the success probability; got {scheme!r}"
        )
    return scheme.bind(**options) if options else scheme


def _named(text: str) -> tuple[Scheme, dict[str, Option]]:
    name, _, _ = text.partition(":")
    found = _find(name)
    if found is None and _CODE.fullmatch(text):
        code, options = split_reference(text, code=True)
        return _imported(code), options
    name, options = split_reference(text)
    found = _find(name)
    if found is None:
        raise ValueError(f"unknown scheme {name!r}; known schemes: {', '.join(SCHEMES)}")
    return found, options


def _find(name: str) -> Scheme | None:
    if name in SCHEMES or name in _KNOWN:
        return SCHEMES.get(name) or _KNOWN[name]
    key = _key(name)
    known = [*PROBLEM_SCHEMES.values(), *SCHEMES.values()]
    return next((s for s in known if key in (_key(s.name), _key(s.title))), None)


def _key(name: str) -> str:
    """A name without what writers differ in: ``Dr. GRPO`` is ``dr_grpo``."""
    return re.sub(r"[\W_]+", "", name.casefold())


def allow_import(*references: str) -> None:
    """Allow ``module:function`` references to be imported, in this process and its children.

    What a reference names is code, so that :func:`resolve` imports none by itself: a log, a
    recipe or the configuration of a run folder must not make it. Who runs the program allows it,
    on the command line, by this function or by the environment variable ``APW_IMPORT``.

    >>> allow_import("grpo")  # names no code, and so changes nothing
    """
    new = [split_reference(text, code=True)[0] for text in references if _CODE.fullmatch(text)]
    if new:
        os.environ[IMPORTS] = " ".join(dict.fromkeys([*_allowed(), *new]))


def _allowed() -> list[str]:
    return os.environ.get(IMPORTS, "").split()


def _imported(code: str) -> Scheme:
    if code in _KNOWN:
        return _KNOWN[code]
    if code not in _allowed():
        raise ValueError(
            f"{code} names code, which is imported only if you ask for it: write it on the command "
            f"line, or set {IMPORTS}={code}"
        )
    module, _, attribute = code.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a command is given, as for ``python -m``
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{code} is not to be found: {error}") from error
    if code not in _KNOWN:  # unless the module registered it itself
        _KNOWN[code] = found if isinstance(found, Scheme) else Scheme.from_weight(found)
    return _KNOWN[code]


def reference(scheme: SchemeLike) -> str:
    """Text that names a scheme with its options again, as a run's configuration keeps it.

    A function of yours becomes ``module:function``, and may be imported by that name in this
    process and its children.

    Raises:
        ValueError: A function that cannot be imported again, such as a lambda.

    >>> reference(resolve("Plateau-R", threshold=0.3))
    'plateau_r:threshold=0.3'
    """
    bound = resolve(scheme)
    if bound.name in _BUILT_IN and bound.bind(**bound.defaults) == _find(bound.name):
        name = bound.name
    else:
        code = _import_name(bound.function)
        if code is None:
            raise ValueError(
                f"a run is kept with its schemes as module:function, and {bound.name} cannot be "
                "imported again: define its weight as a function of a module"
            )
        _KNOWN.setdefault(code, bound.bind(**bound.defaults))
        allow_import(code)
        name = code
    options = write_options(bound.options, bound.declared)
    return f"{name}:{options}" if options else name


def references(schemes: Iterable[SchemeLike]) -> tuple[str, ...]:
    """Schemes as a configuration keeps them: objects and functions as text, names in lower case.

    Raises:
        ValueError: A function that cannot be imported again.

    >>> references(["Sqrt-R", SCHEMES["grpo"], "w_reinforce:reward=0.2"])
    ('sqrt_r', 'grpo', 'w_reinforce:reward=0.2')
    """
    return tuple(_canonical(s) if isinstance(s, str) else reference(s) for s in schemes)


def name_of(scheme: SchemeLike) -> str:
    """Text that names a scheme within this process: what it was called by, or its reference.

    A function that cannot be imported again is remembered by its own name.

    >>> name_of("grpo:ddof=1"), name_of(lambda success: success**-0.25)
    ('grpo:ddof=1', 'custom')
    """
    if isinstance(scheme, str):
        return scheme
    bound = resolve(scheme)
    try:
        return reference(bound)
    except ValueError:
        plain = bound.bind(**bound.defaults)
        number = itertools.count(2)
        name = bound.name
        taken = {*SCHEMES, *PROBLEM_SCHEMES}
        while name in taken or _KNOWN.get(name, plain) != plain:
            name = f"{bound.name}_{next(number)}"
        _KNOWN[name] = plain
        options = write_options(bound.options, bound.declared)
        return f"{name}:{options}" if options else name


def schemes_by_name(schemes: Iterable[SchemeLike]) -> dict[str, Scheme]:
    """Schemes by the names that a command line, a configuration or a table calls them.

    Raises:
        ValueError: An unknown scheme or option.

    >>> [scheme.title for scheme in schemes_by_name(["grpo", "Sqrt-R"]).values()]
    ['GRPO', 'Sqrt-R']
    """
    return {name_of(scheme): resolve(scheme) for scheme in schemes}


def title(scheme: str) -> str:
    """Name of a scheme as it is printed, with options that differ from the defaults.

    >>> title("sqrt_r")
    'Sqrt-R'
    """
    return printed(scheme).label


def in_order(schemes: Iterable[SchemeLike]) -> list[str]:
    """Schemes in the registry's order, so that legends agree from figure to figure.

    >>> in_order(["sqrt_r", "grpo"])
    ['grpo', 'sqrt_r']
    """
    places = {name: place for place, name in enumerate(SCHEMES)}
    return sorted(
        dict.fromkeys(map(name_of, schemes)),
        key=lambda s: (places.get(printed(s).name, len(places)), s),
    )


def keep_schemes(config: Any) -> None:
    """Write the field ``schemes`` of a frozen configuration as :func:`references` does.

    >>> import types
    >>> config = types.SimpleNamespace(schemes=("GRPO",))
    >>> keep_schemes(config)
    >>> config.schemes
    ('grpo',)
    """
    if isinstance(config.schemes, tuple | list):
        object.__setattr__(config, "schemes", references(config.schemes))


def _canonical(text: str) -> str:
    name, colon, options = text.partition(":")
    found = _find(name)
    if found is None:
        label = text.endswith(")") and _find(split_reference(text)[0]) is not None
        return reference(text) if label else text
    return f"{found.name}{colon}{options}"


def _import_name(function: Any) -> str | None:
    """``module:function``, or None if that does not lead back to the function."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    qualified = getattr(function, "__qualname__", "<")
    if module is None or module.__name__ == "__main__" or "<" in qualified:
        return None
    return f"{module.__name__}:{qualified}"


def printed(scheme: SchemeLike) -> Scheme:
    """The scheme for its name and look alone: code that is not imported keeps its reference.

    >>> printed("mine:half").label
    'mine:half'
    """
    if isinstance(scheme, str) and _CODE.fullmatch(scheme) and _find(scheme.split(":")[0]) is None:
        code, _ = split_reference(scheme, code=True)
        if code not in _KNOWN and code not in _allowed():
            return Scheme.from_weight(lambda success: 1 + 0 * success, scheme)
    return resolve(scheme)
