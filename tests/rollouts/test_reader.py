"""Reading rollouts against plain Python over the same rows: any format, order and split."""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.outcomes import PASS_RATES
from rollouts.query import Status
from rollouts.reader import Reading, open_rollouts
from rollouts.tables import MOST_ROWS, lens_on_all_wrong, mass_table, step_table
from rollouts.tally import Rollouts, Tally
from theory.advantages import group_advantages
from theory.schemes import resolve

Row = dict[str, Any]
GRPO = resolve("grpo")
SCHEMES = ("grpo", "rloo", "linear_r", "sqrt_r:zero_success=drop", "maxrl", "w_reinforce", "nsr")
EDGES = {"0": 0, "(0, 1/4]": 0.25, "(1/4, 1/2]": 0.5, "(1/2, 3/4]": 0.75}


def read(*paths: Path, every: int = 1, **options: Any) -> tuple[Rollouts, Reading]:
    tally = Tally()
    with open_rollouts(paths, threads=1, **options) as reading:
        for groups in reading.groups(every=every):
            tally.add(groups)
    return tally.result(), reading


def difficulty(correct: int, size: int) -> str:
    if correct == size:
        return "1"
    rate = correct / size
    return next((name for name, edge in EDGES.items() if rate <= edge), "(3/4, 1)")


def lens_by_hand(rewards: list[int], confidences: list[float]) -> list[float]:
    """The paper's formulas, one response after the other."""
    size, correct = len(rewards), sum(rewards)
    if correct == size or size < 2:
        return [0.0] * size
    scale = 2 * max(confidences)
    if correct:
        inverse = sum(r / c for r, c in zip(rewards, confidences, strict=True)) / size
        scale = max(scale, 1 / inverse)
    calibrated = [
        r - (1 - r) * c / (scale - c) / size for r, c in zip(rewards, confidences, strict=True)
    ]
    mean = statistics.fmean(calibrated)
    if not correct:
        return [0.25 * (value - mean) for value in calibrated]
    deviation = statistics.pstdev(calibrated)
    return [(value - mean) / deviation for value in calibrated]


def by_hand(rows: list[Row]) -> dict[int, dict[str, Any]]:
    """Everything the tables tell, by dictionaries and loops."""
    groups: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["step"], row["prompt_id"]].append(row)
    steps: dict[int, dict[str, Any]] = {}
    for step in sorted({step for step, _ in groups}):
        here = [group for (at, _), group in groups.items() if at == step]
        flat = [row for group in here for row in group]
        counts = [(sum(row["reward"] for row in group), len(group)) for group in here]
        known = [row for row in flat if row["log_prob"] is not None]
        compared = [row for row in known if row["sampler_log_prob"] is not None]
        delta = [row["log_prob"] - row["sampler_log_prob"] for row in compared]
        ratios = [math.exp(d) for d in delta]
        right = [row for row in known if row["reward"]]
        wrong = [row for row in known if not row["reward"]]
        tokens = sum(row["length"] for row in compared)
        mass: dict[tuple[str, str], float] = defaultdict(float)
        zero_advantage: dict[str, int] = defaultdict(int)
        lens_groups: list[tuple[list[float], float]] = []
        for group, (correct, size) in zip(here, counts, strict=True):
            for scheme in SCHEMES:
                small = size < resolve(scheme).minimum_group
                rewards = np.array([row["reward"] for row in group], dtype=float)
                given = np.zeros(size) if small else group_advantages(rewards, scheme)
                mass[scheme, difficulty(correct, size)] += float(np.abs(given).sum())
                zero_advantage[scheme] += int((given == 0).sum())
            if all(row["log_prob"] is not None for row in group):
                confidences = [confidence(row) for row in group]
                advantages = lens_by_hand([row["reward"] for row in group], confidences)
                mass["lens", difficulty(correct, size)] += sum(map(abs, advantages))
                if not correct:
                    lens_groups.append((advantages, max(confidences)))
        repeated = sum(len(g) - len({row["response"] for row in g}) for g in here)
        steps[step] = {
            "groups": len(here),
            "responses": len(flat),
            "smallest_group": min(size for _, size in counts),
            "largest_group": max(size for _, size in counts),
            "pass_rate": sum(row["reward"] for row in flat) / len(flat),
            "all_wrong": sum(k == 0 for k, _ in counts) / len(here),
            "all_right": sum(k == n for k, n in counts) / len(here),
            "mixed": sum(0 < k < n for k, n in counts) / len(here),
            "zero_advantage": zero_advantage["grpo"] / len(flat),
            "repeated": repeated / len(flat),
            "length": statistics.fmean(row["length"] for row in flat),
            "confidence": mean(map(confidence, known)),
            "confidence_correct": mean(map(confidence, right)),
            "confidence_wrong": mean(map(confidence, wrong)),
            "entropy": ratio(
                -sum(row["log_prob"] for row in known), sum(row["length"] for row in known)
            ),
            "log_ratio": mean(delta),
            "log_ratio_absolute": mean(map(abs, delta)),
            "log_ratio_largest": max(map(abs, delta), default=math.nan),
            "log_ratio_per_token": ratio(sum(map(abs, delta)), tokens),
            "k3": mean(w - 1 - d for w, d in zip(ratios, delta, strict=True)),
            "effective_sample_size": ratio(
                sum(ratios) ** 2, len(ratios) * sum(w * w for w in ratios)
            ),
            "mass": mass,
            "all-wrong under LENS": lens_groups,
            "groups 0": sum(k == 0 for k, _ in counts),
            "groups 1": sum(k == n for k, n in counts),
            **{
                f"groups {name}": sum(
                    10 * k > i * n and 10 * k <= (i + 1) * n and k < n for k, n in counts
                )
                for i, name in enumerate(PASS_RATES[1:-1])
            },
        }
    return steps


def confidence(row: Row) -> float:
    return math.exp(row["log_prob"] / row["length"])


def mean(values: Any) -> float:
    listed = list(values)
    return statistics.fmean(listed) if listed else math.nan


def ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def check(rollouts: Rollouts, expected: dict[int, dict[str, Any]]) -> None:
    table = step_table(rollouts, GRPO).set_index("step")
    assert list(table.index) == list(expected)
    for step, values in expected.items():
        for name, value in values.items():
            if name not in ("mass", "all-wrong under LENS"):
                assert table.loc[step, name] == pytest.approx(
                    value, rel=1e-9, abs=1e-9, nan_ok=True
                )
    schemes = [*SCHEMES, *(["lens"] if rollouts.lens is not None else [])]
    masses = mass_table(rollouts, {s: resolve(s) for s in schemes}).set_index(
        ["step", "scheme", "difficulty"]
    )["mass"]
    for step, values in expected.items():
        for scheme in schemes:
            for name in (*EDGES, "(3/4, 1)", "1"):
                found = masses.get((step, scheme, name), 0.0)
                assert found == pytest.approx(values["mass"][scheme, name], rel=1e-9, abs=1e-9)
    check_all_wrong(rollouts, expected)


def check_all_wrong(rollouts: Rollouts, expected: dict[int, dict[str, Any]]) -> None:
    table = lens_on_all_wrong(rollouts, rows=MOST_ROWS)
    by_step = {step: values["all-wrong under LENS"] for step, values in expected.items()}
    by_step = {step: groups for step, groups in by_step.items() if groups}
    if table is None:
        assert not by_step
        return
    table = table.set_index("step")
    assert list(table.index) == list(by_step)
    for step, groups in by_step.items():
        advantages = [value for given, _ in groups for value in given]
        mass = expected[step]["mass"]
        total = sum(value for (scheme, _), value in mass.items() if scheme == "lens")
        found = table.loc[step]
        assert found["groups"] == len(groups)
        assert found["confidence"] == pytest.approx(mean(most for _, most in groups))
        # Equal confidences leave rounding errors where the exact advantage is 0.
        assert found["advantage"] == pytest.approx(mean(map(abs, advantages)), abs=1e-15)
        assert found["advantage_largest"] == pytest.approx(max(map(abs, advantages)), abs=1e-15)
        if all(abs(value) > 1e-12 for value in advantages):
            assert found["raised"] == mean(value > 0 for value in advantages)
        if total > 1e-12:
            wrong = sum(map(abs, advantages))
            assert found["share"] == pytest.approx(wrong / total, rel=1e-9, abs=1e-12)


log_probs = st.one_of(st.none(), st.floats(-30, -0.01))
responses = st.fixed_dictionaries(
    {
        "step": st.integers(-1, 3),
        "prompt_id": st.sampled_from(["a", "b", "it's", '"; drop table x', "ü"]),
        "reward": st.integers(0, 1),
        "length": st.integers(1, 40),
        "log_prob": log_probs,
        "sampler_log_prob": log_probs,
        "response": st.sampled_from(["x", "y", "=1+1", "x "]),
    }
)
runs = st.lists(responses, min_size=1, max_size=40)


def write(rows: list[Row], path: Path) -> None:
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path, row_group_size=3)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        packed = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
        path.write_bytes(packed)


@given(rows=runs, ending=st.sampled_from(["parquet", "csv", "jsonl", "jsonl.gz"]))
@settings(max_examples=25)
def test_every_format_tells_what_plain_loops_tell(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], ending: str
) -> None:
    path = tmp_path_factory.mktemp("run") / f"rollouts.{ending}"
    write(rows, path)
    rollouts, reading = read(path)
    assert reading.rows == len(rows)
    assert not reading.broken
    assert reading.unusable == sum(row["log_prob"] is None for row in rows)
    check(rollouts, by_hand(rows))


@given(rows=runs, seed=st.integers(0, 99))
@settings(max_examples=10)
def test_order_and_split_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    shuffled = random.Random(seed).sample(rows, len(rows))
    for number in range(3):
        if shuffled[number::3]:
            write(shuffled[number::3], folder / f"part-{number}.jsonl")
    check(read(folder)[0], by_hand(rows))


def test_groups_larger_than_a_batch_and_memory_stay_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollouts.reader.BATCH", 2048)
    generator = np.random.default_rng(0)
    rows = 20_000
    frame = pd.DataFrame(
        {
            "step": generator.integers(0, 3, rows),
            "prompt_id": generator.choice(4, rows, p=[0.7, 0.1, 0.1, 0.1]),
            "reward": generator.integers(0, 2, rows).astype(bool),
        }
    )
    frame.to_parquet(tmp_path / "big.parquet")
    rollouts, _ = read(tmp_path / "big.parquet")
    expected = frame.groupby(["step", "prompt_id"])["reward"].agg(["size", "sum"]).reset_index()
    found = rollouts.outcomes.sort_values(["step", "size", "correct"])
    expected = expected.sort_values(["step", "size", "sum"])
    assert found["size"].tolist() == expected["size"].tolist()
    assert found["correct"].tolist() == expected["sum"].tolist()


def test_broken_rows_are_counted_exactly_and_shown(tmp_path: Path) -> None:
    good = [{"prompt": "p", "reward": r, "step": 1} for r in (0, 1)]
    lines = [
        json.dumps(good[0]),
        '{"prompt": "p", "reward": 1',
        "[1, 2]",
        "",
        '{"prompt": "p", "step": 1}',
        '{"prompt": "p", "step": 1, "reward": "much"}',
        '{"prompt": "p", "step": 1, "reward": NaN}',
        '{"prompt": null, "step": 1, "reward": 1}',
        '{"prompt": "p", "step": 1.5, "reward": 1}',
        json.dumps(good[1]),
        '{"prompt": "p", "step": 1, "reward": [1]}',
        '{"a":' * 20000 + "1" + "}" * 20000,
    ]
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join(lines))
    rollouts, reading = read(path)
    assert reading.broken == {
        Status.UNREADABLE: 2,
        Status.NO_REWARD: 2,
        Status.REWARD_NOT_A_NUMBER: 2,
        Status.REWARD_NOT_FINITE: 1,
        Status.NO_PROMPT: 1,
        Status.NO_STEP: 1,
    }
    assert reading.rows == 11
    # Blank lines are no rows.
    assert [(place.row, place.status) for place in reading.places] == [
        (2, Status.UNREADABLE),
        (3, Status.UNREADABLE),
        (4, Status.NO_REWARD),
        (5, Status.REWARD_NOT_A_NUMBER),
        (6, Status.REWARD_NOT_FINITE),
    ]
    assert reading.places[3].value == "much"
    assert rollouts.outcomes[["size", "correct", "groups"]].values.tolist() == [[2, 1, 1]]


def test_lines_of_csv_that_cannot_be_split_are_named_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(
        b'step,prompt_id,reward,te"xt\n1,a,1,"two\nlines"\n1,a\n1,a,0,t,5\n1,a,0,\xff\xfe\n1,b,,t\n'
    )
    _, reading = read(path, given={"response": ['te"xt']})
    assert reading.broken == {Status.UNREADABLE: 3, Status.NO_REWARD: 1}
    assert reading.rows == 5
    assert [(place.unit, place.row) for place in reading.places] == [
        ("line", 3),
        ("line", 4),
        ("line", 5),
        ("row", 3),
    ]


@pytest.mark.parametrize(
    ("rewards", "threshold", "correct"),
    [
        ([1, -1, -1], None, 1),
        ([1.0, 0.0, 0.0], None, 1),
        ([0.2, 0.5, 1.1], 0.5, 2),
        ([True, False, True], None, 2),
        ([1, -1, 0], 1.0, 1),
    ],
)
def test_rewards_become_correct_by_a_stated_rule(
    tmp_path: Path, rewards: list[Any], threshold: float | None, correct: int
) -> None:
    path = tmp_path / "rewards.parquet"
    pd.DataFrame({"prompt": "p", "reward": rewards}).to_parquet(path)
    rollouts, reading = read(path, threshold=threshold)
    reading.rewards.check()
    assert rollouts.outcomes["correct"].tolist() == [correct]
    assert reading.rewards.scaled == (rewards == [1, -1, -1])


def test_graded_rewards_without_a_rule_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rewards.csv"
    path.write_text("prompt,reward\np,0.5\np,1\np,0\np,-1\n")
    _, reading = read(path)
    with pytest.raises(ValueError, match=r"2 of 4 rewards are neither 0 nor 1 .* --threshold"):
        reading.rewards.check()


@pytest.mark.parametrize(
    ("rewards", "offered"),
    [
        ([0.5, 1, 1], 1),
        ([0.2, 0.7, 1], 0.5),
        ([0, 3, 7, 10], 10),
        ([0.3, 1.2, 1.5], 1),
        ([1.5, 2, 3.5], 3.5),
        ([-0.5, -0.1, -0.2], -0.1),
        ([0, 0.25, 1], 0.5),
        ([-1, 0, 1], 1),
    ],
)
def test_a_threshold_that_is_offered_tells_some_rewards_from_others(
    tmp_path: Path, rewards: list[float], offered: float
) -> None:
    path = tmp_path / "rewards.csv"
    path.write_text("prompt,reward\n" + "".join(f"p,{value}\n" for value in rewards))
    _, reading = read(path)
    with pytest.raises(ValueError, match=re.escape(f"--threshold {offered:g}")):
        reading.rewards.check()
    again, _ = read(path, threshold=offered)
    assert 0 < again.outcomes["correct"].sum() < len(rewards)


def test_token_lists_means_and_sums_agree(tmp_path: Path) -> None:
    tokens = [[-1.0, -0.5], [-0.25, -0.25, -0.5], [], [-1.0, math.nan], [-2.0]]
    sampler = [[-1.1, -0.5], [-0.25, -0.2, -0.5], [], [-1.0, -1.0], [-2.0]]
    base = {"prompt": "p", "reward": [1, 0, 0, 1, 0]}
    length = [float(len(values)) for values in tokens]
    sums = [math.fsum(values) if values else math.nan for values in tokens]
    others = [math.fsum(values) if values else math.nan for values in sampler]
    frames = {
        "tokens": {"logprobs": tokens, "sampling_logprob": sampler},
        "sum": {"log_prob": sums, "sampling_logprob": others, "length": length},
        "mean_log_prob": {
            "mean_log_prob": [s / n if n else math.nan for s, n in zip(sums, length, strict=True)],
            "sampling_logprob": [s / n if n else None for s, n in zip(others, length, strict=True)],
            "length": length,
        },
    }
    rows = []
    for name, columns in frames.items():
        path = tmp_path / f"{name}.parquet"
        pd.DataFrame({**base, **columns}).to_parquet(path)
        rollouts, reading = read(path)
        assert reading.unusable == 2
        rows.append(step_table(rollouts, GRPO)[["confidence", "entropy", "log_ratio", "k3"]])
        lines = tmp_path / f"{name}.jsonl"
        pd.DataFrame({**base, **columns}).to_json(
            lines, orient="records", lines=True, double_precision=15
        )
        rows.append(step_table(read(lines)[0], GRPO)[rows[0].columns])
    for other in rows[1:]:
        np.testing.assert_allclose(other, rows[0], rtol=1e-12)
    known = [0, 1, 4]
    assert rows[0]["entropy"].item() == pytest.approx(-math.fsum(sums[i] for i in known) / 6)


def test_impossible_log_probabilities_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(
        "prompt,reward,log_prob,length\np,1,0.5,3\np,0,1e-9,3\np,0,-2,0\np,0,x,3\np,0,-inf,3\n"
    )
    rollouts, reading = read(path)
    assert reading.unusable == 4
    assert step_table(rollouts, GRPO)["confidence"].item() == 1.0


def test_lens_sees_only_groups_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text(
        "prompt,reward,log_prob,length\np,0,-1,2\np,0,-4,2\nq,0,-1,2\nq,0,,2\nr,1,-1,1\nr,1,-2,1\n"
    )
    rollouts, _ = read(path)
    table = lens_on_all_wrong(rollouts)
    assert table is not None
    expected = lens_by_hand([0, 0], [math.exp(-0.5), math.exp(-2)])
    assert table["groups"].item() == 1
    assert table["advantage"].item() == pytest.approx(abs(expected[0]), rel=1e-12)
    assert table["raised"].item() == 0.5
    assert table["confidence"].item() == pytest.approx(math.exp(-0.5))


def test_steps_are_put_together_after_grouping(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    path.write_text("prompt,reward,step\np,1,-1\np,1,0\np,0,9\np,0,10\n")
    rollouts, _ = read(path, every=10)
    assert rollouts.outcomes.values.tolist() == [
        [-10, 1, 1, 1],
        [0, 1, 0, 1],
        [0, 1, 1, 1],
        [10, 1, 0, 1],
    ]


def test_columns_named_like_sql_are_only_names(tmp_path: Path) -> None:
    names = ['"; drop table x; --', "it's", "reward'; select", "a.b/c~d"]
    rows = [
        {names[0]: "p", names[1]: step, names[2]: r, names[3]: "t"}
        for step, r in ((1, 0), (1, 1), (2, 1))
    ]
    given = {"prompt": [names[0]], "step": [names[1]], "reward": [names[2]], "response": [names[3]]}
    for ending in ("parquet", "csv", "jsonl"):
        path = tmp_path / f"ro'll\"outs[1]*?.{ending}"
        write(rows, path)
        rollouts, _ = read(path, given=given)
        assert rollouts.outcomes.values.tolist() == [[1, 2, 1, 1], [2, 1, 1, 1]]
        assert rollouts.responses["repeated"].tolist() == [1.0, 0.0]


def test_files_may_lack_columns_that_others_have(tmp_path: Path) -> None:
    for ending in ("parquet", "csv", "jsonl"):
        folder = tmp_path / ending
        folder.mkdir()
        write([{"prompt": "p", "reward": 1, "log_prob": -1.0, "length": 2}], folder / f"a.{ending}")
        text = ending != "parquet"
        rest = [{"prompt": "p", "reward": 0}, *([{"prompt": "p", "reward": ""}] if text else [])]
        write(rest, folder / f"b.{ending}")
        rollouts, reading = read(folder)
        assert rollouts.outcomes[["size", "correct"]].values.tolist() == [[2, 1]]
        assert reading.unusable == 1
        if text:
            assert [(p.file.name, p.row) for p in reading.places] == [(f"b.{ending}", 2)]


def test_nothing_outside_the_files_can_be_read(tmp_path: Path) -> None:
    from rollouts import database
    from rollouts.files import find_files
    from rollouts.sample import Sample

    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    table = tmp_path / "table.csv"
    table.write_text("prompt,reward\np,1\n")
    folder = tmp_path / "links"
    folder.mkdir()
    links = database.Links.make(find_files(table), folder, Sample(()))
    with database.connection(links, "100MB", 1) as connection:
        with pytest.raises(Exception, match="Cannot access file"):
            connection.sql(f"SELECT * FROM read_csv('{secret}')").fetchall()
        with pytest.raises(Exception, match="locked"):
            connection.execute("SET enable_external_access = true")


NUMBER = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0, 1, 1.0, True, None, 2**53 + 1, 10**30, 1e400, math.nan, "1", "x", "", [1]]),
)


@settings(max_examples=10, deadline=None)
@given(
    late=st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {
                    "prompt": st.sampled_from(["a", "b", 7, 7.0, 10**30, 10**30 + 1, None, ""]),
                    "reward": st.sampled_from([0, 1, 1.0, True, None, "1", "x", math.nan]),
                    "step": NUMBER,
                    "length": NUMBER,
                    "log_prob": st.one_of(NUMBER, st.just([-1.0, -2.0])),
                }
            ).map(json.dumps),
            st.sampled_from(
                [
                    "{",
                    "[1]",
                    "null",
                    '"a"',
                    "",
                    '{"prompt": "a", "reward": 1, "reward": 0, "step": 1}',
                    '{"PROMPT": "a", "reward": 1, "step": 1}',
                    '{"prompt": "a", "reward": 1, "step": 1} {}',
                ]
            ),
        ),
        max_size=4,
    )
)
def test_lines_unlike_the_first_ones_are_read_as_carefully(
    tmp_path_factory: pytest.TempPathFactory, late: list[str]
) -> None:
    usual = [
        json.dumps({"prompt": p, "reward": r, "step": s, "length": 3, "log_prob": -1.5})
        for s in (1, 2)
        for p in "ab"
        for r in (0, 1)
    ]
    path = tmp_path_factory.mktemp("lines") / "rows.jsonl"
    # The types of columns are those of the first 200 rows.
    path.write_text("\n".join([*(usual * 25), *late]) + "\n")
    quick, reading = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rollouts.reader.typed", lambda *_: None)
        careful, slow = read(path)
    pd.testing.assert_frame_equal(quick.outcomes, careful.outcomes)
    pd.testing.assert_frame_equal(quick.responses, careful.responses, rtol=1e-12)
    assert (reading.rows, reading.broken.total()) == (slow.rows, slow.broken.total())
