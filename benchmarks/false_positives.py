"""How often ``apw diagnose`` finds something in logs of runs in which nothing is wrong.

Clean logs are drawn with pass rates from many distributions, in groups of 2 to 32, 4 to 64 groups a
step and 1 to 100 steps, of runs that learn at different speeds. Whatever a finding looks at stays
on the right side of its limit in truth, up to the limit where it can be computed: entropy, lengths,
truncation, copies, restated answers, mismatch, age and advantages of several schemes with gated
shaping, rounding and a little noise. What all responses to a prompt have in common, as being cut
off, they have in common here too.

``python -m benchmarks.false_positives`` writes the counts into the package, from where they are
shown beside each finding; they belong to the limits of ``rollouts.findings`` as they are.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

import rollouts
from rollouts.findings import NAMES, find
from rollouts.groups import Groups, whole_groups
from rollouts.tally import Rollouts, Tally
from theory.advantages import group_advantages
from theory.rewards import shaping_advantages
from theory.schemes import resolve

STORED = Path(rollouts.__file__).with_name("false_positives.json")
LOGS = 3000
MOST_RESPONSES = 12_000
COMPONENTS = ("format_reward", "length_penalty")
SCHEMES = ("grpo", "rloo", "dr_grpo", "maxrl")


def count(logs: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Findings that were looked for and raised, on so many clean logs."""
    looked: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    for number in range(logs):
        rollouts, parts = clean_log(np.random.default_rng([seed, number]))
        for finding in find(rollouts, {"grpo": resolve("grpo")}, parts):
            looked[finding.name] += 1
            raised[finding.name] += finding.raised
    return looked, raised


def clean_log(generator: np.random.Generator) -> tuple[Rollouts, tuple[str, ...]]:
    """A log of a run in which nothing is wrong, and the names of its rewards' components."""
    size = int(generator.choice([2, 4, 8, 16, 32]))
    groups = int(generator.choice([4, 8, 16, 64]))
    steps = int(generator.choice([1, 4, 12, 40, 100]))
    steps = max(1, min(steps, MOST_RESPONSES // (groups * size)))
    success = _success(generator, steps, groups, size)
    made = _groups(generator, success)
    tally = Tally()
    tally.add(made)
    return tally.result(), COMPONENTS if made.components is not None else ()


def _success(generator: np.random.Generator, steps: int, groups: int, size: int) -> np.ndarray:
    """Outcomes, shape (steps, groups, size), of which at most 80 % teach nothing in truth."""
    while True:
        a, b = np.exp(generator.uniform(np.log(0.2), np.log(3), 2))
        rate = np.clip(generator.beta(a, b, (steps, groups)), 1e-6, 1 - 1e-6)
        speed = generator.uniform(0, 1.5) * np.linspace(0, 1, steps)[:, None]
        rate = 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + speed)))
        if np.mean(rate**size + (1 - rate) ** size) <= 0.8:
            return generator.random((steps, groups, size)) < rate[:, :, None]


def _groups(generator: np.random.Generator, success: np.ndarray) -> Groups:
    steps, groups, size = success.shape
    shape = success.shape
    trend = np.linspace(0, 1, steps)[:, None, None]
    prompt = generator.normal(0, 0.3, (steps, groups, 1))
    length = generator.lognormal(np.log(generator.uniform(30, 2000)), generator.uniform(0.2, 0.8))
    drift = np.exp(trend * np.log(generator.uniform(0.7, 1.5)))
    lengths = np.ceil(length * drift * np.exp(prompt + generator.normal(0, 0.5, shape)))
    surprise = generator.uniform(0.05, 1.0) * np.exp(
        trend * np.log(generator.uniform(0.6, 1.1)) + prompt
    )
    known = {
        "log_confidence": -surprise * generator.gamma(4.0, 0.25, shape),
        "length": lengths,
        "truncated": _shared(generator, generator.uniform(0, 0.1), shape),
        "restated": _shared(generator, generator.uniform(0, 0.05), shape),
    }
    text = np.arange(1, success.size + 1).reshape(shape)
    copied = generator.random(shape) < generator.uniform(0, 0.2)
    copied[:, :, 0] = False
    text = np.where(copied, text[:, :, :1], text)
    # w = e^δ keeps e^−σ² of the sample, which is 0.9 at σ = 0.32.
    spread = np.full(shape, generator.uniform(0, 0.32))
    if generator.random() < 0.5:
        age = generator.integers(0, 4, (steps, groups, 1)) + np.zeros(shape)
        spread = spread * (1 + 0.5 * age)
        known["age"] = age
    known["log_ratio"] = spread * generator.normal(size=shape)
    flat = {name: values.astype(np.float64).ravel() for name, values in known.items()}
    if generator.random() < 0.7:
        advantage, components = _advantages(generator, success, lengths)
        flat |= {"advantage": advantage.ravel()}
        if components is not None:
            flat["components"] = components.reshape(len(components), -1)
    return whole_groups(
        np.repeat(np.arange(steps), groups * size),
        np.repeat(np.arange(steps * groups), size).astype(np.uint64),
        success.ravel(),
        text=text.ravel().astype(np.uint64),
        **flat,
    )


def _shared(
    generator: np.random.Generator, share: float, shape: tuple[int, int, int]
) -> np.ndarray:
    """Marks of a share of responses, which those to one prompt have in common in part."""
    mean = max(share, 1e-9)
    rate = generator.beta(3 * mean, 3 * (1 - mean), shape[:2])[:, :, None]
    return generator.random(shape) < rate


def _advantages(
    generator: np.random.Generator, success: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Advantages of a scheme, some with gated shaping, rounded, with up to 5 % of noise."""
    advantage = np.asarray(
        group_advantages(success.astype(np.float64), str(generator.choice(SCHEMES)))
    )
    components = None
    if generator.random() < 0.5:
        bonus = (generator.random(success.shape) < generator.uniform(0.3, 1)).astype(float)
        components = np.stack([bonus, -lengths / lengths.mean()])
        weights = generator.uniform(0, [0.15, 0.05])
        added = np.tensordot(weights, components, axes=1)
        shaping = np.asarray(shaping_advantages(success.astype(np.float64), added))
        mixed = (success.mean(axis=2, keepdims=True) % 1) > 0
        advantage = advantage + np.where(mixed, shaping, 0.0)
    taught = advantage != 0
    noise = generator.uniform(0, 0.05) * np.abs(advantage[taught]).mean() if taught.any() else 0.0
    advantage = advantage + taught * noise * generator.normal(size=success.shape)
    if generator.random() < 0.5:
        return advantage.astype(np.float32).astype(np.float64), components
    return np.round(advantage, 4), components


def main() -> None:
    """Count, and write what was counted into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=int, default=LOGS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    looked, raised = count(options.logs, options.seed)
    found = {
        name: {
            "logs": looked[name],
            "raised": raised[name],
            "rate": raised[name] / looked[name],
        }
        for name in NAMES
        if looked[name]
    }
    stored = {
        "command": f"python -m benchmarks.false_positives --logs {options.logs} "
        f"--seed {options.seed}",
        "findings": found,
    }
    STORED.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    for name, row in found.items():
        print(f"{name:28s} {row['raised']:5d} of {row['logs']:5d}  {row['rate']:.3%}")


if __name__ == "__main__":
    main()
