"""A source tree whose ledger follows from evidence that can then be tampered with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from claims.audit import audit
from claims.entries import ledger
from claims.published import CLOSE, OPEN, write
from claims.spec import Source, bound
from claims.verdicts import Finding, above, below, compared, finding, near, primary_regime

ENVIRONMENT = {
    "commit": "0123abc",
    "packages": {"numpy": "2.4.6"},
    "python": "3.11.7",
    "time": "2026-02-01T00:00:00+00:00",
}


@dataclasses.dataclass(frozen=True)
class Tree:
    """A source tree with a published ledger."""

    root: Path

    @property
    def evidence(self) -> Mapping[Source, Path]:
        return {"sim": self.root / "sim", "llm": self.root / "llm" / "findings"}

    @staticmethod
    def a4(shift: float = 0.0, *, quick: bool = False) -> Finding:
        """A confirmed finding with two checks; ``shift`` moves every sample."""
        ratios = [0.55 + shift, 0.56 + shift, 0.55 + shift, 0.54 + shift, 0.56 + shift]
        logs = [-0.4 + shift, -0.5 + shift, -0.3 + shift, -0.4 + shift, -0.45 + shift]
        checks = [
            bound("A4", "sim").check(
                "responses", logs, **compared("linear_r", "grpo", "log ratio", "rule, own rates")
            ),
            near(
                "time to target",
                0.5525,
                ratios,
                0.1,
                **compared("linear_r", "grpo", "ratio", "same budget"),
            ),
        ]
        return finding("A4", "sooner", checks, ["same budget", "rule"], quick=quick)

    @staticmethod
    def n3() -> Finding:
        """A refuted finding of two regimes, of which the second confirms."""
        falls, rises = [-0.1, -0.2, -0.1, -0.3, -0.2], [0.1, 0.2, 0.1, 0.3, 0.2]
        up = above("pass@1", 0.0, rises, delta=0.01)
        first = [up, below("pass@256", 0.0, rises, delta=0.01)]
        second = [up, below("pass@256", 0.0, falls, delta=0.01)]
        return primary_regime("N3", "falls", {"held out": first, "tree": second}, quick=False)

    def store(self, found: Finding, *, source: Source = "sim", name: str = "", **more: Any) -> Path:
        path = self.evidence[source] / f"{name or found.id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {**found.to_dict(), "source": source, "environment": ENVIRONMENT, **more}
        path.write_text(json.dumps(values), encoding="utf-8")
        return path

    def edit(self, path: Path, change: Callable[[Any], None]) -> None:
        values = json.loads(path.read_text(encoding="utf-8"))
        change(values)
        path.write_text(json.dumps(values), encoding="utf-8")

    def publish(self) -> None:
        write(ledger(self.evidence), self.root)

    def faults(self) -> list[str]:
        return audit(self.root, self.evidence)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """The evidence of A4 (confirmed) and N3 (refuted), published."""
    made = Tree(tmp_path)
    (tmp_path / "README.md").write_text(f"# apw\n\n{OPEN}\n{CLOSE}\n\nMore.\n", encoding="utf-8")
    made.store(made.a4())
    made.store(made.n3())
    made.publish()
    assert made.faults() == []
    return made
