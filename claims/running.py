"""Run what the ledger lacks: simulations claim by claim, language models setting by setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from claims.looks import LOOKS
from claims.records import PUBLISHED, read_records
from claims.spec import Source, claims

FOLDER = Path("results/claims")
"""Where runs go by default."""


def runnable(source: Source) -> list[str]:
    """Claims that a source can test, in the order of the ledger.

    Args:
        source: ``"theory"``, ``"sim"`` or ``"llm"``.

    >>> runnable("theory")[-1], "L1" in runnable("sim")
    ('S2', False)
    """
    known: Mapping[str, object]
    if source == "sim":
        from claims.simulation.registry import CLAIMS as KNOWN_SIM

        known = KNOWN_SIM
    elif source == "llm":
        from claims.language_model.claims import known_claims

        known = dict.fromkeys(known_claims())
    else:
        known = claims()
    return [id for id, claim in claims().items() if source in claim.tests and id in known]


def run_missing(
    source: Source,
    ids: Sequence[str] = (),
    folder: Path = FOLDER,
    *,
    quick: bool = False,
    looks: bool = False,
    ray: bool = False,
    say: Callable[[str], None] = lambda words: None,
) -> list[str]:
    """Run every claim of a source whose verdict is not in the folder yet.

    A killed run resumes. The theory leaves no files: it is computed whenever the
    ledger is.

    Args:
        source: ``"theory"``, ``"sim"`` or ``"llm"``.
        ids: Claims; all that the source can test by default. Named claims are judged again from
            their runs even if they have a verdict.
        folder: Folder of the runs.
        quick: The short versions, of the simulations only.
        looks: Add seeds until a claim is decided; of language models, where Countdown decides.
        ray: Run the cells of sweeps on a Ray cluster, of the simulations only.
        say: Told what begins.

    Returns:
        Claims that were run.

    Raises:
        ValueError: A claim that the source cannot test, or a quick version that does not exist.
    """
    able = runnable(source)
    for id in ids:
        if id not in able:
            raise ValueError(f"{id} has no {source} run; claims that do: {', '.join(able)}")
    if quick and source != "sim":
        raise ValueError(f"--quick is for --run sim; {source} has one version only")
    if looks and (quick or source == "theory"):
        raise ValueError("--looks is for full versions of --run sim and for --run llm")
    if ray and source != "sim":
        raise ValueError(f"--ray is for --run sim; {source} has no sweeps")
    if source == "theory":
        return list(ids or able)
    there = read_records(folder) if folder.is_dir() else {}
    done = {
        id for kind, id in there if kind == source and (quick or not there[kind, id].finding.quick)
    }
    wanted = list(ids) or [id for id in able if id not in done]
    if source == "sim":
        from claims.simulation.registry import check_claim

        for number, id in enumerate(wanted, start=1):
            say(f"[{number}/{len(wanted)}] {id}: {claims()[id].title}")
            check_claim(
                id,
                folder / "sim",
                quick=quick,
                executor="ray" if ray else "local",
                looks=LOOKS["sim"] if looks else (),
            )
    elif wanted:
        _train(wanted, folder / "llm", say, LOOKS["llm"] if looks else LOOKS["llm"][:1])
    return wanted


def publish(folder: Path, to: Mapping[Source, Path] = PUBLISHED) -> list[str]:
    """Make the full runs of a folder the published evidence.

    Args:
        folder: Folder of the runs, as :func:`run_missing` fills it.
        to: Source → folder of its published findings.

    Returns:
        Claims published.

    Raises:
        ValueError: Nothing to publish, or evidence whose verdict does not follow from its samples.
    """
    published = []
    if (folder / "sim" / "full").is_dir():
        from claims.simulation.publish import publish as publish_simulations

        published += publish_simulations(folder / "sim" / "full", to["sim"])
    if (folder / "llm").is_dir():
        from claims.language_model.claims import write_findings
        from claims.language_model.run import publish as publish_tables
        from claims.language_model.settings import SETTINGS

        if publish_tables(folder / "llm", SETTINGS, to["llm"].parent):
            published += [found.id for found in write_findings(to["llm"].parent)]
    if not published:
        raise ValueError(f"{folder} holds no full runs of claims; --run makes them")
    return published


def _train(
    wanted: Sequence[str], folder: Path, say: Callable[[str], None], looks: Sequence[int]
) -> None:
    from claims.language_model.claims import deciding_settings, settings_of, write_findings
    from claims.language_model.run import publish, run
    from claims.language_model.settings import SETTINGS

    for look in range(1, len(looks) + 1):
        # On sums nothing is gained by more seeds of what is trivial: later looks are Countdown's.
        of = settings_of if look == 1 else deciding_settings
        names = {name for id in wanted for name in of(id)}
        settings = [setting for setting in SETTINGS if setting.name in names]
        for number, setting in enumerate(settings, start=1):
            say(f"[{number}/{len(settings)}] {setting.name}, for {', '.join(setting.claims)}")
            run(folder, [dataclasses.replace(setting, looks=look)])
        publish(folder, settings, folder / "evidence")
        found = {item.id: item.verdict for item in write_findings(folder / "evidence")}
        wanted = [id for id in wanted if deciding_settings(id) and found.get(id) == "open"]
        if not wanted:
            return
