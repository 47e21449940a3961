"""Success probabilities of listed answers: against enumeration, sampling and one by one."""

import itertools

import pytest
import torch

from llm_validation.exact_success import (
    answer_probabilities,
    distinct_answers,
    success_probability,
)
from llm_validation.tasks import Example, load_task
from llm_validation.tasks.small_countdown import characters, right_expressions
from llm_validation.tiny_model import character_tokenizer, tiny_llama


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


def test_answers_of_any_length_have_the_probability_they_have_alone():
    tokenizer = character_tokenizer(characters())
    model = tiny_llama(tokenizer, seed=2, initial_scale=0.3)
    examples = [Example(f"{gold}=", gold, gold) for gold in ("122:05", "25b:57", "113:03")]
    found = answer_probabilities(model, tokenizer, examples, right_expressions)
    for example, chances in zip(examples, found, strict=True):
        for answer, chance in zip(right_expressions(example.gold), chances, strict=True):
            prompt = tokenizer(example.prompt)["input_ids"]
            tokens = [*prompt, *tokenizer(answer)["input_ids"], tokenizer.eos_token_id]
            logits = model(input_ids=torch.tensor([tokens])).logits[0].double().log_softmax(-1)
            alone = sum(logits[i - 1, tokens[i]] for i in range(len(prompt), len(tokens))).exp()
            assert chance.item() == pytest.approx(alone.item(), rel=1e-5)
    assert len({len(chances) for chances in found}) > 1
    success = success_probability(model, tokenizer, examples, right_expressions)
    assert success.tolist() == [pytest.approx(chances.sum().item()) for chances in found]


def test_different_answers_among_tries_are_as_many_as_draws_find():
    chances = torch.tensor([0.3, 0.02, 0.001], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    whole = torch.cat([chances, 1 - chances.sum().reshape(1)])
    draws = torch.multinomial(whole.expand(4000, 4), 64, replacement=True, generator=generator)
    found = torch.stack([(draws == answer).any(dim=1) for answer in range(3)]).double().sum(0)
    # Four standard errors of a mean.
    margin = 4 * found.std().item() / 4000**0.5
    assert distinct_answers(chances, 64) == pytest.approx(found.mean().item(), abs=margin)
    assert distinct_answers(torch.tensor([1.0, 0.0]), 256) == 1.0


def test_prompts_of_different_lengths_and_none_are_refused():
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer)
    examples = [Example("1+1=", "02", "a"), Example("11+11=", "22", "b")]
    with pytest.raises(ValueError, match="prompts of equal length"):
        success_probability(model, tokenizer, examples)
    with pytest.raises(ValueError, match="at least one"):
        success_probability(model, tokenizer, [])
    with pytest.raises(ValueError, match="every example must have a right answer; b has none"):
        success_probability(model, tokenizer, examples[1:], lambda gold: [])
