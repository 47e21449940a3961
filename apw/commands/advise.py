"""``apw advise``: which scheme and group size suit a set of prompts and its costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tyro

from apw.advice.lines import TRL_IMPORTS, trl_line, verl_line
from apw.advice.plans import refuse_plan, write_plan
from apw.advice.prompts import Prompts, prompts_from
from apw.advice.sharing import (
    hangs_on,
    prompts_of_kernel,
    read_kernel,
    sharing_data,
    sharing_words,
    trained_ratios,
)
from apw.command_line import Answer, parse
from apw.commands.weights import success_grid
from runs.configuration import GroupSize, NotNegative, Share
from runs.ownership import picture_kind, refuse_foreign
from runs.terminal import table
from runs.text import interval, number, percent
from theory._arrays import Floats
from theory.advice import ENOUGH, WORTH_IT, Advice, advise
from theory.designs import DesignName, resolve_design
from theory.intervals import Interval
from theory.prompt_sets import PromptSet
from theory.rollout_plan import RolloutPlan, plan_rollouts
from theory.schemes import resolve
from theory.shared_advice import SharedAdvice, shared_advice
from theory.sharing import sharing_of
from theory.verifier_errors import RIGHT

_GENERATOR = "apw advise"
POINTS = 101
"""Success probabilities for which ``--json`` gives weights."""

_CLASSES = ((0.0, "0"), (0.25, "to 25%"), (0.75, "to 75%"), (1 - 1e-12, "below 100%"), (1, "100%"))
"""Upper ends of the classes of pass rates that a plan is shown by."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Which scheme to use on your prompts, what it saves over yours, and what would change that.

    The cost of an update of one prompt is --update-cost and, for every response sampled,
    --response-cost, or --token-cost for each of its --tokens.
    """

    DAILY: ClassVar[tuple[str, ...]] = (
        "file",
        "start",
        "tries",
        "target",
        "scheme",
        "group_size",
        "sampling",
        "sharing",
        "spread",
        "update_cost",
        "token_cost",
        "plan",
        "figure",
        "out",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

    file: tyro.conf.Positional[tuple[Path, ...]] = ()
    """File of what was measured, a prompt a row: correct responses and responses, or pass rates, in
    .csv, .json, .jsonl, .parquet or text; or outcomes of responses as apw diagnose reads them."""

    start: float = 0.01
    """Success probability of every prompt, in (0, 1); not used with a file or --histogram.
    With --spread it is their mean."""

    rates: Path | None = None
    """The file, by another name."""

    column: str = "pass_rate"
    """Column of the pass rates."""

    count: str | None = None
    """Column of the number of prompts with each pass rate; without it every row is a prompt."""

    histogram: tuple[str, ...] = ()
    """RATE:PROMPTS, how many prompts have each pass rate, as in 0:120 0.125:40 0.5:16."""

    tries: int | None = None
    """Responses that each pass rate was measured with, where the file does not say it."""

    target: float = 0.9
    """Success probability to reach, below 1: as a mean, of the prompts in reach."""

    scheme: str = "grpo"
    """The scheme you use; it is kept unless another one saves at least 5%."""

    spread: NotNegative = 0.0
    """Standard deviation of the prompts' log-odds around a mean success of --start; a file or a
    histogram says it itself."""

    sharing: Share | None = None
    """Share of an update of one prompt that acts on all alike, where prompts are unequal; 0.5
    unless told."""

    kernel: Path | None = None
    """Instead of --sharing, how log-odds of the prompts of a file move each other: the matrix of
    ⟨∇ℓ_i, ∇ℓ_j⟩ in the file's order, .csv or .npy, as a probe of a model measures it."""

    group_size: GroupSize = 16
    """Responses per prompt, M."""

    update_cost: float = 0.0
    """Cost of an update per prompt, apart from sampling."""

    response_cost: float | None = None
    """Cost of a response; 1 unless tokens are what costs."""

    token_cost: float | None = None
    """Cost of a token of a response, instead of --response-cost; needs --tokens, or
    --correct-tokens and --wrong-tokens."""

    tokens: float | None = None
    """Tokens of a response, on average."""

    correct_tokens: float | None = None
    """Tokens of a correct response, on average; with --wrong-tokens, where lengths differ. A
    response costs by its length, and --response-cost is then that of a correct one."""

    wrong_tokens: float | None = None
    """Tokens of a wrong response, on average."""

    false_positive: Share = 0.0
    """Share of wrong responses that the verifier passes. Counts in a file are taken as its own."""

    false_negative: Share = 0.0
    """Share of correct responses that the verifier fails."""

    kl_coefficient: NotNegative = 0.0
    """Coefficient of the KL penalty to the policy as it is (beta in TRL, kl_loss_coef in verl). It
    is measured against a scheme's own advantages: some schemes may stop short of the target."""

    sampling: DesignName = "fixed"
    """fixed: M responses per prompt and update; until_any: groups are drawn until one holds a
    correct response; until_mixed: until one is mixed (DAPO); first_success: responses one by one
    until one is correct; population: large groups on the clock 1/ρ."""

    schemes: tuple[str, ...] = ()
    """Schemes to compare; all that have a table by default."""

    figure: Path | None = None
    """Draw prompts, weights and costs into this .png or .svg file, with the data as CSV beside. An
    earlier one of this command is replaced, and nothing else; so is a page."""

    plan: Path | None = None
    """File for the plan by prompt: .csv with id, probability and group_size, or .toml with the
    pools of prime-rl's difficulty sampler that draw by the same rule."""

    out: Path | None = None
    """Page to be read by a colleague; its name ends in .html."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw advise``."""
    options = parse(Options, arguments, command="advise")
    if options.out is not None and options.out.suffix != ".html":
        raise ValueError(f"--out takes a page's name, which ends in .html; got {options.out}")
    if options.plan is not None:
        refuse_plan(options.plan)
    if options.figure is not None:
        picture_kind(options.figure, _GENERATOR)
    if options.out is not None:
        refuse_foreign(options.out, _GENERATOR)
    prompts = prompts_from(
        start=options.start,
        rates=_file(options),
        histogram=options.histogram,
        column=options.column,
        count=options.count,
        tries=options.tries,
        spread=options.spread,
    )
    if options.kernel is not None and options.sharing is not None:
        raise ValueError("give --sharing or a --kernel, which says itself how prompts share")
    kernel = None if options.kernel is None else read_kernel(options.kernel)
    rows = None if kernel is None else prompts_of_kernel(prompts, kernel)
    sharing = 0.5 if options.sharing is None else options.sharing
    if kernel is not None:
        sharing = sharing_of(kernel)
    advice = advise(
        prompts.known,
        options.target,
        group_size=options.group_size,
        schemes=options.schemes,
        present=options.scheme,
        update_cost=options.update_cost,
        response_cost=_response_cost(options),
        sampling=options.sampling,
        sharing=sharing,
        false_positive=options.false_positive,
        false_negative=options.false_negative,
        length_ratio=_length_ratio(options),
        kl_coefficient=options.kl_coefficient,
    )
    plan, known = _plan(options, prompts, advice), prompts.known.fit
    if options.plan is not None and (plan is None or known is None):
        raise ValueError(
            "there is no plan to write: it takes a file of counts by prompt with a mean below the "
            "target, fixed groups of at least 2 and a verifier that does not err"
        )
    shared = _shared(advice, rows, kernel, sharing)
    data = _data(options, prompts, advice, plan)
    data["sharing"] = sharing
    trained: list[dict[str, Any]] = []
    if shared is not None:
        trained = trained_ratios()
        data |= sharing_data(shared, sharing, trained)
    words = [] if shared is None else sharing_words(shared, sharing, kernel is not None, trained)
    if options.figure is not None:
        from figures.advice import advice_picture

        advice_picture(advice).save_as(options.figure, generator=_GENERATOR)
        data["figure"] = str(options.figure)
    if options.out is not None:
        from figures.advice_page import write_advice

        write_advice(
            options.out,
            advice,
            verdict=[line.strip() for line in _verdict_words(advice, shared)],
            prompts=_prompt_words(options, prompts, advice, data),
            more=[*_size_words(advice), *_plan_words(prompts, plan)[-1:], *words[:1], *words[3:]],
            lines={"TRL": f"{TRL_IMPORTS}\n{data['trl']}", "verl": data["verl"]},
            assumptions=data["assumptions"],
            command=["apw", "advise", *arguments],
        )
        data["written"] = [str(options.out)]
    if options.plan is not None and plan is not None and known is not None:
        write_plan(options.plan, data["plan"], plan, known)
        data["written"] = [*data.get("written", []), str(options.plan)]
    text = _describe(options, prompts, advice, plan, data, _verdict_words(advice, shared), words)
    return Answer(data, text)


def _shared(
    advice: Advice, rows: PromptSet | None, kernel: Floats | None, sharing: float
) -> SharedAdvice | None:
    """Costs by every reading of the noise; none where prompts do not differ."""
    prompts = advice.prompts if rows is None else rows
    design = resolve_design(advice.sampling)
    if (
        not design.grouped
        or np.ptp(prompts.success) == 0
        or not math.isfinite(advice.cost[advice.present])
    ):
        return None
    return shared_advice(
        prompts,
        list(advice.cost),
        present=advice.present,
        kernel=kernel,
        sharing=sharing,
        target=advice.target,
        group_size=advice.group_size,
        design=design,
        update_cost=advice.costs[0],
        response_cost=advice.costs[1],
        conditions=advice.conditions,
    )


def _file(options: Options) -> Path | None:
    files = [*options.file, *([options.rates] if options.rates else [])]
    if len(files) > 1:
        raise ValueError(f"one file of pass rates is read; got {len(files)}")
    return files[0] if files else None


def _plan(options: Options, prompts: Prompts, advice: Advice) -> RolloutPlan | None:
    # With errors the posterior is that of passing, of which success is only a part. Waiting for a
    # mixed group is another way to choose, and a plan chooses for itself.
    chooses = advice.sampling == "fixed" and advice.conditions.errors == RIGHT
    if prompts.known.posterior is None or not prompts.named or not chooses:
        return None
    if advice.group_size < 2 or not math.isfinite(advice.cost[advice.present]):
        return None
    return plan_rollouts(
        prompts.known,
        advice.recommended,
        advice.group_size,
        target=options.target,
        present=advice.present,
        length_ratio=advice.conditions.length_ratio,
    )


def _data(
    options: Options, prompts: Prompts, advice: Advice, plan: RolloutPlan | None
) -> dict[str, Any]:
    best, known, read = advice.best, prompts.known, prompts.measured
    success = success_grid(best.start, best.target, POINTS)
    fit, saving = known.fit, advice.saving
    pays = plan is not None and plan.saving.estimate > saving.estimate
    return {
        "prompts": known.prompts,
        "never_solved": 0 if read is None else int(np.sum(read.rate == 0)),
        "out_of_reach": advice.prompts.out_of_reach,
        "fit": None if fit is None else dataclasses.asdict(fit),
        "median": float(np.median(advice.prompts.success)),
        "all_wrong": advice.all_wrong,
        "start": best.start,
        "target": options.target,
        "group_size": options.group_size,
        "sampling": options.sampling,
        "update_cost": advice.costs[0],
        "response_cost": advice.costs[1],
        "length_ratio": advice.conditions.length_ratio,
        "false_positive": options.false_positive,
        "false_negative": options.false_negative,
        "kl_coefficient": options.kl_coefficient,
        "scheme": advice.present,
        "recommended": advice.recommended,
        "keep": advice.keep,
        "saving": _interval(plan.saving if plan is not None and pays else saving),
        "scheme_saving": _interval(saving),
        "threshold": WORTH_IT,
        "candidate": advice.candidate,
        "margin": advice.margin,
        "stopped": advice.stopped,
        "changes": [change._asdict() for change in advice.changes],
        "cost": dict(advice.cost),
        "excess": dict(advice.excess),
        "excess_finite": dict(advice.excess_finite),
        "plan": [] if plan is None or read is None else _rows(read.name, plan),
        "pool": None if plan is None else {"low": plan.low, "high": plan.high},
        "plan_saving": None if plan is None else _interval(plan.saving),
        "success": success,
        "weight": best.weight(success),
        "recommended_group_size": advice.sizes.recommended,
        "group_size_drift": advice.sizes.drift,
        "group_size_information": advice.sizes.information,
        "trl": trl_line(advice.recommended, options.group_size, options.kl_coefficient),
        "verl": verl_line(advice.recommended, options.group_size, options.kl_coefficient),
        "notes": prompts.words,
        "assumptions": _assumptions(advice),
    }


def _rows(names: Sequence[str], plan: RolloutPlan) -> list[dict[str, Any]]:
    return [
        {"id": name, "probability": chance, "group_size": plan.group_size}
        for name, chance in zip(names, plan.probability.tolist(), strict=True)
    ]


def _interval(saving: Interval) -> dict[str, float]:
    return {"value": saving.estimate, "low": saving.low, "high": saving.high}


def _response_cost(options: Options) -> float:
    """Cost of a response, a correct one if lengths differ, from its own or from its tokens'."""
    tokens = options.correct_tokens if options.tokens is None else options.tokens
    if options.tokens is not None and options.correct_tokens is not None:
        raise ValueError("give --tokens, or --correct-tokens and --wrong-tokens, not both")
    if options.token_cost is None:
        if options.tokens is not None:
            raise ValueError("--tokens, the tokens of a response, need a --token-cost")
        return 1.0 if options.response_cost is None else options.response_cost
    if tokens is None:
        raise ValueError("--token-cost needs --tokens, the tokens of a response")
    if options.response_cost is not None:
        raise ValueError("give the cost of a response or that of a token, not both")
    if not 0 < tokens < math.inf:
        raise ValueError(f"tokens must be positive and finite; got {tokens:g}")
    return options.token_cost * tokens


def _length_ratio(options: Options) -> float:
    """Tokens of a wrong response over those of a correct one."""
    correct, wrong = options.correct_tokens, options.wrong_tokens
    if correct is None and wrong is None:
        return 1.0
    if correct is None or wrong is None:
        raise ValueError("--correct-tokens and --wrong-tokens go together")
    if not (0 < correct < math.inf and 0 < wrong < math.inf):
        raise ValueError(f"tokens must be positive and finite; got {correct:g} and {wrong:g}")
    return wrong / correct


def _assumptions(advice: Advice) -> list[str]:
    """What the advice rests on, and where that fails."""
    given = advice.conditions
    lines = [
        "time times path energy decides: the noise that an optimizer has to average away, at any "
        "learning rate. It fails where clipping or one learning rate for all schemes decides how "
        "far an update goes",
        "a smooth flow in which prompts help each other by --sharing, or not at all. It fails "
        "where they interfere, and where exploration decides",
        "pass rates of the policy as it is. It fails once training has moved them: measure again",
    ]
    if given.length_ratio == 1:
        lines.append(
            "responses that all cost the same. It fails where wrong answers are much longer than "
            "others (--correct-tokens, --wrong-tokens)"
        )
    if given.errors == RIGHT:
        lines.append(
            "a verifier that never errs. It fails where wrong answers pass or correct ones do not "
            "(--false-positive, --false-negative)"
        )
    else:
        lines.append(
            "a verifier whose errors are independent from response to response. It fails where it "
            "errs on the same answers every time: those that fool it then grow as correct ones do"
        )
    if given.coefficient:
        lines.append(
            "a KL penalty to the policy as it is, beside advantages of each scheme's own size. It "
            "fails where the reference is another policy, or the coefficient is chosen by scheme"
        )
    return lines


def _describe(
    options: Options,
    prompts: Prompts,
    advice: Advice,
    plan: RolloutPlan | None,
    data: dict[str, Any],
    verdict: list[str],
    shared: list[str],
) -> str:
    parts = [
        *_prompt_words(options, prompts, advice, data),
        "",
        *verdict,
        "",
        _scheme_words(advice),
        "",
        "Cost: time times path energy to the target, over your scheme's. Best table: the same over "
        "the least that any table can do, each prompt on its own way.",
        *_size_words(advice),
        *(["", *shared] if shared else []),
        *_plan_words(prompts, plan),
        "",
        f"In TRL ({TRL_IMPORTS}):",
        f"  {data['trl']}",
        "In verl, and then your words for data, model and hardware:",
        f"  {data['verl']}",
    ]
    if options.sampling != "fixed":
        parts.append(
            "Neither line draws groups again by itself; the loop that samples has to do that."
        )
    if "figure" in data:
        parts += ["", f"Figure: {data['figure']}"]
    if "written" in data:
        parts += ["", f"Written: {', '.join(data['written'])}"]
    return "\n".join([*parts, "", "This assumes", *(f"- {text}." for text in data["assumptions"])])


def _prompt_words(
    options: Options, prompts: Prompts, advice: Advice, data: dict[str, Any]
) -> list[str]:
    drawn = {
        "fixed": f"for each of {options.group_size} responses",
        "until_any": f"for each of {options.group_size} responses, drawn until one is correct",
        "until_mixed": f"for each of {options.group_size} responses, drawn until they are mixed",
        "first_success": "for each response until the first correct one",
        "population": "for each of 1/ρ responses",
    }[options.sampling]
    rate = "pass rate" if advice.conditions.errors == RIGHT else "success probability"
    median = f"Median {rate} of those in reach {data['median']:.3g}; to a mean of "
    if np.ptp(advice.prompts.success) == 0:
        median = f"From a success probability of {data['median']:.3g} to "
    errors, ratio = advice.conditions.errors, advice.conditions.length_ratio
    words = list(prompts.words)
    right = "correct" if errors == RIGHT else "passing"
    if errors != RIGHT:
        words.append(
            f"The verifier passes {percent(errors.false_positive)} of the wrong responses and "
            f"fails {percent(errors.false_negative)} of the correct ones."
        )
        if prompts.known.posterior is not None:
            words.append(
                "The counts are its own: what its false positives explain is no success, and "
                f"{percent(data['out_of_reach'])} of the prompts are out of reach; there is no "
                "plan by prompt."
            )
    words += [
        f"{median}{options.target:g}.",
        f"An update of a prompt costs {advice.costs[0]:g}, and {advice.costs[1]:g} {drawn}"
        + ("." if ratio == 1 else f", a wrong one {ratio:.3g} times as much."),
    ]
    if options.sampling != "first_success":
        words.append(
            f"In groups of {options.group_size}, {percent(data['all_wrong'])} of the groups hold "
            f"no {right} response."
        )
    if advice.conditions.coefficient:
        kl = f"a KL coefficient of {advice.conditions.coefficient:g}, per unit of advantage"
        stopped = [resolve(name).label for name in advice.stopped]
        words.append(
            f"Against {kl}, these stop short of {options.target:g}: {', '.join(stopped)}."
            if stopped
            else f"All schemes that were compared get there against {kl}."
        )
    return words


def _verdict_words(advice: Advice, shared: SharedAdvice | None) -> list[str]:
    present, best = (resolve(name).label for name in (advice.present, advice.candidate))
    saving = advice.saving
    if not math.isfinite(advice.cost[advice.present]):
        first = f"Use {best} instead of {present}, which does not reach the target."
    elif not advice.keep:
        words = f"Use {best} instead of {present}: it saves {percent(saving.estimate)}"
        if saving.low < saving.high:
            words += f" ({interval(100 * saving.low, 100 * saving.high, decimals=0)}%)"
            if saving.low < WORTH_IT:
                words += ", which the counts do not settle; more tries would"
        if shared is not None:
            words += hangs_on(shared, advice.recommended)
        first = f"{words}."
    elif advice.candidate == advice.present:
        first = f"Keep {present}: nothing that was compared costs less."
    else:
        first = (
            f"Keep {present}: the best, {best}, would save {percent(advice.margin)}, and less than "
            f"{WORTH_IT:.0%} is not worth a change."
        )
    others = [
        f"  if {change.condition}: "
        + (
            f"keep {present}"
            if change.recommended == advice.present
            else f"{resolve(change.recommended).label}, saving {percent(change.saving)}"
        )
        for change in advice.changes
    ]
    if others:
        return [first, "What would change this:", *others]
    return [first]


def _size_words(advice: Advice) -> list[str]:
    if advice.sampling == "first_success":
        return []
    sizes = advice.sizes
    words = f"Group size for {resolve(advice.recommended).label}: {sizes.recommended}"
    if sizes.recommended < sizes.information:
        words += (
            f", the smallest that gets {ENOUGH:.0%} of what the best, {sizes.information}, gets "
            "for its cost"
        )
    return [
        f"{words}, where noise limits the learning rate; {sizes.drift} at a fixed learning rate."
    ]


def _plan_words(prompts: Prompts, plan: RolloutPlan | None) -> list[str]:
    read = prompts.measured
    if plan is None or read is None:
        return []
    if plan.saving.estimate < WORTH_IT or plan.saving.low <= 0:
        return ["", "To choose prompts unequally is not worth its trouble here."]
    rows, lower = [], -1.0
    for upper, name in _CLASSES:
        here = (read.rate > lower) & (read.rate <= upper)
        lower = upper
        if np.any(here):
            chances = plan.probability[here]
            rows.append([name, f"{here.sum():,}", percent(float(chances.sum()))])
    low, high = (percent(end) for end in (plan.low, plan.high))
    saves = interval(100 * plan.saving.low, 100 * plan.saving.high, decimals=0)
    return [
        "",
        "A plan for the next updates (--json has it by prompt):",
        table(["pass rate", "prompts", "share of choices"], rows, right="lrr"),
        f"Each prompt by its chance of a pass rate from {low} to {high}. With pass rates known and "
        f"prompts that learn by themselves, this choice saves {percent(plan.saving.estimate)} "
        f"({saves}%) of the responses that all prompts alike take. {_simulated_plan()} Measure "
        "again before it is old.",
    ]


def _simulated_plan() -> str:
    """What choosing so saved where prompts share parameters, by the ledger's evidence."""
    from claims.records import published_checks

    saved = sorted(1 - math.exp(check.measurement) for check in published_checks("sim", "S1"))
    low, high = percent(saved[0]), percent(saved[-1])
    return (
        f"Where prompts share parameters the simulator saved {low} to {high} (claim S1), and less "
        "by counts alone (S3): count on no more."
    )


def _scheme_words(advice: Advice) -> str:
    rows = [
        [
            resolve(name).label,
            number(cost, decimals=2),
            number(advice.excess_finite.get(name, math.nan), decimals=2),
            number(advice.excess[name], decimals=2),
        ]
        for name, cost in advice.cost.items()
    ]
    one_by_one = advice.sampling == "first_success"
    size = "best table" if one_by_one else f"best table, M = {advice.group_size}"
    return table(["scheme", "cost", size, "M → ∞"], rows, right="lrrr")
