"""Group advantages: tables, three array libraries, peers' conventions, missing responses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.advantages import group_advantages
from theory.schemes import SCHEMES, resolve

VARIANTS = [
    *(name for name, scheme in SCHEMES.items() if scheme.has_table and name != "pass_at_k"),
    "grpo:engine=trl",
    "grpo:engine=openrlhf",
    "linear_r:zero_success=drop",
    "plateau_r:threshold=0.2",
    "plateau_r:threshold=1",
    "maxrl:order=2",
    "maxrl:eps=1e-6",
    "pass_at_k:k=2",
]
ALL = [*VARIANTS, "lens", "lens:parts=mixed", "lens:parts=negative", "lens:ddof=1,eps=0.0001"]


def random_groups(seed=0, shape=(5, 40, 8)):
    """Rewards of groups that include all-wrong and all-right ones, and confidences."""
    generator = np.random.default_rng(seed)
    chance = generator.choice([0.0, 0.1, 0.5, 0.9, 1.0], size=(*shape[:-1], 1))
    rewards = (generator.random(shape) < chance).astype(float)
    return rewards, -generator.exponential(1.0, shape)


@pytest.mark.parametrize("name", VARIANTS)
def test_advantages_of_every_reward_pattern_are_those_of_the_table(name):
    scheme = resolve(name)
    for size in range(2, 9):
        patterns = np.array(list(itertools.product((0, 1), repeat=size)))
        positive, negative = scheme.table(size)
        correct = patterns.sum(axis=1, keepdims=True)
        expected = np.where(patterns == 1, positive[correct], -negative[correct])
        np.testing.assert_allclose(
            group_advantages(patterns, scheme), expected, rtol=1e-12, atol=1e-12
        )


def test_advantages_written_out_by_hand():
    rewards = np.array([1, 0, 0, 0])
    root = np.sqrt(3)
    for name, expected in {
        "rloo": [1, -1 / 3, -1 / 3, -1 / 3],
        "dr_grpo": [3 / 4, -1 / 4, -1 / 4, -1 / 4],
        "grpo": [root, -1 / root, -1 / root, -1 / root],
        "grpo:ddof=1": [3 / 2, -1 / 2, -1 / 2, -1 / 2],
        "linear_r": [3, -1, -1, -1],
        "sqrt_r": [2 * root, -2 / root, -2 / root, -2 / root],
        "uniform_r": [4, -4 / 3, -4 / 3, -4 / 3],
        "psr": [1, 0, 0, 0],
        "nsr": [0, -1, -1, -1],
        "w_reinforce": [0.1, -1, -1, -1],
        "reinforce": [1, -1, -1, -1],
        "maxrl": [3, -1, -1, -1],
        "pass_at_k:k=4": [4, 0, 0, 0],
    }.items():
        np.testing.assert_allclose(
            group_advantages(rewards, name), expected, rtol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("name", ALL)
def test_torch_gives_the_numbers_of_numpy(name):
    torch = pytest.importorskip("torch")
    rewards, logs = random_groups()
    valid = np.random.default_rng(1).random(rewards.shape) < 0.7
    for mask in (None, valid):
        plain = group_advantages(rewards, name, log_confidence=logs, valid=mask)
        assert np.all(np.isfinite(plain))
        result = group_advantages(
            torch.asarray(rewards),
            name,
            log_confidence=torch.asarray(logs),
            valid=None if mask is None else torch.asarray(mask),
        )
        assert isinstance(result, torch.Tensor)
        np.testing.assert_allclose(result, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_jax_gives_the_numbers_of_numpy_under_jit_and_vmap(name):
    rewards, logs = random_groups()
    valid = np.random.default_rng(1).random(rewards.shape) < 0.7

    def unmasked(r, c):
        return group_advantages(r, name, log_confidence=c)

    def masked(r, c, v):
        return group_advantages(r, name, log_confidence=c, valid=v)

    traced = jax.jit(unmasked)(jnp.asarray(rewards), jnp.asarray(logs))
    plain = group_advantages(rewards, name, log_confidence=logs)
    np.testing.assert_allclose(traced, plain, rtol=1e-12, atol=1e-12)
    mapped = jax.jit(jax.vmap(masked))(rewards, logs, valid)
    plain = group_advantages(rewards, name, log_confidence=logs, valid=valid)
    np.testing.assert_allclose(mapped, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sqrt_r", "lens", "maxrl:order=2"])
def test_jax_outside_jit_checks_values_and_gives_the_same_numbers(name):
    rewards, logs = random_groups(shape=(4, 4))
    result = group_advantages(jnp.asarray(rewards), name, log_confidence=jnp.asarray(logs))
    assert isinstance(result, jax.Array)
    plain = group_advantages(rewards, name, log_confidence=logs)
    np.testing.assert_allclose(result, plain, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="got 2 at index 0"):
        group_advantages(jnp.asarray([2.0, 0.0]), name, log_confidence=jnp.zeros(2))


@pytest.mark.parametrize("name", ALL)
def test_dtype_is_kept_and_sixteen_bits_are_computed_in_thirty_two(name):
    torch = pytest.importorskip("torch")
    rewards, log_confidence = random_groups(shape=(30, 7))
    exact = group_advantages(rewards, name, log_confidence=log_confidence)
    for dtype, digits in (
        (torch.float64, 1e-12),
        (torch.float32, 1e-4),
        (torch.bfloat16, 2**-8),
        (torch.float16, 2**-10),
    ):
        result = group_advantages(
            torch.asarray(rewards).to(dtype), name, log_confidence=torch.asarray(log_confidence)
        )
        assert result.dtype == dtype
        np.testing.assert_allclose(result.double().numpy(), exact, rtol=digits, atol=2 * digits)


def test_jax_keeps_sixteen_bits_too():
    rewards, _ = random_groups(shape=(30, 7))
    low = group_advantages(jnp.asarray(rewards, jnp.bfloat16), "sqrt_r")
    assert low.dtype == jnp.bfloat16
    exact = group_advantages(rewards, "sqrt_r")
    np.testing.assert_allclose(low.astype(float), exact, rtol=2**-8)


def test_integers_booleans_and_lists_are_rewards_too():
    torch = pytest.importorskip("torch")
    expected = [3.0, -1.0, -1.0, -1.0]
    for rewards in ([1, 0, 0, 0], [True, False, False, False], (1.0, 0.0, 0.0, 0.0)):
        assert group_advantages(rewards, "linear_r").tolist() == expected
        assert group_advantages(np.array(rewards), "linear_r").dtype == np.float64
    assert group_advantages(torch.tensor([1, 0, 0, 0]), "linear_r").tolist() == expected
    assert group_advantages(torch.tensor([True, False, False, False]), "linear_r").dtype == (
        torch.float32
    )


@pytest.mark.parametrize("name", ALL)
def test_an_invalid_response_is_as_if_it_had_not_been_sampled(name):
    rewards, log_confidence = random_groups(seed=3, shape=(64, 6))
    generator = np.random.default_rng(4)
    for row, confidence in zip(rewards, log_confidence, strict=True):
        valid = np.ones(6, bool)
        valid[generator.permutation(6)[: generator.integers(0, 5)]] = False
        hidden = np.where(valid, row, np.nan)
        result = group_advantages(
            hidden, name, log_confidence=np.where(valid, confidence, np.inf), valid=valid
        )
        assert np.all(result[~valid] == 0)
        if valid.sum() >= 2:
            alone = group_advantages(row[valid], name, log_confidence=confidence[valid])
            np.testing.assert_allclose(result[valid], alone, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_groups_with_one_valid_response_or_none_have_defined_advantages(name):
    rewards = np.array([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]])
    valid = np.array([[True, False, False], [True, False, False], [False, False, False]])
    result = group_advantages(rewards, name, valid=valid, log_confidence=-np.ones((3, 3)))
    assert np.all(result[~valid] == 0)
    scheme = resolve(name)
    if scheme.minimum_group > 1:
        assert np.all(result == 0)
    else:
        positive, negative = scheme.bind(**({"order": None} if "order" in name else {})).table(1)
        penalty = 1.0 if "order" in name else negative[0]
        np.testing.assert_allclose(result[:2, 0], [positive[1], -penalty], atol=1e-12)


def test_pass_at_k_of_a_group_with_fewer_than_k_valid_responses_is_nothing():
    rewards = np.array([[1.0, 0, 0, 0], [1, 0, 0, 0]])
    valid = np.array([[True, True, True, False], [True, True, False, False]])
    result = group_advantages(rewards, "pass_at_k:k=3", valid=valid)
    assert result.tolist() == [[3, 0, 0, 0], [0, 0, 0, 0]]


def test_a_lone_response_is_refused_or_keeps_its_raw_reward():
    for name in ("rloo", "grpo", "dr_grpo", "dapo"):
        with pytest.raises(ValueError, match="compares the responses of a group"):
            group_advantages([[1.0]], name)
        raw = group_advantages([[1.0], [0.25]], name, singleton="raw")
        # verl divides the lone reward by 1 + ε.
        np.testing.assert_allclose(raw, [[1.0], [0.25]], rtol=1e-6)
        masked = group_advantages(
            [[0.5, 1.0]], name, singleton="raw", valid=np.array([[True, False]])
        )
        assert masked.tolist() == [[0.5, 0.0]]
    with pytest.raises(ValueError, match="needs group_size of at least 2"):
        group_advantages([[1.0]], "lens", log_confidence=np.array([[-1.0]]))


@settings(max_examples=50, deadline=None)
@given(
    # Hundredths: rewards whose squares underflow have no standard deviation to compare with.
    st.lists(st.integers(0, 100), min_size=2, max_size=12).filter(lambda r: len(set(r)) > 1),
    st.sampled_from(["rloo", "grpo", "dr_grpo", "linear_r", "sqrt_r", "plateau_r", "uniform_r"]),
)
def test_graded_rewards_of_centred_schemes_are_weighted_deviations(rewards, name):
    values = np.array(rewards) / 100
    mean = values.mean()
    weight = {
        "rloo": len(values) / (len(values) - 1),
        "grpo": 1 / values.std(),
        "dr_grpo": 1.0,
        "linear_r": 1 / mean,
        "sqrt_r": 1 / (mean * np.sqrt(1 - mean)),
        "plateau_r": min(1, 2 * (1 - mean)) / (mean * (1 - mean)),
        "uniform_r": 1 / (mean * (1 - mean)),
    }[name]
    np.testing.assert_allclose(
        group_advantages(values, name),
        weight * (values - mean),
        rtol=1e-9,
        atol=1e-12 * weight,
    )


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_advantages_follow_their_responses_when_a_group_is_reordered(data):
    size = data.draw(st.integers(2, 10))
    rewards = np.array(data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    logs = np.array(data.draw(st.lists(st.floats(-50, 0), min_size=size, max_size=size)))
    order = np.array(data.draw(st.permutations(range(size))))
    name = data.draw(st.sampled_from(ALL))
    plain = group_advantages(rewards, name, log_confidence=logs)
    moved = group_advantages(rewards[order], name, log_confidence=logs[order])
    np.testing.assert_allclose(moved, plain[order], rtol=1e-9, atol=1e-9)


def test_equal_graded_rewards_carry_no_signal_whatever_rounding_does():
    for name in ("grpo", "rloo", "linear_r", "sqrt_r", "uniform_r"):
        result = group_advantages(np.full(7, 0.1), name)
        np.testing.assert_allclose(result, 0, atol=1e-15)


def test_ppo_subtracts_the_critics_value(backend):
    rewards = backend.array([[1.0, 0.0], [0.5, 0.0]])
    per_prompt = group_advantages(rewards, "ppo", baseline=backend.array([[0.25], [0.5]]))
    assert backend.numpy(per_prompt).tolist() == [[0.75, -0.25], [0.0, -0.5]]
    per_response = group_advantages(rewards, "ppo", baseline=backend.array([[1.0, 0.0], [0.0, 0]]))
    assert backend.numpy(per_response).tolist() == [[0.0, 0.0], [0.5, 0.0]]


# Peers' conventions -----------------------------------------------------------------------------


@pytest.mark.slow
def test_trls_own_trainer_gives_the_advantages_of_the_preset(tmp_path, monkeypatch):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = tokenizers.models.WordLevel({"<pad>": 0, "<eos>": 1, "a": 2}, unk_token="<pad>")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(words), pad_token="<pad>", eos_token="<eos>"
    )
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=4,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            max_position_embeddings=16,
        )
    )
    groups = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0.25, 0, 1, 0.5]], float)
    valid = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
    given_rewards: list[float | None] = []

    def reward(completions, **_):
        return given_rewards

    for scale, scheme in (("group", "grpo:engine=trl"), ("none", "dr_grpo:engine=trl")):
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=reward,
            processing_class=tokenizer,
            train_dataset=datasets.Dataset.from_dict({"prompt": ["a"] * 4}),
            args=trl.GRPOConfig(
                output_dir=str(tmp_path),
                use_cpu=True,
                bf16=False,
                report_to="none",
                num_generations=4,
                per_device_train_batch_size=16,
                max_completion_length=1,
                gradient_checkpointing=False,
                scale_rewards=scale,
            ),
        )
        for mask in (np.ones_like(valid), valid):
            given_rewards[:] = np.where(mask, groups, np.nan).ravel().tolist()
            given_rewards[:] = [None if np.isnan(r) else r for r in given_rewards]
            output = trainer._generate_and_score_completions([{"prompt": "a"}] * 16)
            ours = group_advantages(groups, scheme, valid=mask)
            np.testing.assert_allclose(ours.ravel(), output["advantages"].numpy(), atol=1e-6)


def test_verls_conventions_by_hand():
    """Unbiased deviation plus 1e-6; r·n/(n−1) less the mean·n/(n−1) for RLOO; lone rewards raw."""
    rewards = [1.0, 0.0, 0.0, 0.0]
    deviation = np.sqrt(((0.75) ** 2 + 3 * 0.25**2) / 3) + 1e-6
    np.testing.assert_allclose(
        group_advantages(rewards, "grpo", engine="verl"),
        (np.array(rewards) - 0.25) / deviation,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        group_advantages(rewards, "rloo", engine="verl"),
        np.array(rewards) * 4 / 3 - 0.25 * 4 / 3,
        atol=1e-12,
    )
    assert group_advantages([0.0, 0.0], "grpo", engine="verl").tolist() == [0, 0]
    assert group_advantages([1.0, 1.0], "grpo", engine="verl").tolist() == [0, 0]


def test_openrlhf_and_open_instruct_conventions_by_hand():
    rewards = np.array([1.0, 1.0, 0.0])
    centred = rewards - 2 / 3
    np.testing.assert_allclose(
        group_advantages(rewards, "grpo", engine="openrlhf"),
        centred / (np.sqrt(1 / 3) + 1e-9),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        group_advantages(rewards, "grpo", engine="open_instruct"),
        centred / (np.sqrt(2 / 9) + 1e-8),
        atol=1e-12,
    )


def test_rlvr_decomposeds_conventions_by_hand():
    """Correct 1 and wrong 0; correct 0 and wrong −1; correct λ and wrong −1."""
    rewards = [[1, 0], [0, 0], [1, 1]]
    assert group_advantages(rewards, "psr").tolist() == [[1, 0], [0, 0], [1, 1]]
    assert group_advantages(rewards, "nsr").tolist() == [[0, -1], [-1, -1], [0, 0]]
    weighted = group_advantages(rewards, "w_reinforce", positive_advantage_weight=0.1)
    assert weighted.tolist() == [[0.1, -1], [-1, -1], [0.1, 0.1]]


def test_maxrls_conventions_by_hand():
    """(r − mean)/(mean + 1e-6) as its training code writes it."""
    rewards = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]])
    mean = rewards.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        group_advantages(rewards, "maxrl", eps=1e-6), (rewards - mean) / (mean + 1e-6), atol=1e-12
    )


# Refusals ---------------------------------------------------------------------------------------

PAIR = np.array([1.0, 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: group_advantages(1.0, "grpo"), r"must have shape \(..., group\); got \(\)"),
        (lambda: group_advantages(np.zeros((2, 0)), "grpo"), r"got \(2, 0\)"),
        (lambda: group_advantages([[1.0, 2.0]], "linear_r"), r"in \[0, 1\]; got 2 at index 0, 1"),
        (lambda: group_advantages([1.0, np.nan], "grpo"), "got nan at index 1"),
        (lambda: group_advantages([1.0, -np.inf], "grpo"), "got -inf at index 1"),
        (lambda: group_advantages([[1.0], [1.0, 0.0]], "grpo"), "real numbers in an array of one"),
        (lambda: group_advantages(["yes", "no"], "grpo"), "expected real numbers"),
        (lambda: group_advantages(np.array([1j, 0]), "grpo"), "expected real numbers; got an"),
        (lambda: group_advantages([0.5, 0.0], "psr"), "PSR is defined for binary rewards"),
        (lambda: group_advantages([0.5, 0.0], "w_reinforce"), "binary rewards, 0 or 1, only"),
        (lambda: group_advantages([0.5, 0.0], "maxrl"), "use a centred scheme for graded"),
        (lambda: group_advantages(PAIR, "grpo", valid=np.ones(3, bool)), r"valid must have the"),
        (lambda: group_advantages(PAIR, "lens"), "lens needs log_confidence"),
        (lambda: group_advantages(PAIR, "ppo"), "ppo needs baseline"),
        (lambda: group_advantages(PAIR, "ppo", baseline=np.zeros(3)), r"baseline must have shape"),
        (lambda: group_advantages(PAIR, "ppo", baseline=[np.inf]), "baseline must lie in"),
        (lambda: group_advantages(PAIR, "grpo", baseline=[0.0]), "baseline is for ppo alone"),
        (
            lambda: group_advantages(PAIR, "ppo", baseline=pytest.importorskip("torch").zeros(1)),
            "arrays must all be NumPy",
        ),
        (
            lambda: group_advantages(PAIR, "grpo", valid=pytest.importorskip("torch").ones(2)),
            "a mixture of numpy, torch",
        ),
        (lambda: group_advantages(PAIR, "pass_at_k"), "at most the group size, 2; got 4"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


GRADED = [name for name, scheme in SCHEMES.items() if scheme.graded and scheme.has_table]


@pytest.mark.parametrize("scheme", [*GRADED, "grpo:engine=trl"])
def test_rewards_that_differ_by_rounding_alone_are_equal(scheme, backend):
    rewards = np.array([[0.3, 0.1 + 0.2, 0.3, 0.3], [0.1 + 0.7, 0.8, 1 - 0.2, 0.8]])
    equal = np.array([[0.3] * 4, [0.8] * 4])
    ours = backend.numpy(group_advantages(backend.array(rewards), scheme))
    assert np.allclose(ours, group_advantages(equal, scheme), rtol=0, atol=1e-15)
    if SCHEMES[scheme.partition(":")[0]].centred:
        assert np.all(ours == 0)


@pytest.mark.parametrize("scheme", GRADED)
@pytest.mark.parametrize("tiny", [5e-324, 1e-310, 1e-200, 0.1 + 0.2 - 0.3])
def test_a_reward_below_rounding_is_a_wrong_response(scheme, tiny):
    wrong = group_advantages(np.zeros(4), scheme)
    assert group_advantages(np.array([tiny, 0, 0, 0]), scheme).tolist() == wrong.tolist()
    right = group_advantages(np.ones(4), scheme)
    assert group_advantages(np.array([1 - 1e-16, 1, 1, 1]), scheme).tolist() == right.tolist()


def test_small_differences_that_are_no_rounding_count():
    rewards = np.array([0.3, 0.3 + 1e-12, 0.3, 0.3])
    # The differences themselves are known to 1e-16 of 1e-12.
    assert np.allclose(group_advantages(rewards, "grpo"), [-1, 3, -1, -1] / np.sqrt(3), rtol=1e-3)


@pytest.mark.parametrize("scheme", ["grpo", "linear_r", "rloo"])
def test_groups_pass_through_torchs_vmap(scheme):
    torch = pytest.importorskip("torch")
    rewards = torch.tensor([[1.0, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=torch.float64)
    mapped = torch.func.vmap(lambda group: group_advantages(group, scheme))(rewards)
    torch.testing.assert_close(mapped, group_advantages(rewards, scheme))


@pytest.mark.parametrize("scheme", [name for name, scheme in SCHEMES.items() if scheme.has_table])
@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_a_single_valid_response_is_a_group_of_one_or_has_nothing_to_compare_with(scheme, reward):
    """What docs/theory.md, section 9, says."""
    valid = np.array([True, False, False, False])
    single = group_advantages(np.array([reward, 1.0, 0.0, 0.0]), scheme, valid=valid)
    if SCHEMES[scheme].minimum_group > 1:
        assert single.tolist() == [0, 0, 0, 0]
        with pytest.raises(ValueError, match="group_size of at least 2"):
            group_advantages(np.array([reward]), scheme)
    else:
        alone = group_advantages(np.array([reward]), scheme)
        assert single.tolist() == [alone[0], 0, 0, 0]


def test_rescaled_advantages_have_the_ratios_of_one_scheme_and_the_mean_square_of_another(backend):
    generator = np.random.default_rng(0)
    rewards = (generator.random((40, 8)) < generator.random((40, 1))).astype(float)
    valid = generator.random(rewards.shape) < 0.9
    options = {"valid": backend.array(valid)}
    told, weights, like = (
        backend.numpy(group_advantages(backend.array(rewards), scheme, **options))
        for scheme in ("rescaled:weights=sqrt_r,scale=grpo", "sqrt_r", "grpo")
    )
    assert (told**2).sum() == pytest.approx((like**2).sum(), rel=1e-12)
    np.testing.assert_allclose(told * np.sqrt((weights**2).sum() / (like**2).sum()), weights)
    # Nothing to scale stays nothing.
    nothing = group_advantages(np.ones((3, 4)), "rescaled:weights=grpo,scale=sqrt_r")
    assert not nothing.any()
