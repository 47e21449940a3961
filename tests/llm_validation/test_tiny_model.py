"""The tiny transformer and its tokenizer."""

import pytest
import torch

from llm_validation.tiny_model import character_tokenizer, tiny_llama


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


def test_a_width_without_whole_heads_is_refused():
    with pytest.raises(ValueError, match="hidden_size must be a multiple of 32; got 50"):
        tiny_llama(character_tokenizer(), hidden_size=50)
