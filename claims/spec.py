"""The claims of the ledger as they were written down before the runs, read from ``claims.toml``."""

from __future__ import annotations

import dataclasses
import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal, Unpack, get_args

import numpy as np

from claims.verdicts import Check, Compared, Relation, judge

Source = Literal["theory", "sim", "llm"]
SOURCES: tuple[Source, ...] = get_args(Source)

SOURCE_NAMES: Mapping[Source, str] = {
    "theory": "theory",
    "sim": "simulation",
    "llm": "language model",
}
"""Sources as readers know them."""

_SLACK = 5e-3
"""Predictions in the ledger are rounded to three digits or more."""


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where a claim comes from.

    Attributes:
        key: ``"apw"``, ``"lens"`` or ``"nsr"``.
        title: Title of the paper.
        arxiv: arXiv number.
    """

    key: str
    title: str
    arxiv: str


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a check must be judged against, as it was written down before the run.

    Attributes:
        relation: ``"near"``, ``"above"`` or ``"below"``.
        number: The number predicted, or the bound.
        tolerance: Relative tolerance of ``near``.
        delta: δ, the smallest effect that a user would act on; 0 where none is stated.
    """

    relation: Relation
    number: float
    tolerance: float = 0.0
    delta: float = 0.0

    def check(
        self,
        quantity: str,
        samples: Sequence[float] | np.ndarray,
        *,
        number: float | None = None,
        **about: Unpack[Compared],
    ) -> Check:
        """Judge samples by it.

        Args:
            quantity: What was measured.
            samples: One value per seed.
            number: The number predicted, where every case has its own.
            **about: Scheme, reference, unit, regime and exact of the check.

        >>> expected = Expected("above", 0.0, delta=0.01)
        >>> expected.check("pass@1", [0.001, 0.002, 0.003], scheme="nsr").verdict
        'no effect'
        """
        told = self.number if number is None else number
        about["delta"] = self.delta
        values = [float(sample) for sample in samples]
        return judge(quantity, told, self.relation, self.tolerance, values, **about)

    def agrees(self, check: Check) -> bool:
        """Tell whether a check is judged against this prediction, rounding aside.

        >>> from claims.verdicts import above, near
        >>> expected = Expected("near", 2.288, 0.05)
        >>> expected.agrees(near("time", 2.28826, [3.0], 0.05)), expected.agrees(above("", 0, [1]))
        (True, False)
        """
        return (
            check.relation == self.relation
            and math.isclose(check.prediction, self.number, rel_tol=_SLACK, abs_tol=1e-15)
            and math.isclose(check.tolerance, self.tolerance, rel_tol=_SLACK, abs_tol=1e-15)
            and math.isclose(check.delta, self.delta, rel_tol=_SLACK, abs_tol=1e-15)
        )


@dataclasses.dataclass(frozen=True)
class Test:
    """How one source puts a claim to the test.

    Attributes:
        prediction: What must come out, with number and tolerance, in words.
        how: What is measured, in words.
        bounds: What checks are judged against, by name; ``main`` is the first check's.
        identity: It follows from the definitions: confirming it is no evidence.
        built: ``apw claims --run`` can run it.
        command: Another command that runs it.
    """

    prediction: str
    how: str
    bounds: Mapping[str, Expected] = dataclasses.field(default_factory=dict)
    identity: bool = False
    built: bool = True
    command: str = ""

    @property
    def main(self) -> Expected | None:
        """What the first check is judged against; none in a test without a number."""
        return self.bounds.get("main")


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that can turn out false.

    Attributes:
        id: Such as ``"A4"``.
        title: The claim in a few words.
        sentence: The claim in one sentence of at most 200 characters.
        papers: Where it comes from.
        ours: It is (also) this project's.
        tests: Source → how it is put to the test; sources that do not apply are absent.
    """

    id: str
    title: str
    sentence: str
    papers: tuple[Paper, ...]
    ours: bool
    tests: Mapping[Source, Test]

    @property
    def citation(self) -> str:
        """Papers with their arXiv numbers, and ourselves, in words."""
        names = [f"{paper.title} (arXiv {paper.arxiv})" for paper in self.papers]
        return "; ".join([*names, "this project"] if self.ours else names)


@functools.cache
def claims() -> Mapping[str, Claim]:
    """All claims by id, in the order of the ledger.

    >>> len(claims()), claims()["A4"].papers[0].arxiv
    (33, '2602.11128')
    """
    text = resources.files("claims").joinpath("claims.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    papers = {key: Paper(key, **fields) for key, fields in data["papers"].items()}
    return {id: _claim(id, fields, papers) for id, fields in data["claims"].items()}


def bound(id: str, source: Source, name: str = "main") -> Expected:
    """What a check of a source is judged against, as the ledger holds it.

    Args:
        id: Claim of the ledger.
        source: Source of evidence.
        name: Which of the source's bounds; ``"main"`` is the first check's.

    Raises:
        ValueError: The ledger has no such bound.

    >>> bound("N2", "sim", "kept").number
    -0.01
    """
    test = claims()[id].tests.get(source) if id in claims() else None
    if test is None or name not in test.bounds:
        raise ValueError(f"the ledger has no bound {name!r} of {id} for {source}")
    return test.bounds[name]


def _claim(id: str, fields: Mapping[str, Any], papers: Mapping[str, Paper]) -> Claim:
    tests = {
        source: Test(
            fields[source]["prediction"],
            fields[source]["how"],
            {name: Expected(**values) for name, values in fields[source].get("bounds", {}).items()},
            fields[source].get("identity", False),
            fields[source].get("built", True),
            fields[source].get("command", ""),
        )
        for source in SOURCES
        if source in fields
    }
    keys = fields["papers"]
    cited = tuple(papers[key] for key in keys if key != "ours")
    return Claim(id, fields["title"], fields["sentence"], cited, "ours" in keys, tests)
