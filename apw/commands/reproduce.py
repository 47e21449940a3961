"""``apw reproduce``: every claim tried again within the hour, in one report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apw.command_line import Answer, parse, say
from apw.demo import GENERATOR, NOT_ASKED, run_demo
from claims.spec import SOURCES, Source
from runs.files import read_json
from runs.folder import is_run, read_config
from runs.ownership import refuse_foreign_report
from runs.terminal import Progress
from runs.text import listed

if TYPE_CHECKING:
    from claims.language_model.settings import Setting
    from figures.report import Section
    from llm_validation.config import TrainConfig

    Training = tuple[Setting, dict[str, TrainConfig]]
    """A setting of the language model, and the configurations of its run folders."""

SCHEMES = {
    "rule-post-sft": (
        "grpo",
        "linear_r",
        "sqrt_r",
        "uniform_r",
        "lens",
        "psr",
        "nsr",
        "w_reinforce",
    ),
    "rule-from-scratch": (
        "grpo",
        "linear_r",
        "linear_r:zero_success=drop",
        "sqrt_r",
        "uniform_r",
        "lens",
    ),
    "countdown-post-sft": ("nsr", "psr"),
}
"""Setting of the language model → those of its schemes that a claim is about."""

WITHIN_THE_HOUR = ("rule-post-sft", "rule-from-scratch")
"""Settings that are run unless others are named."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Try every claim again: theory, the simulator's short versions, a tiny language model.

    Takes half an hour to an hour on two CPU cores. If it is stopped, the same command resumes it.
    """

    out: Path | None = None
    """Folder for runs, figures and report.html; results/reproduce by default, with --quick
    results/demo."""

    quick: bool = False
    """A first look in a few minutes: the published ledger, then the theory, a simulation and a
    small language model of its own. Tests no claim; goes with --out and --sources only."""

    sources: tuple[Source, ...] = SOURCES
    """What is asked: theory, sim, llm (the language model); all three by default."""

    claims: tuple[str, ...] = ()
    """Claims that the simulator tries; all it can by default."""

    settings: tuple[str, ...] = ()
    """Settings of the language model: rule-post-sft and rule-from-scratch, both by default, and
    countdown-post-sft, which takes a quarter of an hour more."""

    seeds: int | None = None
    """Seeds of the language model, 5 by default; fewer decide nothing."""

    json: bool = False
    """Print one JSON object."""

    def __post_init__(self) -> None:
        """Check the names."""
        unknown = sorted(set(self.settings) - set(SCHEMES))
        if unknown:
            raise ValueError(f"--settings takes {listed(tuple(SCHEMES), 'and')}; got {unknown[0]}")
        if self.seeds is not None and self.seeds < 1:
            raise ValueError(f"--seeds must be at least 1; got {self.seeds}")
        if self.quick and (self.claims or self.settings or self.seeds is not None):
            raise ValueError("--quick tests no claim: leave out --claims, --settings and --seeds")


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw reproduce``."""
    options = parse(Options, arguments, command="reproduce")
    if options.quick:
        return run_demo(options.out or Path("results/demo"), options.sources)
    out = options.out or Path("results/reproduce")
    refuse_foreign_report(out, GENERATOR)
    began = time.monotonic()
    trainings, skipped = _trainings(options, out)
    claims = _claims(options)
    say("[1/4] theory: the mathematics of every claim")
    published = _theory("theory" in options.sources)
    say("[2/4] sim: the short versions of the simulations")
    if "sim" in options.sources:
        _simulate(out, claims)
    else:
        say(f"      left out: {NOT_ASKED}")
    say("[3/4] llm: a tiny transformer through TRL's GRPOTrainer")
    skipped = skipped or _train(out, trainings)
    if skipped:
        say(f"      left out: {skipped}")
    say("[4/4] figures and report")
    sources = [s for s in options.sources if s != "llm" or not skipped]
    report, counts, agreement = _report(out, published, sources, skipped)
    minutes = (time.monotonic() - began) / 60
    data = {
        "report": str(report),
        "verdicts": counts,
        "agreement": agreement,
        "skipped": skipped,
        "minutes": minutes,
    }
    lines = [counts, agreement, f"Done in {minutes:.1f} minutes. Open {report} in a browser."]
    return Answer(data, "\n".join(lines))


def _claims(options: Options) -> list[str]:
    """Claims to simulate, in the order of the ledger."""
    from claims.running import runnable

    able = runnable("sim")
    unknown = [id for id in options.claims if id.upper() not in able]
    if unknown:
        raise ValueError(f"{unknown[0]} has no simulation; claims that do: {', '.join(able)}")
    asked = [id.upper() for id in options.claims] or able
    return [id for id in able if id in asked]


def _trainings(options: Options, out: Path) -> tuple[list[Training], str]:
    """What the language model is to be trained on, or why it is not, in a sentence."""
    if "llm" not in options.sources:
        return [], NOT_ASKED
    from claims.language_model.settings import judging

    found = []
    for setting in map(_setting, options.settings or WITHIN_THE_HOUR):
        configs = dict(judging(setting, _picked(setting), seeds=options.seeds or 5))
        for name, config in configs.items():
            folder = out / "llm" / name
            if is_run(folder) and read_config(folder) != config.to_dict():
                raise ValueError(
                    f"{folder} holds a run with other settings; give --out another folder"
                )
        found.append((setting, configs))
    return found, ""


def _theory(told: bool) -> list[Any]:
    """The published ledger; its verdicts of the theory are computed here."""
    from claims.entries import ledger

    entries = ledger()
    if not told:
        say(f"      left out: {NOT_ASKED}")
        return entries
    found = [entry.verdicts["theory"] for entry in entries]
    confirmed = sum(f is not None and f.verdict == "confirmed" for f in found)
    say(f"      {confirmed} of {sum(f is not None for f in found)} confirmed")
    return entries


def _simulate(out: Path, claims: Sequence[str]) -> None:
    from claims.records import read_records
    from claims.running import run_missing
    from figures.reproduction import CLAIMS

    folder = out / CLAIMS
    done = {id for _, id in read_records(folder / "sim")}
    wanted = [id for id in claims if id not in done]
    if wanted:
        run_missing("sim", wanted, folder, quick=True, say=lambda words: say(f"      {words}"))
    else:
        say("      already there")


def _train(out: Path, trainings: Sequence[Training]) -> str:
    """Train what is missing; say in a sentence why there is nothing to show, if so."""
    from figures.reproduction import EVIDENCE
    from llm_validation.extras import MissingExtraError, require_llm

    try:
        require_llm()
    except MissingExtraError as error:
        return f"{error}".rstrip(".")
    from claims.language_model.claims import write_findings
    from claims.language_model.run import publish
    from llm_validation.train import train

    for _, configs in trainings:
        for name, config in configs.items():
            seeds = "one seed" if config.seeds == 1 else f"{config.seeds} seeds"
            say(f"      {name}: {len(config.schemes)} schemes, {seeds}")
            train(config, out / "llm" / name)
    publish(out / "llm", [setting for setting, _ in trainings], out / EVIDENCE)
    write_findings(out / EVIDENCE)
    return ""


def _setting(name: str) -> Setting:
    from claims.language_model.settings import SETTINGS

    setting = next(setting for setting in SETTINGS if setting.name == name)
    return dataclasses.replace(setting, schemes=SCHEMES[name])


def _picked(setting: Setting) -> dict[str, float]:
    """Learning rates as the published evidence picked them, on seeds that are not used here."""
    if len(setting.learning_rates) == 1:
        return dict.fromkeys(setting.schemes, setting.learning_rates[0])
    import claims

    place = Path(claims.__file__).parent / "evidence" / "llm" / setting.name / "environment.json"
    picked = read_json(place)["picked"]
    return {scheme: float(picked[scheme]) for scheme in setting.schemes}


def _report(
    out: Path, published: list[Any], sources: Sequence[Source], skipped: str
) -> tuple[Path, str, str]:
    from claims.entries import counting_sentence
    from figures.explorer import write_explorer
    from figures.report import write_report
    from figures.reproduction import AGREEMENT, EXPLORER, ONE_AXIS, reproduced_ledger, sections
    from runs.environment import describe_environment

    entries = reproduced_ledger(out, sources)
    environment = describe_environment()
    parts: list[Section] = sections(
        out, entries, published, sources, skipped=skipped, commit=environment.get("commit")
    )
    agreement = next(p.findings[0] for p in parts if p.title == AGREEMENT)
    first = next(part.pictures[0] for part in parts if part.title == ONE_AXIS)
    pictures = [picture for part in parts for picture in part.pictures]
    with Progress("figures", len(pictures), unit="pictures") as progress:
        for picture in pictures:
            picture.save(out / "figures", pages=True, generator=GENERATOR)
            progress.advance()
    write_explorer(out / EXPLORER)
    report = out / "report.html"
    counts = counting_sentence(entries)
    write_report(
        report,
        generator=GENERATOR,
        topic="Prompt weighting: every claim, tried again",
        title=agreement,
        lead=first,
        summary=[
            "What three papers on prompt weighting in reinforcement learning with verifiable "
            "rewards claim, and what theory, simulation and a small language model say to it.",
            "Every number, sentence and verdict below was computed from the results beside this "
            "file, which loads nothing but the figures there.",
        ],
        sections=parts,
        environment=environment,
        figures="figures",
        beside=True,
    )
    return report, counts, agreement
