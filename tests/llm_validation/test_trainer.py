"""The trainer: TRL's own advantages where the formula is TRL's, the scheme's everywhere else."""

import contextlib
import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from llm_validation import trainer as trainer_module
from llm_validation.config import TrainConfig
from llm_validation.group_metrics import GROUP_METRICS
from llm_validation.initial_model import load
from llm_validation.sampling import uniform_rows
from llm_validation.tasks import load_task
from llm_validation.trainer import WeightedGRPOTrainer
from llm_validation.warpers import DivergedError
from theory.advantages import group_advantages
from theory.schedules import ByEntropy, Linear, WarmUp

GROUP, PROMPTS = 8, 6
TRL_GRPO = "grpo:ddof=1,eps=1e-4"

pytestmark = pytest.mark.usefixtures("one_thread")


def right(completions, gold, **_):
    return [float(c == g) for c, g in zip(completions, gold, strict=True)]


def first_digit(completions, gold, **_):
    """Right more often than never, and unscorable where the second digit is 9."""
    return [
        None if c[1:2] == "9" else float(c[:1] == g[0])
        for c, g in zip(completions, gold, strict=True)
    ]


def make(
    folder,
    tmp_path,
    kind=WeightedGRPOTrainer,
    reward=first_digit,
    config=None,
    examples=60,
    **arguments,
):
    model, tokenizer = load(str(folder), TrainConfig())
    rows = [{"prompt": e.prompt, "gold": e.gold} for e in load_task("arithmetic").train[:examples]]
    settings = {
        "max_steps": 1,
        "per_device_train_batch_size": GROUP * PROMPTS,
        "num_generations": GROUP,
        "max_completion_length": 3,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "shuffle_dataset": False,
        "dataloader_pin_memory": False,
    } | (config or {})
    return kind(
        model=model,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(output_dir=str(tmp_path), **settings),
        **arguments,
    )


def watched(trainer, monkeypatch):
    """Train; return, per generation, TRL's own advantages, ours, and what they are made from."""
    seen = []
    inner = GRPOTrainer._generate_and_score_completions
    outer = type(trainer)._generate_and_score_completions

    def stock(self, inputs):
        output = inner(self, inputs)
        seen.append({"trl": output["advantages"].clone()})
        return output

    def whole(self, inputs):
        output = outer(self, inputs)
        logged = torch.tensor(list(self._logs["advantages"]))
        lengths = list(self._lengths)
        seen[-1] |= {
            "ours": output["advantages"],
            "output": output,
            "rewards": self._rewards,
            "logged": logged,
            "lengths": lengths,
        }
        return output

    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", stock)
    monkeypatch.setattr(type(trainer), "_generate_and_score_completions", whole)
    trainer.train()
    return seen


def test_with_grpos_formula_the_advantages_are_trls_own(tiny_folder, tmp_path, monkeypatch):
    trainer = make(tiny_folder, tmp_path, scheme=TRL_GRPO, config={"max_steps": 3})
    for batch in watched(trainer, monkeypatch):
        assert batch["rewards"].isnan().any()  # unscorable responses are among them
        assert batch["ours"].abs().max() > 0.5
        torch.testing.assert_close(batch["ours"], batch["trl"], rtol=0, atol=1e-6)


def test_training_with_grpos_formula_is_training_with_trl(tiny_folder, tmp_path):
    settings = {
        "max_steps": 4,
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 1,
        "per_device_train_batch_size": GROUP * PROMPTS // 2,
    }
    ours = make(tiny_folder, tmp_path, scheme=TRL_GRPO, seeded=False, config=settings)
    ours.train()
    stock = make(tiny_folder, tmp_path, kind=GRPOTrainer, config=settings)
    stock.train()
    start = load(str(tiny_folder), TrainConfig())[0].state_dict()
    for (name, mine), theirs in zip(
        ours.model.named_parameters(), stock.model.parameters(), strict=True
    ):
        # A hundredth of one step: Adam moves entries by about the learning rate each time.
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5, msg=name)
        assert not torch.equal(mine, start[name])


def own_weight(success):
    """A scheme of one's own, as a plain function."""
    return np.cbrt(1 - success) / success


@pytest.mark.parametrize(
    "scheme", ["Sqrt-R", "uniform_r", "maxrl", "nsr", "w_reinforce", own_weight]
)
def test_advantages_are_the_schemes(tiny_folder, tmp_path, monkeypatch, scheme):
    trainer = make(tiny_folder, tmp_path, scheme=scheme)
    (batch,) = watched(trainer, monkeypatch)
    rewards = batch["rewards"][:, 0].view(-1, GROUP)
    expected = group_advantages(
        np.nan_to_num(rewards.numpy().astype(float)), scheme, valid=~rewards.isnan().numpy()
    )
    # Weights reach M = 8, in float32.
    np.testing.assert_allclose(batch["ours"].view(-1, GROUP), expected, atol=1e-5)
    np.testing.assert_array_equal(batch["ours"][batch["rewards"][:, 0].isnan()], 0)


@pytest.mark.parametrize("scheme", ["opo", "curverl"])
def test_lengths_and_the_batch_reach_the_schemes_that_need_them(
    tiny_folder, tmp_path, monkeypatch, scheme
):
    trainer = make(tiny_folder, tmp_path, scheme=scheme)
    (batch,) = watched(trainer, monkeypatch)
    rewards = batch["rewards"][:, 0].view(-1, GROUP).numpy().astype(float)
    length = np.reshape(batch["lengths"], (-1, GROUP))
    assert len(set(length.ravel())) > 1
    expected = group_advantages(
        np.nan_to_num(rewards), scheme, length=length, valid=~np.isnan(rewards)
    )
    np.testing.assert_allclose(batch["ours"].view(-1, GROUP), expected, atol=1e-6)


def test_true_advantages_stand_in_the_logs(tiny_folder, tmp_path, monkeypatch):
    trainer = make(tiny_folder, tmp_path, scheme="linear_r", reward=right)
    (batch,) = watched(trainer, monkeypatch)
    torch.testing.assert_close(batch["logged"], batch["ours"], rtol=0, atol=1e-6)
    assert not torch.allclose(batch["trl"], batch["ours"])
    recorded = {name: value for step, name, value in trainer.record if step == 1}
    assert set(GROUP_METRICS) <= set(recorded)
    assert recorded["advantage_mean"] == pytest.approx(batch["ours"].mean().item(), abs=1e-6)
    wrong = (batch["rewards"].view(-1, GROUP) == 0).all(1).float().mean().item()
    assert recorded["groups_all_wrong"] == pytest.approx(wrong)
    assert recorded["responses"] == GROUP * PROMPTS
    assert recorded["tokens"] == sum(batch["lengths"])


def confidence(trainer, batch):
    """Length-normalised log-probability of each response, one row at a time, from the logits."""
    model, _ = load(trainer.folder, TrainConfig())
    output, values = batch["output"], []
    for row in range(len(batch["lengths"])):
        prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
        response = output["completion_ids"][row][: batch["lengths"][row]]
        with torch.no_grad():
            logits = model(input_ids=torch.cat([prompt, response])[None]).logits[0].double()
        log_probs = (logits / trainer.temperature).log_softmax(-1)[len(prompt) - 1 : -1]
        values.append(log_probs.gather(1, response[:, None]).mean().item())
    return np.array(values)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"temperature": 0.7},
        {"temperature": 0.7, "top_p": 0.6},
        {"top_k": 3, "min_p": 0.1},
        # Truncated responses, whose mask TRL zeroes: their confidence must not read as 1.
        {"max_completion_length": 2, "mask_truncated_completions": True},
        # Samples used for two updates: TRL has their log-probabilities itself.
        {"steps_per_generation": 2, "per_device_train_batch_size": GROUP * PROMPTS // 2},
    ],
)
def test_lens_uses_the_samplers_length_normalised_confidence(
    tiny_folder, tmp_path, monkeypatch, config
):
    trainer = make(tiny_folder, tmp_path, scheme="lens", config=config)
    trainer.folder = str(tiny_folder)
    (batch, *_) = watched(trainer, monkeypatch)
    if "mask_truncated_completions" in config:
        assert (batch["output"]["completion_mask"].sum(1) == 0).any()
    rewards = batch["rewards"][:, 0].view(-1, GROUP)
    expected = group_advantages(
        np.nan_to_num(rewards.numpy().astype(float)),
        "lens",
        log_confidence=confidence(trainer, batch).reshape(-1, GROUP),
        valid=~rewards.isnan().numpy(),
    )
    np.testing.assert_allclose(batch["ours"].view(-1, GROUP), expected, atol=2e-5)


@pytest.mark.parametrize("way", ["decoding", "generate"])
def test_every_way_of_sampling_tells_lens_its_confidences(tiny_folder, tmp_path, monkeypatch, way):
    # The tiny model is sampled by fast_llama; larger ones, and those it does not know, are not.
    monkeypatch.setattr("llm_validation.sampling.can_sample", lambda *_: False)
    if way == "generate":
        monkeypatch.setattr("llm_validation.decoding.continuations", lambda *_: None)
    monkeypatch.setattr(WeightedGRPOTrainer, "_score", None)  # a forward pass of its own fails
    test_lens_uses_the_samplers_length_normalised_confidence(
        tiny_folder, tmp_path, monkeypatch, {"temperature": 0.7}
    )


@pytest.mark.parametrize(
    ("scheme", "schedules"),
    [("lens", {}), ("w_reinforce", {"lam": ByEntropy(0.0, 1.0, 0.0, 4.0)})],
)
def test_a_model_in_bfloat16_trains(tiny_folder, tmp_path, monkeypatch, scheme, schedules):
    trainer = make(tiny_folder, tmp_path, scheme=scheme, schedules=schedules)
    trainer.model.to(torch.bfloat16)
    (batch,) = watched(trainer, monkeypatch)
    assert next(trainer.model.parameters()).dtype == torch.bfloat16
    assert batch["ours"].dtype == torch.float32
    assert batch["ours"].isfinite().all()
    assert batch["ours"].abs().sum() > 0


def test_confidences_are_paid_for_by_lens_alone(tiny_folder, tmp_path, monkeypatch):
    calls = []
    inner = GRPOTrainer._get_per_token_logps_and_entropies

    def counted(self, *arguments, **options):
        calls.append(torch.is_grad_enabled())
        return inner(self, *arguments, **options)

    monkeypatch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", counted)
    make(tiny_folder, tmp_path, scheme="sqrt_r").train()
    assert calls == [True]
    calls.clear()
    make(tiny_folder, tmp_path, scheme="lens").train()
    assert calls == [True]  # generation has worked them out
    calls.clear()
    make(tiny_folder, tmp_path, scheme="lens", seeded=False).train()
    assert calls == [False, True]


def test_all_wrong_groups_count_once_their_warm_up_is_over(tiny_folder, tmp_path, monkeypatch):
    def never(completions, **_):
        return [0.0] * len(completions)

    trainer = make(
        tiny_folder,
        tmp_path,
        scheme="linear_r",
        reward=never,
        schedules={"zero_success": WarmUp(2)},
        config={"max_steps": 4},
    )
    means = [batch["ours"].mean().item() for batch in watched(trainer, monkeypatch)]
    assert means == [0, 0, -1, -1]


def test_lambda_follows_its_schedule(tiny_folder, tmp_path, monkeypatch):
    def always(completions, **_):
        return [1.0] * len(completions)

    trainer = make(
        tiny_folder,
        tmp_path,
        scheme="w_reinforce",
        reward=always,
        schedules={"lam": Linear(start=1.0, end=0.0, steps=2)},
        config={"max_steps": 3},
    )
    means = [batch["ours"].mean().item() for batch in watched(trainer, monkeypatch)]
    assert means == pytest.approx([1.0, 0.5, 0.0])


def test_lambda_can_follow_the_entropy(tiny_folder, tmp_path, monkeypatch):
    def always(completions, **_):
        return [1.0] * len(completions)

    schedule = ByEntropy(low=0.0, high=math.log(14), entropy_low=0.0, entropy_high=math.log(14))
    trainer = make(
        tiny_folder,
        tmp_path,
        scheme="w_reinforce",
        reward=always,
        schedules={"lam": schedule},
    )
    (batch,) = watched(trainer, monkeypatch)
    entropy = next(value for _, name, value in trainer.record if name == "entropy")
    # λ = H by this schedule, and the policy of the first update is the one TRL measures.
    assert batch["ours"].mean().item() == pytest.approx(entropy, rel=1e-5)


def test_what_cannot_be_trained_is_refused(tiny_folder, tmp_path):
    with pytest.raises(ValueError, match="ppo needs a critic"):
        make(tiny_folder, tmp_path, scheme="ppo")
    with pytest.raises(ValueError, match="unknown scheme 'gpro'; known schemes"):
        make(tiny_folder, tmp_path, scheme="gpro")
    with pytest.raises(ValueError, match="has no option 'lam'"):
        make(tiny_folder, tmp_path, scheme="grpo", schedules={"lam": Linear()})


def drawn(trainer, monkeypatch):
    """Train; the numbers of every generation, in order."""
    seen = []
    inner = trainer_module.seeded_generation

    def noted(model, numbers, *more):
        seen.append(numbers.clone())
        return inner(model, numbers, *more)

    monkeypatch.setattr(trainer_module, "seeded_generation", noted)
    trainer.train()
    return seen


def test_batches_of_one_step_are_sampled_by_numbers_of_their_own(
    tiny_folder, tmp_path, monkeypatch
):
    config = {
        "per_device_train_batch_size": GROUP,
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 1,
        "max_steps": 2,
    }
    numbers = drawn(make(tiny_folder, tmp_path, scheme="grpo", config=config), monkeypatch)
    assert len(numbers) == 4
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            assert not (one == other).any()


def test_turns_after_a_tool_are_sampled_by_numbers_of_their_own(tiny_folder, tmp_path, monkeypatch):
    trainer = make(tiny_folder, tmp_path, scheme="grpo")
    prompts = [[1, 2, 10, 3, 11]] * 4
    seen = []

    def noted(model, numbers, *_):
        seen.append(numbers.clone())
        return contextlib.nullcontext()

    monkeypatch.setattr(trainer_module, "seeded_generation", noted)
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", lambda *_: None)
    talks = [[{"role": "assistant", "content": ""}] for _ in prompts]

    def loop(self, texts, ids, completion_ids, completions, *more):
        for rows in ([1, 3], [3]):  # row 1 is cut off after its first answer, as TRL leaves it
            for row in rows:
                completions[row].append({"role": "tool", "content": "5"})
            self._generate_single_turn([prompts[row] for row in rows], None, {})
            completions[3].append({"role": "assistant", "content": ""})

    monkeypatch.setattr(GRPOTrainer, "_tool_call_loop", loop)
    trainer.model.train()
    trainer._generate_single_turn(prompts, None, {})
    trainer._tool_call_loop(None, prompts, None, talks, None, None, None)
    assert [len(numbers) for numbers in seen] == [4, 2, 1]
    for turn, rows in ((1, [1, 3]), (2, [3])):
        whole = uniform_rows(42, 0, 0, 4, trainer.max_completion_length, turn=turn)
        np.testing.assert_array_equal(seen[turn], whole[rows])
        assert not (seen[turn] == seen[0][rows]).any()


def test_options_of_generation_are_honoured_or_refused(tiny_folder, tmp_path, monkeypatch):
    config = {"max_steps": 1, "top_k": 1}
    (batch,) = watched(make(tiny_folder, tmp_path, scheme="grpo", config=config), monkeypatch)
    ids = batch["output"]["completion_ids"].view(PROMPTS, GROUP, -1)
    assert (ids == ids[:, :1]).all()  # one token is left to choose from
    with pytest.raises(ValueError, match="num_beams must be 1"):
        make(tiny_folder, tmp_path, scheme="grpo", config={"generation_kwargs": {"num_beams": 2}})


def test_a_model_that_diverged_is_named_with_its_step(tiny_folder, tmp_path):
    trainer = make(tiny_folder, tmp_path, scheme="grpo")
    with torch.no_grad():
        trainer.model.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match="training diverged by step 0: the model's logits"):
        trainer.train()


def test_training_resumes_from_what_is_whole(tiny_folder, tmp_path, capsys):
    config = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    with pytest.raises(ValueError, match="no whole checkpoint"):
        make(tiny_folder, tmp_path, scheme="grpo", config=config).train(True)
    first = make(tiny_folder, tmp_path, scheme="grpo", config=config)
    first.record.append((0, "gap", math.nan))  # JSON has no word for it
    first.train()
    (tmp_path / "checkpoint-2" / "optimizer.pt").unlink()
    again = make(tiny_folder, tmp_path, scheme="grpo", config=config)
    with pytest.raises(ValueError, match=r"not a whole checkpoint: its optimizer\.pt is missing"):
        again.train(str(tmp_path / "checkpoint-2"))
    again.train(resume_from_checkpoint=True)
    said = capsys.readouterr().err
    assert "checkpoint-2 is not whole: its optimizer.pt is missing" in said
    assert f"resuming from {tmp_path / 'checkpoint-1'}" in said
    timeless = [
        [row for row in t.record if row[1] not in ("step_time", "gap")] for t in (first, again)
    ]
    assert timeless[0] == timeless[1]
    assert math.isnan(again.record[0][2])


def brevity(completions, **_):
    return [0.1 * len(c) for c in completions]


@pytest.mark.parametrize("mode", ["gate", "add", "apart"])
def test_a_bonus_beside_the_outcome_stops_nothing(tiny_folder, tmp_path, monkeypatch, mode):
    trainer = make(
        tiny_folder,
        tmp_path,
        reward=[first_digit, brevity],
        scheme="sqrt_r",
        outcome="first_digit",
        shaping=mode,
    )
    (batch,) = watched(trainer, monkeypatch)
    rewards = batch["rewards"].numpy().astype(float)
    valid = ~np.isnan(rewards[:, 0]).reshape(-1, GROUP)
    expected = group_advantages(
        np.nan_to_num(rewards[:, 0]).reshape(-1, GROUP),
        "sqrt_r",
        shaping=rewards[:, 1].reshape(-1, GROUP),
        shaping_mode=mode,
        valid=valid,
    )
    np.testing.assert_allclose(batch["ours"].numpy(), expected.ravel(), atol=1e-6)


def test_several_rewards_without_an_outcome_are_refused_before_the_first_step(
    tiny_folder, tmp_path
):
    with pytest.raises(ValueError, match="say which one it is, outcome='first_digit'"):
        make(tiny_folder, tmp_path, reward=[first_digit, brevity], scheme="sqrt_r")


def batches(trainer, monkeypatch):
    """Train; every batch as TRL's loss gets it."""
    inner, outputs = WeightedGRPOTrainer._generate_and_score_completions, []

    def kept(self, inputs):
        outputs.append(inner(self, inputs))
        return outputs[-1]

    monkeypatch.setattr(WeightedGRPOTrainer, "_generate_and_score_completions", kept)
    trainer.train()
    return outputs


def half_right(completions, gold, **_):
    """Prompts whose answer begins with an odd digit are never answered right."""
    return [float(c == g and int(g[0]) % 2 == 0) for c, g in zip(completions, gold, strict=True)]


@pytest.mark.parametrize("choice", ["drop", "resample", "refill"])
def test_dead_groups_leave_the_loss_or_are_sampled_again(
    tiny_folder, tmp_path, monkeypatch, choice
):
    trainer = make(
        tiny_folder, tmp_path, reward=half_right, scheme="grpo", dead_groups=choice, tries=3
    )
    (output,) = batches(trainer, monkeypatch)
    record = {name: value for _, name, value in trainer.record}
    batch = GROUP * PROMPTS
    alive = output["advantages"].view(PROMPTS, GROUP).ne(0).any(dim=1)
    used = output["completion_mask"].sum(dim=1).view(PROMPTS, GROUP).gt(0).any(dim=1)
    assert torch.equal(alive, used)
    assert int(output["num_items_in_batch"]) == int(output["completion_mask"].sum())
    assert record["groups_left_out"] == pytest.approx(1 - alive.float().mean().item())
    # Of the prompts that are never answered right, every try is paid for and in vain.
    last = PROMPTS - int(alive.sum())
    tried = record["responses"] / GROUP - PROMPTS
    if choice == "drop":
        assert tried == 0
        assert last > 0
    elif choice == "resample":
        assert last > 0
        assert 3 * last <= tried <= 3 * PROMPTS
    else:
        assert last < PROMPTS - 1
        assert 0 < tried <= 3 * PROMPTS
    assert batch == len(output["advantages"])


def test_groups_sampled_again_are_whole_and_their_rows_belong_together(
    tiny_folder, tmp_path, monkeypatch
):
    trainer = make(
        tiny_folder, tmp_path, reward=first_digit, scheme="grpo", dead_groups="refill", tries=2
    )
    (output,) = batches(trainer, monkeypatch)
    tokenizer = trainer.processing_class
    prompts = tokenizer.batch_decode(output["prompt_ids"], skip_special_tokens=True)
    answers = tokenizer.batch_decode(output["completion_ids"], skip_special_tokens=True)
    for group in range(PROMPTS):
        rows = slice(group * GROUP, (group + 1) * GROUP)
        assert len(set(prompts[rows])) == 1
        advantages = output["advantages"][rows]
        if not advantages.any():
            continue
        gold = prompts[rows][0][1]  # of ab+cd= the answer begins with b
        rewards = np.array([float(answer[:1] == gold) for answer in answers[rows]])
        valid = np.array([answer[1:2] != "9" for answer in answers[rows]])
        expected = group_advantages(rewards, "grpo", valid=valid)
        np.testing.assert_allclose(advantages.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dead_groups": "skip"}, "dead_groups must be keep, drop, resample or refill"),
        ({"dead_groups": "drop", "tries": 0}, "tries must be at least 1"),
        ({"dead_groups": "refill", "scheme": "curverl"}, "kept or dropped, not sampled again"),
    ],
)
def test_dead_groups_are_checked_before_the_first_step(tiny_folder, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make(tiny_folder, tmp_path, **{"scheme": "grpo", **options})
