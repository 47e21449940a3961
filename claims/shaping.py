"""O10: shaping that is standardised with the outcome teaches itself in all-wrong groups.

Theory: one prompt whose wrong responses are short or long, short ones with a bonus. A group's
update moves two log-odds: of a correct response, by (1/M) Σ A_i (r_i − ρ), and of a short among the
wrong ones, by (1/M) Σ A_i (1 − r_i)(s_i − q). Both are summed over the outcomes of a group.
Simulation: prompts that can be answered rightly, wrongly or with nothing, which is paid half: as
independent bandits, and as prompts that share parameters, of which the empty answer is common.
Language model: a tiny transformer whose longest responses, right ones included, lose half a reward.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import softmax

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.spec import bound
from claims.verdicts import Check, Finding, finding, said
from theory._arrays import Floats
from theory.advantages import group_advantages
from theory.rewards import ShapingMode

SIZE, START, SHORT = 16, 0.01, 0.5
BONUS, SMALL_BONUS = 1 / 3, 1 / 300
PROMPTS, ANSWERS, STEPS = 64, 16, 500
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""The grid as predicted, widened at both ends since picks lay at its edges."""
FEATURES, SHARING = 8, 0.5
ALONE, SHARED = "independent bandits", "prompts that share parameters"
SHARED_RATES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Ten times as large, since most of what prompts want of shared parameters cancels."""
_SCHEME = "grpo"


def theory_o10() -> list[Check]:
    """Drift of the shaping in all-wrong groups over that of the outcome, by mode."""
    drifts = {
        (mode, bonus): _drifts(mode, bonus)
        for mode, bonus in (
            ("total", BONUS),
            ("total", SMALL_BONUS),
            ("add", BONUS),
            ("gate", BONUS),
        )
    }
    outcome, everywhere, _ = drifts["gate", BONUS]
    ratio = drifts["total", BONUS][2] / drifts["total", BONUS][0]
    words = "drift of the shaping in all-wrong groups"
    numbers = [
        ("main", f"{words} over that of the outcome, total", ratio),
        ("total", f"{words}, total, bonus 1/3", drifts["total", BONUS][2]),
        ("total", f"{words}, total, bonus 1/300", drifts["total", SMALL_BONUS][2]),
        ("add", f"{words}, added, bonus 1/3", drifts["add", BONUS][2]),
        ("gate", f"{words}, gated", drifts["gate", BONUS][2]),
        ("balance", "drift of the shaping over that of the outcome, gated", everywhere / outcome),
    ]
    return [
        bound("O10", "theory", name).check(quantity, [value], scheme=_SCHEME, exact=True)
        for name, quantity, value in numbers
    ]


def _drifts(mode: str, bonus: float) -> tuple[float, float, float]:
    """Drift of the outcome, of the shaping, and of the shaping in all-wrong groups."""
    outcome = shaping = alone = 0.0
    shares = [START, (1 - START) * SHORT, (1 - START) * (1 - SHORT)]
    for correct in range(SIZE + 1):
        for short in range(SIZE - correct + 1):
            counts = [correct, short, SIZE - correct - short]
            rewards, paid = np.repeat(np.array([[1.0, 0, 0], [0, 1.0, 0]]), counts, axis=1)
            chance = stats.multinomial.pmf(counts, SIZE, shares)
            advantages = _advantages(rewards, bonus * paid, mode)
            outcome += chance * float(advantages @ (rewards - START)) / SIZE
            moved = chance * float(advantages @ ((1 - rewards) * (paid - SHORT))) / SIZE
            shaping += moved
            alone += moved if correct == 0 else 0.0
    return outcome, shaping, alone


def _advantages(outcomes: Floats, shaping: Floats, mode: str) -> Floats:
    if mode == "total":
        return np.asarray(group_advantages(outcomes + shaping, _SCHEME))
    how: ShapingMode = "add" if mode == "add" else "gate"
    return np.asarray(group_advantages(outcomes, _SCHEME, shaping=shaping, shaping_mode=how))


def simulation_o10(lab: Lab) -> Finding:
    """With a paid empty answer the standardised total collapses to it, and gated it does not.

    Both modes take the rate of the grid that served them best under other seeds.
    """
    seeds = lab.seeds or (5 if lab.quick else 20)
    tuning, steps = (5, 200) if lab.quick else (40, STEPS)
    checks, words = [], []
    for regime in (ALONE, SHARED):
        ends, told = {}, []
        for mode in ("total", "gate"):
            rates = RATES if regime == ALONE else SHARED_RATES
            tried = {
                rate: _success(mode, rate, tuning, steps, lab.first_seed + 1_000_000, regime).mean()
                for rate in (rates[1::3] if lab.quick else rates)
            }
            best = max(tried, key=tried.__getitem__)
            ends[mode] = _success(mode, best, seeds, steps, lab.first_seed, regime)
            found = ", ".join(f"{success:.3f} at {rate:g}" for rate, success in tried.items())
            told.append(f"{mode} picks the rate {best:g} (mean success {found})")
        checks += [
            bound("O10", "sim", name).check(quantity, values, scheme=_SCHEME, regime=regime)
            for name, quantity, values in (
                ("main", "success at the end, gated minus total", ends["gate"] - ends["total"]),
                ("total", "gain of success, total", ends["total"] - START),
                ("gate", "gain of success, gated", ends["gate"] - START),
            )
        ]
        words.append(f"{regime}: {'; '.join(told)}")
    return finding("O10", said(simulation_o10), checks, words, quick=lab.quick)


def _success(
    mode: str, rate: float, seeds: int, steps: int, first_seed: int, regime: str
) -> Floats:
    """Mean success of the prompts after training, one value per seed."""
    generator = np.random.default_rng(first_seed)
    start = np.full(ANSWERS, (1 - 2 * START) / (ANSWERS - 2))
    start[:2] = START
    logits = np.tile(np.log(start), (seeds * PROMPTS, 1))
    right, kernel = np.zeros(len(logits), int), None
    if regime == SHARED:
        kernel, right = _shared(seeds, generator)
        rows = np.arange(len(logits))
        logits[rows, 0], logits[rows, right] = logits[rows, right], logits[rows, 0]
    rows = np.arange(len(logits))[:, None]
    for _ in range(steps):
        below = softmax(logits, axis=1).cumsum(axis=1)[:, None, :-1]
        answers = (generator.random((len(logits), SIZE, 1)) > below).sum(axis=2)
        correct, empty = (answers == right[:, None]).astype(float), (answers == 1) / 2
        # Advantages of a group sum to 0, so that of the score only the answers drawn are left.
        wanted = np.zeros_like(logits)
        np.add.at(wanted, (rows, answers), rate / SIZE * _advantages(correct, empty, mode))
        if kernel is not None:
            wanted = (kernel @ wanted.reshape(seeds, PROMPTS, ANSWERS)).reshape(logits.shape)
        logits += wanted
    succeeds = softmax(logits, axis=1)[rows[:, 0], right]
    return np.asarray(succeeds.reshape(seeds, PROMPTS).mean(axis=1))


def _shared(seeds: int, generator: np.random.Generator) -> tuple[Floats, np.ndarray]:
    """Kernels of prompts that share parameters, and the right answers of a rule over them.

    Logits Wᵀφ of features φ = (√c, √(1−c) g) with directions g on the unit sphere and sharing c:
    a step in W moves prompt x by what prompt y wants times ⟨φ_x, φ_y⟩, here over the mean of its
    sum over y. The right answer is the one, of all but the empty one, whose own direction is the
    nearest to g.

    Returns:
        Kernels, shape (seeds, PROMPTS, PROMPTS), and the right answers, shape (seeds · PROMPTS,).
    """
    features, targets = (
        drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
        for drawn in (
            generator.standard_normal((seeds, PROMPTS, FEATURES)),
            generator.standard_normal((seeds, ANSWERS - 1, FEATURES)),
        )
    )
    near = (features @ targets.swapaxes(1, 2)).argmax(axis=2).ravel()
    kernel = SHARING + (1 - SHARING) * features @ features.swapaxes(1, 2)
    size = np.abs(kernel).sum(axis=2, keepdims=True).mean(axis=1, keepdims=True)
    return kernel / size, np.where(near == 0, 0, near + 1)


def model_o10(total: Metrics, gate: Metrics) -> list[Check]:
    """With half a reward for brevity the total collapses to empty answers, and the gate learns."""
    ends = gate.last(_SCHEME, "success") - total.last(_SCHEME, "success")
    return [
        bound("O10", "llm", name).check(quantity, values, scheme=_SCHEME)
        for name, quantity, values in (
            ("main", "success at the end, gated minus total", ends),
            ("gate", "gain of success, gated", gate.gain(_SCHEME, "success")),
            ("total", "response length at the end, total", total.last(_SCHEME, "response_length")),
        )
    ]
