"""Projections keep inner products in the mean, with the error that is promised."""

import numpy as np
import pytest
import torch

from llm_validation.probe.kernel import measure_kernel
from llm_validation.probe.sketch import Sketch, sketch_variance


@pytest.mark.parametrize("other", ["unrelated", "same", "alike"])
def test_mean_and_variance_of_inner_products_follow_the_law(other):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 40, generator=generator)
    y = {"unrelated": y, "same": x, "alike": x + 0.3 * y}[other]
    seeds = 6000
    found = np.array(
        [
            float(sketch([x]) @ sketch([y]))
            for sketch in (Sketch(40, 16, seed=seed) for seed in range(seeds))
        ]
    )
    law = sketch_variance(x, y, 16)
    assert abs(found.mean() - float(x @ y)) < 4 * np.sqrt(law / seeds)
    # The error of a variance by its own fourth moment.
    fourth = np.mean((found - found.mean()) ** 4)
    assert abs(found.var() - law) < 4 * np.sqrt((fourth - law**2) / seeds)


def test_the_error_falls_as_one_over_the_root_of_the_width():
    x, y = torch.randn(2, 400, generator=torch.Generator().manual_seed(1))
    widths = np.array([8, 16, 32, 64, 128])
    errors = [
        np.std([float(s([x]) @ s([y])) for s in (Sketch(400, w, seed=k) for k in range(1500))])
        for w in widths.tolist()
    ]
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)


def test_pieces_types_and_seeds():
    x = torch.randn(30, generator=torch.Generator().manual_seed(2))
    sketch = Sketch(30, 8, seed=3)
    whole = sketch([x])
    torch.testing.assert_close(whole, sketch([x[:10].reshape(2, 5), x[10:]]))
    torch.testing.assert_close(whole, Sketch(30, 8, seed=3)([x]))
    assert not torch.equal(whole, Sketch(30, 8, seed=4)([x]))
    torch.testing.assert_close(sketch([2 * x]), 2 * whole)
    assert sketch([x.bfloat16()]).dtype == torch.float32
    assert torch.equal(Sketch(30, 0, seed=0)([x]), x)
    assert torch.equal(Sketch(30, 64, seed=0)([x]), x)
    with pytest.raises(ValueError, match="30 coordinates; got 29"):
        sketch([x[1:]])


def test_a_projected_kernel_is_the_kernel_in_the_mean(drawn):
    scores, rewards = drawn.scores[:, 0].astype(np.float32), drawn.rewards[:, 0]
    rewards[:, :2], rewards[:, 2:4] = 1, 0  # both kinds, twice each
    exact = measure_kernel(scores, rewards).matrix
    size = scores.shape[-1]
    found = []
    for seed in range(400):
        sketch = Sketch(size, 64, seed=seed)
        rows = [[sketch([torch.from_numpy(s)]).numpy() for s in prompt] for prompt in scores]
        found.append(measure_kernel(np.array(rows), rewards).matrix)
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < 4 * error)
