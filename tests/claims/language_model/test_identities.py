"""L2 and N1 on the tiny model's own rollouts, and findings that fail where they should."""

import json

import numpy as np
import pytest

from claims.language_model import identities
from claims.verdicts import Finding
from llm_validation import initial_model
from llm_validation.config import TrainConfig
from llm_validation.tasks import load_task

pytestmark = pytest.mark.usefixtures("one_thread")


def test_both_claims_hold_on_the_tiny_model(tmp_path):
    config = TrainConfig(initial_success=0.3, warm_up_steps=5)
    with load_task("arithmetic") as task:
        model = initial_model.prepare(config, task, 0, tmp_path / "initial")
    found = identities.judge_model(
        model, None, tmp_path, task="arithmetic", prompts=6, group_size=4, tokens=3
    )
    assert all("6 groups of 4" in item.regimes[0] for item in found if item.id == "L2")
    for claim in ("L2", "N1"):
        stored = json.loads((tmp_path / "findings" / f"{claim}.json").read_text())
        assert Finding.from_dict(stored).verdict == "confirmed", stored["checks"]


def test_a_penalty_out_of_bounds_is_seen(monkeypatch):
    rewards = np.array([[0.0, 0.0], [1.0, 0.0]])
    confidence = np.log([[0.5, 0.2], [0.3, 0.6]])
    assert identities.calibration(rewards, confidence, "made up").verdict == "confirmed"
    monkeypatch.setattr(identities, "calibrated_rewards", lambda r, c: r - 0.6)
    assert identities.calibration(rewards, confidence, "made up").verdict == "refuted"


def test_without_an_all_wrong_group_nothing_is_claimed_about_one():
    rewards = np.array([[1.0, 0.0]])
    found = identities.calibration(rewards, np.log([[0.5, 0.2]]), "made up")
    assert [check.verdict for check in found.checks][1:] == ["open"] * 2
    assert found.verdict == "open"
