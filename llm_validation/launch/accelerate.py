"""TRL's trainer on many GPUs: accelerate with copies of the model, FSDP 2 or DeepSpeed ZeRO-3."""

from __future__ import annotations

import shlex
from typing import Any

from llm_validation.config import TrainConfig
from llm_validation.launch.files import Machines, recipe_text, script_head
from llm_validation.train import run_key

KINDS = ("accelerate", "fsdp", "deepspeed")

_FSDP = {
    "fsdp_activation_checkpointing": False,  # TRL's gradient checkpointing does it
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_cpu_ram_efficient_loading": True,
    "fsdp_offload_params": False,
    "fsdp_reshard_after_forward": True,
    "fsdp_state_dict_type": "FULL_STATE_DICT",
    "fsdp_version": 2,
}
_ZERO_3 = {
    "deepspeed_multinode_launcher": "standard",
    "offload_optimizer_device": "none",
    "offload_param_device": "none",
    "zero3_init_flag": True,  # weights are spread over the GPUs while they are read
    "zero3_save_16bit_model": True,
    "zero_stage": 3,
}


def accelerate_files(
    config: TrainConfig, kind: str, name: str, machines: Machines
) -> dict[str, str]:
    """Script, accelerate's configuration and recipe; see ``launch_files``."""
    if config.critics:
        raise ValueError(f"{config.critics[0]} needs a critic, which only --launch verl has")
    serves = config.engine == "vllm" and config.vllm_mode == "server"
    if config.cpu and (serves or kind != "accelerate"):
        raise ValueError("on a CPU there is --launch accelerate alone, without a vLLM server")
    if serves and not machines.server_gpus:
        machines = Machines(machines.nodes, machines.gpus, machines.gpus // 2)
    if not serves and machines.server_gpus:
        raise ValueError("server_gpus are for vllm_mode server; this run has none")
    if serves and machines.server_gpus % config.vllm_tensor_parallel:
        raise ValueError(
            f"vllm_tensor_parallel must divide the server's {machines.server_gpus} GPUs; "
            f"got {config.vllm_tensor_parallel}"
        )
    processes = _processes(config, machines)
    return {
        "run.sh": "\n".join(_script(config, kind, name, machines, processes, serves)) + "\n",
        "accelerate.yaml": accelerate_yaml(config, kind, machines.nodes, processes),
        "recipe.toml": recipe_text(config),
    }


def accelerate_yaml(config: TrainConfig, kind: str, nodes: int, processes: int) -> str:
    """Accelerate's configuration file, with the rank of the machine left to the command line."""
    distributed = {"fsdp": "FSDP", "deepspeed": "DEEPSPEED"}.get(kind)
    values: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        # For accelerate this means processes started by torch, on whatever device.
        "distributed_type": distributed or ("MULTI_GPU" if processes > 1 else "NO"),
        "mixed_precision": "bf16" if config.dtype == "mixed" else "no",
        "num_machines": nodes,
        "num_processes": processes,
        "machine_rank": 0,
        "rdzv_backend": "static" if nodes == 1 else "c10d",
        "same_network": True,
        "main_training_function": "main",
        "use_cpu": config.cpu,
    }
    lines = [f"{name}: {_scalar(value)}" for name, value in values.items()]
    for section, chosen in (("fsdp_config", _FSDP), ("deepspeed_config", _ZERO_3)):
        if section.startswith(kind):
            lines.append(f"{section}:")
            lines += [f"  {name}: {_scalar(value)}" for name, value in chosen.items()]
    return "\n".join(lines) + "\n"


def _processes(config: TrainConfig, machines: Machines) -> int:
    """Processes that train, each with its share of every step."""
    processes = machines.nodes * machines.gpus - machines.server_gpus
    if machines.nodes > 1 and machines.server_gpus:
        # Accelerate starts as many processes on every machine.
        processes = machines.nodes * (machines.gpus - machines.server_gpus)
    local, rest = divmod(config.responses_per_step, processes)
    if rest:
        raise ValueError(
            f"prompts_per_step × group_size = {config.responses_per_step} must be divisible by "
            f"the {processes} processes that train"
        )
    if local % min(config.micro_batch or local, local):
        raise ValueError(
            f"micro_batch must divide the {local} responses of a process; got {config.micro_batch}"
        )
    return processes


def _script(
    config: TrainConfig, kind: str, name: str, machines: Machines, processes: int, serves: bool
) -> list[str]:
    notes = []
    if kind == "deepspeed":
        notes.append("Needs DeepSpeed: pip install deepspeed")
    launch = ["accelerate", "launch", "--config_file", '"$here/accelerate.yaml"']
    if machines.nodes > 1:
        notes += [
            "Start it on every machine, with NODE_RANK from 0 on and MAIN_ADDRESS that of the "
            "first, and let all see the same folders.",
        ]
        launch += [
            "--machine_rank",
            '"$NODE_RANK"',
            "--main_process_ip",
            '"$MAIN_ADDRESS"',
            "--main_process_port",
            '"${MAIN_PORT:-29500}"',
        ]
    train = f"    {' '.join(launch)} \\"
    if serves:
        visible = ",".join(str(gpu) for gpu in range(machines.gpus - machines.server_gpus))
        train = f"    CUDA_VISIBLE_DEVICES={visible} {' '.join(launch)} \\"
    lines = [
        *script_head(name, kind, config, *notes),
        "",
        "train() { # scheme, seed, run folder",
        '    [ -e "$3/metrics.parquet" ] && return 0',
        *(_serve(config, machines) if serves else []),
        train,
        '        --module apw.main train --recipe "$here/recipe.toml" \\',
        '        --schemes "$1" --first-seed "$2" --seeds 1 --out "$3"',
        *(["    stop_server"] if serves else []),
        "}",
        *(_STOP_SERVER if serves else []),
        "",
    ]
    # A process for each training: memory, a server's weights and a crash are its own.
    for seed in config.seed_range():
        for scheme in config.schemes:
            folder = f"results/{kind}/{name}/{run_key(scheme, seed)}"
            lines.append(shlex.join(["train", scheme, str(seed), folder]))
    return lines


def _serve(config: TrainConfig, machines: Machines) -> list[str]:
    """Start vLLM on the last GPUs of the first machine; the trainer waits until it answers."""
    first = machines.gpus - machines.server_gpus
    visible = ",".join(str(gpu) for gpu in range(first, machines.gpus))
    parallel = config.vllm_tensor_parallel
    command = [
        "trl",
        "vllm-serve",
        "--model",
        config.model,
        "--tensor-parallel-size",
        str(parallel),
        "--data-parallel-size",
        str(machines.server_gpus // parallel),
        "--host",
        "0.0.0.0" if machines.nodes > 1 else config.vllm_host,
        "--port",
        str(config.vllm_port),
        "--max-model-len",
        str(config.max_prompt_tokens + config.max_response_tokens),
    ]
    start = f"CUDA_VISIBLE_DEVICES={visible} {shlex.join(command)} &"
    if machines.nodes == 1:
        return [f"    {start}", "    server=$!"]
    return [
        '    if [ "$NODE_RANK" = 0 ]; then',
        f"        {start}",
        "        server=$!",
        "    fi",
    ]


_STOP_SERVER = [
    "",
    "server=",
    "stop_server() {",
    '    if [ -n "$server" ]; then',
    '        kill "$server" && wait "$server" || true',
    "        server=",
    "    fi",
    "}",
    "trap stop_server EXIT",
]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if value in ("no", "NO") else str(value)
