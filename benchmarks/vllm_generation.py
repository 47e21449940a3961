"""vLLM on a CPU as it comes, vLLM as we run it, our transformers engine, and the forward passes.

All three sample 128 responses to 16 prompts from one model, at temperature 1 and with seeds, and
tell the log-probabilities of the tokens, as ``apw evaluate`` asks for. Each is measured in turns in
a process of its own, in processor time of one thread, so that what else the machine does changes
little. Both vLLMs run without compilation. The time until all rows have their first token is told
apart from the rest, in which every step takes one token a row; how they add up depends on the
lengths of prompts and responses. Responses do not end by themselves.

The model is the one that ``apw models fetch qwen2.5-coder-0.5b-instruct`` brings; where it was not
fetched, one of its shape with random weights.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.generation import GROUP, PROMPTS, QWEN
from llm_validation.decoding import decode
from llm_validation.generation import load_weights
from llm_validation.vllm_cpu import ENGINE, ENVIRONMENT, SEEDED, make_engine
from runs.environment import describe_environment

ENGINES = ("vllm", "vllm_inversion", "transformers")
PROMPT_TOKENS, TOKENS, REPEATS = 48, 8, 3
_WEIGHTS = Path("weights/qwen2.5-coder-0.5b-instruct")
_ROWS = PROMPTS * GROUP


def run() -> list[dict[str, Any]]:
    """Measure all engines in turns, and return the benchmark's rows; none without vLLM."""
    if importlib.util.find_spec("vllm") is None:
        print("    no vLLM here: .venv-vllm/bin/python -m benchmarks vllm_generation")
        return []
    quick = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return rows_of(measure("bfloat16" if quick else "float32", PROMPT_TOKENS, TOKENS, REPEATS))


def measure(dtype: str, prompt_tokens: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Seconds of each engine in each repeat, with what was asked of it."""
    shape = {"dtype": dtype, "prompt_tokens": prompt_tokens, "tokens": tokens}
    with tempfile.TemporaryDirectory() as folder:
        model = str(_WEIGHTS.resolve() if _WEIGHTS.is_dir() else _random(Path(folder)))
        seconds = [
            {name: _in_process(name, {"model": model, **shape}) for name in ENGINES}
            for _ in range(repeats)
        ]
    return {**shape, "seconds": seconds}


def rows_of(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """The benchmark's rows: medians, and the spread of the ratio over the repeats."""
    seconds, tokens = measured["seconds"], measured["tokens"]
    shape = (
        f"{_ROWS} rows, {PROMPTS} prompts of {measured['prompt_tokens']} tokens, {tokens} new "
        f"ones, 0.5 B parameters in {measured['dtype']}, one thread"
    )

    def all_of(one: dict[str, float]) -> float:
        return one["prompts"] + one["steps"]

    def row(name: str, what: str, ours: Any, peer: Any, count: int) -> dict[str, Any]:
        pairs = [(ours(one), peer(one)) for one in seconds]
        ratios = [theirs / mine for mine, theirs in pairs]
        return {
            "name": name,
            "ours": count / statistics.median(mine for mine, _ in pairs),
            "peer": count / statistics.median(theirs for _, theirs in pairs),
            "ratio": statistics.median(ratios),
            "unit": f"{what}, {shape}; ratio = ours / peer, {min(ratios):.3f} to "
            f"{max(ratios):.3f} in {len(ratios)} repeats, higher is better",
            "environment": describe_environment(),
        }

    stock, inverting, own = ENGINES
    later = _ROWS * (tokens - 1)
    per_second = "tokens per second of processor time"
    alone = "of the forward passes alone"
    rows = [
        row(
            "vllm_choice",
            f"choices of {_ROWS} tokens per second, inversion against vLLM's own",
            lambda one: one[inverting]["choice"],
            lambda one: one[stock]["choice"],
            tokens - 1,
        )
    ]
    for name in (inverting, own):
        rows += [
            row(
                name,
                f"{per_second}, {name} against vLLM as it comes",
                lambda one, name=name: all_of(one[name]),
                lambda one: all_of(one[stock]),
                _ROWS * tokens,
            ),
            row(
                f"{name}_steps",
                f"{per_second}, {name} against vLLM as it comes, after the first tokens",
                lambda one, name=name: one[name]["steps"],
                lambda one: one[stock]["steps"],
                later,
            ),
        ]
    rows += [
        row(
            f"{name}_bound",
            f"{per_second}, {name} after the first tokens against those {alone}",
            lambda one, name=name: one[name]["steps"],
            lambda one, name=name: one[name]["forward"],
            later,
        )
        for name in ENGINES
    ]
    return rows


def _random(folder: Path) -> Path:
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(QWEN).save_pretrained(folder)
    torch.set_default_dtype(before)
    return folder


def _in_process(engine: str, asked: dict[str, Any]) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "-W", "ignore", "-m", __name__, engine, json.dumps(asked)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"    {engine}: {seconds}", file=sys.stderr, flush=True)
    return seconds


def _prompts(tokens: int, seed: int) -> list[list[int]]:
    prompts: list[list[int]]
    prompts = np.random.default_rng(seed).integers(10, 150_000, (PROMPTS, tokens)).tolist()
    return prompts


class _Clock:
    """Processor seconds of functions that are called elsewhere."""

    def __init__(self) -> None:
        self.spent = 0.0

    @contextlib.contextmanager
    def watching(self, owner: Any, name: str) -> Iterator[None]:
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.process_time()
            try:
                return inner(*arguments, **options)
            finally:
                self.spent += time.process_time() - started

        setattr(owner, name, timed)
        try:
            yield
        finally:
            setattr(owner, name, inner)


def _transformers(asked: dict[str, Any]) -> dict[str, float]:
    model: Any = load_weights(asked["model"], getattr(torch, asked["dtype"])).eval()
    rows = [place for place in range(PROMPTS) for _ in range(GROUP)]
    uniforms = torch.from_numpy(np.random.default_rng(1).random((len(rows), asked["tokens"])))
    forward, first = _Clock(), []
    inner = model.forward

    def noting(**inputs: Any) -> Any:
        if not first and inputs["input_ids"].shape[1] == 1:
            first.append(time.process_time())
            forward.spent = 0.0
        return inner(**inputs)

    model.forward = noting
    with forward.watching(model, "forward"):
        decode(model, _prompts(3, 1), rows[:2], uniforms[:2, :2], ends=[], batch=2)  # warm
        first.clear()
        started = time.process_time()
        prompts = _prompts(asked["prompt_tokens"], 0)
        decode(model, prompts, rows, uniforms, ends=[], batch=len(rows))
        ended = time.process_time()
    return {"prompts": first[0] - started, "steps": ended - first[0], "forward": forward.spent}


def _vllm(asked: dict[str, Any], stock: bool) -> dict[str, float]:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from vllm import LLM, SamplingParams

    options = {
        "model": asked["model"],
        "skip_tokenizer_init": True,
        "dtype": asked["dtype"],
        "max_model_len": asked["prompt_tokens"] + asked["tokens"],
        "max_num_seqs": _ROWS,
        "max_num_batched_tokens": _ROWS * (asked["prompt_tokens"] + asked["tokens"]),
        **SEEDED,
    }
    plain = {"enforce_eager": ENGINE["enforce_eager"]}
    engine: Any = (LLM(**plain, **options) if stock else make_engine(**options)).llm_engine
    runner = engine.model_executor.driver_worker.worker.model_runner
    forward, choice = _Clock(), _Clock()

    def generate(prompts: list[list[int]], tokens: int) -> tuple[float, float]:
        for number in range(_ROWS):
            sampling = SamplingParams(
                max_tokens=tokens, seed=number, logprobs=0, ignore_eos=True, detokenize=False
            )
            prompt = {"prompt_token_ids": prompts[number // GROUP]}
            engine.add_request(str(number), prompt, sampling)
        started = time.process_time()
        assert len(engine.step()) == _ROWS  # all prompts in one step
        first = time.process_time()
        forward.spent = choice.spent = 0.0
        while engine.has_unfinished_requests():
            engine.step()
        return first - started, time.process_time() - first

    with (
        forward.watching(runner, "_model_forward"),
        forward.watching(runner.model, "compute_logits"),
        choice.watching(runner.sampler.topk_topp_sampler, "forward"),
    ):
        generate(_prompts(1, 1), 2)  # warm
        prompts, steps = generate(_prompts(asked["prompt_tokens"], 0), asked["tokens"])
    return {"prompts": prompts, "steps": steps, "forward": forward.spent, "choice": choice.spent}


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("asked", type=json.loads)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds = (
        _transformers(options.asked)
        if options.engine == "transformers"
        else _vllm(options.asked, options.engine == "vllm")
    )
    print("\n" + json.dumps({name: round(value, 3) for name, value in seconds.items()}))


if __name__ == "__main__":
    _main()
