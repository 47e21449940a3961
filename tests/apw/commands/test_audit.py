"""``apw audit`` finds the rows on which the logged reward and the verifier disagree."""

import csv
import json

import pandas as pd
import pytest

from apw.main import main

ROWS = [  # gold, response, logged reward: two wrong rewards, one of them a false alarm of the log
    ("1/2", r"so \boxed{0.5}", 0.0),
    ("7", r"\boxed{7}", 1.0),
    ("7", r"\boxed{8}", 1.0),
    ("x+1", r"\boxed{1+x}", 1.0),
    ("x+1", r"\boxed{x}", 0.0),
    (r"\frac{2}{3}", r"\boxed{2/3}", 1.0),
]


def verl(folder, rows=ROWS, scale=lambda reward: reward):
    lines = [
        {"input": f"q{gold}", "output": said, "gts": gold, "score": scale(reward), "step": 1}
        for gold, said, reward in rows
    ]
    path = folder / "1.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def audit(capsys, *words):
    assert main(["audit", *map(str, words), "--workers", "1", "--timeout", "60", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_disagreements_are_counted_shown_and_written(tmp_path, capsys):
    out = tmp_path / "rows.csv"
    found = audit(capsys, verl(tmp_path, scale=lambda reward: 2 * reward - 1), "--out", out)
    assert (found["layout"], found["columns"]["gold"]) == ("verl rollouts", "gts")
    assert (found["rows"], found["judged"], found["agreement"]) == (6, 6, pytest.approx(4 / 6))
    kinds = {(row["logged"], row["verifier"]): row for row in found["disagreements"]}
    assert {pair: row["responses"] for pair, row in kinds.items()} == {
        ("correct", "wrong"): 1,
        ("wrong", "correct"): 1,
    }
    (example,) = kinds["wrong", "correct"]["examples"]
    assert (example["row"], example["gold"], example["reward"]) == (1, "1/2", -1.0)
    written = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["row"], row["verifier"]) for row in written] == [("1", "correct"), ("3", "wrong")]
    assert written[1]["response"] == r"\boxed{8}"


def test_restated_answers_are_counted_by_what_was_asked(tmp_path, capsys):
    rows = [
        ("Compute 45^2-35^2.", "800", r"\boxed{800}"),
        ("Compute 45^2-35^2.", "800", r"\boxed{45^2-35^2}"),
        ("Write 16/20 in lowest terms.", r"\frac{4}{5}", r"so \boxed{\frac{16}{20}}"),
        ("Write 16/20 in lowest terms.", r"\frac{4}{5}", r"so \boxed{\frac{4}{5}}"),
        ("Write 16/20 in lowest terms.", r"\frac{4}{5}", r"so \boxed{16}"),
    ]
    asked = [[{"role": "user", "content": problem}] for problem, _, _ in rows]
    for prompts, restated in ((asked, 2), (["q"] * 5, 1)):
        (tmp_path / "log.jsonl").write_text(
            "".join(
                json.dumps({"prompt": prompt, "response": said, "gold": gold, "reward": 1}) + "\n"
                for prompt, (_, gold, said) in zip(prompts, rows, strict=True)
            )
        )
        found = audit(capsys, tmp_path / "log.jsonl")
        assert (found["boxed_and_correct"], found["restated"]) == (4, restated)


def test_people_read_a_table_and_examples(tmp_path, capsys):
    assert main(["audit", str(verl(tmp_path)), "--workers", "1", "--timeout", "60"]) == 0
    text = capsys.readouterr().out
    assert "Log and verifier agree on 67% of 6 responses." in text
    assert "Logged correct, verifier says wrong:" in text
    assert r"1.jsonl:3  step 1  reward 1  gold '7'  response '\\boxed{8}'" in text


def test_messages_lists_and_other_names_are_read(tmp_path, capsys):
    path = tmp_path / "completions_00001.parquet"
    rows = {
        "step": 1,
        "prompt": [[{"role": "user", "content": gold}] for gold, _, _ in ROWS],
        "completion": [[{"role": "assistant", "content": said}] for _, said, _ in ROWS],
        "accuracy_reward": [reward for *_, reward in ROWS],
        "advantage": 0.5,
        "solution": [gold for gold, _, _ in ROWS],
    }
    pd.DataFrame(rows).to_parquet(path)
    found = audit(capsys, path)
    assert (found["layout"], found["columns"]["gold"]) == ("TRL completions", "solution")
    assert found["agreement"] == pytest.approx(4 / 6)
    assert main(["audit", str(path), "--gold", "answer"]) == 2
    assert "there is no column 'answer' (--gold); there are: step, " in capsys.readouterr().err
    wide = tmp_path / "wide.jsonl"
    line = {"idx": 0, "truth": "7", "code": [r"\boxed{7}", r"\boxed{8}"], "score": [True, True]}
    wide.write_text(json.dumps(line) + "\n")
    found = audit(capsys, wide, "--gold", "truth", "--response", "code")
    assert (found["judged"], found["agreement"]) == (2, 0.5)
    turns = tmp_path / "turns.jsonl"
    base = {"input": "q", "gts": "7", "step": 1}
    said = [("0_0_0", r"\boxed{8}", 0.0), ("0_0_1", r"\boxed{7}", 1.0)]
    turns.write_text(
        "".join(
            json.dumps({**base, "uid": uid, "output": text, "score": score}) + "\n"
            for uid, text, score in said
        )
    )
    found = audit(capsys, turns)
    assert (found["judged"], found["agreement"]) == (1, 1.0)  # the last turn is the answer


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        ({"gts": "x"}, ["--gold", "nothing"], "no row has a reward, a response and a reference"),
        ({"gts": None}, [], "no column that looks like a reference answer"),
        ({"score": 0.3}, [], "say from which reward on a response is correct"),
    ],
)
def test_refusals_are_sentences(tmp_path, capsys, change, words, sentence):
    row = {"input": "q", "output": "o", "gts": "7", "score": 1.0, "step": 1, **change}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({name: v for name, v in row.items() if v is not None}) + "\n")
    out = tmp_path / "rows.csv"
    assert main(["audit", str(path), "--out", str(out), "--workers", "1", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_answers_without_a_box_are_told_apart(tmp_path, capsys):
    """A public log of answers that were cut off: a number on the way is taken for the answer."""
    rows = [("7", "so first 3, then it may be 7", 0), ("7", r"\boxed{7}", 0), ("7", "it is 7", 1)]
    (tmp_path / "log.jsonl").write_text(
        "".join(
            json.dumps({"prompt": "q", "response": said, "gold": gold, "reward": reward}) + "\n"
            for gold, said, reward in rows
        )
    )
    assert audit(capsys, tmp_path / "log.jsonl")["unboxed"] == 1
    found = audit(capsys, tmp_path / "log.jsonl", "--require-box")
    assert found["unboxed"] == 0
    assert main(["audit", str(tmp_path / "log.jsonl"), "--workers", "1", "--timeout", "60"]) == 0
    assert "1 of the responses that the log calls wrong and" in capsys.readouterr().out
