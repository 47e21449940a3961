"""A warmed-up tiny transformer whose responses can be listed, with exact gradients of success."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from llm_validation.probe.scores import response_score
from llm_validation.tasks import load_task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warm_up import warm_up


@dataclasses.dataclass
class World:
    """Two prompts of the rule and every response of at most three tokens."""

    model: object
    tokenizer: object
    examples: list
    prompts: list
    responses: list
    right: np.ndarray  # (prompts, responses)
    probability: np.ndarray  # (prompts, responses)

    @property
    def parameters(self):
        return list(self.model.parameters())

    def success(self):
        """ρ of each prompt with its graph: the one right response, ended."""
        found = []
        for prompt, right in zip(self.prompts, self.right, strict=True):
            answer = self.responses[int(np.flatnonzero(right)[0])]
            tokens = torch.tensor([[*prompt, *answer]])
            logits = self.model(input_ids=tokens[:, :-1]).logits[:, len(prompt) - 1 :]
            chosen = logits.log_softmax(-1).gather(-1, tokens[:, len(prompt) :, None])
            found.append(chosen.sum().exp())
        return torch.stack(found)

    def success_gradients(self):
        """∇ρ of each prompt, shape (prompts, parameters), float64."""
        rows = [
            torch.autograd.grad(value, self.parameters, retain_graph=True)
            for value in self.success()
        ]
        return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows]).double().numpy()


@pytest.fixture(scope="session")
def world():
    task = load_task("arithmetic", seed=0, limit=None)
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer, hidden_size=32, layers=1, seed=1)
    warm_up(model, tokenizer, task.train, initial_success=0.4, steps=120, seed=1)
    model = model.eval()
    examples = list(task.train[:2])
    end, symbols = tokenizer.eos_token_id, range(len(tokenizer))
    letters = [token for token in symbols if token != end]
    responses = [[end]]
    for length in (1, 2, 3):
        for letters_of in itertools.product(letters, repeat=length):
            responses.append([*letters_of, end] if length < 3 else list(letters_of))
    prompts = [tokenizer(str(e.prompt))["input_ids"] for e in examples]
    golds = [[*tokenizer(e.gold)["input_ids"], end] for e in examples]
    right = np.array([[response == gold for response in responses] for gold in golds])
    probability = []
    for prompt in prompts:
        rows = torch.tensor(
            [[*prompt, *r, *[end] * (3 - len(r))] for r in responses], dtype=torch.long
        )
        with torch.no_grad():
            logits = model(input_ids=rows[:, :-1]).logits[:, len(prompt) - 1 :].double()
        logs = logits.log_softmax(-1).gather(-1, rows[:, len(prompt) :, None]).squeeze(-1).numpy()
        used = np.arange(3) < np.array([len(r) for r in responses])[:, None]
        probability.append(np.exp((logs * used).sum(axis=1)))
    return World(model, tokenizer, examples, prompts, responses, right, np.array(probability))


class Drawn:
    """Draws of responses, with scores in coordinates that keep their inner products."""

    def __init__(self, world, draws, seed, more=()):
        generator = np.random.default_rng(seed)
        chosen = [generator.choice(len(p), size=draws, p=p / p.sum()) for p in world.probability]
        keys = sorted({(i, int(r)) for i, row in enumerate(chosen) for r in row.ravel()})
        place = {key: k for k, key in enumerate(keys)}
        rows = [
            torch.cat([g.flatten() for g in gradient])
            for i, r in keys
            for _, gradient in [
                response_score(world.model, world.parameters, world.prompts[i], world.responses[r])
            ]
        ]
        whole = torch.cat([torch.stack(rows).double(), torch.tensor(np.array(more)).double()])
        values, vectors = np.linalg.eigh((whole @ whole.T).numpy())
        short = vectors * np.sqrt(np.maximum(values, 0))
        index = np.array(
            [[place[i, int(r)] for r in row.ravel()] for i, row in enumerate(chosen)]
        ).reshape(len(chosen), *draws)
        self.scores = short[index]  # (prompts, *draws, coordinates)
        self.more = short[len(rows) :]
        self.rewards = np.stack(
            [right[row].astype(float) for right, row in zip(world.right, chosen, strict=True)]
        )
        self.chosen = np.array(chosen)


@pytest.fixture(scope="session")
def drawn(world):
    """500 times 8 responses to each prompt, and exact ∇ρ in the same coordinates."""
    return Drawn(world, (500, 8), seed=0, more=world.success_gradients())
