"""The ledger in Markdown: a section for the README and a page for the documents."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from claims.entries import Entry, counting_sentence
from claims.render.model import KEY, Result, Shown
from claims.spec import SOURCE_NAMES

PAGE = Path("docs/ledger.md")
"""Where the page goes, which the section links to."""


CHANGES = """\
## What changed with the rule

All published verdicts were judged again, from the samples that were stored, by a stricter rule.

- **Intervals.** Percentile bootstraps of five seeds cover the truth in 84 of 100 cases, not in
  95 of them. Intervals are now Student's t over seeds, of logarithms for ratios, and cover as said.
- **Closeness** is confirmed if the whole interval lies within the tolerance (two one-sided tests);
  it was enough that the mean did.
- **No effect.** Every check of a difference states δ, the smallest effect that a user would act on:
  a tenth of a time, a hundredth of a pass rate or of a nat of entropy. δ was stated after these
  runs were made, before they were judged again. An interval inside ±δ is *no effect*, whether it
  holds 0 or not: so were both halves of LENS (L4) on the language model, GRPO's entropy over PSR's
  (N4), and W-REINFORCE against GRPO.
- **Open** was called inconclusive. Nothing is told by a pass@k that was above 0.99 before training,
  and nothing by a target that is reached in fewer than five updates: L3, N2, N3 and N6 of the
  language model, confirmed or refuted before, are open for that.
- **Identities.** What follows from the definitions and cannot fail is called so: exact mirror steps
  in A1 and A2, and the theory of L1, L2, N1, O1, O3 and O4.
- **Sampling designs.** GRPO's "excess of 2.29 at M = 16" paired the drift of groups that did not
  wait with the cost of waiting, which no training does. A3, A4, A5, A6 and O2 now name who is
  sampled, and count responses. What had been measured on the simulator's own clock 1/ρ is
  withdrawn: half of A3, the equal budgets of A4 and A5, and O2, which now says the opposite. By
  theory, for one prompt in fixed groups, asymmetric weights do not save responses from scratch (A4
  is refuted there), and all-wrong groups are worth one percent (A6). What the simulation and the
  language model show of A4 and A6, with shared parameters, the theory of one prompt does not
  explain.
- **Simulations run anew.** A4 to A6, L3 to L5, N2, N3, N4, N6, N7 and O4 had been judged where
  targets fell in a few updates, at rates picked on three to five seeds, or after hundreds of
  over-tuned updates. Their regimes were written down again and run: grids of factor 2 with 20 to 40
  tuning seeds, targets twenty or more updates away after fine-tuning, diversity where pass@1 has
  risen by as much, from two bases and at two noise doses. What this changed stands with the
  [evidence](../claims/evidence/sim/README.md).
- **Ceilings.** Ratios of times still count up to a factor of 20 where a scheme never arrives, and
  in the language model learning rates were picked on two to five seeds, at the edge of a short
  grid. The error of picking is in no interval of a check.
"""


def readme_section(entries: Sequence[Entry]) -> str:
    """The README's section: how many claims came out how, without the markers.

    Args:
        entries: The ledger.
    """
    text = f"{counting_sentence(entries)} What was claimed, predicted and found is in [the ledger]"
    return _wrapped(f"{text}({PAGE}).") + "\n"


def page(entries: Sequence[Entry]) -> str:
    """The full ledger.

    Args:
        entries: The ledger.
    """
    parts = [
        "# The ledger of claims",
        "A claim is a sentence that can turn out false. What must come out was written down "
        "before the runs, with a number and a tolerance or an interval; the verdicts are derived "
        "from the samples by code (`claims/verdicts.py`), never by hand, and what was refuted "
        "stays. Simulations and language models are judged by Student's t intervals over seeds, of "
        "logarithms for ratios, each scheme at its own best learning rate from the same grid. "
        "`apw claims --write` writes this page.",
        f"{counting_sentence(entries)} {KEY}",
        _index(entries),
        *(_claim(Shown.of(entry)) for entry in entries),
        CHANGES.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _index(entries: Sequence[Entry]) -> str:
    """One row per claim, which leads to it."""
    rows = [
        [f"[{c.id}](#{c.id.lower()})", c.title, *(label for _, label in c.states)]
        for c in map(Shown.of, entries)
    ]
    return _table(["", "claim", *SOURCE_NAMES.values()], rows)


def _claim(shown: Shown) -> str:
    rows = [[r.source, r.label, r.prediction, r.how] for r in shown.results]
    parts = [
        f'<a id="{shown.id.lower()}"></a>\n\n## {shown.id} – {_plain(shown.title)}',
        f"{_plain(shown.sentence)} *Source: {shown.citation}.*",
        _table(["source", "verdict", "prediction", "how"], rows),
        *(_result(result) for result in shown.results if result.rows),
    ]
    return "\n\n".join(parts)


def _result(result: Result) -> str:
    sentences = (
        f"**{result.source.capitalize()}: {result.label}.**",
        _plain(result.why),
        result.rule,
        _plain(result.environment),
        f"Run it again: `{result.command}`.",
    )
    parts = [" ".join(filter(None, sentences))]
    if result.regimes:
        items = [f"- {_plain(regime)}" for regime in result.regimes]
        parts.append("\n".join(["Regimes tried:", "", *items]))
    rows = [[row.name, row.predicted, row.steady, row.seeds, row.verdict] for row in result.rows]
    checks = _table(["check", "predicted", "measured", "seeds", "verdict"], rows)
    parts.append(f"<details><summary>{result.tally}</summary>\n\n{checks}\n\n</details>")
    return "\n\n".join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[_plain(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *lines))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


_SPECIAL: Mapping[str, str] = {"|": "\\|", "*": "\\*", "_": "\\_", "<": "&lt;", "\n": " "}


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return "".join(_SPECIAL.get(character, character) for character in text)
