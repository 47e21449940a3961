"""The lines of ``apw advise`` do what they say: TRL's trainer is built, verl's plug-in is asked."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from typing import Any

import pytest

from apw.advice.lines import TRL_IMPORTS, trl_line, verl_line
from apw.commands.weights import schemes_with_table
from theory.schemes import resolve


@pytest.mark.parametrize(("scheme", "size"), [("linear_r", 4), ("w_reinforce:lam=0.3", 2)])
def test_the_line_for_trl_builds_a_trainer_that_trains(
    tmp_path: Path, scheme: str, size: int
) -> None:
    pytest.importorskip("trl")
    from datasets import Dataset

    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    tokenizer = character_tokenizer()
    for part in (tokenizer, tiny_llama(tokenizer)):
        part.save_pretrained(tmp_path / "model")

    def reward_funcs(completions: list[str], **_: Any) -> list[float]:
        return [float(len(set(text)) % 2) for text in completions]

    names: dict[str, Any] = {
        "model": str(tmp_path / "model"),
        "reward_funcs": reward_funcs,
        "train_dataset": Dataset.from_list([{"prompt": "1+1="}] * 8),
    }
    exec(TRL_IMPORTS, names)
    # What a machine without a GPU, a test and a model of 84,000 parameters ask for besides.
    names["GRPOConfig"] = functools.partial(
        names["GRPOConfig"],
        output_dir=str(tmp_path / "out"),
        use_cpu=True,
        bf16=False,
        max_steps=1,
        max_completion_length=2,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
        gradient_checkpointing=False,
    )
    trainer = eval(trl_line(scheme, size), names)
    assert trainer.scheme == resolve(scheme)
    assert trainer.args.num_generations == size
    trainer.train()
    assert trainer.state.global_step == 1


def test_the_line_for_verl_names_an_estimator_that_the_plug_in_registers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from llm_validation import verl_plugin
    from llm_validation.verl_names import SCHEMES_VARIABLE

    registered: dict[str, str] = {}

    def register(name: str, scheme: str, *_: object) -> None:
        registered[name] = scheme

    monkeypatch.setattr(verl_plugin, "register", register)
    own = "w_reinforce:lam=0.3"
    for scheme in [*schemes_with_table(8), own]:
        words = dict(word.split("=", 1) for word in shlex.split(verl_line(scheme, 8))[3:])
        told = words.pop(f"+ray_kwargs.ray_init.runtime_env.env_vars.{SCHEMES_VARIABLE}", "")
        monkeypatch.setenv(SCHEMES_VARIABLE, told.strip("'"))
        registered.clear()
        verl_plugin.register_all()
        assert registered[words.pop("algorithm.adv_estimator")] == scheme
        assert words == {"actor_rollout_ref.rollout.n": "8"}
