"""No seed both picks and judges, and every scheme gets the same grid."""

from claims.language_model.arms import ARMS, judging, tuning


def test_no_seed_both_picks_and_judges():
    for arm in ARMS:
        picking = [config for _, config in tuning(arm)]
        wanted = arm.learning_rates if len(arm.learning_rates) > 1 else ()
        assert tuple(config.learning_rate for config in picking) == wanted
        rates = dict(zip(arm.schemes, arm.learning_rates * len(arm.schemes), strict=False))
        judges = [config for _, config in judging(arm, rates)]
        assert {s: c.learning_rate for c in judges for s in c.schemes} == rates
        for config in picking:
            assert config.schemes == arm.schemes
        for config in (*picking, *judges):
            assert config.task_options == {"kind": arm.kind}
            assert (config.initial_success < 0.05) == arm.name.endswith("from-scratch")
        seen = {seed for config in picking for seed in config.seed_range()}
        assert seen.isdisjoint(seed for config in judges for seed in config.seed_range())
