"""Lines that put a scheme and a group size to use, in TRL and in verl."""

from __future__ import annotations

import json
import shlex

TRL_IMPORTS = "from trl import GRPOConfig; from apw.trl import WeightedGRPOTrainer"
"""What :func:`trl_line` needs."""


def trl_line(scheme: str, group_size: int, kl_coefficient: float = 0.0) -> str:
    """Python that makes a TRL trainer; the names it does not import are the user's own.

    A device holds one whole group a step: TRL wants the responses generated together to be a
    multiple of the group size. More of them are a matter of memory.

    >>> print(trl_line("sqrt_r", 8))
    WeightedGRPOTrainer(scheme="sqrt_r", args=GRPOConfig(num_generations=8, \
per_device_train_batch_size=8), model=model, reward_funcs=reward_funcs, train_dataset=train_dataset)
    """
    name = json.dumps(scheme)
    beta = f"beta={kl_coefficient!r}, " if kl_coefficient else ""
    return (
        f"WeightedGRPOTrainer(scheme={name}, args=GRPOConfig({beta}num_generations={group_size}, "
        f"per_device_train_batch_size={group_size}), model=model, reward_funcs=reward_funcs, "
        "train_dataset=train_dataset)"
    )


def verl_line(scheme: str, group_size: int, kl_coefficient: float = 0.0) -> str:
    """Shell command for verl, to which come the words for data, model and hardware.

    >>> verl_line("sqrt_r", 8).split()[3:]
    ['algorithm.adv_estimator=apw_sqrt_r', 'actor_rollout_ref.rollout.n=8']
    """
    from llm_validation.launch.verl import estimator_words, override

    words = [*estimator_words(scheme), override("actor_rollout_ref.rollout.n", group_size)]
    if kl_coefficient:
        words.append(override("actor_rollout_ref.actor.use_kl_loss", True))
        words.append(override("actor_rollout_ref.actor.kl_loss_coef", kl_coefficient))
    return shlex.join(["python", "-m", "verl.trainer.main_ppo", *words])
