"""The estimators given to verl, against theory.advantages; with the real verl where it is there."""

import numpy as np
import pytest
import torch

from llm_validation.verl_names import PREFIX
from llm_validation.verl_plugin import estimator, register_all
from theory.advantages import group_advantages
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
    arrays = {"rewards": rewards, "confidence": confidence}
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
    needs = SCHEMES[scheme].needs_confidence
    advantages = group_advantages(grouped, scheme, log_confidence=confidence if needs else None)
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
