"""The line for verl that ``apw advise`` ends in: verl knows its words and its estimator."""

import os
import shlex
import subprocess
import sys

import pytest

from apw.advice.lines import verl_line
from llm_validation.verl_names import SCHEMES_VARIABLE


@pytest.mark.parametrize("scheme", ["sqrt_r", "w_reinforce:lam=0.3"])
def test_verl_takes_the_line_and_knows_its_estimator(scheme):
    pytest.importorskip("verl")
    from hydra import compose, initialize_config_module

    line = shlex.split(verl_line(scheme, 8))
    assert line[:3] == ["python", "-m", "verl.trainer.main_ppo"]
    with initialize_config_module("verl.trainer.config", version_base=None):
        made = compose(config_name="ppo_trainer", overrides=line[3:])
    assert made.actor_rollout_ref.rollout.n == 8
    told = made.ray_kwargs.ray_init.runtime_env.get("env_vars", {}).get(SCHEMES_VARIABLE, "")
    assert told == (scheme if ":" in scheme else "")
    code = (
        "from verl.trainer.ppo.core_algos import get_adv_estimator_fn as find\n"
        f"print('found', find({made.algorithm.adv_estimator!r}).__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, SCHEMES_VARIABLE: told},
    ).stdout
    assert "found llm_validation.verl_plugin" in done
