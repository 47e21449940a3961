"""The ledger as HTML, for reports: a table whose rows lead to everything known about a claim."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from importlib import resources

from claims.entries import MARKS, Entry, counting_sentence
from claims.published import regime_words
from claims.spec import SOURCE_NAMES, SOURCES, Source
from claims.words import (
    environment,
    measured,
    predicted,
    reason,
    rerun,
    rule,
    tally,
)


def ledger_html(
    entries: Sequence[Entry], links: Mapping[str, Sequence[tuple[str, str]]] | None = None
) -> str:
    """The ledger as an HTML fragment: counts, the table, and a section per claim.

    Verdicts are told by a symbol and a word. A claim's section has the anchor ``claim-A4``. The
    style stands in the fragment, and uses the custom properties of ``report.css`` where these are
    there. It loads nothing and needs no script.

    Args:
        entries: The ledger.
        links: Claim → (words, address) of its figures and data, shown in the claim's section.
    """
    style = resources.files("claims").joinpath("ledger.css").read_text(encoding="utf-8")
    head = "".join(f'<th scope="col">{word}</th>' for word in ("claim", "", *SOURCE_NAMES.values()))
    rows = "\n".join(_row(entry) for entry in entries)
    sections = "\n".join(
        _section(entry, (links or {}).get(entry.claim.id, ())) for entry in entries
    )
    return f"""<style>
{style}</style>
<p>{_text(counting_sentence(entries))}</p>
<div class="scroll">
<table class="ledger">
<caption>Every claim and its verdicts; {_text(_key())}.</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
{sections}"""


def _key() -> str:
    meanings = {
        "confirmed": "the prediction came out", "refuted": "it did not",
        "inconclusive": "the interval is too wide to tell", "quick": "from a quick run",
        "not run": "no evidence yet", "–": "the source does not apply",
    }  # fmt: skip
    return ", ".join(f"{MARKS[state]} {meaning}" for state, meaning in meanings.items())  # type: ignore[index]


def _row(entry: Entry) -> str:
    claim = entry.claim
    cells = "".join(f"<td>{_verdict(entry, source)}</td>" for source in SOURCES)
    return (
        f'<tr><th scope="row"><a href="#claim-{claim.id}">{claim.id}</a></th>'
        f'<td class="words">{_text(claim.title)}</td>{cells}</tr>'
    )


def _verdict(entry: Entry, source: Source) -> str:
    kind = {"–": "absent", "not run": "absent"}.get(entry.state(source), entry.state(source))
    return f'<span class="verdict {kind}">{_text(entry.label(source))}</span>'


def _section(entry: Entry, links: Sequence[tuple[str, str]]) -> str:
    claim = entry.claim
    led = ", ".join(f'<a href="{_text(to)}">{_text(words)}</a>' for words, to in links)
    parts = [
        f'<section class="claim" aria-labelledby="claim-{claim.id}">',
        f'<h3 id="claim-{claim.id}">{claim.id} – {_text(claim.title)}</h3>',
        f"<p>{_text(claim.sentence)} <cite>{_text(claim.citation)}</cite></p>",
        f"<p>{led}</p>" if led else "",
        *(_source(entry, source) for source in claim.tests),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _source(entry: Entry, source: Source) -> str:
    test, record = entry.claim.tests[source], entry.records[source]
    parts = [
        f"<h4>{_text(SOURCE_NAMES[source].capitalize())}: {_verdict(entry, source)}</h4>",
        f"<p><b>Predicted:</b> {_text(test.prediction)}. "
        f"<b>Measured by:</b> {_text(test.how)}.</p>",
    ]
    if record is None:
        command = rerun(entry, source)
        told = (
            f"Run it: <code>{_text(command)}</code>" if command else "No run is built for it yet."
        )
        return "\n".join([*parts, f"<p>{told}</p>"])
    found = record.finding
    if why := reason(found):
        parts.append(f"<p>{_text(why)}</p>")
    details = []
    if source != "theory":
        items = "".join(f"<li>{_text(words)}</li>" for words in regime_words(found))
        details.append(f"<p>Regimes tried:</p><ul>{items}</ul>")
    words = " ".join(word for word in (rule(found), environment(record.environment)) if word)
    if words:
        details.append(f"<p>{_text(words)}</p>")
    head = "".join(
        f'<th scope="col">{word}</th>'
        for word in ("check", "predicted", "measured [95 %]", "seeds", "verdict")
    )
    rows = "\n".join(
        f'<tr><td class="words">{_text(check.name)}</td><td>{_text(predicted(check))}</td>'
        f"<td>{_text(measured(check))}</td>"
        f"<td>{'exact' if check.exact else check.seeds}</td>"
        f'<td><span class="verdict {check.verdict}">{MARKS[check.verdict]} {check.verdict}</span>'
        "</td></tr>"
        for check in found.checks
    )
    parts.append(
        f"<details><summary>{_text(tally(found))}</summary>\n"
        + "\n".join(details)
        + f'<div class="scroll"><table class="ledger"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>\n</details>"
    )
    parts.append(f"<p>Run it again: <code>{_text(rerun(entry, source))}</code></p>")
    return "\n".join(parts)


def _text(text: str) -> str:
    return html.escape(text, quote=True)
