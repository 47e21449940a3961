r"""What an answer says of its value: that it is the answer, or only near it, or something else.

A relation other than equality, a prime, a hat or a word beside a number makes another statement,
which math-verify drops to compare the number alone. A sentence that only introduces the answer says
the same as the answer. Both are decided here, before forms and values are compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_TEXT = re.compile(r"\\(?:text|mbox|textrm|mathrm|textbf|textit|emph)\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")

_OPENER = (
    r"(?:(?:so|thus|hence|therefore|then|finally|in conclusion|it follows that"
    r"|we (?:get|have|obtain|find|conclude)(?: that)?)[,:]?\s+)*"
)
_NOUN = (
    r"(?:(?:the|our|my|this)\s+)?"
    r"(?:(?:final|correct|right|exact|required|desired|requested|numerical|simplified|only)\s+)*"
    r"(?:answer|result|solution|value|sum|total|product|difference|quotient|remainder|number|area"
    r"|perimeter|circumference|volume|length|distance|angle|probability|minimum|maximum)"
    r"(?:\s+(?:of|for|to)\s+(?:the\s+)?(?:problem|question|equation|expression|\$?[a-zA-Z]\$?))?"
)
_IS = (
    r"(?:\s+(?:is|are|equals|must be|will be)(?:\s+(?:equal to|given by))?\s*[:,]?"
    r"|\s*[:=](?!\s*\?))"
)
_LEAD = re.compile(rf"\s*{_OPENER}(?:(?:{_NOUN}|it|this|that){_IS})\s*", re.I)
_TAIL = re.compile(rf"[\s,]*(?:(?:which\s+)?is\s+(?:{_NOUN}|correct|right))[\s.!]*", re.I)
_UNDERLINED = re.compile(r"\\underline\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_QUOTED = re.compile(r"([\"'])([^\"']+)\1|[“‘]([^“”‘’]+)[”’]")

_NEAR_SIGNS = "∼∽≂≃≄≅≆≇≈≉≊≋≌≍≎≏≐≑≒≓"
_NEAR = re.compile(
    r"\\(?:approx(?:eq)?|sim(?:eq)?|cong|thick(?:approx|sim)|backsim(?:eq)?|doteq(?:dot)?|asymp"
    r"|(?:falling|rising)dotseq|eqsim|bumpeq|Bumpeq|circeq|triangleq)(?![A-Za-z])"
    rf"|[{_NEAR_SIGNS}]"
    r"|(?:(?<=^)|(?<==))\s*~(?=\s*[-+.\\0-9])"
)
"""Signs of being near; a tilde is a blank but before a number that it opens."""
_NEAR_WORD = re.compile(
    r"(?<!\\)\b(?:about|approx(?:\.|imately)?|around|roughly|nearly|almost|close to|circa|ca\."
    r"|or so)"
    r"(?![A-Za-z])",
    re.I,
)
_HENCE = re.compile(
    r"\\(?:implies|Rightarrow|Longrightarrow|therefore|iff|Leftrightarrow|Longleftrightarrow)"
    r"(?![A-Za-z])|[⇒⟹∴⇔⟺]"
)
_RELATION_NAMES = re.compile(
    "EQU(?:AL|IV|IANG)|IDENTIC|LESS|GREATER|SUBSET|SUPERSET|ARROW|HARPOON|ELEMENT|CONTAIN|TILDE|PRECED"
    "|SUCCEED|PARALLEL|DIVIDE|PROPORTION|NORMAL SUBGROUP|TACK|TURNSTILE|FORCES|BETWEEN|BECAUSE"
    "|ESTIMATES|CORRESPONDS|MEMBERSHIP|MEASURED|(?:IMAGE|ORIGINAL) OF|^TRUE$"
)
_ELSEWHERE = {*_NEAR_SIGNS, *"⇒⇔⟹⟺∴≠≤≥⩽⩾≦≧≪≫∈"}
"""Signs that have rules of their own, here or among the forms."""
_RELATION_SIGNS = "".join(
    sign
    for sign in map(chr, (*range(0x2190, 0x2300), *range(0x27F0, 0x2980), *range(0x2A66, 0x2B00)))
    if _RELATION_NAMES.search(unicodedata.name(sign, "")) and sign not in _ELSEWHERE
)
_RELATION = re.compile(
    r"\\(?:equiv|(?:var)?propto|models|vdash|[Vv][Dd]ash|perp|n?(?:short)?(?:mid|parallel)|between"
    r"|pitchfork|smile|frown|bowtie|Join|ni|owns|n?(?:var)?(?:sq)?(?:sub|sup)set(?:n?eqq?|neqq?)?"
    r"|n?(?:prec|succ)(?:eq|curlyeq|sim|approx|neqq|nsim|napprox)?|n(?:less|gtr|sim|cong)"
    r"|(?:less|gtr)(?:sim|approx|dot|gtr|less|eqgtr|eqless|eqqgtr|eqqless)|n[lg]eq(?:slant|q)?"
    r"|[lg](?:neqq?|nsim|napprox|vertneqq|eqq)|eqslant(?:less|gtr)|lll|ggg|n?(?:var)?triangle"
    r"(?:left|right)(?:eq)?|stackrel|overset|underset|[lr]ightharpoon(?:up|down)"
    r"|[lr]eftharpoon(?:up|down)|(?:long|hook|curve|x|n|dash)?(?:left|right|leftright)arrow(?:tail)?"
    r"|(?:Long)?[Ll]eftarrow|impliedby|[Uu]parrow|[Dd]ownarrow|(?:updown|ne|se|sw|nw)arrow|to|gets"
    r"|(?:long)?mapsto|leadsto|rightsquigarrow|because)(?![A-Za-z])"
    rf"|[{re.escape(_RELATION_SIGNS)}]"
    r"|(?<![<>!:])=\s*\?|\?\s*="
)
_MEMBER = re.compile(
    r"(?:\\in(?![A-Za-z])|∈)\s*(?!\s*(?:\\left\s*)?(?:[(\[]|\\\{|\\(?:mathbb|mathbf|emptyset"
    r"|varnothing|text|R|Z|N|Q)(?![a-z])))"
)
"""A membership in what is no set: no bracket and no name of one."""
_SUBSCRIPT = re.compile(r"_\{[^{}]*\}")
_SET = re.compile(r"\\\{.*\\\}", re.DOTALL)
_DECIMAL = re.compile(r"\W*[0-9]*\.[0-9]+\W*", re.ASCII)
_NAME = re.compile(r"\s*\$*\s*(?:\\?[A-Za-z]+(?:_\{?\w+\}?)?(?:\(\w\))?['′]*)?\s*(?:=\s*)?\$*\s*")

_PRIME = re.compile(
    r"(?<=[0-9A-Za-z)}\]'’′])\s*(?:['’′]|\^\s*\{?\s*(?:\\prime\s*)+\}?|(?P<two>[″\"”]))(?![a-z])"
)
_MARK = re.compile(
    r"\\(?P<name>(?:wide)?(?:hat|tilde|check|bar)|acute|grave|breve|d{1,4}ot|mathring|[xb]?cancel"
    r"|sout|not|lnot|neg|overline|overbrace|underbrace|over(?:left|right|leftright)arrow)(?![A-Za-z])"
    r"|\\[hv]?phantom(?![A-Za-z])|\^\s*\{?\s*(?P<raised>\*|\\(?:star|ast|dagger|ddagger|top|perp|intercal|complement|bullet)"
    r"|[+-](?=\s*(?:\}|$)))"
)
_LINES = re.compile(
    r"\\over(?:line|(?:left|right|leftright)arrow)\s*\{\s*[A-Z]\s*[A-Z]\s*\}"
    r"|(?<=[.0-9])\s*\\(?:overline|bar)\s*\{[0-9]+\}"
)
"""A segment by two points, which few mark, and the bar of a recurring decimal."""
_PRIMED_UNIT = re.compile(r"\\text\s*\{\s*(?:(?P<one>ft|foot|feet|min\w*)|(?P<two>in\w*|sec\w*))\b")

_CHANGE = re.compile(
    r"\b(?:or (?:more|less|fewer|greater|higher|lower|above|below|over|under)|and (?:up|below)"
    r"|and above|at (?:least|most)|(?:more|less|fewer|greater|smaller|larger|other) than|up to"
    r"|beyond|exceed\w*|maybe|perhaps|possibly|probably|i guess|not sure|unsure|minus|plus|squared"
    r"|cubed|factorial|divided|modulo|twice|double|triple|opposite|reciprocal|inverse|negat\w*"
    r"|halves|thirds|tenths|hundredths|thousandths|plus or minus|to the power"
    r"|rejected|impossible|contradiction|invalid|too (?:small|large|big|high|low|many|few))\b",
    re.I,
)
"""Words that make of a number a bound, a guess or another number."""


def value_of(gold: str, answer: str) -> str:
    r"""An answer without the sentence that introduces it, and without what only stresses it.

    The sentence is of a closed vocabulary: whatever else is said changes what is meant.

    >>> value_of("7", r"\text{The answer is }7"), value_of("7", r"\text{Answer: 7.}")
    ('7', '7.')
    >>> value_of("7", r"\text{The answer is not }7"), value_of("7", r"\text{twice }7")
    ('\\text{not }7', '\\text{twice }7')
    >>> value_of("7", r"7\text{ is the answer}"), value_of("2", r"2x=4 \implies x=2")
    ('7', 'x=2')
    """
    text = answer.strip()
    if len(text) > 2000 or text == gold:
        return answer
    text = unicodedata.normalize("NFC", text)  # a stroke after = makes one sign with it
    if (underlined := _UNDERLINED.fullmatch(text)) is not None:
        text = underlined[1].strip()
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        text = quoted[2] or quoted[3]
    if not _HENCE.search(gold):
        text = _HENCE.split(text)[-1].strip() or text
    return _without_tail(_without_lead(text))


def _without_lead(text: str) -> str:
    opening = _TEXT.match(text)
    inside, rest = (opening[1], text[opening.end() :]) if opening else ("", text)
    lead = _LEAD.match(inside + rest)
    if lead is None:
        return text
    if lead.end() >= len(inside):
        return (inside + rest)[lead.end() :].strip() or text
    inside = inside[lead.end() :]
    words = re.search(r"[A-Za-z]{2}", inside)
    return (rf"\text{{{inside}}}{rest}" if words else inside + rest).strip()


def _without_tail(text: str) -> str:
    closing = re.search(r"\\text\s*\{([^{}]*)\}\s*[.!]?\s*$", text)
    if closing is not None and _TAIL.fullmatch(closing[1]):
        return text[: closing.start()].strip() or text
    closing = re.search(rf"(?<=[0-9)}}\]$]){_TAIL.pattern}$", text, re.I)
    return text[: closing.start()].strip() if closing else text


def claimed(gold: str, answer: str) -> tuple[str, str]:
    r"""The value that an answer says it has, or why it says of none that it is the answer.

    What stands before a sign of being near is the value; only a reference with decimals, which may
    itself be rounded, may be what stands after it.

    Args:
        gold: The reference answer; a sign that stands in it may stand in the answer.
        answer: The answer, as :func:`value_of` gives it.

    Returns:
        The value and an empty text, or the answer and the reason.

    >>> claimed("7919", r"\approx 7919")[1], claimed("3.14", r"\pi \approx 3.14")
    ('near the value is not the value', ('3.14', ''))
    >>> claimed(r"\frac{22}{7}", r"\frac{22}{7} \approx 3.14"), claimed("7", "7'")[1]
    (('\\frac{22}{7}', ''), 'a prime or mark makes it another quantity')
    """
    if len(answer) > 2000 or answer.strip() == gold.strip():
        return answer, ""
    value = answer
    if not _NEAR.search(gold) and not _NEAR_WORD.search(gold):
        nearest = _nearest(gold, answer)
        if nearest is None:
            return answer, "near the value is not the value"
        value = nearest
    plain = value if _SET.search(value) is None else value.replace("\\mid", " ").replace("∣", " ")
    plain = _SUBSCRIPT.sub("", plain)
    if set(_RELATION.findall(plain)) - set(_RELATION.findall(gold)) or _MEMBER.search(plain):
        return value, "it is related to the value, and is not said to be it"
    if _marked(gold, value):
        return value, "a prime or mark makes it another quantity"
    if _CHANGE.search(words(value)) and not _CHANGE.search(words(gold)):
        return value, "what is said beside the value makes it another"
    return value, ""


def _nearest(gold: str, answer: str) -> str | None:
    """The value of an answer without what is only near it; None if it says no value itself."""
    text = answer
    if (word := _NEAR_WORD.search(answer)) is not None:
        before, after = answer[: word.start()], answer[word.end() :]
        within = before.rfind("\\text{") > before.rfind("}")
        text = before + (r"}\approx\text{" if within else r"\approx ") + after
        text = re.sub(r"\\text\{[\s,]*\}", "", text)
    first, *others = (part.strip() for part in _NEAR.split(text))
    if not others:
        return answer
    if _DECIMAL.fullmatch(_COMMAND.sub("", _TEXT.sub("", gold))):
        return others[-1] or first or None
    # "7919 or so" has no value before it that is not the same; "22/7, about 3.14" has.
    if not others[-1] or (
        _NAME.fullmatch(_TEXT.sub("", first)) and first.strip("$ ") != gold.strip("$ ")
    ):
        return None
    return first


def words(text: str) -> str:
    r"""The words of an answer, in ``\text`` or outside of it, without commands.

    >>> words(r"\frac{1}{2}\text{ is wrong}"), words("7 or more")
    ('1 2 is wrong', '7 or more')
    """
    text = _COMMAND.sub(" ", _TEXT.sub(r" \1 ", text[:2000]))
    return " ".join(re.findall(r"[0-9]+|[A-Za-z']+", text))


def _marked(gold: str, answer: str) -> bool:
    """Whether an answer has a prime or a mark that the reference has not, or lacks one of it."""
    if not (_NAMED.search(gold) and _NAMED.search(answer)):
        gold, answer = (_NAMED.sub("", text) for text in (gold, answer))
    mine, theirs = (_marks(text) for text in (gold, answer))
    primes, others = mine.pop("'", 0), theirs.pop("'", 0)
    unit = _PRIMED_UNIT.search(gold)
    if others > primes and not (unit and others == primes + (1 if unit["one"] else 2)):
        return True
    # Minutes and feet may be left out as other units are; another letter may not.
    if others < primes and not re.fullmatch(r"[-0-9.]+\W*", gold):
        return True
    return bool(theirs - mine) or bool(mine - theirs)


_CROSSES = re.compile("BALLOT X|CROSS MARK|MULTIPLICATION X|NO ENTRY|PROHIBITED|THUMBS DOWN")


def _denies(sign: str) -> bool:
    if unicodedata.category(sign) in ("Mn", "Me"):
        return True
    return _CROSSES.search(unicodedata.name(sign, "")) is not None


_NAMED = re.compile(r"^[^=]*=(?=[^=]+$)")
"""Where one of two has it, what a value is called says nothing of the value: f'(x) = 2x."""


def _marks(text: str) -> Counter[str]:
    text = _LINES.sub("", _TEXT.sub("", text))
    found = Counter(match["name"] or match["raised"] or match[0] for match in _MARK.finditer(text))
    # Strokes through what stands before them (Mn, Me), and crosses instead of words.
    found.update(sign for sign in text if sign > "\x7f" and _denies(sign))
    for match in _PRIME.finditer(text):
        found["'"] += 2 if match["two"] else max(1, match[0].count("\\prime"))
    return found


_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")
_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\[(\[](.+?)\\[)\]]|[-+]?[0-9][0-9.,/]*[0-9]|[0-9]")
_BEFORE = re.compile(
    r"(?:\b(?:not|n't|never|cannot|isn't|at least|at most|(?:more|less|fewer|greater|other) than"
    r"|anything but)\b(?:\s+(?:be|equal|equals|equal to|exactly))*|≠|!=|\\neq?)\W*$",
    re.I,
)
_AFTER = re.compile(r"\b(?:not|isn't|wrong|incorrect|false)\b", re.I)


def denied(gold: str, response: str) -> bool:
    r"""Whether the end of a response without a box says that its value is not, or only near, it.

    Only what stands right before the last formula or number of the last sentence that has one, or
    after it, is about it: "not 5 but 7" says 7.

    >>> denied("7", "I think it is not 7."), denied("7", "It is not 5 but 7."), denied("7", "So 7.")
    (True, False, False)
    >>> denied("7", r"Then $x \approx 7$."), denied("7", "7 is wrong."), denied("7", "About 7.")
    (True, True, True)
    """
    for sentence in reversed(_ENDS.split(response[-2000:])):
        found = list(_FORMULA.finditer(sentence))
        if not found:
            continue
        last = found[-1]
        before, after = sentence[: last.start()], sentence[last.end() :]
        near = re.search(rf"(?:{_NEAR_WORD.pattern}|{_NEAR.pattern})\W*$", before, re.I)
        if _BEFORE.search(before) or (near and _nearest(gold, rf"\approx {last[0]}") is None):
            return True
        if _AFTER.search(after) or _CHANGE.search(words(after)):
            return True
        return bool(claimed(gold, last[1] or last[2] or last[0])[1])
    return False
