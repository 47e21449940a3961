"""Any log without an option: small samples as engines write them, whose truth is known.

Six prompts with pass rates 0, 0, 1/4, 1/2, 3/4 and 1 in groups of four, at each of two steps.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rollouts import Diagnosis, diagnose
from rollouts.columns import group_size
from rollouts.rewards import two_values
from runs.pass_rates import read_measured

CORRECT = (0, 0, 1, 2, 3, 4)
CASES = Path(__file__).parents[2].parent / "shared" / "cases"
Row = dict[str, Any]


def responses() -> Iterator[tuple[int, int, int, int]]:
    """Step, prompt, sample and whether it is correct."""
    for step in (1, 2):
        for prompt, correct in enumerate(CORRECT):
            for sample in range(4):
                yield step, prompt, sample, int(sample < correct)


def lines(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def told(path: Path) -> Diagnosis:
    return diagnose(path, threads=1)


def is_true(diagnosis: Diagnosis, *, steps: int = 2, group: int = 4) -> bool:
    whole = diagnosis.overall
    shares = [whole[name] for name in ("all_wrong", "mixed", "all_right", "pass_rate")]
    assert shares == pytest.approx([1 / 3, 1 / 2, 1 / 6, 10 / 24])
    assert (whole["groups"], whole["responses"]) == (6 * steps, 6 * group * steps)
    return True


def verl_agent(root: Path) -> None:
    rows = [
        {
            "input": f"q{p}" + " and so on" * turn,
            "output": f"{turn}",
            "gts": "g",
            "step": s,
            "score": float(right * turn),
            "uid": f"{p:04d}_{n}_{turn}",
        }
        for s, p, n, right in responses()
        for turn in (0, 1)
    ]
    for step in (1, 2):
        lines(root / f"{step}.jsonl", [row for row in rows if row["step"] == step])


def verl_overlong(root: Path) -> None:
    lines(
        root / "rollouts.jsonl",
        [
            {
                "input": f"q{p}",
                "output": "o",
                "gts": "g",
                "step": s,
                "acc": bool(right),
                "score": 2.0 * right - 1 - 0.4 * (n == 3),
            }
            for s, p, n, right in responses()
        ],
    )


def trl_rewards(root: Path) -> None:
    for step in (1, 2):
        rows = [(p, n, right) for s, p, n, right in responses() if s == step]
        frame = pd.DataFrame(
            {
                "step": step,
                "prompt": [f"q{p}" for p, _, _ in rows],
                "completion": "c",
                "accuracy_reward": [float(right) for _, _, right in rows],
                "format_reward": [n % 2 * 0.5 for _, n, _ in rows],
                "n_tools": 1,
                "advantage": 0.0,
            }
        )
        path = root / "completions" / f"completions_{step:05d}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame.to_parquet(path)


def open_instruct(root: Path) -> None:
    lines(root / "run_metadata.jsonl", [{"run_name": "r", "model_name": "m"}])
    lines(
        root / "run_rollouts_000000.jsonl",
        [
            {
                "step": s,
                "sample_idx": 4 * p + n,
                "prompt_idx": p,
                "prompt_tokens": [1, p],
                "response_tokens": [n],
                "reward": 10.0 * right,
                "logprobs": [-0.5],
            }
            for s, p, n, right in responses()
        ],
    )


def nemo_rl(root: Path) -> None:
    rows = list(responses())
    for step in (1, 2):
        lines(
            root / f"train_data_step{step}.jsonl",
            [
                {
                    "content": [f"What is {p}?{n}"],
                    "rewards": [float(right)],
                    "idx": 4 * p + n,
                    "token_loss_mask": [[0, 1, 1]],
                    "generation_logprobs": [[0.0, -0.5, -0.5]],
                }
                for s, p, n, right in rows
                if s == step
            ],
        )
        lines(
            root / f"val_data_step{step}.jsonl",
            [{"content": ["other"], "rewards": [1.0], "idx": 0, "token_loss_mask": [[0, 1]]}],
        )


def skyrl(root: Path) -> None:
    lines(root / "dumped_evals" / "aggregated_results.jsonl", [{"eval/all/avg_score": 0.4}])
    lines(
        root / "dumped_evals" / "math.jsonl",
        [
            {
                "input_prompt": f"q{s} {p}",
                "output_response": "o",
                "score": [0.0, float(right)],
                "stop_reason": "stop",
                "env_class": "math",
                "env_extras": {},
                "data_source": "math",
            }
            for s, p, _, right in responses()
        ],
    )


def tinker(root: Path) -> None:
    for s, p, n, right in responses():
        row = {
            "split": "train",
            "iteration": s,
            "group_idx": p,
            "traj_idx": n,
            "total_reward": right - 0.1 * (n == 2),
            "steps": [{"ac_len": 20, "metrics": {"correct": float(right)}}],
        }
        folder = root / f"iteration_{s:06d}"
        folder.mkdir(exist_ok=True)
        for name in ("train", "eval_test"):
            with (folder / f"{name}_rollout_summaries.jsonl").open("a") as file:
                file.write(json.dumps(row | {"split": name.partition("_")[0]}) + "\n")


def areal(root: Path) -> None:
    for s, p, n, right in responses():
        path = root / "generated" / str(s) / f"{s}00{p}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            # The last response of a task began under the next version of the policy.
            file.write(
                json.dumps(
                    {
                        "task_id": s * 100 + p,
                        "sample_idx": n,
                        "seqlen": 9,
                        "prompt_len": 3,
                        "head_version": s + (n == 3),
                        "tail_version": s + 1,
                        "reward": float(right),
                        "prompt": "q",
                        "completion": "c",
                    }
                )
                + "\n"
            )


def roll(root: Path) -> None:
    for step in (1, 2):
        rows = [(p, n, right) for s, p, n, right in responses() if s == step]
        lines(
            root / f"rollout_dump_data.step_{step}.jsonl",
            [
                {
                    "global_step": [step] * 24,
                    "id": [str(p) for p, _, _ in rows],
                    "domain": ["math"] * 24,
                    "responses": [f"r{n}" for _, n, _ in rows],
                    "scores": [float(right) for _, _, right in rows],
                }
            ],
        )


def rllm(root: Path) -> None:
    for s, p, n, right in responses():
        for mode in ("train", "val"):
            folder = root / "episodes" / f"{mode}_step_{s}_epoch_0"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "batch_summary.json").write_text('{"training_step": 1, "num_episodes": 24}')
            (folder / f"episode_hash{p}ab_id{p}_{n}.json").write_text(
                json.dumps(
                    {
                        "training_step": s,
                        "episode_id": f"{p}:{n}",
                        "task_hash": f"{p}ab",
                        "is_correct": bool(right),
                        "trajectories": [{"name": "a", "reward": 0.5}],
                    },
                    indent=2,
                )
            )


def slime(root: Path) -> None:
    torch = pytest.importorskip("torch")
    for step in (1, 2):
        samples = [
            {
                "group_index": p,
                "index": 4 * p + n,
                "prompt": f"q{p}",
                "response": "r",
                "reward": float(right),
                "response_length": 3,
                "status": "completed",
            }
            for s, p, n, right in responses()
            if s == step
        ]
        torch.save({"rollout_id": step, "samples": samples}, root / f"rollout_{step}.pt")


def prime_rl(root: Path) -> None:
    for step in (1, 2):
        lines(
            root / "rollouts" / f"step_{step}" / "train_rollouts.jsonl",
            [
                {
                    "task": {"idx": p, "prompt": f"q{p}"},
                    "nodes": [{"message": {"content": "a"}, "logprobs": [-0.5, -0.25]}],
                    "rewards": {"math": float(right), "length": 0.0},
                    "kind": kind,
                    "env_name": "math",
                    "group_id": f"0f{p}-{kind}",
                    "policy_version": step - n % 2,
                    "off_policy_steps": n % 2,
                    "filters": {"repetition": False},
                    "advantage": right - CORRECT[p] / 4,
                }
                for s, p, n, right in responses()
                if s == step
                for kind in ("train", "eval")
            ],
        )


def lighteval(root: Path) -> None:
    lighteval_details(root, "")


def lighteval_0_12(root: Path) -> None:
    lighteval_details(root, "__")


def lighteval_details(root: Path, mark: str) -> None:
    for step in (1, 2):  # two evaluations
        path = root / "details" / "org" / "model" / f"2026-01-0{step}" / "details_math.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame(
            [
                {
                    f"{mark}doc{mark}": {"query": f"q{s}{p}", "choices": ["g"], "gold_index": 0},
                    f"{mark}metric{mark}": {"extractive_match": right},
                    f"{mark}model_response{mark}": {"text": ["so"], "output_tokens": [[1]]},
                }
                for s, p, n, right in responses()
                if s == step
            ]
        ).to_parquet(path)
    (root / "results.json").write_text('{"results": {"all": {"extractive_match": 0.4}}}')


def verifiers_stream(root: Path) -> None:
    episodes = [
        {
            "task": {"key": f"q{p}"},
            "group": {"id": f"{s}-{p}"},
            "run": {"type": "train", "work": {"type": kind, "step": s}},
            "traces": [
                {
                    "agent": {"name": name},
                    "rewards": {"math": {"score": float(right)}},
                    "nodes": [{"message": {"content": "a"}, "logprobs": [-0.5]}],
                }
                for name in ("solver", "other")
            ],
        }
        for s, p, _, right in responses()
        for kind in ("train", "eval")
    ]
    lines(root / "traces" / "chunk-000000.jsonl", episodes)
    lines(root / "traces" / "index.jsonl", [{"chunk": 0, "offset": 0}])


def verifiers_results(root: Path) -> None:
    (root / "metadata.json").write_text('{"env_id": "math", "model": "m"}')
    lines(
        root / "results.jsonl",
        [
            {
                "example_id": 10 * s + p,
                "task": "math",
                "reward": 0.9 * right + 0.1,
                "completion": "c",
                "metrics": {"correct_answer": float(right)},
            }
            for s, p, _, right in responses()
        ],
    )


def lm_eval(root: Path) -> None:
    lines(
        root / "samples_gsm8k.jsonl",
        [
            {
                "doc_id": p,
                "doc_hash": f"{s}{p}",
                "target": "g",
                "resps": [["o"]],
                "filter": name,
                "metrics": ["exact_match"],
                "exact_match": float(right and name == "strict"),
            }
            for s, p, _, right in responses()
            for name in ("strict", "flexible")
        ],
    )


def wandb_table(root: Path) -> None:
    (root / "completions.table.json").write_text(
        json.dumps(
            {
                "columns": ["step", "prompt", "completion", "reward"],
                "data": [[s, f"q{p}", "c", 10 * right] for s, p, _, right in responses()],
            }
        )
    )


def array(root: Path) -> None:
    rows = [{"step": s, "prompt_id": p, "reward": 2 * r - 1} for s, p, _, r in responses()]
    (root / "rollouts.json").write_text(json.dumps(rows, indent=1))


def nested(root: Path) -> None:
    lines(
        root / "generations.jsonl",
        [
            {
                "step": step,
                "question": f"q{p}",
                "samples": [{"text": "t", "correct": n < correct} for n in range(4)],
            }
            for step in (1, 2)
            for p, correct in enumerate(CORRECT)
        ],
    )


def listed(root: Path) -> None:
    lines(
        root / "test_math_t1.0.jsonl",
        [
            {
                "step": step,
                "question": f"q{p}",
                "code": ["a", "b", "a", "d"],
                "score": [n < correct for n in range(4)],
            }
            for step in (1, 2)
            for p, correct in enumerate(CORRECT)
        ],
    )


def listed_parquet(root: Path) -> None:
    pd.DataFrame(
        [
            {"step": step, "prompt": f"q{p}", "rewards": [float(n < correct) for n in range(4)]}
            for step in (1, 2)
            for p, correct in enumerate(CORRECT)
        ]
    ).to_parquet(root / "rollouts.parquet")


def counted(root: Path) -> None:
    rows = [f"{step},{p},{correct},4" for step in (1, 2) for p, correct in enumerate(CORRECT)]
    (root / "counts.csv").write_text("step,problem_id,n_correct,n_samples\n" + "\n".join(rows))


def by_id(root: Path) -> None:
    (root / "answers.json").write_text(
        json.dumps(
            {
                f"{step} {p}": [int(n < correct) for n in range(4)]
                for step in (1, 2)
                for p, correct in enumerate(CORRECT)
            }
        )
    )


def counted_and_nested(root: Path) -> None:
    lines(
        root / "raw.jsonl",
        [
            {
                "qid": p,
                "question": f"q{p}",
                "n_correct": correct,
                "n_rollouts": 4,
                "step": step,
                "rollouts": [{"rollout": n, "correct": n < correct, "text": "t"} for n in range(4)],
            }
            for step in (1, 2)
            for p, correct in enumerate(CORRECT)
        ],
    )


def listed_without_prompts(root: Path) -> None:
    """As atropos writes groups: a row each, and nothing that names the prompt."""
    lines(
        root / "groups.jsonl",
        [
            {
                "step": step,
                "tokens": [[p, n] for n in range(4)],
                "scores": [float(n < correct) for n in range(4)],
                "messages": [[{"role": "user", "content": f"q{p}"}]] * 4,
            }
            for step in (1, 2)
            for p, correct in enumerate(CORRECT)
        ],
    )


def checkpoints(root: Path) -> None:
    """The same prompts asked of several checkpoints, and one column of 0 and 1 with a long name."""
    lines(
        root / "scores.jsonl",
        [
            {"checkpoint": 100 * s, "prompt": f"q{p}", "task_correct": bool(right), "level": p}
            for s, p, _, right in responses()
        ],
    )


def verifiers_before_example_ids(root: Path) -> None:
    for step in (1, 2):
        lines(
            root / f"step_{step}" / "results.jsonl",
            [
                {
                    "id": p,
                    "prompt": [{"role": "user", "content": "the same"}],
                    "completion": [{"role": "assistant", "content": "c"}],
                    "task": "math",
                    "generation_ms": 1.0,
                    "reward": float(right),
                }
                for s, p, n, right in responses()
                if s == step
            ],
        )


LAYOUTS = {
    verl_agent: "verl agent rollouts, turn by turn",
    verl_overlong: "verl rollouts",
    trl_rewards: "TRL completions",
    open_instruct: "open-instruct rollouts",
    nemo_rl: "NeMo-RL train data",
    skyrl: "SkyRL evaluation dump",
    tinker: "tinker-cookbook rollout summaries",
    areal: "AReaL trajectories",
    roll: "ROLL rollouts",
    rllm: "rLLM episodes",
    slime: "slime samples",
    verifiers_results: "verifiers rollouts",
    prime_rl: "prime-rl traces",
    lighteval: "lighteval details",
    lighteval_0_12: "lighteval details",
    lm_eval: "lm-eval samples",
    wandb_table: "a table",
    array: "a table",
    nested: "a table",
    listed: "a table",
    listed_parquet: "a table",
    counted: "a table",
    by_id: "a table",
    counted_and_nested: "a table",
    listed_without_prompts: "a table",
    checkpoints: "a table",
    verifiers_before_example_ids: "verifiers rollouts",
}


@pytest.mark.parametrize("write", LAYOUTS, ids=lambda write: write.__name__)
def test_every_layout_is_read_without_an_option(tmp_path: Path, write: Any) -> None:
    write(tmp_path)
    diagnosis = told(tmp_path)
    assert diagnosis.reading.columns.layout.name == LAYOUTS[write]
    assert is_true(diagnosis)


def test_agents_of_an_episode_are_groups_of_their_own_and_evaluations_stay_aside(
    tmp_path: Path,
) -> None:
    verifiers_stream(tmp_path)
    diagnosis = told(tmp_path)
    whole = diagnosis.overall
    assert (whole["groups"], whole["responses"], whole["all_wrong"]) == (24, 96, 8 / 24)
    assert diagnosis.steps()["step"].tolist() == [1, 2]
    assert diagnosis.reading.data()["broken"] == {"evaluation": 96}
    assert "Passed over: index.jsonl" in str(diagnosis)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (open_instruct, "Passed over: run_metadata.jsonl (no rewards in it)."),
        (open_instruct, "Rewards are 0 and 10 and were taken for 0 and 1."),
        (array, "Rewards are −1 and 1 and were taken for 0 and 1."),
        (verl_overlong, "A response is correct by acc, not by score."),
        (verifiers_results, "A response is correct by metrics.correct_answer, not by reward."),
        (trl_rewards, "A response is correct by accuracy_reward, one of accuracy_reward, "),
        (nemo_rl, "4 rows after each other begin alike and are a group."),
        (nemo_rl, "Passed over: val_data_step#.jsonl (evaluations)."),
        (rllm, "(evaluations)"),
        (lm_eval, "Rows of the filter strict only; the others repeat them."),
        (lm_eval, "These are evaluations: nothing was trained on them."),
        (listed_without_prompts, "No column names the prompt; rewards are lists"),
        (checkpoints, "A response is correct by task_correct."),
    ],
)
def test_what_was_understood_is_said(tmp_path: Path, write: Any, sentence: str) -> None:
    write(tmp_path)
    assert sentence in str(told(tmp_path))


def test_greedy_rows_are_set_aside(tmp_path: Path) -> None:
    rows = [
        {"step": s, "prompt": f"q{p}", "reward": r, "temperature": 1.0}
        for s, p, _, r in responses()
    ]
    greedy = [{"step": 1, "prompt": f"q{p}", "reward": 1, "temperature": 0.0} for p in range(6)]
    lines(tmp_path / "rows.jsonl", rows + greedy)
    diagnosis = told(tmp_path)
    assert is_true(diagnosis)
    assert "6 sampled greedily" in str(diagnosis)


def test_groups_that_a_log_does_not_show_are_not_concluded(tmp_path: Path) -> None:
    rows = [
        {"step": s, "prompt": f"path {s} {p} {n}: do it", "reward": r, "task_id": p}
        for s, p, n, r in responses()
    ]
    lines(tmp_path / "rows.jsonl", rows)
    diagnosis = told(tmp_path)
    whole = diagnosis.overall
    assert whole["pass_rate"] == pytest.approx(10 / 24)
    assert all(math.isnan(whole[name]) for name in ("all_wrong", "mixed", "zero_advantage"))
    assert diagnosis.advise_call() is None
    assert "Nothing can be concluded about groups" in str(diagnosis)
    assert "--prompt task_id" in str(diagnosis)
    assert is_true(diagnose(tmp_path, columns={"prompt": "task_id"}, threads=1))


def test_refusals_offer_the_columns_they_saw(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{p}", "reward": 0.3 * n + r, "metrics": {"right": r}, "done": 1}
        for _, p, n, r in responses()
    ]
    lines(tmp_path / "rows.jsonl", rows)
    with pytest.raises(ValueError, match=r"--reward metrics\.right$"):
        told(tmp_path)


def test_rewards_that_show_themselves_late_are_read_again(tmp_path: Path) -> None:
    late = [{"step": s, "prompt_id": p, "reward": 10 * r} for s, p, _, r in responses()]
    early = [{"step": 0, "prompt_id": p % 60, "reward": 0} for p in range(240)]
    lines(tmp_path / "rows.jsonl", early + late[:-1] + [{**late[-1], "reward": 10.0}])
    whole = told(tmp_path).overall
    assert whole["all_wrong"] == (60 + 4) / 72
    assert whole["all_right"] == 2 / 72


def test_a_file_of_torch_that_could_execute_code_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"samples": [Path("a")]}, tmp_path / "rollout_1.pt")
    with pytest.raises(ValueError, match="loading it could execute code"):
        told(tmp_path / "rollout_1.pt")


def test_pairs_of_rewards_that_may_be_shaping_are_not_taken_for_outcomes() -> None:
    assert [two_values(list(pair)) for pair in ((0, 0.1), (0.5, 1), (-1, 0), (3, 4))] == [None] * 4


def test_group_sizes_are_told_only_where_texts_show_them() -> None:
    assert group_size([f"Solve {p}: {n}" for p in "abc" for n in range(8)]) == 8
    assert group_size([f"Solve {n}" for n in "abcdefgh"]) is None
    assert group_size([]) is None


@pytest.mark.skipif(not CASES.is_dir(), reason="cases from outside the repository")
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("verl_v1_agent", 2),
        ("verl_dapo", 2),
        ("nemo_rl", 2),
        ("open_instruct", 2),
        ("tinker", 2),
        ("wide/lists.jsonl", 1),
        ("wide/counts.jsonl", 1),
        ("array.json", 2),
        ("lm_eval", 1),
        ("trl_two_rewards", 2),
        ("trl_extra", 2),
    ],
)
def test_cases_from_outside(name: str, steps: int) -> None:
    assert is_true(told(CASES / "layouts" / name), steps=steps)


def test_advantages_for_something_else_than_being_correct_are_the_headline(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "prompt": f"q{p}", "reward": right, "advantage": float(n - 1.5) * (p < 2)}
        for s, p, n, right in responses()
        if s == 1
    ]
    lines(tmp_path / "rows.jsonl", rows)
    diagnosis = told(tmp_path)
    assert diagnosis.overall["logged_zero_advantage"] == 4 / 6
    assert diagnosis.overall["logged_mass_all_wrong"] == 1
    assert diagnosis.sentences[0].endswith("something other than to be correct.")
    assert "67% of the responses had advantage 0" in " ".join(diagnosis.sentences)
    lines(tmp_path / "rows.jsonl", [{**row, "advantage": row["reward"]} for row in rows])
    assert told(tmp_path).overall["logged_mass_all_wrong"] == 0


@pytest.mark.skipif(not CASES.is_dir(), reason="cases from outside the repository")
def test_a_format_reward_that_taught_more_than_the_accuracy_is_the_headline() -> None:
    diagnosis = told(CASES / "layouts" / "trl_accuracy_and_format")
    assert diagnosis.overall["logged_zero_advantage"] == pytest.approx(0.02, abs=0.005)
    assert diagnosis.overall["logged_mass_all_wrong"] == pytest.approx(0.58, abs=0.005)


def test_ages_truncation_and_restated_answers_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "step": 5 + s,
            "prompt": "Compute 45^2 - 35^2.",
            "reward": right,
            "response": [r"so \boxed{800}", r"so $\boxed{45^2-35^2}$"][n % 2] + "!" * n,
            "policy_version": 5 + s - n % 2,
            "finish_reason": "length" if n == 3 else "stop",
            "log_probs": [-1.0, -0.5],
            "rollout_log_probs": [-1.0, -0.5 - n % 2],
        }
        for s, p, n, right in responses()
    ]
    lines(tmp_path / "rows.jsonl", rows)
    diagnosis = told(tmp_path)
    whole = diagnosis.overall
    assert (whole["age"], whole["truncated"]) == (0.5, 0.25)
    right = [n for _, _, n, correct in responses() if correct]
    assert whole["restated"] == pytest.approx(sum(n % 2 for n in right) / len(right))
    ages = diagnosis.ages()
    assert ages is not None
    assert ages["age"].tolist() == [0, 1]
    assert ages["share"].tolist() == [0.5, 0.5]
    assert ages["log_ratio"].tolist() == pytest.approx([0, 1])
    assert "importance weights would keep 100% at age 0 and 100% at age 1" in str(diagnosis)


def test_boxed_answers_in_messages_are_read_from_columns_too(tmp_path: Path) -> None:
    rows = [
        {
            "step": s,
            "prompt": [{"role": "user", "content": f"Compute 45^2 - 35^2. ({p})"}],
            "response": [{"role": "assistant", "content": answer + "!" * n}],
            "reward": right,
        }
        for s, p, n, right in responses()
        for answer in [(r"so \boxed{800}", r"so $\boxed{45^2-35^2}$")[n % 2]]
    ]
    lines(tmp_path / "lines" / "rows.jsonl", rows)
    (tmp_path / "columns").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "columns" / "rows.parquet")
    right = [n for _, _, n, correct in responses() if correct]
    for folder in ("lines", "columns"):
        steps = told(tmp_path / folder).steps(1).iloc[0]
        assert steps["restated"] == pytest.approx(sum(n % 2 for n in right) / len(right))
        assert 40 < steps["characters"] < 100


def test_a_pipe_in_a_folder_of_logs_is_passed_over(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": prompt, "step": step, "reward": correct}
        for step, prompt, _, correct in responses()
    ]
    lines(tmp_path / "rollouts.jsonl", rows)
    before = told(tmp_path)
    os.mkfifo(tmp_path / "a.jsonl")
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    assert told(tmp_path).overall == before.overall


def test_a_text_beside_counts_is_not_every_response(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{p}", "n_correct": correct, "n_samples": 4, "response": ["a", "b", "c", "d"]}
        for p, correct in enumerate(CORRECT)
    ]
    lines(tmp_path / "counts.jsonl", rows)
    whole = told(tmp_path).overall
    assert is_true(told(tmp_path), steps=1)
    assert "repeated" not in whole


def test_a_checkpoint_that_is_a_path_is_no_step(tmp_path: Path) -> None:
    rows = [
        {"checkpoint": "runs/a", "prompt": f"q{p}", "reward": right}
        for s, p, _, right in responses()
        if s == 1
    ]
    lines(tmp_path / "rows.jsonl", rows)
    assert is_true(told(tmp_path), steps=1)


def test_pointers_of_git_lfs_are_named(tmp_path: Path) -> None:
    for name in ("results.jsonl", "results.parquet"):
        (tmp_path / name).write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        )
        with pytest.raises(ValueError, match="pointer of Git LFS to the file; git lfs pull"):
            told(tmp_path / name)


def test_several_evaluations_in_one_folder_are_said_to_be_several(tmp_path: Path) -> None:
    for model in ("a", "b"):
        rows = [{"prompt": f"q{p}", "reward": r} for s, p, _, r in responses() if s == 1]
        lines(tmp_path / "evals" / model / "results.jsonl", rows)
    sentence = "evaluations of 2 folders are taken together"
    assert sentence in str(told(tmp_path))
    assert sentence not in str(told(tmp_path / "evals" / "a"))


def test_the_age_of_slime_s_rollouts_counts_from_the_newest_weights_of_their_step(
    tmp_path: Path,
) -> None:
    rows = [
        {
            "rollout_id": s,
            "group_index": p,
            "index": n,
            "response": "r",
            "reward": float(right),
            "response_length": 3,
            # A response may go on under newer weights than it began with.
            "weight_versions": [str(s + 40 - n % 2), str(s + 40)],
        }
        for s, p, n, right in responses()
    ]
    lines(tmp_path / "rollouts.jsonl", rows)
    diagnosis = told(tmp_path)
    assert is_true(diagnosis)
    assert diagnosis.overall["age"] == 0.5
    lines(tmp_path / "rollouts.jsonl", [{**row, "weight_versions": []} for row in rows])
    assert is_true(told(tmp_path))


def test_a_column_of_some_tasks_alone_is_not_what_says_correct(tmp_path: Path) -> None:
    """Rollouts of two environments in one file, each with metrics of its own."""
    rows = [
        {"example_id": i // 2, "completion": "a", "reward": 0.25 * (i % 4), "version": 1.0}
        | {"metrics": {"tests_green": i % 2} if i < 8 else {"correct_answer": i % 2, "style": 1}}
        for i in range(16)
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="rewards are neither 0 nor 1") as refusal:
        diagnose([path])
    offered = str(refusal.value)
    assert "--reward metrics.correct_answer or --reward metrics.tests_green" in offered
    assert "version" not in offered  # the same throughout
    assert "style" not in offered
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[8:]))
    assert "metrics.correct_answer, not by reward" in " ".join(diagnose([path]).reading.notes())


def test_results_of_human_eval_are_read_and_its_samples_passed_over(tmp_path: Path) -> None:
    """As human_eval/evaluation.py writes both: no reward and no prompt but a task's name."""
    rows = [
        {"task_id": f"HumanEval/{p}", "completion": f"{n}", "result": "x", "passed": bool(r)}
        for _, p, n, r in responses()
    ]
    half = len(rows) // 2
    lines(tmp_path / "samples.jsonl_results.jsonl", rows[:half])
    lines(tmp_path / "samples.jsonl", [{k: row[k] for k in list(row)[:2]} for row in rows[:half]])
    assert is_true(told(tmp_path), steps=1)
    assert is_true(told(tmp_path / "samples.jsonl_results.jsonl"), steps=1)


def test_metrics_of_training_are_no_log_of_rollouts(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.jsonl"
    lines(path, [{"step": s, "loss": 0.1, "reward": 0.4, "entropy": 0.2} for s in range(9)])
    with pytest.raises(ValueError, match="metrics of training steps and no prompts"):
        told(path)
    lines(tmp_path / "rollouts.jsonl", [{"prompt": "q", "reward": n % 2} for n in range(8)])
    assert any("dashboard" in note for note in told(tmp_path).reading.notes())


def test_tables_of_several_kinds_in_one_folder_are_not_read_as_one(tmp_path: Path) -> None:
    """Scores in lists in one file, counts in another: either is a log, both are none."""
    lines(tmp_path / "lists.jsonl", [{"question": "q", "code": ["a", "b"], "score": [True, False]}])
    lines(tmp_path / "counts.jsonl", [{"problem_id": 0, "n_correct": 1, "n_samples": 2}])
    with pytest.raises(ValueError, match=r"several kinds.*counts\.jsonl.*lists\.jsonl"):
        told(tmp_path)
    assert told(tmp_path / "lists.jsonl").overall["mixed"] == 1
    assert told(tmp_path / "counts.jsonl").overall["mixed"] == 1


@pytest.mark.parametrize("correct", [(0, 1, 0), (0, 0, 0), (1, 16, 7)])
def test_counts_of_hard_prompts_are_no_rewards(tmp_path: Path, correct: tuple[int, ...]) -> None:
    """0 or 1 of 16 was taken for a wrong and a right response, 33 % for 2 %."""
    path = tmp_path / "counts.jsonl"
    lines(path, [{"problem_id": i, "n_correct": k, "n_samples": 16} for i, k in enumerate(correct)])
    whole = told(path).overall
    assert (whole["groups"], whole["responses"]) == (3, 48)
    assert whole["pass_rate"] == pytest.approx(sum(correct) / 48)
    assert whole["all_wrong"] == pytest.approx(sum(k == 0 for k in correct) / 3)


@pytest.mark.parametrize(
    ("right", "tried"), [("num_pass", "num_rollouts"), ("correct", "total"), ("n_success", "tries")]
)
def test_diagnosis_and_advice_know_counts_by_the_same_names(
    tmp_path: Path, right: str, tried: str
) -> None:
    path = tmp_path / "counts.jsonl"
    lines(path, [{"prompt": f"q{i}", right: k, tried: 8} for i, k in enumerate((0, 1, 5))])
    assert told(path).overall["pass_rate"] == pytest.approx(6 / 24)
    measured = read_measured(path)
    assert (measured.rate * measured.tries).tolist() == [0, 1, 5]
    # One response a row, right or wrong, with a total of something else beside it.
    lines(path, [{"prompt": "q", "correct": k, "total": 350} for k in (0, 1, 1, 0)])
    assert told(path).overall["responses"] == 4
