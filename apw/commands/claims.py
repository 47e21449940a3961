"""``apw claims``: every claim, its verdicts, and whether they follow from the evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from apw.command_line import Answer, parse, say
from runs.text import listed

if TYPE_CHECKING:
    from claims.entries import Entry
    from claims.spec import Source


@dataclasses.dataclass(frozen=True)
class Options:
    """Show the ledger of claims, run what it needs, or check that it follows from its evidence."""

    claims: tyro.conf.Positional[tuple[str, ...]] = ()
    """Claims to show in full, such as A4; the table of all if there are none."""

    run: Literal["theory", "sim", "llm"] | None = None
    """Run what this source lacks, of the claims named or of all. On two CPU cores simulations take
    hours in all, language models up to a day."""

    quick: bool = False
    """With --run sim: the short versions, a minute or so each, shown as such."""

    looks: bool = False
    """With --run sim: add seeds, from 20 to 640, until the claims named are decided, at a level
    that is corrected for the looks."""

    ray: bool = False
    """With --run sim: run the cells of sweeps on the Ray cluster that this machine belongs to, with
    --evidence on a disk that all machines share."""

    evidence: Path | None = None
    """Folder of runs to judge instead of the published evidence; with --run, where runs go
    (results/claims)."""

    model: str | None = None
    """With --run llm and L2 or N1: folder or hub id of the language model that is asked."""

    data: str | None = None
    """With --model: file or hub id of MATH's problems."""

    gain: tuple[Path, Path, Path] | None = None
    """Runs of apw train, and of apw evaluate before and after it: write tables of the gain in
    pass@k into the folder that --evidence names."""

    publish: Path | None = None
    """Folder of full runs, as --run leaves them, to make the published evidence."""

    check: bool = False
    """Fail, with exit status 1, if the published ledger does not follow from its evidence."""

    write: bool = False
    """Write the ledger into README.md and docs/ledger.md."""

    json: bool = False
    """Print one JSON object."""

    def __post_init__(self) -> None:
        """Check that the options go together."""
        if self.check and self.write:
            raise ValueError("--check and --write exclude each other")
        for name in ("check", "write"):
            if getattr(self, name) and (self.claims or self.run or self.evidence):
                raise ValueError(
                    f"--{name} is about the whole published ledger; it takes no claims, no --run "
                    "and no --evidence"
                )
        if (self.model is None) != (self.data is None) or (self.model and self.run != "llm"):
            raise ValueError("--model and --data go together, with --run llm")
        if self.gain and not self.evidence:
            raise ValueError("--gain needs --evidence, the folder that its tables go to")
        if self.quick and self.run is None:
            raise ValueError("--quick goes with --run sim")
        if self.looks and self.run is None:
            raise ValueError("--looks goes with --run sim")
        if self.ray and self.run is None:
            raise ValueError("--ray goes with --run sim")


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw claims``."""
    options = parse(Options, arguments, command="claims")
    if options.check:
        return _check()
    if options.write:
        return _write()
    if options.gain and options.evidence:
        return _gain(*options.gain, options.evidence)
    from claims.entries import counting_sentence, ledger
    from claims.render.terminal import details, overview
    from claims.running import FOLDER, publish, run_missing

    if options.publish:
        published = publish(options.publish)
        return Answer({"published": published}, f"Published {listed(published)}.")
    ids = [_known(id) for id in options.claims]
    folder = options.evidence
    if options.run:
        folder = folder or FOLDER
        if options.model:
            from claims.language_model.identities import judge_model

            judge_model(options.model, options.data, folder / "llm" / "evidence")
        else:
            how = {"quick": options.quick, "looks": options.looks, "ray": options.ray}
            run_missing(options.run, ids, folder, **how, say=say)
    elif folder is not None and not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    evidence: Mapping[Source, Path] | None = (
        None if folder is None else {"sim": folder, "llm": folder}
    )
    entries = ledger(evidence, ids=ids or None)
    data: dict[str, Any] = {
        "evidence": "published" if folder is None else str(folder),
        "summary": counting_sentence(entries),
        "claims": [_data(entry) for entry in entries],
    }
    text = "\n\n".join(map(details, entries)) if ids else overview(entries)
    return Answer(data, text)


def _check() -> Answer:
    from claims.audit import audit

    faults = audit()
    if faults:
        verdict = f"The published ledger does not follow from its evidence ({len(faults)} faults)."
        text = "\n".join([*(f"- {fault}" for fault in faults), "", verdict])
        return Answer({"follows": False, "faults": faults}, text, status=1)
    text = "The published ledger follows from its evidence."
    return Answer({"follows": True, "faults": []}, text)


def _gain(train: Path, before: Path, after: Path, to: Path) -> Answer:
    from claims.language_model.before_after import publish

    found = publish(train, before, after, to)
    return Answer({"pass_at_k": found.to_dict("records")}, found.to_string(index=False))


def _write() -> Answer:
    from claims.entries import counting_sentence, ledger
    from claims.published import write

    entries = ledger()
    changed = [str(path) for path in write(entries)]
    text = f"Wrote {listed(changed)}." if changed else "Nothing has changed."
    return Answer({"written": changed}, f"{counting_sentence(entries)}\n{text}")


def _known(id: str) -> str:
    from claims.spec import claims

    if id.upper() not in claims():
        raise ValueError(f"the ledger has no claim {id!r}; its claims are {', '.join(claims())}")
    return id.upper()


def _data(entry: Entry) -> dict[str, Any]:
    from claims.render.words import rerun

    claim = entry.claim
    sources = {}
    for source, test in claim.tests.items():
        record = entry.records[source]
        sources[source] = {
            "verdict": entry.state(source),
            "prediction": test.prediction,
            "how": test.how,
            "command": rerun(entry, source) or None,
            "finding": record.finding.to_dict() if record else None,
            "environment": dict(record.environment) if record else None,
            "path": str(record.path) if record and record.path else None,
        }
    return {
        "id": claim.id,
        "title": claim.title,
        "sentence": claim.sentence,
        "papers": claim.citation,
        "sources": sources,
    }
