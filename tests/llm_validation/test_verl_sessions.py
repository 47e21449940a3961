"""Sessions with several outputs: the last one is compared, and its advantage is everyone's."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from llm_validation import verl_sessions  # noqa: E402
from llm_validation.verl_plugin import estimator, register  # noqa: E402

# Two prompts of two sessions; the rewards of earlier outputs would change every baseline.
KEYS = ["a_b_0_1", "a_b_0_0", "a_b_1_0", "c_0_0", "c_0_1", "c_1_10", "c_1_9"]
UIDS = ["a_b", "a_b", "a_b", "c", "c", "c", "c"]
REWARDS = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
LAST = [0, 0, 2, 4, 4, 5, 5]


class Data:
    """As much of verl's DataProto as is used."""

    def __init__(self, batch, uids):
        self.batch, self.non_tensor_batch = batch, {"uid": uids}

    def select_idxs(self, rows):
        return Data(
            {k: v[rows] for k, v in self.batch.items()},
            [self.non_tensor_batch["uid"][row] for row in rows],
        )


def data():
    mask = torch.tensor(
        [[0.0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]]
    )
    rewards = torch.zeros_like(mask)
    rewards[torch.arange(7), mask.argmax(1)] = torch.tensor(REWARDS)
    return Data({"token_level_rewards": rewards, "response_mask": mask}, UIDS)


def verls(data, batch_keys, adv_estimator, **_):
    """What verl does with an estimator it does not know."""
    compute = estimator(adv_estimator.removeprefix("apw_"))
    batch = data.batch
    batch["advantages"], batch["returns"] = compute(
        batch["token_level_rewards"], batch["response_mask"], index=data.non_tensor_batch["uid"]
    )
    return data


def test_the_last_output_of_a_session_speaks_for_all_of_them():
    compute = verl_sessions.by_last_output(verls, {"apw_linear_r"})
    batch = compute(data(), KEYS, "apw_linear_r").batch
    # Each prompt has one right and one wrong last output: K = 1 of M = 2.
    right = torch.tensor([1.0, 1, -1, -1, -1, 1, 1])
    torch.testing.assert_close(batch["advantages"], right[:, None] * batch["response_mask"])
    assert batch["returns"] is batch["advantages"]
    values = batch["advantages"].sum(1) / batch["response_mask"].sum(1)
    assert torch.equal(values, values[LAST])


def test_other_estimators_are_left_to_verl():
    seen = []
    compute = verl_sessions.by_last_output(lambda *given, **_: seen.append(given), {"apw_grpo"})
    compute(None, KEYS, "gae")
    assert seen == [(None, KEYS, "gae")]


def test_it_is_put_in_place_once_the_trainers_are_imported(tmp_path, monkeypatch):
    (tmp_path / "later_utils.py").write_text(
        f"def {verl_sessions.FUNCTION}(data, batch_keys, adv_estimator): return adv_estimator"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verl_sessions, "MODULE", "later_utils")
    # Without the one that waits already where the real verl has loaded the plug-in.
    others = [f for f in sys.meta_path if not isinstance(f, verl_sessions._AfterImport)]
    monkeypatch.setattr(sys, "meta_path", others)
    ours = {"apw_grpo"}
    verl_sessions.install(ours)
    verl_sessions.install(ours)
    module = importlib.import_module("later_utils")
    function = getattr(module, verl_sessions.FUNCTION)
    assert function.ours is ours
    verl_sessions.install(ours)
    assert getattr(module, verl_sessions.FUNCTION) is function
    assert function(None, None, "gae") == "gae"
    monkeypatch.delitem(sys.modules, "later_utils")


def test_with_verls_grpo_formula_sessions_get_verls_own_advantages():
    utils = pytest.importorskip(verl_sessions.MODULE, exc_type=ImportError)
    from verl import DataProto

    function = getattr(utils, verl_sessions.FUNCTION)
    assert function.ours  # the plug-in has replaced it

    def advantages(name):
        given = data()
        batch = DataProto.from_dict(
            tensors=given.batch, non_tensors={"uid": np.array(UIDS, dtype=object)}
        )
        config = SimpleNamespace(get=lambda name, default=None: default)
        return function(batch, KEYS, name, config=config).batch["advantages"]

    register("apw_verls_grpo", "grpo:ddof=1,eps=1e-6")
    torch.testing.assert_close(advantages("apw_verls_grpo"), advantages("grpo"), rtol=0, atol=1e-5)
