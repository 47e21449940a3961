"""No seed both picks and judges, and every scheme gets the same grid."""

from claims.language_model.settings import SETTINGS, judging, tuning


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
            assert config.task_options == kind
            scratch = setting.name.endswith("from-scratch") or setting.claims == ("O10",)
            assert (config.initial_success < 0.05) == scratch
            assert all(getattr(config, name) == value for name, value in setting.fields.items())
        seen = {seed for config in picking for seed in config.seed_range()}
        assert seen.isdisjoint(seed for config in judges for seed in config.seed_range())
