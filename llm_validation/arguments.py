"""A run's configuration in TRL's words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from accelerate import PartialState
from trl import GRPOConfig

from llm_validation.config import TrainConfig

NOWHERE: Mapping[str, Any] = MappingProxyType({"report_to": "none"})
"""Fields of a training that reports nowhere."""

_SERVER_TIMEOUT = 1800.0
"""Seconds that a vLLM server may take to load a model before a run gives up on it."""


def training_arguments(
    config: TrainConfig, seed: int, folder: Path, reporting: Mapping[str, Any] = NOWHERE
) -> GRPOConfig:
    """Arguments for TRL's trainer, for as many processes as there are.

    Args:
        config: The run.
        seed: The seed of this training.
        folder: Where checkpoints go.
        reporting: Fields that say where curves go, see ``llm_validation.reporting``.

    Raises:
        ValueError: A step's responses cannot be divided among the processes.
    """
    processes = PartialState().num_processes
    local, rest = divmod(config.responses_per_step, processes)
    if rest:
        raise ValueError(
            f"prompts_per_step × group_size = {config.responses_per_step} must be divisible by the "
            f"number of processes; got {processes}"
        )
    micro = min(config.micro_batch or local, local)
    if local % micro:
        raise ValueError(
            f"micro_batch must divide the {local} responses of a process; got {config.micro_batch}"
        )
    accumulation = local // micro
    return GRPOConfig(
        output_dir=str(folder),
        seed=seed,
        data_seed=seed,
        max_steps=config.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation * config.updates_per_generation,
        num_generations=config.group_size,
        shuffle_dataset=False,  # the dataset is laid out in the order of training
        max_completion_length=config.max_response_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.learning_rate_schedule,
        warmup_steps=config.learning_rate_warmup,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        loss_type=config.loss,
        epsilon=config.clip,
        epsilon_high=config.clip_high,
        beta=config.kl,
        scale_rewards="none",  # the scheme scales
        mask_truncated_completions=config.mask_truncated,
        use_vllm=config.engine == "vllm",
        vllm_mode=config.vllm_mode,
        vllm_gpu_memory_utilization=config.vllm_memory,
        vllm_tensor_parallel_size=config.vllm_tensor_parallel,
        # Else room is made for the longest text the model can read, 131,072 tokens for Llama-3.1.
        vllm_max_model_length=None
        if config.model == "tiny"
        else config.max_prompt_tokens + config.max_response_tokens,
        vllm_server_host=config.vllm_host,
        vllm_server_port=config.vllm_port,
        vllm_server_timeout=_SERVER_TIMEOUT,
        bf16=config.dtype == "mixed",
        gradient_checkpointing=config.gradient_checkpointing,
        use_cpu=config.cpu,
        dataloader_pin_memory=not config.cpu,
        save_strategy="steps" if config.checkpoint_steps else "no",
        save_steps=config.checkpoint_steps or config.steps,
        save_total_limit=2,  # the older one stands while the newer is being written
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        **reporting,
    )
