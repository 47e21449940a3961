r"""What the form of an answer decides before its value is compared.

math-verify compares values, and on the way drops what it takes for decoration: bases, units, signs
of relation, the kind of brackets. Where a reference answer has such a thing, an answer with another
is another answer. Each rule says why; whatever no rule decides is left to math-verify.
"""

from __future__ import annotations

import re
from fractions import Fraction

_BLANK = re.compile(r"\\left|\\right|\\[,;:! ]|\$|~|\s")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf|textit)\s*\{([^{}]*)\}")
_TEXT_SPLIT = re.compile(r"\\text\s*\{[, ]*(?:and|or)[, ]*\}|\band\b|\bor\b")
_DOTS = re.compile(r"\\[lc]?dots[bcmio]?(?![a-z])|…|\.\.\.")
_DIGITS_ONLY_BEFORE_DOTS = re.compile(r"-?[0-9]*\.[0-9]+(?:\\[lc]?dots|…|\.\.\.)")
_BAR = re.compile(
    r"(?P<sign>[-+]?)(?P<before>[0-9]*)\.(?P<after>[0-9]*)"
    r"(?P<all>\\(?:overline|bar)\{(?P<period>[0-9]+)\})",
    re.ASCII,
)
_PERIODS = re.compile(
    r"(?P<sign>[-+]?)(?P<before>[0-9]*)\.(?P<after>[0-9]*?)"
    rf"(?P<all>(?P<period>[0-9]+?)(?P=period)+)(?:{_DOTS.pattern})",
    re.ASCII,
)
_ALTERNATIVE = re.compile(r"\\text\s*\{[, ]*or[, ]*\}|\\(?:lor|vee)(?![a-z])|\bor\b")
_MEMBER = re.compile(r"\\?[A-Za-z]+\\in(?![a-z])")
_SPAN = re.compile(r"[(\[][^,;()\[\]]+,[^,;()\[\]]+[)\]]")
_DECORATION = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[A-Za-z .]*\}(?:\^\{?[23]\}?)?[.\s$]*$|\^\{?\s*\\circ\s*\}?|\\\$"
)
_AMOUNT = re.compile(r"hundred|thousand|illion|dozen|half|percent|per |and|or", re.I)
"""Words that change a number."""
_LIST = re.compile(r",(?:\s|\\[ ,;:])")
"""Within a number a comma has no blank after it."""
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_SCALE = re.compile(rf"\\text\s*\{{\s*({'|'.join(_SCALES)})\b", re.I)
_DENIAL = re.compile(
    r"\b(?:not|no|nope|never|neither|wrong|incorrect|false|untrue|isn'?t|aren'?t|n't|cannot|unlike"
    r"|except)\b",
    re.I,
)
_UNEQUAL = re.compile(r"\\(?:neq?|neg|lnot|not|notin)(?![a-z])|≠|!=")
_ORDER = re.compile(
    r"\\(?:leq?|geq?|lt|gt|leqslant|geqslant|ll|gg)(?![a-z])|[<>≤≥⩽⩾≦≧≪≫]"
    r"|(?:\\in(?![a-z])|∈)\s*(?:\\left\s*)?[(\[]"
)
"""Inequalities, and memberships in an interval, which say the same."""
_BASE = re.compile(r"([0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)_\{?([0-9]{1,2})\}?")
_NAMED = re.compile(r"^\$*[^=]*[A-Za-z][^=]*=")
_WRITTEN = re.compile(r"[-+0-9.,/ ]*[0-9][. ]*([A-Za-z]{1,12})(?:\^\{?([23])\}?)?\W*", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})([ap]m)?")
_LITERAL = re.compile(
    r"([-+]?)(?:\\[dt]?frac(?:\{(-?[0-9]{1,15})\}|([0-9]))(?:\{([0-9]{1,15})\}|([0-9]))"
    r"|([0-9]{1,15})/([0-9]{1,15})|([1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]{1,15}|[0-9]*\.[0-9]{1,15}"
    r"|[0-9]{1,15}\.[0-9]{0,15}))",
    re.ASCII,
)
_DECIMAL = re.compile(r"[-+]?0*([0-9]*)\.([0-9]+)")
_VARIABLE = re.compile(r"\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\([A-Za-z]\))?|\\angle\s*[A-Z]+")
_NUMBERS_ONLY = re.compile(
    r"(?:\\(?:[dt]?frac|sqrt|log|ln|cdot|times|div|pi|[dt]?binom|left|right|%|[ ,;!])"
    r"|[^A-Za-z\\,])+"
)
"""A side without variables and without a comma, which would make it a list."""
_UNITS = """
cm centimeter centimeters centimetre centimetres cms | m meter meters metre metres
mm millimeter millimeters | km kilometer kilometers kms | kg kilogram kilograms kgs
g gram grams gm gms | mg milligram milligrams | in inch inches | ft foot feet | yd yard yards
mi mile miles | s sec secs second seconds | min minute minutes mins | h hour hours hr hrs
day days | week weeks | month months | year years | dollar dollars usd | cent cents | euro euros
lb pound pounds lbs | oz ounce ounces | l liter liters litre litres | ml milliliter milliliters
gal gallon gallons | degree degrees deg | radian radians rad | mph | acre acres
"""
_UNIT = {word: words.split()[0] for words in re.split(r"[|\n]", _UNITS) for word in words.split()}


def bare(text: str) -> str:
    r"""An answer without blanks, dollar signs, sizes of brackets and the stop that ends it.

    >>> bare(r"$\left( 1,\; 2 \right)$."), bare("625?")
    ('(1,2)', '625')
    """
    return (
        _BLANK.sub("", text).rstrip(".?").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    )


def literal(text: str) -> Fraction | None:
    r"""The number a text writes down in digits, exactly; None if it is anything else.

    >>> literal(r"-\frac{1}{2}"), literal("7,200"), literal("0.25"), literal("2^3")
    (Fraction(-1, 2), Fraction(7200, 1), Fraction(1, 4), None)
    """
    if len(text) > 60 or (match := _LITERAL.fullmatch(text.strip())) is None:
        return None
    sign, *parts, whole = match.groups()
    if whole is not None:
        value = Fraction(whole.replace(",", "").rstrip("."))
    else:
        above, below = [part for part in parts if part is not None]
        if int(below) == 0:
            return None
        value = Fraction(int(above), int(below))
    return -value if sign == "-" else value


def _recurring(text: str) -> tuple[bool, Fraction | None]:
    r"""Whether a text is a recurring decimal, and the number it writes down, if it is one.

    The period stands under a bar, or is written out for three digits and twice at least.

    >>> _recurring(r"0.1\overline{6}"), _recurring("0.1666..."), _recurring("1/6")
    ((True, Fraction(1, 6)), (True, Fraction(1, 6)), (False, Fraction(1, 6)))
    >>> _recurring("3.1415..."), _recurring("0.33...")
    ((False, None), (False, None))
    """
    text = _BLANK.sub("", text)
    match = None if len(text) > 60 else _BAR.fullmatch(text) or _PERIODS.fullmatch(text)
    if match is None or len(match["all"]) < 3:
        return False, None if _DOTS.search(text) else literal(bare(text))
    before, after, period = match["before"] or "0", match["after"], match["period"]
    value = Fraction(int(before + after)) + Fraction(int(period), 10 ** len(period) - 1)
    value /= 10 ** len(after)
    return True, -value if match["sign"] == "-" else value


def plain(text: str) -> Fraction | None:
    r"""The number an answer consists of, besides its variable, its unit or a sign of money.

    >>> plain(r"x = \frac{1}2"), plain(r"\$1{,}200"), plain(r"30^\circ"), plain("x+1")
    (Fraction(1, 2), Fraction(1200, 1), Fraction(30, 1), None)
    """
    if len(text) > 200 or _LIST.search(text):
        return None
    scale = 1
    if (word := _SCALE.search(text)) is not None:
        scale = _SCALES[word[1].lower()]
        text = text[: word.start()] + "\\text{" + text[word.end() :]
    if _AMOUNT.search(text):
        return None
    text = bare(_DECORATION.sub("", text)).replace("{,}", ",")
    value = literal(re.sub(r"^[A-Za-z](?:_[A-Za-z0-9])?=", "", text))
    return None if value is None else value * scale


def tolerance(gold: str) -> Fraction:
    """How far an answer may lie from a reference answer: nothing, unless that is a long decimal.

    A reference written with six significant digits or more was rounded, so what rounds to it is
    right; a shorter one may be exact (2.5) and what it rounds (e for 2.718) another number.

    >>> tolerance("0.333333"), tolerance("2.718"), tolerance("1/3")
    (Fraction(1, 2000000), Fraction(0, 1), Fraction(0, 1))
    """
    match = _DECIMAL.fullmatch(bare(_TEXT.sub("", gold)))
    if match is None or len((match[1] + match[2]).lstrip("0")) < 6:
        return Fraction(0)
    return Fraction(1, 2 * 10 ** len(match[2]))


def listed(gold: str) -> list[str]:
    r"""Items of a reference answer that is a list or a set; a tuple is one item.

    >>> listed(r"\{1, 2\}"), listed("(1,2)"), listed(r"3 \text{ and } 4"), listed("7,200")
    (['1', '2'], ['(1,2)'], ['3', '4'], ['7,200'])
    """
    text = gold.strip().replace("\\left", "").replace("\\right", "")
    if literal(text) is not None:
        return [text]
    if text.startswith("\\{") and text.endswith("\\}"):
        text = text[2:-2]
    elif text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    items, depth, start = [], 0, 0
    text = _TEXT_SPLIT.sub(",", text)
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            items.append(text[start:place])
            start = place + 1
    items.append(text[start:])
    return [item.strip() for item in items if item.strip()]


def decide(gold: str, answer: str) -> tuple[bool | None, str]:
    r"""Whether the form of an answer makes it right (True) or wrong (False), and why.

    >>> decide("101_2", "101_3"), decide("7919", r"\neq 7919")[0], decide("1/2", "0.5")[0]
    ((False, 'another base'), False, None)
    >>> decide(r"1, 2, \ldots", "1, 2, ...")[0], decide(r"1, 2, \ldots", r"1, 2, 4, \ldots")[0]
    (True, False)
    """
    recurs, values = zip(*map(_recurring, (gold, answer)), strict=True)
    if any(recurs) and None not in values:
        apart = abs(values[0] - values[1])
        return apart <= tolerance(gold), "recurring decimals are quotients"
    # One way to write the dots of a sequence, of which the last are no end of a sentence.
    mine, theirs = (
        bare(_DOTS.sub(r"\\ldots ", text) if "," in text else text) for text in (gold, answer)
    )
    if mine == theirs:
        return True, "the same text"
    if any(_DOTS.search(t) and not _DIGITS_ONLY_BEFORE_DOTS.fullmatch(t) for t in (mine, theirs)):
        # Dots stand for a rule, and no value tells 1, 2, …, m from 1, 4, …, 3m−2.
        return _DOTS.sub("…", mine) == _DOTS.sub("…", theirs), "sequences with dots are text"
    if _DENIAL.search(" ".join(_TEXT.findall(answer))) and not _DENIAL.search(gold):
        return False, "it says that something is not so"
    if _UNEQUAL.search(answer) and not _UNEQUAL.search(gold):
        return False, "it says what the answer is not"
    if _ORDER.search(answer) and not _ORDER.search(gold) and not _interval(mine):
        return False, "a bound is no value"
    spans = as_interval(gold), as_interval(answer)
    if spans[0] and spans[0] == spans[1]:
        return True, "the same interval"
    for rule in (_bases, _clocks, _units, _brackets):
        found = rule(gold, answer)
        if found[0] is not None:
            return found
    return None, ""


def sides(text: str) -> list[str]:
    r"""Sides of an equation that must each be the value; a variable's name is no side.

    >>> sides("7918=7919"), sides("x=2"), sides("17 = x"), sides("y = 2x + 1")
    (['7918', '7919'], ['x=2'], ['17'], ['y = 2x + 1'])
    """
    parts = [part.strip() for part in re.split(r"(?<![<>!\\])=", text)]
    if len(parts) < 2 or not all(parts):
        return [text]
    values = [part for part in parts if not _VARIABLE.fullmatch(part)]
    if len(parts) == 2 and len(values) == 1:
        return values if values[0] == parts[0] else [text]
    if values and all(_NUMBERS_ONLY.fullmatch(part) for part in values):
        return values
    return [text]


def as_interval(text: str) -> str | None:
    r"""The intervals that a membership or inequalities in one variable describe, joined by a union.

    Intervals stand for themselves; None for anything else.

    >>> as_interval("x<5"), as_interval(r"0 < x \le 2.5"), as_interval("5")
    ('(-\\infty,5)', '(0,2.5]', None)
    >>> as_interval(r"x \in [1,2]"), as_interval(r"x<1 \text{ or } x>3")
    ('[1,2]', '(-\\infty,1)\\cup(3,\\infty)')
    """
    text = bare(_ALTERNATIVE.sub(r"\\cup ", _spelt(text)))
    member = _MEMBER.match(text)
    pieces = text[member.end() if member else 0 :].split("\\cup")
    found = [(_SPAN.fullmatch(piece) and piece) or _from_inequality(piece) for piece in pieces]
    return "\\cup".join(piece for piece in found if piece) if all(found) else None


def _spelt(text: str) -> str:
    """Signs of order in one spelling each."""
    text = re.sub(r"\\+(?:leqslant|leq|le)(?![a-z])|<=", "≤", text)
    text = re.sub(r"\\+(?:geqslant|geq|ge)(?![a-z])|>=", "≥", text)
    return re.sub(r"\\+gt(?![a-z])", ">", re.sub(r"\\+lt(?![a-z])", "<", text))


def _from_inequality(text: str) -> str | None:
    parts = re.split("([<>≤≥])", text)
    if len(parts) == 5 and parts[1] in ">≥" and parts[3] in ">≥":
        parts = parts[::-1]
        parts[1], parts[3] = parts[1].translate(_FLIP), parts[3].translate(_FLIP)
    if len(parts) == 5 and parts[1] in "<≤" and parts[3] in "<≤" and _letter(parts[2]):
        left, right = "[" if parts[1] == "≤" else "(", "]" if parts[3] == "≤" else ")"
        return f"{left}{parts[0]},{parts[4]}{right}"
    if len(parts) != 3:
        return None
    if _letter(parts[2]):
        parts = [parts[2], parts[1].translate(_FLIP), parts[0]]
    if not _letter(parts[0]) or not parts[2]:
        return None
    if parts[1] in "<≤":
        return f"(-\\infty,{parts[2]}{']' if parts[1] == '≤' else ')'}"
    return f"{'[' if parts[1] == '≥' else '('}{parts[2]},\\infty)"


_FLIP = str.maketrans("<>≤≥", "><≥≤")


def _letter(text: str) -> bool:
    return len(text) == 1 and text.isalpha()


def _interval(text: str) -> bool:
    """Whether a reference is an interval, or a set, as far as its form tells.

    Square brackets, an infinite end, a union, a membership tell. Two integers in round brackets are
    a point: of MATH's 165 such answers 17 are intervals, and their problems say so (``as_asked``).
    Other pairs, as (0, 2.5), may be either where nothing is known of the problem.
    """
    if any(sign in text for sign in ("\\cup", "\\in", "\\{")):  # \\infty too
        return True
    return _SPAN.fullmatch(text) is not None and _POINT.fullmatch(text) is None


_POINT = re.compile(r"\(-?[0-9]+,-?[0-9]+\)")
_PAIR = re.compile(r"(?:\\left)?\([^(),\[\]]+,[^(),\[\]]+\)")
_ASKS_FOR_INTERVAL = re.compile(
    r"\b(?:interval|domain|range\b|inequalit)|\b(?:all|possible) (?:\w+ ){0,3}values"
    r"|\b(?:all|values|satisfy|solve)\b.*(?:\\[lg](?:eq?|t)(?![a-z])|[<>≤≥])",
    re.I | re.DOTALL,
)
_ASKS_FOR_POINT = re.compile(
    r"ordered|coordinate|vertex|\bpoints?\b|\b(?:pair|form)s? of\b|form \$?\\?\(", re.I
)


def as_asked(gold: str, problem: str) -> str:
    r"""A reference answer that its problem makes an interval, written as one.

    >>> as_asked("(1,2)", "Use interval notation."), as_asked("(1,2)", "Find the vertex.")
    ('x \\in (1,2)', '(1,2)')
    """
    asked = _ASKS_FOR_INTERVAL.search(problem) and not _ASKS_FOR_POINT.search(problem)
    if _PAIR.fullmatch(gold.strip()) and asked:
        return rf"x \in {gold.strip()}"
    return gold


def _bases(gold: str, answer: str) -> tuple[bool | None, str]:
    """A subscript is a base: the same digits in another base are another number."""
    plain = [re.sub(r"\\text\{([^{}]*)\}", r"\1", bare(text)) for text in (gold, answer)]
    mine, theirs = (_BASE.fullmatch(text) for text in plain)
    if not any(m and m[1][0].isdigit() for m in (mine, theirs)):
        return None, ""
    pairs = zip((mine, theirs), plain, strict=True)
    digits = [(match[1] if match else text).lstrip("0").upper() for match, text in pairs]
    if theirs is None:  # the problem says which base is meant, and few write it again
        return (digits[0] == digits[1] if plain[1].isalnum() else None), "other digits"
    if (mine[2] if mine else "10") != theirs[2]:
        return False, "another base"
    return digits[0] == digits[1], "other digits"


def _clocks(gold: str, answer: str) -> tuple[bool | None, str]:
    """A time of day is read as one: half past twelve is no quotient."""
    plain = [
        re.sub(r"[.$\s]", "", _TEXT.sub(r"\1", text)).lower().replace("\\", "")
        for text in (_NAMED.sub("", gold), _NAMED.sub("", answer))
    ]
    mine, theirs = (_CLOCK.fullmatch(text) for text in plain)
    if mine is None and theirs is None:
        return None, ""
    if mine is None or theirs is None:
        return False, "a time of day is no number"
    same = [int(mine[i]) == int(theirs[i]) for i in (1, 2)]
    return all(same) and (not mine[3] or not theirs[3] or mine[3] == theirs[3]), "another time"


def unit(text: str) -> str | None:
    r"""The unit that ends an answer, by its usual name with its power; None if none is known.

    >>> unit(r"5\text{ inches}"), unit(r"3 \text{ square cm}"), unit(r"5\text{ apples}")
    ('in', 'cm^2', None)
    >>> unit(r"\$5"), unit(r"30^\circ")
    ('dollar', 'degree')
    """
    match = re.search(r"\\(?:text|mbox|mathrm)\s*\{([^{}]*)\}\s*(?:\^\{?([23])\}?)?\W*$", text)
    if match is None:
        signs = (("\\$", "dollar"), ("\\circ", "degree"), ("\\%", "percent"))
        return next((name for sign, name in signs if sign in text), None)
    words = match[1].lower().replace(".", " ").replace("^", " ").split()
    power = match[2] or ""
    for names, value in ((("square", "sq"), "2"), (("cubic", "cu"), "3")):
        if words and words[0] in names:
            words, power = words[1:], value
    if len(words) == 2 and words[1] in ("2", "3"):
        words, power = words[:1], words[1]
    if len(words) != 1 or words[0] not in _UNIT:
        return None
    return _UNIT[words[0]] + (f"^{power}" if power else "")


def _written_unit(text: str, letters: int) -> str | None:
    r"""The unit in plain letters after a number; of so few letters it may be a variable instead.

    >>> _written_unit("5 kg", 2), _written_unit("5m", 2), _written_unit("5 cm^2", 2)
    ('kg', None, 'cm^2')
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or len(match[1]) < letters or match[1].lower() not in _UNIT:
        return None
    return unit(rf"\text{{{match[1]}}}" + (f"^{match[2]}" if match[2] else ""))


def _units(gold: str, answer: str) -> tuple[bool | None, str]:
    """Five kilograms are not five centimetres; an answer without unit is read in the asked one."""
    mine = unit(gold) or _written_unit(gold, 2)
    theirs = unit(answer) or _written_unit(answer, 1 if mine else 2)
    if mine is None or theirs is None or mine == theirs:
        return None, ""
    return False, "another unit"


def _brackets(gold: str, answer: str) -> tuple[bool | None, str]:
    """A set has no order and a point has: they are never the same thing."""
    mine, theirs = (_kind(bare(text)) for text in (gold, answer))
    if mine and theirs and "set" in (mine, theirs) and mine != theirs:
        return False, "a set is no point"
    return None, ""


def _kind(text: str) -> str:
    if text.startswith("\\{") and text.endswith("\\}"):
        return "set"
    one = text[:1] in ("(", "[") and text[-1:] in (")", "]") and len(listed(text)) == 1
    return "point" if one and "," in text else ""
