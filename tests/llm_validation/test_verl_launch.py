"""Launch scripts for verl: its own configuration takes every word, and finds what they name."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from llm_validation.config import list_recipes, load_recipe
from llm_validation.launch import Machines, launch_files, write_files
from llm_validation.launch.verl_data import main as write_data
from llm_validation.launch.verl_reward import compute_score
from llm_validation.train import load_training_task, prompt_order
from llm_validation.verl_names import SCHEMES_VARIABLE, estimator_name
from theory.prompt_sets import measured_set
from theory.rollout_plan import plan_rollouts

PAPERS = [name for name in list_recipes() if name.startswith(("apw-", "lens-", "nsr-"))]


def trainings(script, folder):
    """Arguments that verl gets, one list per call, by running the script without verl."""
    tools = folder / "bin"
    tools.mkdir(parents=True)
    (tools / "python").write_text(
        "#!/bin/bash\nif [ $2 = verl.trainer.main_ppo ]; then\n"
        'printf "%s\\0" "${@:3}" >> log; printf "\\n\\0" >> log; fi\n'
    )
    (tools / "python").chmod(0o755)
    path = write_files(script, folder / "launch")[0]
    subprocess.run(
        ["bash", str(path)], cwd=folder, check=True, env={"PATH": f"{tools}:/usr/bin:/bin"}
    )
    calls = (folder / "log").read_text().split("\n\0")[:-1]
    return [call.split("\0")[:-1] for call in calls]


def test_all_wrong_groups_warm_up_in_two_stages_and_a_finished_stage_is_not_begun_again(tmp_path):
    config = load_recipe("apw-gsm8k-llama-3.1-8b")
    config = dataclasses.replace(config, schemes=("sqrt_r", "grpo"), updates_per_generation=3)
    script = launch_files(config, "verl", "mine")
    calls = trainings(script, tmp_path)
    chosen = [
        [
            word.partition("=")[2]
            for word in call
            if word.startswith(("algorithm.adv_estimator", "trainer.total_training_steps"))
        ]
        for call in calls
    ]
    # 50 and 500 updates, three to a generated batch.
    assert chosen == [
        ["17", "apw_sqrt_r_zero_success_drop"],
        ["167", "apw_sqrt_r"],
        ["167", "apw_grpo"],
    ]
    done = tmp_path / "results" / "verl" / "mine" / "sqrt_r.seed=0"
    done.mkdir(parents=True)
    (done / "latest_checkpointed_iteration.txt").write_text("17")
    (tmp_path / "log").unlink()
    subprocess.run(
        ["bash", str(tmp_path / "launch" / "run.sh")],
        cwd=tmp_path,
        check=True,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
    )
    assert (tmp_path / "log").read_text().count("\n\0") == 2


def test_prompts_stand_in_the_order_of_training_and_their_answers_score(tmp_path, capsys):
    rows = [
        {"problem": f"{n}+1?", "answer": str(n + 1), "level": 1, "subject": "Algebra"}
        for n in range(5)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    config = dataclasses.replace(
        load_recipe("apw-math-post-sft"),
        train_path=str(data),
        task_options={"workers": 1},
        prompts_per_step=4,
        group_size=8,
        steps=3,
        schemes=("sqrt_r",),
    )
    write_files(launch_files(config, "verl", "mine"), tmp_path / "launch")
    recipe, file = str(tmp_path / "launch" / "recipe.toml"), tmp_path / "train.parquet"
    assert write_data([recipe, "7", str(file)]) == 0
    assert "12 prompts" in capsys.readouterr().out
    table = pd.read_parquet(file)
    golds = [reward["ground_truth"] for reward in table["reward_model"]]
    assert golds == [str(n + 1) for n in prompt_order(5, 12, seed=7)]
    assert table["prompt"][0][0]["role"] == "user"
    for response, score in ((rf"\boxed{{{golds[0]}}}", 1.0), (r"\boxed{99}", 0.0)):
        found = compute_score(
            data_source="math",
            solution_str=response,
            ground_truth=golds[0],
            extra_info={},
            recipe=recipe,
            something_new=3,
        )
        assert found == {"score": score, "unscorable": 0.0}
    assert write_data(["only one"]) == 2


def test_a_planned_run_is_laid_out_by_its_first_plan(tmp_path):
    rows = [
        {"problem": f"{n}+1?", "answer": str(n + 1), "level": 1, "subject": "Algebra"}
        for n in range(40)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    config = dataclasses.replace(
        load_recipe("apw-math-post-sft"),
        train_path=str(data),
        task_options={"workers": 1},
        prompts_per_step=4,
        group_size=8,
        steps=200,
        schemes=("sqrt_r",),
        plan_every=10,
    )
    with pytest.raises(ValueError, match="give plan_counts"):
        launch_files(config, "verl", "mine")
    with load_training_task(config) as task:
        ids = {example.gold: example.id for example in task.train}
    correct = np.repeat([0, 3, 8], [20, 12, 8])
    counts = tmp_path / "counts.csv"
    lines = [f"{ids[str(n + 1)]},{k},8" for n, k in enumerate(correct)]
    counts.write_text("\n".join(["id,correct,tries", *lines]))
    config = dataclasses.replace(config, plan_counts=str(counts))
    write_files(launch_files(config, "verl", "mine"), tmp_path / "launch")
    file = tmp_path / "train.parquet"
    assert write_data([str(tmp_path / "launch" / "recipe.toml"), "7", str(file)]) == 0
    golds = [int(r["ground_truth"]) for r in pd.read_parquet(file)["reward_model"]]
    assert len(golds) == 800
    batches = np.array(golds).reshape(200, 4)
    assert all(len(set(batch)) == 4 for batch in batches.tolist())
    wanted = plan_rollouts(measured_set(correct, 8, draws=0), "grpo", 8).probability
    shares = np.bincount(np.array(golds) - 1, minlength=40) / 800
    for places in (slice(0, 20), slice(20, 32), slice(32, 40)):
        # Without replacement a batch of 4 of 40 is a little more even than the chances.
        assert shares[places].sum() == pytest.approx(wanted[places].sum(), abs=0.06)


@pytest.fixture(scope="module")
def compose():
    """verl's own configuration with overrides, as its entry point makes it."""
    pytest.importorskip("verl")
    from hydra import compose, initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        yield lambda words: compose(config_name="ppo_trainer", overrides=words)


@pytest.mark.parametrize("name", PAPERS)
def test_verl_takes_every_word_and_means_the_recipe(compose, tmp_path, name):
    from verl.utils.import_utils import load_extern_object

    config = load_recipe(name)
    calls = trainings(launch_files(config, "verl", name, Machines(nodes=2)), tmp_path)
    # Composing takes seconds: one of those with a scheme verl knows, one with another.
    told = [words for words in calls if any(SCHEMES_VARIABLE in word for word in words)]
    for words in [calls[-1], *told[:1]]:
        made = compose(words)
        if words in told:
            scheme = made.ray_kwargs.ray_init.runtime_env.env_vars[SCHEMES_VARIABLE]
            assert estimator_name(scheme) == made.algorithm.adv_estimator
        actor, rollout = made.actor_rollout_ref.actor, made.actor_rollout_ref.rollout
        assert made.actor_rollout_ref.model.path == config.model
        assert made.data.train_batch_size == config.prompts_per_step * config.updates_per_generation
        assert made.data.max_response_length == config.max_response_tokens
        assert actor.ppo_mini_batch_size == config.prompts_per_step
        assert rollout.n == config.group_size
        assert (actor.optim.lr, actor.clip_ratio) == (config.learning_rate, config.clip)
        assert actor.loss_agg_mode == "token-mean"
        assert (actor.use_kl_loss, actor.kl_loss_coef) == (config.kl > 0, config.kl)
        assert (rollout.temperature, rollout.top_p) == (config.temperature, config.top_p)
        assert made.trainer.nnodes * made.trainer.n_gpus_per_node == 16
        assert made.data.train_files.endswith("train.seed=0.parquet")
        assert str(tmp_path / "launch" / "recipe.toml") == (
            made.reward.custom_reward_function.reward_kwargs.recipe
        )
        score = load_extern_object(
            made.reward.custom_reward_function.path, made.reward.custom_reward_function.name
        )
        assert score.__module__ == compute_score.__module__
        if config.task_options.get("style") == "plain":
            from jinja2 import Template

            template = Template(made.actor_rollout_ref.model.custom_chat_template)
            assert template.render(messages=[{"role": "user", "content": "Q: 1?"}]) == "Q: 1?"


def chosen_estimator(words):
    (found,) = [w for w in words if w.startswith("algorithm.adv_estimator=")]
    return found.partition("=")[2]


@pytest.mark.parametrize("name", PAPERS)
def test_estimators_are_ones_that_verl_knows_or_is_told_of(tmp_path, name):
    pytest.importorskip("verl")
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    config = load_recipe(name)
    calls = trainings(launch_files(config, "verl", name), tmp_path)
    carried = [scheme for scheme in config.schemes if not scheme.startswith("lens")]
    names = {"gae" if scheme == "ppo" else estimator_name(scheme) for scheme in carried}
    assert names <= set(map(chosen_estimator, calls))
    for words in calls:
        estimator = chosen_estimator(words)
        told = [word.partition("=")[2] for word in words if SCHEMES_VARIABLE in word]
        if told:
            assert estimator_name(told[0].strip("'")) == estimator
        else:
            assert get_adv_estimator_fn(estimator)


def test_verls_configuration_classes_and_checks_accept_a_script(compose, tmp_path):
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    tokenizer = character_tokenizer()
    for part in (tokenizer, tiny_llama(tokenizer)):
        part.save_pretrained(tmp_path / "model")
    config = dataclasses.replace(
        load_recipe("nsr-qwen2.5-math-7b-ppo"), model=str(tmp_path / "model")
    )  # the one recipe with critic and reference policy, on a model that is at hand
    (words,) = trainings(launch_files(config, "verl", "mine"), tmp_path / "run")
    made = compose(words)
    assert need_critic(made)
    assert need_reference_policy(made)
    validate_config(config=made, use_reference_policy=True, use_critic=True)
    assert omega_conf_to_dataclass(made.algorithm).adv_estimator == "gae"
    assert made.critic.model.path == config.model


def test_schemes_with_options_are_registered_where_the_environment_names_them(monkeypatch):
    pytest.importorskip("verl")
    code = (
        "from verl.trainer.ppo.core_algos import get_adv_estimator_fn as find\n"
        "import torch\n"
        "mask = torch.ones(2, 1)\n"
        "for name in ('apw_w_reinforce_lam_0.3', 'apw_sqrt_r_zero_success_drop'):\n"
        "    found = find(name)(torch.tensor([[1.0], [0.0]]), mask, index=['q', 'q'])\n"
        "    print('apw', round(float(found[0][0, 0]), 3))\n"
    )
    monkeypatch.setenv(SCHEMES_VARIABLE, "w_reinforce:lam=0.3;sqrt_r:zero_success=drop")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    values = [float(line.split()[1]) for line in done.splitlines() if line.startswith("apw")]
    assert values[0] == pytest.approx(0.3)
    # ω(1/2)(1 − 1/2) with ω = 1/(ρ√(1−ρ)).
    assert values[1] == pytest.approx(0.5 / (0.5 * 0.5**0.5), abs=1e-3)
