"""What a simulation is: one frozen dataclass, complete, checked on construction."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Interval

from runs.configuration import (
    Configuration,
    Count,
    GroupSize,
    NotNegative,
    Positive,
    Probability,
    Seed,
    Share,
    Steps,
    Whole,
)
from sim.policies.tree_shape import LONGEST, TreeShape
from sim.starts import Start, read_start
from theory.schedules import parse_schedule
from theory.schemes import SCHEMES, Scheme, keep_schemes, schemes_by_name
from theory.spending import resolve_rule

LARGEST_SEED = 1 << 32
"""Seeds are 32 bits of the generator's key."""

SCHEDULABLE = ("lam", "zero_success", "alpha")
"""Options of schemes that may change during a run, see theory.schedules.scheme_at."""

LARGEST_ARRAY = 1 << 30
"""Most numbers in one array of a simulation, 4 GiB: responses of an update, or parameters."""

TREES = ("tree", "shared_tree")
"""Policies whose answers are sequences of tokens."""

LARGEST_FISHER = 1024
"""Most parameters of a log-linear policy whose Fisher matrix is solved at every update."""


@dataclasses.dataclass(frozen=True)
class SimulationConfig(Configuration):
    """A simulation: prompts, a policy, a learner, and every scheme under every seed.

    Raises:
        ValueError: A value that is not allowed; the message is one sentence saying what is.
        FileNotFoundError: A start from a file that is not there.

    >>> SimulationConfig(schemes=("grpo", "sqrt_r"), prompts=8).schemes
    ('grpo', 'sqrt_r')
    """

    schemes: tuple[str, ...] = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
    """Prompt-weighting schemes, each run under every seed; options may follow a colon, as in
    ``plateau_r:threshold=0.3``. One of your own is ``module:function``."""

    seeds: Annotated[int, Interval(ge=1, le=10_000)] = 5
    """Number of seeds. Seed number s has the same prompts and draws under every scheme."""

    seed: Seed = 0
    """First seed; the run uses seed, seed + 1, ..., all below 2³²."""

    prompts: Count = 256
    """Number of training prompts."""

    held_out_prompts: Whole = 0
    """Number of prompts that are measured but never trained on; needs shared parameters."""

    policy: Literal["bandit", "tree", "log_linear", "shared_tree"] = "bandit"
    """``bandit``: independent logits per prompt and answer; ``tree``: answers of several tokens,
    independent logits per prompt and prefix; ``log_linear``: logits linear in features that
    prompts share; ``shared_tree``: answers of several tokens, and one output layer over features
    of prompt and prefix for all, as in a language model."""

    answers: Annotated[int, Interval(ge=2, le=65_536)] = 16
    """Number of possible answers to each prompt; trees count their own."""

    correct_answers: Count = 2
    """How many of the answers are correct."""

    decoys: Whole = 0
    """Wrong answers in which the initial policy is confident."""

    decoy_mass: Probability = 0.8
    """Share of the wrong mass that the decoys have together."""

    symbols: Annotated[int, Interval(ge=2, le=65_536)] = 4
    """Trees: number of tokens V, the end token included."""

    length: Annotated[int, Interval(ge=1, le=LONGEST)] = 3
    """Trees: largest number of tokens L of an answer."""

    end_token: bool = True
    """Trees: whether the last symbol ends an answer, so that lengths differ."""

    features: Annotated[int, Interval(ge=1, le=65_536)] = 16
    """Log-linear and shared tree: number of features φ; fewer features make prompts share more."""

    prefix_sharing: Share = 0.0
    """Shared tree: how alike the features of one prompt are after two prefixes, from 0, where they
    have random signs, to 1."""

    length_bias: Annotated[float, Interval(ge=-100, le=100)] = 0.0
    """Shared tree: by how many standard deviations of the rule's score an answer is worse that is
    longer by one standard deviation; above 0 the wrong answers are the longer ones."""

    rule: Share = 1.0
    """Log-linear and shared tree: fraction of prompts whose correct answers follow from their
    features; the others can only be memorised."""

    sharing: Share | None = None
    """Log-linear: if given, features and rule are replaced by a table in which a share s of what
    a prompt learns comes from the average of the batch and 1 − s from its own responses, and the
    same answers are correct everywhere: the setting of theory.learning_time."""

    prior_spread: Annotated[float, Interval(ge=0, le=100)] = 1.0
    """Standard deviation of the initial log-probabilities among the correct answers, and among
    the wrong ones; 0 makes each of the two kinds uniform."""

    start: float | str = 0.01
    """Initial success probability ρ₀: a number, ``beta:a,b``, ``loguniform:low,high``, or
    ``file:path`` with what was measured, a prompt a row: correct responses and responses, or pass
    rates, in .csv, .json, .jsonl, .parquet or text."""

    column: str = "pass_rate"
    """Column of the pass rates in the file of ``start``."""

    tries: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    """Responses that measured each pass rate of that file, where it does not say it; known tries
    make every prompt start at a draw from its posterior, see theory.beta_binomial."""

    target: Probability = 0.9
    """Mean success at which the clock is stopped."""

    group_size: GroupSize | None = 16
    """Responses per prompt and update, M; none is the population limit M → ∞, which only the
    exact mirror learner knows."""

    learner: Literal["mirror", "natural", "softmax", "ppo"] = "softmax"
    """``mirror``: exact KL-proximal step with expected advantages; ``natural``: natural gradient
    from sampled groups, whose expectation is the mirror step (log_linear: what of it the features
    can express, nearest in the Fisher metric); ``softmax``: REINFORCE, the sampled
    policy gradient on the parameters; ``ppo``: several epochs of the clipped surrogate on each
    batch of responses."""

    optimizer: Literal["sgd", "adam"] = "sgd"
    """What softmax and ppo do with their gradient."""

    gradient_clip: Positive | None = None
    """Largest norm of a gradient of softmax and ppo, longer ones are shortened; needs shared
    parameters."""

    kl_limit: Positive | None = None
    """Largest KL(π_old‖π_new) in nats of an update of softmax and ppo, which is shortened until it
    obeys: the mean over its prompts where they share parameters, else that of each."""

    batch: Count | None = None
    """Prompts per update, drawn again each time; none is all of them. Needs shared parameters:
    prompts that share nothing would only wait for their turn."""

    epochs: Annotated[int, Interval(ge=1, le=10_000)] = 4
    """ppo: gradient steps on each batch of responses."""

    clip_low: Probability = 0.2
    """ppo: ε of the lower clip 1 − ε."""

    clip_high: Positive = 0.2
    """ppo: ε of the upper clip 1 + ε; larger than clip_low is DAPO's clip-higher."""

    ratio: Literal["token", "response", "response_mean"] = "token"
    """ppo: what has a probability ratio of its own; ``response_mean`` is the response's to the
    power of 1/tokens (GSPO)."""

    length_normalisation: Literal["none", "response", "batch"] = "none"
    """Trees, softmax and ppo: a response's gradient is divided by nothing (Dr. GRPO), by its own
    tokens (GRPO), or by the mean tokens of the batch (DAPO)."""

    critic: Literal["exact", "learned"] = "exact"
    """Scheme ppo: V(x) is the true pass rate, or a logistic model of it learned along the way,
    from ½, with the features the policy has."""

    critic_rate: Positive = 1.0
    """Step size of a learned critic."""

    entropy_bonus: NotNegative = 0.0
    """Coefficient of the exact entropy in the objective of softmax and ppo."""

    kl_penalty: NotNegative = 0.0
    """Coefficient of the exact KL(π‖π₀) in the objective of softmax and ppo."""

    sampling: Literal["fixed", "until_any", "until_mixed", "first_success"] = "fixed"
    """Sampling design of every scheme: groups of M as they come, drawn again until one response is
    correct or until both verdicts occur, or responses one by one until the first correct one.
    Groups that are never accepted teach nothing. Scheme dapo has until_mixed where this is
    fixed."""

    dynamic_attempts: Annotated[int, Interval(ge=1, le=10_000)] = 10
    """How often a group is sampled, at most, until it is accepted (first_success: how often M
    responses are); 1 switches resampling off. Learner mirror samples nothing: its dapo is grpo."""

    spending: str = "uniform"
    """Which prompts an update takes, and in groups of what size, by their pass rates: a rule of
    theory.spending, as ``pool:low=0.1,high=0.9``, ``skip``, ``prioritised``, ``rounds:rounds=4``,
    ``dars_et``, ``dars_hw``, ``knapsack``, ``curverl`` or, with a batch, ``dapo``. Prompts that are
    not taken cost nothing. Where there is a batch it is drawn by their chances; a knapsack divides
    its responses."""

    spending_by: Literal["truth", "counts"] = "truth"
    """Whether the rule sees true pass rates, or what the verdicts on earlier groups say of them;
    ``curverl`` goes by the verdicts of the update, and ``rounds`` looks at neither."""

    spending_memory: Share = 0.9
    """Factor by which those counts fade at every update."""

    spending_prior: tuple[Positive, Positive] = (0.5, 0.5)
    """a and b of the Beta prior of every prompt's pass rate, to which they fade."""

    false_positives: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Chance that the verifier passes a wrong response, by itself each time."""

    false_negatives: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Chance that the verifier fails a right response."""

    sync_every: Count = 1
    """Updates from one copy of the policy to the sampler to the next: responses are up to
    sync_every − 1 updates old, as with mini-batches or asynchronous samplers. ppo's ratios are to
    the policy that sampled; softmax takes old responses as its own."""

    schedules: dict[str, str] = dataclasses.field(default_factory=dict)
    """Schedules of the scheme options lam, zero_success and alpha, such as
    ``lam = "linear:start=1,end=0.1,steps=200"``; they apply to the schemes that have the option,
    see theory.schedules."""

    learning_rate: Positive | None = None
    """Step size η of every scheme not named in ``learning_rates``; where neither is given, schemes
    are compared at their own best rates."""

    learning_rates: dict[str, Positive] = dataclasses.field(default_factory=dict)
    """Step sizes of single schemes, by the name used in ``schemes``."""

    comparison: Literal["own_rates", "same_rate", "same_budget"] | None = None
    """``own_rates``, where no step size is given: each scheme at the rate that is its best on other
    seeds, see sim.own_rates; ``same_rate``: step sizes as given, 1 if none is; ``same_budget``: a
    scheme's step size is multiplied by ∫ω_GRPO dρ / ∫ω dρ (mean over prompts, from ρ₀ to the
    target), so that η ∫ω dρ is the same for all, the constraint under which theory.optimal
    compares."""

    tuning_seeds: Annotated[int, Interval(ge=2, le=10_000)] = 40
    """own_rates: seeds on which the rates are chosen, which are not used again."""

    steps: Steps = 400
    """Number of updates."""

    measure_every: Steps = 10
    """Updates between measurements; divides ``steps``."""

    checkpoint_every: Steps = 10
    """Measurements between checkpoints; what a killed run repeats at most."""

    evaluation_temperature: Positive = 1.0
    """Temperature at which success, pass@k and entropy are measured, on tokens for trees; responses
    for training are sampled at 1."""

    pass_k: tuple[Annotated[int, Interval(ge=1, le=1 << 30)], ...] = (1, 4, 16, 64, 256, 1024)
    """Numbers of samples k at which pass@k is measured."""

    precision: Literal["float32", "float64"] = "float32"
    """Floating type of the simulation."""

    generator: Literal["hash", "threefry"] = "hash"
    """Random bits: ``hash`` is the fast counter-based generator of sim.counter, ``threefry`` that
    of jax.random, slower and the reference."""

    def __post_init__(self) -> None:
        """Keep schemes as text that a run's configuration can hold, then check every field."""
        keep_schemes(self)
        super().__post_init__()

    @functools.cached_property
    def bound(self) -> dict[str, Scheme]:
        """The schemes by their names."""
        return schemes_by_name(self.schemes)

    @property
    def first(self) -> Start:
        """The start, with what was measured read from its file."""
        return read_start(self.start, self.column, self.tries)

    @property
    def finds_rates(self) -> bool:
        """Whether every scheme is to be compared at its own best step size."""
        return finds_rates(self.to_dict())

    def at_given_rates(self) -> Self:
        """The same at the step sizes that are given, 1 where none is, and says so."""
        own = self.comparison in (None, "own_rates")
        rate = 1.0 if self.learning_rate is None else self.learning_rate
        comparison = "same_rate" if own else self.comparison
        return dataclasses.replace(self, comparison=comparison, learning_rate=rate)

    @property
    def number_of_answers(self) -> int:
        """Possible answers to a prompt."""
        return tree_shape(self).answers if self.policy in TREES else self.answers

    @property
    def shared(self) -> bool:
        """Whether prompts share parameters."""
        return self.policy in ("log_linear", "shared_tree")

    def check_together(self) -> None:
        """Check what concerns several fields."""
        _check(self)


def finds_rates(config: Mapping[str, Any]) -> bool:
    """Whether a configuration, as a run folder holds it, leaves the step sizes to be found."""
    comparison = config.get("comparison", "same_rate")  # what folders of before mean
    given = config.get("learning_rate") is not None or config.get("learning_rates")
    exact = config.get("learner") == "mirror"  # of exact steps the largest is the best
    return comparison == "own_rates" or (comparison is None and not given and not exact)


def _check(config: SimulationConfig) -> None:
    if config.seed + config.seeds > LARGEST_SEED:
        raise ValueError(f"seeds must be below 2³²; got {config.seeds} from {config.seed}")
    if config.steps % config.measure_every:
        raise ValueError(
            f"measure_every must divide steps; got {config.measure_every} and {config.steps}"
        )
    _check_size(config)
    if config.comparison == "own_rates":
        for name in ("learning_rate", "learning_rates"):
            if getattr(config, name):
                raise ValueError(f"comparison own_rates finds the step sizes: leave out {name}")
        if config.learner == "mirror":
            raise ValueError(
                "comparison own_rates needs a learner that samples: of mirror's exact steps the "
                "largest is the best"
            )
    _check_learner(config)
    _check_policy(config)
    if not config.pass_k:
        raise ValueError("pass_k must name at least one number of samples")
    read_start(config.start, config.column, config.tries)
    _check_schemes(config)


def _check_size(config: SimulationConfig) -> None:
    prompts = config.prompts + config.held_out_prompts
    rows = {
        "answers": prompts * config.number_of_answers,
        "group_size": prompts * (config.group_size or 1),
    }
    for name, size in rows.items():
        if config.seeds * size > LARGEST_ARRAY:
            raise ValueError(
                f"seeds × prompts × {name} must be at most {LARGEST_ARRAY:,}, which must fit into "
                f"memory; got {config.seeds * size:,}"
            )


def _check_policy(config: SimulationConfig) -> None:
    answers = config.number_of_answers
    if config.correct_answers >= answers:
        raise ValueError(
            f"correct_answers must be below answers, so that a wrong answer exists; got "
            f"{config.correct_answers} of {answers}"
        )
    wrong = answers - config.correct_answers
    if config.decoys and config.decoys >= wrong:
        raise ValueError(f"decoys must be below the {wrong} wrong answers; got {config.decoys}")
    if config.policy == "shared_tree" and config.sharing is not None:
        raise ValueError("sharing is of policy log_linear: a shared tree has features")
    if not config.shared:
        for name in ("held_out_prompts", "batch", "sharing", "gradient_clip"):
            if getattr(config, name) not in (None, 0) or (name, config.sharing) == ("sharing", 0):
                raise ValueError(
                    f"{name} needs prompts that share parameters: set policy to log_linear or "
                    "shared_tree"
                )
    elif config.batch is not None and config.batch > config.prompts:
        raise ValueError(f"batch must be at most prompts, {config.prompts}; got {config.batch}")
    if config.sharing is not None and config.held_out_prompts:
        raise ValueError("sharing gives every prompt a row of its own: there is nothing held out")


def _check_learner(config: SimulationConfig) -> None:
    exact = config.learner in ("mirror", "natural")
    if config.policy == "shared_tree" and exact:
        raise ValueError(f"learner {config.learner} is not for a shared tree: use softmax or ppo")
    if config.policy == "log_linear" and config.learner == "mirror":
        raise ValueError(
            "learner mirror moves every prompt's distribution by itself, which shared parameters "
            "do not allow: use natural, its sampled projection on the features, softmax or ppo"
        )
    if config.policy == "log_linear" and config.learner == "natural":
        rows = config.prompts + 1 if config.sharing is not None else config.features
        if rows * config.answers > LARGEST_FISHER:
            raise ValueError(
                "learner natural solves for features × answers parameters of a log_linear policy, "
                f"at most {LARGEST_FISHER:,}; got {rows} × {config.answers}"
            )
    if exact and (config.optimizer != "sgd" or config.entropy_bonus or config.kl_penalty):
        raise ValueError(
            f"learner {config.learner} takes plain steps: optimizer, entropy_bonus and kl_penalty "
            "belong to softmax and ppo"
        )
    _check_training(config)
    _check_spending(config)
    for option, text in config.schedules.items():
        parse_schedule(text)
        if option not in SCHEDULABLE:
            raise ValueError(f"schedules may change {', '.join(SCHEDULABLE)}; got {option!r}")
        if not any(option in scheme.options for scheme in config.bound.values()):
            raise ValueError(f"schedules names {option!r}, which no scheme of the run has")
    if config.schedules and config.learner == "mirror":
        raise ValueError(
            "schedules need a learner that samples, natural, softmax or ppo: mirror takes the "
            "expected step of a scheme that stays the same"
        )


def _check_spending(config: SimulationConfig) -> None:
    rule = resolve_rule(config.spending)
    if rule.name == "uniform":
        return
    if rule.refills and (config.batch is None or config.spending_by == "counts"):
        raise ValueError(
            f"spending by {rule.name} draws other prompts in the place of dead groups, whatever is "
            "known of them: it needs a batch, and spending_by must be truth"
        )
    if config.learner == "mirror" or config.sampling != "fixed":
        raise ValueError(
            f"spending by {rule.name} chooses among groups that are sampled once: it needs a "
            "learner that samples, and sampling must be fixed"
        )
    for name, scheme in config.bound.items():
        resampled = scheme.name == "dapo" and config.dynamic_attempts > 1
        if resampled or not scheme.has_table:
            raise ValueError(
                f"spending by {rule.name} needs schemes with a table and groups that are sampled "
                f"once; {name} is none"
            )
    if rule.weigh is not None and config.schemes != ("grpo",):
        raise ValueError(
            f"spending by {rule.name} brings advantages of its own: let schemes be grpo alone"
        )


def _check_training(config: SimulationConfig) -> None:
    """Check what training adds to the theory against the learner."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}

    def changed(*names: str) -> str:
        return next((name for name in names if getattr(config, name) != defaults[name]), "")

    errs = changed("false_positives", "false_negatives")
    if config.learner == "mirror":
        wrong = errs or changed("sampling", "sync_every")
        if wrong:
            raise ValueError(f"learner mirror samples no responses: {wrong} says nothing to it")
    if config.learner in ("mirror", "natural"):
        wrong = changed("gradient_clip", "kl_limit", "length_normalisation")
        if wrong:
            raise ValueError(f"{wrong} belongs to the learners softmax and ppo")
    if config.length_normalisation != "none" and config.policy not in TREES:
        raise ValueError("length_normalisation needs answers of several tokens: tree, shared_tree")
    if config.false_positives + config.false_negatives >= 1:
        raise ValueError(
            "false_positives + false_negatives must be below 1, where a verdict says nothing; got "
            f"{config.false_positives:g} + {config.false_negatives:g}"
        )
    for name, scheme in config.bound.items():
        if scheme.scaled_like is not None and not config.shared:
            raise ValueError(
                f"{name} takes its scale from a batch, which only prompts that share parameters "
                "have: set policy to log_linear or shared_tree"
            )
        if config.sampling != "fixed" and scheme.needs_confidence:
            raise ValueError(f"{name} reads the responses of fixed groups: sampling must be fixed")
    if config.comparison == "same_budget" and (errs or config.sampling != "fixed"):
        raise ValueError(
            "comparison same_budget integrates the weight of fixed groups with a verifier that "
            "does not err: use same_rate, with learning_rates"
        )


def tree_shape(config: SimulationConfig) -> TreeShape:
    """Answers of the configuration's tree."""
    return TreeShape(config.length, config.symbols, config.end_token)


def _check_schemes(config: SimulationConfig) -> None:
    if not config.schemes:
        raise ValueError("schemes must name at least one scheme")
    if len(set(config.schemes)) < len(config.schemes):
        raise ValueError(f"schemes must differ from each other; got {', '.join(config.schemes)}")
    if config.group_size is None and config.learner != "mirror":
        raise ValueError(
            f"learner {config.learner} samples groups and needs a group_size; only mirror has a "
            "population limit"
        )
    for bound in config.bound.values():
        if config.group_size is not None:
            bound.check_group_size(config.group_size)
        if bound.needs_length or bound.needs_batch:
            what = "response lengths" if bound.needs_length else "the other prompts of the batch"
            raise ValueError(f"{bound.name} is not simulated: its advantages depend on {what}")
        if bound.keeps_history and bound.options["refit"]:
            raise ValueError(
                f"{bound.name} is simulated with the a and b it is given: leave refit at 0, "
                "which is for training a model"
            )
        if config.learner == "mirror" and not bound.has_table:
            raise ValueError(
                f"{bound.name} has no table of advantages, which the mirror learner needs; use a "
                "sampling learner"
            )
        if config.comparison == "same_budget":
            _check_budget(config, bound)
    unknown = sorted(set(config.learning_rates) - set(config.schemes))
    if unknown:
        raise ValueError(
            f"learning_rates names {unknown[0]!r}, which is not among schemes: "
            f"{', '.join(config.schemes)}"
        )


def _check_budget(config: SimulationConfig, scheme: Scheme) -> None:
    if config.group_size is not None:
        SCHEMES["grpo"].check_group_size(config.group_size)  # its budget is the measure
    if not scheme.has_table:
        raise ValueError(
            f"comparison same_budget integrates the weight of a table, which {scheme.name} has "
            "not: use same_rate, with learning_rates"
        )
    if any(option in scheme.options for option in config.schedules):
        raise ValueError(
            f"comparison same_budget needs a weight that stays the same, and schedules change "
            f"{scheme.name}'s: use same_rate, with learning_rates"
        )
