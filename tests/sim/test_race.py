"""A race of step sizes: what is stopped could not have been the best."""

import numpy as np

from sim.race import Race


def run(times, rates, target=0.5, every=10.0, end=400.0):
    """Race of runs that arrive at given times, and how long each was under way."""
    race = Race([("grpo", rate) for rate in rates], target)
    spent, everyone = np.zeros(len(times)), slice(0, len(times))
    for clock in np.arange(0.0, end + every, every):
        spent[race.running] = clock
        there = np.where(times <= clock, 0.6, 0.4)
        race.see(everyone, np.full(len(times), clock), there, np.zeros(len(times), bool))
    return race, spent


def test_the_best_rate_runs_to_the_arrival_of_all_its_seeds():
    generator = np.random.default_rng(0)
    for _ in range(200):
        means = generator.uniform(3, 6, size=4)
        times = np.exp(np.repeat(means, 5) + 0.3 * generator.standard_normal(20))
        _, spent = run(times, np.repeat(list("abcd"), 5))
        by_rate = np.minimum(times, 400).reshape(4, 5)
        best = np.log(by_rate).mean(axis=1).argmin()
        whole = np.minimum(np.ceil(times / 10) * 10, 400).reshape(4, 5)
        np.testing.assert_array_equal(spent.reshape(4, 5)[best], whole[best])
        assert (spent.reshape(4, 5) <= whole).all()


def test_a_rate_that_is_slower_by_half_is_stopped_and_a_close_one_is_not():
    times = np.array([100.0, 100.0, 120.0, 120.0, 390.0, 390.0])
    _, spent = run(times, list("aabbcc"))
    assert spent.tolist() == [100, 100, 120, 120, 160, 160]


def test_a_rate_is_out_when_one_of_its_seeds_diverges():
    race = Race([("grpo", "1"), ("grpo", "1"), ("psr", "1")], 0.5)
    race.see(slice(0, 3), np.full(3, 10.0), np.full(3, 0.2), np.array([True, False, False]))
    assert race.running.tolist() == [False, False, True]


def test_a_race_goes_on_from_what_was_saved():
    times = np.array([100.0, 120.0, 390.0, 390.0])
    race, _ = run(times, list("aabb"), end=110.0)
    again = Race([("grpo", rate) for rate in "aabb"], 0.5)
    for part in (slice(0, 2), slice(2, 4)):
        again.restore(part, race.arrays(part))
    assert again.running.tolist() == race.running.tolist() == [False, True, True, True]
