"""Claims judged by made-up tables whose answers are known, and by the published ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import claims
from claims.countdown import LARGER
from claims.language_model.claims import CLAIMS, judge, known_claims, write_findings
from claims.language_model.settings import DROPPED, LENS_PARTS, RESCALED, SETTINGS
from claims.metrics import KS, Metrics
from claims.verdicts import Finding, regime_verdicts, rejudged

SEEDS = range(2, 7)
PUBLISHED = Path(claims.__file__).parent / "evidence" / "llm"


def publish_made_up(folder, setting, reached, ends, *, starts=None, sharpen=0.0):
    """Tables in which every metric of a scheme goes straight from a start to an end."""
    place = folder / setting.name
    place.mkdir(parents=True)
    metrics = {
        "success": 0.4,
        **{f"pass@{k}": 0.8 for k in KS},
        "entropy": 1.0,
        "response_length": 3.0,
        "groups_all_wrong": 0.5,
        "grad_norm": 1.0,
        **(starts or {}),
    }
    outcomes, rows = [], []
    for scheme in setting.schemes:
        for seed in SEEDS:
            time = reached.get(scheme, 1000.0) * (1 + 0.01 * seed)
            outcomes.append((setting.name, scheme, 1e-3, seed, 0.4, 0.95, 0.95, time, False))
            for metric, start in metrics.items():
                end = ends.get((scheme, metric), start) + 1e-4 * seed
                rows += [(scheme, seed, 0, metric, start), (scheme, seed, 100, metric, end)]
    names = [
        "setting",
        "scheme",
        "learning_rate",
        "seed",
        "start",
        "final",
        "best",
        "reached",
        "collapsed",
    ]
    pd.DataFrame(outcomes, columns=names).to_csv(place / "outcomes.csv", index=False)
    columns = ["scheme", "seed", "step", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(place / "curves.parquet", index=False)


SETTING = {setting.name: setting for setting in SETTINGS}


def test_a_world_in_which_the_papers_are_right(tmp_path):
    sooner = {"linear_r": 300.0, "sqrt_r": 300.0, "uniform_r": 300.0}
    kept = {
        ("nsr", "success"): 0.9,
        ("psr", "success"): 0.9,
        ("psr", "pass@256"): 0.7,
        ("nsr", "entropy"): 0.95,
        ("grpo", "entropy"): 0.6,
        ("psr", "entropy"): 0.3,
        ("nsr", "grad_norm"): 0.1,
        ("w_reinforce", "success"): 0.9,
        ("grpo", "success"): 0.9,
        ("lens", "success"): 0.95,
    }
    shares = {("lens", "groups_all_wrong"): 0.1, ("grpo", "groups_all_wrong"): 0.3}
    publish_made_up(tmp_path, SETTING["rule-from-scratch"], sooner, shares)
    publish_made_up(tmp_path, SETTING["rule-post-sft"], {}, kept)
    halves = {(scheme, "success"): 0.95 for scheme in LENS_PARTS}
    publish_made_up(tmp_path, SETTING["rule-one-in-ten"], {}, halves)
    publish_made_up(tmp_path, SETTING["rule-post-sft-long"], {}, {("nsr", "success"): 0.2})
    empty = {("grpo", "success"): 0.0, ("grpo", "response_length"): 1.0}
    publish_made_up(tmp_path, SETTING["length-total"], {}, empty)
    publish_made_up(tmp_path, SETTING["length-gate"], {}, {("grpo", "success"): 0.9})
    found = {item.id: item.verdict for item in judge(tmp_path)}
    assert set(found) == set(CLAIMS) - {"O4"}  # which needs the memorising settings too
    none = {id for id, verdict in found.items() if verdict == "no effect"}
    assert none == {"A5", "N6"}  # whose claims are that nothing is lost
    assert {found[id] for id in set(found) - none} == {"confirmed"}


def test_a_world_in_which_they_are_wrong(tmp_path):
    later = {"linear_r": 3000.0, "sqrt_r": 3000.0, "uniform_r": np.inf}
    publish_made_up(tmp_path, SETTING["rule-from-scratch"], later, {})
    publish_made_up(
        tmp_path,
        SETTING["rule-post-sft"],
        dict.fromkeys(later, 100.0),
        {
            ("lens", "success"): 0.1,
            ("psr", "pass@256"): 0.95,
            ("nsr", "pass@64"): 0.2,
            ("nsr", "entropy"): 0.1,
            ("w_reinforce", "pass@256"): 0.1,
        },
    )
    publish_made_up(tmp_path, SETTING["rule-one-in-ten"], {}, {("grpo", "success"): 0.95})
    publish_made_up(tmp_path, SETTING["rule-post-sft-long"], {}, {("w_reinforce", "success"): 0.2})
    publish_made_up(tmp_path, SETTING["length-total"], {}, {("grpo", "success"): 0.9})
    publish_made_up(tmp_path, SETTING["length-gate"], {}, {("grpo", "success"): 0.0})
    found = {item.id: item.verdict for item in judge(tmp_path)}
    for claim in ("A4", "A5", "L3", "L4", "N2", "N3", "N4", "N5", "N6", "N7", "O10"):
        assert found[claim] == "refuted", claim


RIGHT = {
    ("nsr", "success"): 0.6,
    ("psr", "success"): 0.6,
    ("grpo", "success"): 0.6,
    ("w_reinforce", "success"): 0.6,
    ("psr", "pass@64"): 0.6,
    ("psr", "pass@256"): 0.6,
    ("nsr", "entropy"): 0.9,
    ("grpo", "entropy"): 0.6,
    ("psr", "entropy"): 0.1,
    ("lens", "success"): 0.7,
    **{(scheme, "success"): 0.7 for scheme in LENS_PARTS},
    ("lens", "groups_all_wrong"): 0.1,
    ("grpo", "groups_all_wrong"): 0.4,
}
"""Where each has risen by 0.02 it has gone a tenth of its way or less."""
SOONER = {"sqrt_r": 300.0, RESCALED[0]: 300.0, DROPPED: 300.0}
COUNTED = ("A4", "L3", "L4", "L5", "N2", "N3", "N4", "N6", "O7", "S1", "S2", "S3")
CHOSEN = {
    "countdown-choice-rates": {"grpo": 500.0, DROPPED: 490.0},
    "countdown-choice-counts": {"grpo": 550.0},
}
"""Half of the responses by pass rates, 45 % saved by counts, and 2 % more by weights."""


def publish_countdown(folder, reached, ends, chosen=CHOSEN, without=()):
    for name in (name for name in SETTING if name.startswith("countdown") and name not in without):
        short = name.replace("-train", "")
        times = chosen.get(name, chosen.get(short, {} if "choice" in name else reached))
        publish_made_up(folder, SETTING[name], times, ends)


def test_countdown_on_which_the_papers_are_right(tmp_path):
    publish_countdown(tmp_path, SOONER, RIGHT)
    found = {item.id: item.verdict for item in judge(tmp_path)}
    assert set(found) == set(COUNTED)
    assert found.pop("N6") == "no effect"  # its claim is that nothing is lost
    assert set(found.values()) == {"confirmed"}
    write_findings(tmp_path)
    evidence = json.loads((tmp_path / "findings" / "O7.json").read_text())
    assert evidence["evidence"] == ["countdown-from-scratch/outcomes.csv"]


def test_a_finding_says_how_learning_rates_were_chosen(tmp_path):
    publish_countdown(tmp_path, SOONER, RIGHT)
    regimes = {item.id: item.regimes for item in judge(tmp_path)}
    assert regimes["L3"][0].endswith("each scheme at its own best learning rate")
    assert regimes["N3"][0].endswith("all schemes at one learning rate")


def test_countdown_on_which_they_are_wrong(tmp_path):
    slower = dict.fromkeys(SOONER, 3000.0) | {RESCALED[1]: 300.0}
    wrong = {
        ("nsr", "pass@64"): 0.5,
        ("psr", "pass@64"): 0.9,
        ("psr", "pass@256"): 0.9,
        ("psr", "entropy"): 1.9,
        ("grpo", "success"): 0.9,
        ("w_reinforce", "pass@64"): 0.1,
        ("w_reinforce", "pass@256"): 0.1,
        ("lens", "pass@16"): 0.7,
        **{(scheme, "success"): 0.4 for scheme in LENS_PARTS},
        ("lens", "groups_all_wrong"): 0.6,
    }
    chosen = {
        "countdown-choice-rates": {"grpo": 900.0, DROPPED: 500.0},
        "countdown-choice-counts": {"grpo": 950.0},
    }
    publish_countdown(tmp_path, slower, RIGHT | wrong, chosen)
    assert {item.id: item.verdict for item in judge(tmp_path)} == dict.fromkeys(COUNTED, "refuted")


def test_countdown_decides_where_sums_were_run_too(tmp_path):
    publish_countdown(tmp_path, SOONER, RIGHT)
    alone = {item.id: item.verdict for item in judge(tmp_path)}
    publish_made_up(tmp_path, SETTING["rule-post-sft"], {}, {("psr", "pass@256"): 0.95})
    found = {item.id: item for item in judge(tmp_path)}
    assert {id: found[id].verdict for id in COUNTED} == alone
    verdicts = {"Countdown to 35": "confirmed", "Countdown": "confirmed", "sums": "refuted"}
    assert regime_verdicts(found["N3"]) == verdicts
    assert len(found["N3"].regimes) == 3


def test_training_prompts_decide_what_choosing_saves_where_they_were_run(tmp_path):
    alike = {"countdown-choice-train-rates": {"grpo": 900.0}}
    publish_countdown(tmp_path, SOONER, RIGHT, CHOSEN | alike)
    found = next(item for item in judge(tmp_path) if item.id == "S1")
    verdicts = {"Countdown, training prompts": "refuted", "Countdown": "confirmed"}
    assert regime_verdicts(found) == verdicts
    assert found.verdict == "refuted"


def test_many_tries_are_64_where_256_solve_nearly_all_before_training(tmp_path):
    publish_countdown(tmp_path, SOONER, RIGHT | {("psr", "pass@256"): 0.9})
    found = next(item for item in judge(tmp_path) if item.id == "N3")
    assert regime_verdicts(found) == {"Countdown to 35": "confirmed", "Countdown": "refuted"}
    assert found.verdict == "confirmed"
    best = "best pass@1"
    assert [check.quantity for check in found.checks] == [best, "pass@64", best, "pass@256"]


def test_a_scheme_that_gains_too_little_under_some_seed_has_no_verdict(tmp_path):
    publish_countdown(
        tmp_path,
        SOONER,
        RIGHT | {("psr", "success"): 0.4197},
        without=(LARGER, f"{LARGER}-weighted"),
    )
    found = {item.id: item for item in judge(tmp_path)}
    assert [len(check.samples) for check in found["N3"].checks] == [5, 4]
    assert found["N3"].verdict == "open"


def test_settings_are_judged_together_while_one_has_fewer_seeds(tmp_path):
    publish_countdown(tmp_path, SOONER, RIGHT, without=(LARGER, f"{LARGER}-weighted"))
    place = tmp_path / "countdown-post-sft-weighted"
    outcomes, curves = (
        pd.read_csv(place / "outcomes.csv"),
        pd.read_parquet(place / "curves.parquet"),
    )
    outcomes[outcomes["seed"] < SEEDS[-1]].to_csv(place / "outcomes.csv", index=False)
    curves[curves["seed"] < SEEDS[-1]].to_csv(place / "curves.csv", index=False)
    found = {item.id: item for item in judge(tmp_path)}
    assert [len(check.samples) for check in found["N4"].checks] == [5, 4, 4]
    assert [len(check.samples) for check in found["N6"].checks] == [4, 4]


def test_a_scheme_that_never_arrives_counts_up_to_the_ceiling(tmp_path):
    publish_made_up(tmp_path, SETTING["rule-from-scratch"], {"sqrt_r": np.inf, "rloo": np.inf}, {})
    table = Metrics.published(tmp_path, "rule-from-scratch")
    assert table.log_ratio("sqrt_r", "grpo") == pytest.approx([np.log(20)] * 5)
    assert not table.log_ratio("sqrt_r", "rloo").size


def test_findings_are_written_for_the_ledger(tmp_path):
    publish_made_up(tmp_path, SETTING["rule-from-scratch"], {}, {})
    written = write_findings(tmp_path)
    assert [item.id for item in written] == ["A4", "A6", "L5"]
    stored = json.loads((tmp_path / "findings" / "A4.json").read_text())
    assert stored["source"] == "llm"
    assert Finding.from_dict(stored) == written[0]


def test_published_verdicts_follow_from_the_published_tables():
    files = sorted((PUBLISHED / "findings").glob("*.json"))
    # Others do not come from the settings.
    stored = [path for path in files if path.stem in known_claims()]
    assert stored
    derived = {item.id: item for item in judge(PUBLISHED)}
    assert sorted(derived) == [path.stem for path in stored]
    for path in stored:
        kept = Finding.from_dict(json.loads(path.read_text()))
        again = derived[kept.id]
        assert (kept.verdict, len(kept.checks)) == (again.verdict, len(again.checks))
        assert rejudged(kept) == again
