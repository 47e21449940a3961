"""No seed both picks and judges, and every scheme gets the same grid."""

import dataclasses

from claims.language_model.settings import SETTINGS, judging, tuning
from claims.looks import LOOKS


def test_no_seed_both_picks_and_judges():
    for setting in SETTINGS:
        picking = [config for _, config in tuning(setting)]
        wanted = setting.learning_rates if len(setting.learning_rates) > 1 else ()
        assert tuple(config.learning_rate for config in picking) == wanted
        rates = dict(
            zip(setting.schemes, setting.learning_rates * len(setting.schemes), strict=False)
        )
        judges = [config for _, config in judging(setting, rates)]
        assert {s: c.learning_rate for c in judges for s in c.schemes} == rates
        for config in picking:
            assert config.schemes == setting.schemes
        for config in (*picking, *judges):
            kind = {} if setting.kind is None else {"kind": setting.kind}
            assert config.task_options == ({"largest": 35} if "35" in setting.name else kind)
            scratch = setting.name.endswith("from-scratch") or setting.claims == ("O10",)
            assert (config.initial_success < 0.05) == scratch
            assert all(getattr(config, name) == value for name, value in setting.fields.items())
        seen = {seed for config in picking for seed in config.seed_range()}
        assert seen.isdisjoint(seed for config in judges for seed in config.seed_range())


def test_looks_add_seeds_that_no_earlier_one_had():
    setting = dataclasses.replace(SETTINGS[0], looks=len(LOOKS["llm"]))
    found = list(judging(setting, {"grpo": 1e-3}))
    seeds = [seed for _, config in found for seed in config.seed_range()]
    assert sorted(seeds) == list(range(2, 2 + LOOKS["llm"][-1]))
    assert [name for name, _ in found][:2] == [
        f"{setting.name}/judge/lr=0.001",
        f"{setting.name}/judge/look=2/lr=0.001",
    ]
    counts = [sum(c.seeds for _, c in found[: look + 1]) for look in range(len(found))]
    assert tuple(counts) == LOOKS["llm"]
