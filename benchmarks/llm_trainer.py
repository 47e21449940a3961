"""What a training step costs with our trainer, against stock TRL with the same GRPO formula.

Bound: both do the same generation, forward and backward passes, so the ratio can only exceed 1 by
what the trainer adds: the advantages of a few groups, their metrics, and sampling by given numbers.
The two trainers take turns step by step in one process, so that whatever else the machine does
meets both; what counts is the median over steps of the ratio of neighbours, in processor time of
the trainer's own thread, from one step's begin to the next: logging is part of a step.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy import stats
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from llm_validation.tasks import load_task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.trainer import WeightedGRPOTrainer
from runs.environment import describe_environment

GRPO = "grpo:ddof=1,eps=1e-4"
WARM = 5
SIZES = {
    "tiny": {"hidden_size": 64, "layers": 2, "tokens": 3, "steps": 405},
    "small": {"hidden_size": 256, "layers": 4, "tokens": 24, "steps": 25},
}


class Turns(TrainerCallback):
    """Let a trainer step only when it is its turn, and keep the processor time of each step."""

    def __init__(self) -> None:
        self.mine = threading.Semaphore(0)
        self.other: Turns | None = None
        self.start: float | None = None
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the step that is over and pass the turn on; wait for the next."""
        if self.start is not None:
            self.on_train_end(args, state, control)
        self.mine.acquire()
        self.start = time.thread_time()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the step that is over and pass the turn on."""
        assert self.start is not None
        assert self.other is not None
        self.seconds.append(time.thread_time() - self.start)
        self.other.mine.release()


def measure(size: dict[str, int], scheme: str = GRPO) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each step, ours and the peer's, in turns."""
    turns = Turns(), Turns()
    turns[0].other, turns[1].other = turns[1], turns[0]
    with tempfile.TemporaryDirectory() as folder:
        trainers = [
            _trainer(WeightedGRPOTrainer, size, folder, turns[0], scheme=scheme),
            _trainer(GRPOTrainer, size, folder, turns[1]),
        ]
        turns[0].mine.release()
        threads = [threading.Thread(target=trainer.train) for trainer in trainers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ours, peer = (np.array(turn.seconds[WARM:]) for turn in turns)
    return ours, peer


def run() -> list[dict[str, object]]:
    """Time both and return the benchmark's rows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    try:
        cases = [
            ("overhead", "tiny", GRPO),
            ("overhead", "small", GRPO),
            ("overhead_lens", "small", "lens"),
        ]
        rows = []
        for name, size, scheme in cases:
            ours, peer = measure(SIZES[size], scheme)
            # Of the median, by order statistics: exact for any distribution.
            low, high = stats.quantile_test(ours / peer, p=0.5).confidence_interval()
            rows.append(
                {
                    "name": f"trainer_{name}_{size}",
                    "ours": float(np.median(ours)),
                    "peer": float(np.median(peer)),
                    "ratio": float(np.median(ours / peer)),
                    "unit": f"processor seconds per step of 64 responses on one thread, {scheme}, "
                    f"against trl.GRPOTrainer, {len(ours)} pairs of steps; ratio = ours / peer, "
                    f"95 % interval {low:.4f} to {high:.4f}, lower is better",
                    "environment": describe_environment(),
                }
            )
        return rows
    finally:
        logging.disable(logging.NOTSET)
        torch.set_num_threads(threads)


def _trainer(kind: Any, size: dict[str, int], folder: str, turns: Turns, **arguments: Any) -> Any:
    tokenizer = character_tokenizer()
    task = load_task("arithmetic", train_size=256)
    golds = {example.prompt: example.gold for example in task.train}

    def reward(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        """Half of the responses are right, so that all groups have advantages."""
        pairs = zip(prompts, completions, strict=True)
        return [float(int(golds[p][0]) % 2 == (len(c) + c.count("1")) % 2) for p, c in pairs]

    trainer = kind(
        model=tiny_llama(tokenizer, hidden_size=size["hidden_size"], layers=size["layers"]),
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list([{"prompt": e.prompt} for e in task.train]),
        args=GRPOConfig(
            output_dir=folder,
            max_steps=size["steps"],
            per_device_train_batch_size=64,
            num_generations=8,
            max_completion_length=size["tokens"],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            dataloader_pin_memory=False,
            learning_rate=1e-4,
        ),
        callbacks=[turns],
        **arguments,
    )
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
