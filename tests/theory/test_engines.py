"""Engine presets: the conventions that theory.md lists, under the names of the engines."""

import itertools

import numpy as np
import pytest

from theory.advantages import group_advantages
from theory.engines import PRESETS
from theory.schemes import SCHEMES, resolve


def test_presets_are_the_conventions_of_the_libraries():
    conventions = {name: (e.ddof, e.eps, e.singleton) for name, e in PRESETS.items()}
    assert conventions == {
        "trl": (1, 1e-4, "refuse"),
        "verl": (1, 1e-6, "raw"),
        "openrlhf": (1, 1e-9, "refuse"),
        "open_instruct": (0, 1e-8, "refuse"),
        "nemo_rl": (1, 1e-6, "refuse"),
        "prime_rl": (0, 0.0, "refuse"),
        "skyrl": (1, 1e-6, "raw"),
    }


@pytest.mark.parametrize("engine", PRESETS)
def test_a_preset_sets_those_options_that_a_scheme_has_and_no_others(engine):
    for name, scheme in SCHEMES.items():
        shared = set(PRESETS[engine].options()) & set(scheme.options)
        if not shared:
            with pytest.raises(ValueError, match="is the same in every engine"):
                resolve(name, engine=engine)
            continue
        bound = resolve(name, engine=engine)
        for option, value in bound.options.items():
            expected = PRESETS[engine].options(name) if option in shared else scheme.options
            assert value == expected[option]


# Each engine's code for advantages, transcribed row by row from its repository.


def nemo_rl(rewards):
    """Baseline and deviation over the other responses, by moments; constant others divide by 1."""
    count = len(rewards) - 1
    if count < 1:
        return rewards - rewards
    others = 1 - np.eye(len(rewards))
    baseline = others @ rewards / count
    square = others @ rewards**2 / count
    with np.errstate(invalid="ignore", divide="ignore"):
        unbiased = (square - baseline**2) * np.float64(count) / np.float64(count - 1)
    deviation = np.nan_to_num(np.sqrt(np.maximum(unbiased, 0)), nan=0.0, posinf=0.0)
    centred = rewards - baseline
    varied = deviation > 1e-7
    centred[varied] /= deviation[varied] + 1e-6
    return centred


def prime_rl(rewards):
    return rewards - rewards.mean()


def skyrl(rewards):
    if len(rewards) == 1:
        return rewards / (1 + 1e-6)
    return (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)


@pytest.mark.parametrize("transcribed", [nemo_rl, prime_rl, skyrl])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_grpo_is_that_of_the_engines_code(transcribed, size):
    patterns = np.array(list(itertools.product((0.0, 1.0), repeat=size)))
    expected = np.stack([transcribed(row.copy()) for row in patterns])
    found = group_advantages(patterns, "grpo", engine=transcribed.__name__)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("transcribed", [prime_rl, skyrl])
def test_graded_rewards_too_where_the_engine_is_linear_in_them(transcribed):
    rewards = np.random.default_rng(0).normal(size=(20, 6))
    expected = np.stack([transcribed(row) for row in rewards])
    found = group_advantages(rewards, "grpo", engine=transcribed.__name__)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_nemo_rl_does_not_sharpen_the_only_correct_response():
    """Its others are all wrong, so that it gets 1 where GRPO gives √(M − 1)."""
    rewards = np.array([1.0] + [0.0] * 15)
    assert group_advantages(rewards, "grpo", engine="nemo_rl")[0] == 1
    assert group_advantages(rewards, "grpo")[0] == pytest.approx(np.sqrt(15))
    scheme = resolve("grpo", engine="nemo_rl")
    assert (scheme.graded, scheme.shift_invariant, scheme.centred) == (False, False, False)
    assert scheme.bind(deviation="group").shift_invariant
    with pytest.raises(ValueError, match="is defined for binary rewards"):
        group_advantages(np.array([0.5, 0.0, 1.0]), scheme)


def test_other_estimators_of_the_engines():
    rewards = np.array([[1.0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]])
    mean = rewards.mean(axis=1, keepdims=True)
    for engine in ("nemo_rl", "prime_rl", "skyrl"):
        np.testing.assert_allclose(
            group_advantages(rewards, "rloo", engine=engine), (rewards - mean) * 4 / 3, atol=1e-12
        )
    skyrls = (rewards - mean) / (mean + 1e-6)
    np.testing.assert_allclose(group_advantages(rewards, "maxrl", engine="skyrl"), skyrls)
    primes = np.where(mean > 0, (rewards - mean) / np.where(mean > 0, mean, 1), 0)
    np.testing.assert_allclose(group_advantages(rewards, "maxrl", engine="prime_rl"), primes)
    lone = np.array([[1.0], [0.0]])
    # SkyRL divides a lone reward by 1 + 1e-6.
    found = group_advantages(lone, "grpo", engine="skyrl")
    np.testing.assert_allclose(found, lone, atol=2e-6)
    with pytest.raises(ValueError, match="group_size of at least 2"):
        group_advantages(lone, "rloo", engine="skyrl")
