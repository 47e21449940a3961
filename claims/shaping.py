"""O10: shaping that is standardised with the outcome teaches itself in all-wrong groups.

Theory: one prompt whose wrong responses are short or long, short ones with a bonus. A group's
update moves two log-odds: of a correct response, by (1/M) Σ A_i (r_i − ρ), and of a short among the
wrong ones, by (1/M) Σ A_i (1 − r_i)(s_i − q). Both are summed over the outcomes of a group.
Simulation: bandits that can answer rightly, wrongly or with nothing, which is paid half.
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
    """Bandits with a paid empty answer learn it on the standardised total, and the right one gated.

    Both modes take the rate of the grid that served them best under other seeds.
    """
    seeds = lab.seeds or (5 if lab.quick else 20)
    tuning, steps = (5, 200) if lab.quick else (40, STEPS)
    ends, told = {}, []
    for mode in ("total", "gate"):
        tried = {
            rate: _success(mode, rate, tuning, steps, lab.first_seed + 1_000_000).mean()
            for rate in (RATES[1::3] if lab.quick else RATES)
        }
        best = max(tried, key=tried.__getitem__)
        ends[mode] = _success(mode, best, seeds, steps, lab.first_seed)
        found = ", ".join(f"{success:.3f} at {rate:g}" for rate, success in tried.items())
        told.append(f"{mode} picks the rate {best:g} (mean success {found})")
    checks = [
        bound("O10", "sim", name).check(quantity, values, scheme=_SCHEME)
        for name, quantity, values in (
            ("main", "success at the end, gated minus total", ends["gate"] - ends["total"]),
            ("total", "gain of success, total", ends["total"] - START),
            ("gate", "gain of success, gated", ends["gate"] - START),
        )
    ]
    words = (
        f"{PROMPTS} bandits of {ANSWERS} answers, one right and one empty, {START:.0%} each at the "
        f"start, half a reward for the empty one, fixed groups of {SIZE}, {steps} steps of the "
        f"sampled softmax gradient; {'; '.join(told)}"
    )
    return finding("O10", said(simulation_o10), checks, [words], quick=lab.quick)


def _success(mode: str, rate: float, seeds: int, steps: int, first_seed: int) -> Floats:
    """Mean success of the bandits after training, one value per seed."""
    generator = np.random.default_rng(first_seed)
    start = np.full(ANSWERS, (1 - 2 * START) / (ANSWERS - 2))
    start[:2] = START
    logits = np.tile(np.log(start), (seeds * PROMPTS, 1))
    rows = np.arange(len(logits))[:, None]
    for _ in range(steps):
        below = softmax(logits, axis=1).cumsum(axis=1)[:, None, :-1]
        answers = (generator.random((len(logits), SIZE, 1)) > below).sum(axis=2)
        right, empty = (answers == 0).astype(float), (answers == 1) / 2
        # Advantages of a group sum to 0, so that of the score only the answers drawn are left.
        np.add.at(logits, (rows, answers), rate / SIZE * _advantages(right, empty, mode))
    return np.asarray(softmax(logits, axis=1)[:, 0].reshape(seeds, PROMPTS).mean(axis=1))


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
