"""The estimators given to verl, against theory.advantages; with the real verl where it is there."""

import numpy as np
import pytest
import torch

from llm_validation.verl_names import PREFIX
from llm_validation.verl_plugin import estimator, parse_rule, register_all
from theory.advantages import group_advantages
from theory.rewards import OutcomeRule
from theory.schemes import SCHEMES

NAMES = [name for name, scheme in SCHEMES.items() if not scheme.needs_baseline]
TOKENS, GROUPS, SIZE = 5, 6, 4


@pytest.fixture
def batch():
    """Rows of six groups, shuffled, with outcome rewards on the last token of each response."""
    rng = np.random.default_rng(0)
    rows = GROUPS * SIZE
    lengths = rng.integers(1, TOKENS + 1, rows)
    rewards = (rng.random(rows) < 0.4).astype(np.float32)
    rewards[:SIZE], rewards[SIZE : 2 * SIZE] = 0, 1
    order = rng.permutation(rows)
    mask = (np.arange(TOKENS) < lengths[:, None]).astype(np.float32)
    scores = np.zeros((rows, TOKENS), np.float32)
    scores[np.arange(rows), lengths - 1] = rewards
    log_probs = (np.log(rng.uniform(0.1, 0.9, (rows, TOKENS))) * mask).astype(np.float32)
    index = np.array([f"uid-{row // SIZE}" for row in range(rows)], dtype=object)
    confidence = log_probs.sum(1) / lengths
    arrays = {"rewards": rewards, "confidence": confidence, "lengths": lengths}
    return {
        "token_level_rewards": torch.tensor(scores[order]),
        "response_mask": torch.tensor(mask[order]),
        "old_log_probs": torch.tensor(log_probs[order]),
        "index": index[order],
        "order": order,
        **arrays,
    }


def expected(batch, scheme):
    grouped = batch["rewards"].reshape(GROUPS, SIZE).astype(float)
    confidence = batch["confidence"].reshape(GROUPS, SIZE).astype(float)
    length = batch["lengths"].reshape(GROUPS, SIZE)
    advantages = group_advantages(grouped, scheme, log_confidence=confidence, length=length)
    return advantages.ravel()[batch["order"]][:, None] * batch["response_mask"].numpy()


@pytest.mark.parametrize("scheme", NAMES)
def test_estimators_give_the_schemes_advantages_in_any_order_of_rows(batch, scheme):
    arguments = {k: batch[k] for k in ("token_level_rewards", "response_mask", "index")}
    advantages, returns = estimator(scheme)(
        **arguments, config=None, old_log_probs=batch["old_log_probs"], something_new=3
    )
    np.testing.assert_allclose(advantages.numpy(), expected(batch, scheme), atol=1e-5)
    assert torch.equal(advantages, returns)


def test_groups_may_differ_in_size():
    rewards = torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0]])
    advantages, _ = estimator("linear_r")(
        rewards, torch.ones(5, 1), index=["a", "b", "a", "b", "b"]
    )
    assert advantages.flatten().tolist() == [0, -1, 0, -1, -1]
    mixed, _ = estimator("linear_r")(rewards, torch.ones(5, 1), index=["a", "a", "a", "b", "b"])
    np.testing.assert_allclose(mixed.flatten(), [0.5, -1, 0.5, -1, -1], atol=1e-6)


def test_a_scheme_of_the_batch_asks_for_groups_of_one_size():
    with pytest.raises(ValueError, match="curverl compares the prompts of a batch"):
        estimator("curverl")(torch.eye(5), torch.ones(5, 5), index=["a", "a", "b", "b", "b"])


@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r", "w_reinforce"])
def test_rewards_of_minus_one_and_one_are_recognised(batch, scheme):
    batch["token_level_rewards"] = batch["token_level_rewards"].clone()
    last = batch["response_mask"].sum(1).long() - 1
    rows = torch.arange(len(last))
    batch["token_level_rewards"][rows, last] = 2 * batch["token_level_rewards"][rows, last] - 1
    arguments = {k: batch[k] for k in ("token_level_rewards", "response_mask", "index")}
    advantages, _ = estimator(scheme)(**arguments)
    np.testing.assert_allclose(advantages.numpy(), expected(batch, scheme), atol=1e-5)


def test_a_penalty_for_length_is_shaping_beside_the_outcome():
    # DAPO's rewards: −1 or 1, less up to 1 for what is too long.
    rewards = torch.tensor([[1.0], [0.5], [-1.0], [-1.5], [-1.0], [-2.0], [-1.0], [-1.0]])
    rule = parse_rule("low=-1,high=1,threshold=0")
    assert rule == OutcomeRule(-1, 1, threshold=0)
    index = ["a"] * 4 + ["b"] * 4
    advantages, _ = estimator("sqrt_r", rule)(rewards, torch.ones(8, 1), index=index)
    outcomes = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    penalty = np.array([[0, -0.25, 0, -0.25], [0, -0.5, 0, 0]])
    by_hand = group_advantages(outcomes, "sqrt_r", shaping=penalty)
    np.testing.assert_allclose(advantages.flatten(), by_hand.ravel(), atol=1e-6)


@pytest.mark.parametrize("text", ["high", "top=3", "low=x", "threshold=nan", "low=1,high=0"])
def test_a_rule_that_says_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r"must be"):
        parse_rule(text)


def test_what_cannot_be_carried_is_refused_in_a_sentence(batch):
    arguments = {k: batch[k] for k in ("token_level_rewards", "response_mask")}
    with pytest.raises(ValueError, match="lens needs old_log_probs"):
        estimator("lens")(**arguments, index=batch["index"])
    with pytest.raises(ValueError, match="verl must pass index"):
        estimator("sqrt_r")(**arguments)
    with pytest.raises(ValueError, match="ppo needs a critic"):
        estimator("ppo")


def test_the_real_verl_has_loaded_the_plug_in_by_itself(batch):
    pytest.importorskip("verl")
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    from llm_validation.doctor import CHECKS, WEIGHTS

    check = CHECKS["verl"](WEIGHTS)
    assert check.ok, check.message
    assert all(PREFIX + name in check.message for name in NAMES)
    assert register_all() == [PREFIX + name for name in NAMES]  # a second time does no harm
    for scheme in NAMES:
        advantages, _ = get_adv_estimator_fn(PREFIX + scheme)(
            token_level_rewards=batch["token_level_rewards"],
            response_mask=batch["response_mask"],
            index=batch["index"],
            config=None,
            old_log_probs=batch["old_log_probs"],
        )
        np.testing.assert_allclose(advantages.numpy(), expected(batch, scheme), atol=1e-5)


def test_with_verls_grpo_formula_the_advantages_are_verls_own(batch):
    pytest.importorskip("verl")
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    arguments = {k: batch[k] for k in ("token_level_rewards", "response_mask", "index")}
    theirs, _ = compute_grpo_outcome_advantage(**arguments)
    ours, _ = estimator("grpo:ddof=1,eps=1e-6")(**arguments)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
