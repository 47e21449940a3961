"""The tiny transformer and its exact success probability."""

import itertools

import pytest
import torch

from llm_validation.tasks import Example, load_task
from llm_validation.tiny_model import character_tokenizer, success_probability, tiny_llama


def test_every_character_is_a_token_and_only_the_end_is_special():
    tokenizer = character_tokenizer()
    text = "0123456789+="
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(set(ids)) == 12
    assert tokenizer.decode(ids) == text
    assert tokenizer.all_special_tokens == ["<end>"]
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    unknown = tokenizer("1x")["input_ids"]
    assert tokenizer.decode(unknown, skip_special_tokens=True) == "1<unknown>"


def test_the_tokenizer_survives_saving(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = character_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("12+34=")["input_ids"] == tokenizer("12+34=")["input_ids"]
    assert loaded.pad_token_id == tokenizer.pad_token_id


def test_weights_depend_on_the_seed_alone():
    tokenizer = character_tokenizer()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = tiny_llama(tokenizer, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = tiny_llama(tokenizer, seed=3), tiny_llama(tokenizer, seed=4)
    assert all(torch.equal(first[name], value) for name, value in second.state_dict().items())
    assert not torch.equal(first["lm_head.weight"], other.state_dict()["lm_head.weight"])


def test_success_probabilities_of_all_answers_sum_to_that_of_their_form():
    # Enumeration: Σ over all two-character answers of P(answer, end) = P(end after two tokens).
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer, seed=1)
    tokens = [token for token in range(len(tokenizer)) if token != tokenizer.eos_token_id]
    start = tokenizer("12+34=")["input_ids"]
    rows = torch.tensor([[*start, a, b] for a, b in itertools.product(tokens, repeat=2)])
    log_probs = model(input_ids=rows).logits.double().log_softmax(-1)
    index = torch.arange(len(rows))
    each = (
        log_probs[index, 5, rows[:, 6]]
        + log_probs[index, 6, rows[:, 7]]
        + log_probs[index, 7, tokenizer.eos_token_id]
    ).exp()
    answers = [tokenizer.decode(row[6:]) for row in rows]
    examples = [Example("12+34=", answer, "x") for answer in answers]
    in_vocabulary = [i for i, answer in enumerate(answers) if "<" not in answer]
    found = success_probability(model, tokenizer, [examples[i] for i in in_vocabulary])
    # float32 logits against float32 logits, through batches of another shape.
    torch.testing.assert_close(found, each[in_vocabulary].detach(), rtol=1e-5, atol=0)
    assert len(in_vocabulary) == 12**2


def test_success_probability_is_the_frequency_of_right_answers(tiny_folder):
    from llm_validation.config import TrainConfig
    from llm_validation.initial_model import load
    from llm_validation.sampling import seeded_generation, uniform_rows

    model, tokenizer = load(str(tiny_folder), TrainConfig())
    example = load_task("arithmetic").train[0]
    exact = success_probability(model, tokenizer, [example]).item()
    rows = 4000
    prompt = torch.tensor([tokenizer(example.prompt)["input_ids"]] * rows)
    numbers = torch.from_numpy(uniform_rows(0, 0, 0, rows, 3))
    with seeded_generation(model, numbers):
        out = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=True,
            max_new_tokens=3,
        )
    right = [tokenizer.decode(row) == f"{example.prompt}{example.gold}<end>" for row in out]
    assert 0.002 < exact < 0.9
    # Four standard errors of a frequency.
    assert sum(right) / rows == pytest.approx(exact, abs=4 * (exact * (1 - exact) / rows) ** 0.5)


def test_examples_of_different_lengths_are_refused():
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer)
    examples = [Example("1+1=", "02", "a"), Example("11+11=", "22", "b")]
    with pytest.raises(ValueError, match="prompts of equal length"):
        success_probability(model, tokenizer, examples)
    with pytest.raises(ValueError, match="at least one"):
        success_probability(model, tokenizer, [])


def test_a_width_without_whole_heads_is_refused():
    with pytest.raises(ValueError, match="hidden_size must be a multiple of 32; got 50"):
        tiny_llama(character_tokenizer(), hidden_size=50)
