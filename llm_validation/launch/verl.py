"""verl on Ray: a recipe in Hydra's words, advantages by the plug-in, rewards by our verifier."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from typing import Any

from llm_validation.config import TrainConfig
from llm_validation.launch.files import Machines, recipe_text, script_head
from llm_validation.train import run_key
from llm_validation.verl_names import SCHEMES_VARIABLE, estimator_name
from theory.schedules import WarmUp

_AVERAGES = {
    "dapo": "token-mean",
    "grpo": "seq-mean-token-mean",
    "dr_grpo": "seq-mean-token-sum-norm",
}
"""How token losses are averaged: TRL's name → verl's."""
_DECAYS = {"constant": "constant", "constant_with_warmup": "constant", "cosine": "cosine"}
_PLAIN = "{% for message in messages %}{{ message.content }}{% endfor %}"
"""Chat template of a base model that continues plain text."""


def verl_files(config: TrainConfig, name: str, machines: Machines) -> dict[str, str]:
    """Script and recipe; see ``launch_files``."""
    for field, allowed in (("loss", _AVERAGES), ("learning_rate_schedule", _DECAYS)):
        if getattr(config, field) not in allowed:
            raise ValueError(
                f"verl carries {field} {', '.join(allowed)}; got {getattr(config, field)}"
            )
    if config.model == "tiny" or config.cpu:
        raise ValueError("verl trains on GPUs, and models that it can load: not the tiny one")
    if config.lora_rank:
        raise ValueError("--launch verl carries no adapters: lora_rank = 0")
    if config.plan_every and config.plan_counts is None:
        raise ValueError(
            "verl's trainer tells nobody the outcomes of a batch before it takes the next: give "
            "plan_counts, and all of the run is laid out by the plan that they make"
        )
    if config.mask_truncated:
        raise ValueError("verl has no way to leave truncated responses out: mask_truncated = false")
    if machines.server_gpus:
        raise ValueError("verl spreads vLLM over the GPUs it trains on: server_gpus is 0 there")
    carried = [name for name, scheme in config.bound.items() if not scheme.needs_confidence]
    left = [scheme for scheme in config.schemes if scheme not in carried]
    if not carried:
        raise ValueError(
            f"verl gives its estimators no log-probabilities of the sampler, which "
            f"{', '.join(left)} needs; launch with accelerate, fsdp or deepspeed"
        )
    notes = [
        "Needs verl and this package on every machine: pip install '.[verl]' vllm; "
        "`apw doctor --require verl verifier` tells whether verl knows the schemes.",
        "On several machines start Ray first (ray start --head, ray start --address=...), let all "
        "see this folder, and run the script on the head.",
    ]
    if left:
        notes.append(
            f"Left out, since verl gives estimators no log-probabilities: {', '.join(left)}. "
            "Train them with --launch deepspeed."
        )
    lines = [
        *script_head(name, "verl", config, *notes),
        "",
        "# What every training has in common.",
        "common=(",
        *(f"    {shlex.quote(word)}" for word in overrides(config, machines)),
        '    "reward.custom_reward_function.path=pkg://llm_validation.launch.verl_reward"',
        "    \"+reward.custom_reward_function.reward_kwargs.recipe='$here/recipe.toml'\"",
        ")",
        "",
        "train() { # seed, run folder, last step, then what is a training's own",
        "    local seed=$1 folder=$2 last=$3 reached=$2/latest_checkpointed_iteration.txt",
        "    shift 3",
        '    if [ -e "$reached" ] && [ "$(cat "$reached")" -ge "$last" ]; then return 0; fi',
        '    python -m llm_validation.launch.verl_data "$here/recipe.toml" "$seed" \\',
        '        "$here/train.seed=$seed.parquet"',
        '    python -m verl.trainer.main_ppo "${common[@]}" \\',
        "        \"data.train_files='$here/train.seed=$seed.parquet'\" \\",
        "        \"data.val_files='$here/train.seed=$seed.parquet'\" \\",
        "        \"trainer.default_local_dir='$folder'\" \\",
        '        "trainer.total_training_steps=$last" "$@"',
        "}",
        "",
    ]
    for seed in config.seed_range():
        for scheme in carried:
            folder = f"results/verl/{name}/{run_key(scheme, seed)}"
            for last, phase in _phases(config, scheme):
                words = [
                    *phase,
                    f"data.seed={seed}",
                    f"actor_rollout_ref.rollout.seed={seed}",
                    override("trainer.experiment_name", f"{name}-{run_key(scheme, seed)}"),
                ]
                lines.append(shlex.join(["train", str(seed), folder, str(last), *words]))
    return {"run.sh": "\n".join(lines) + "\n", "recipe.toml": recipe_text(config)}


def overrides(config: TrainConfig, machines: Machines) -> list[str]:
    """What the trainings of a run have in common, as overrides of verl's ``ppo_trainer``."""
    processes = machines.nodes * machines.gpus
    local = math.ceil(config.responses_per_step / processes)
    micro = min(config.micro_batch or local, local)
    actor, rollout, model = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "model"))
    # verl counts generated batches where TRL counts updates.
    per_batch = config.updates_per_generation
    save = max(1, config.checkpoint_steps // per_batch) if config.checkpoint_every else -1
    values: dict[str, Any] = {
        "data.train_batch_size": config.prompts_per_step * per_batch,
        "data.max_prompt_length": config.max_prompt_tokens,
        "data.max_response_length": config.max_response_tokens,
        "data.filter_overlong_prompts": True,
        "data.shuffle": False,  # the file is laid out in the order of training
        f"{model}.path": config.model,
        f"{model}.enable_gradient_checkpointing": config.gradient_checkpointing,
        f"{actor}.ppo_mini_batch_size": config.prompts_per_step,
        f"{actor}.ppo_micro_batch_size_per_gpu": micro,
        f"{actor}.ppo_epochs": 1,
        f"{actor}.optim.lr": config.learning_rate,
        f"{actor}.optim.lr_scheduler_type": _DECAYS[config.learning_rate_schedule],
        f"{actor}.optim.lr_warmup_steps": config.learning_rate_warmup,
        f"{actor}.optim.weight_decay": config.weight_decay,
        f"{actor}.optim.clip_grad": config.max_grad_norm or 1e9,
        f"{actor}.grad_clip": config.max_grad_norm or 1e9,
        f"{actor}.loss_agg_mode": _AVERAGES[config.loss],
        f"{actor}.clip_ratio": config.clip,
        f"{actor}.clip_ratio_low": config.clip,
        f"{actor}.clip_ratio_high": config.clip if config.clip_high is None else config.clip_high,
        f"{actor}.use_kl_loss": config.kl > 0,
        f"{actor}.kl_loss_coef": config.kl,
        f"{actor}.kl_loss_type": "low_var_kl",  # TRL's estimate of the divergence
        f"{actor}.fsdp_config.model_dtype": "bf16" if config.dtype == "bfloat16" else "fp32",
        f"{rollout}.name": "vllm",
        f"{rollout}.n": config.group_size,
        f"{rollout}.temperature": config.temperature,
        f"{rollout}.top_p": config.top_p,
        f"{rollout}.tensor_model_parallel_size": config.vllm_tensor_parallel,
        f"{rollout}.gpu_memory_utilization": config.vllm_memory,
        f"{rollout}.log_prob_micro_batch_size_per_gpu": micro,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": micro,
        "algorithm.use_kl_in_reward": False,
        "trainer.project_name": "apw",
        "trainer.logger": ["console"],
        "trainer.nnodes": machines.nodes,
        "trainer.n_gpus_per_node": machines.gpus,
        "trainer.total_epochs": 2,  # the second is for prompts left out for their length
        "trainer.save_freq": save,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
    }
    if config.task_options.get("style") == "plain":
        values[f"{model}.custom_chat_template"] = _PLAIN
    return [override(name, value) for name, value in values.items()]


def _phases(config: TrainConfig, scheme: str) -> Iterator[tuple[int, list[str]]]:
    """Last step and overrides of a training's stages: two where all-wrong groups warm up.

    verl tells estimators no step, so that a schedule is beyond them; but a run that was stopped
    goes on, and may do so with another estimator.
    """
    bound = config.bound[scheme]
    if bound.needs_baseline:
        yield (
            config.generations,
            [
                "algorithm.adv_estimator=gae",
                "algorithm.gamma=1.0",
                "algorithm.lam=1.0",
                override("critic.model.path", config.model),
                f"critic.ppo_micro_batch_size_per_gpu={max(1, config.micro_batch)}",
            ],
        )
        return
    warm_up = 0
    for option, schedule in config.schedules_of(bound).items():
        if option != "zero_success" or not isinstance(schedule, WarmUp):
            raise ValueError(
                f"verl gives its estimators no step: of schedules it carries zero_success = "
                f"'warm_up:steps=n'; {scheme} has one for {option}"
            )
        warm_up = min(math.ceil(schedule.steps / config.updates_per_generation), config.generations)
    if warm_up:
        if config.learning_rate_schedule == "cosine":
            raise ValueError("a zero_success warm-up in verl needs a constant learning rate")
        saving = [] if config.checkpoint_every else [f"trainer.save_freq={warm_up}"]
        dropping = f"{scheme}{',' if ':' in scheme else ':'}zero_success=drop"
        yield warm_up, [*estimator_words(dropping), *saving]
    if warm_up < config.generations:
        yield config.generations, estimator_words(scheme)


def estimator_words(scheme: str) -> list[str]:
    """Overrides that choose a scheme; the plug-in of Ray's workers is told of its options.

    >>> estimator_words("sqrt_r")
    ['algorithm.adv_estimator=apw_sqrt_r']
    """
    chosen = [override("algorithm.adv_estimator", estimator_name(scheme))]
    if ":" in scheme:
        variable = f"+ray_kwargs.ray_init.runtime_env.env_vars.{SCHEMES_VARIABLE}"
        chosen.append(override(variable, scheme))
    return chosen


def override(name: str, value: Any) -> str:
    r"""NAME=VALUE as Hydra reads it.

    >>> override("a.b", 1e-6), override("c", "x=y, it's"), override("d", ["console"])
    ('a.b=1e-06', "c='x=y, it\\'s'", 'd=[console]')
    """
    return f"{name}={_hydra(value)}"


def _hydra(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", value) and value.lower() not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    ):
        return str(value)
    # Backslashes count only before a quote; so those at the end are doubled.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"
