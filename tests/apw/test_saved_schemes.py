"""Schemes in files, from the command line through simulator, trainer and verl plug-in."""

import json

import numpy as np
import pytest

import apw
from apw.main import main
from apw.saved_schemes import load_scheme, save_scheme, with_files_read
from theory.schemes import resolve

CHOSEN = ("--start", "0.05", "--group-size", "4", "--schemes", "grpo")


@pytest.fixture
def saved(tmp_path, capsys):
    file = tmp_path / "best.json"
    assert main(["weights", "--json", *CHOSEN, "--save", str(file)]) == 0
    return file, json.loads(capsys.readouterr().out)


def test_the_best_table_is_kept_with_its_numbers(saved):
    file, answer = saved
    text = "best_table:start=0.05,group_size=4"
    assert (answer["scheme"], answer["saved"]) == (text, str(file))
    held = json.loads(file.read_text())
    assert (held["scheme"], held["positive"]) == (text, answer["positive"])
    positive, negative = load_scheme(file).table(4)
    np.testing.assert_allclose(positive, held["positive"], rtol=1e-12)
    np.testing.assert_allclose(negative, held["negative"], rtol=1e-12)


def test_a_file_stands_for_its_scheme_in_commands(saved, tmp_path, capsys):
    file, answer = saved
    words = ["weights", "--json", *CHOSEN, str(file)]
    assert main(words) == 0
    excess = json.loads(capsys.readouterr().out)["excess"]
    assert excess[answer["scheme"]] == pytest.approx(1, abs=1e-9)
    run = ["--seeds", "1", "--prompts", "4", "--steps", "2", "--measure-every", "1"]
    run += ["--learning-rate", "1"]
    out = tmp_path / "run"
    words = ["simulate", "--json", *run, "--group-size", "4", "--out", str(out)]
    assert main([*words, "--schemes", "grpo", str(file)]) == 0
    capsys.readouterr()
    kept = json.loads((out / "config.json").read_text())
    assert kept["schemes"] == ["grpo", answer["scheme"]]


def test_trainer_and_verl_take_what_was_kept(saved):
    torch = pytest.importorskip("torch")
    from llm_validation.config import TrainConfig
    from llm_validation.verl_plugin import estimator

    scheme = apw.load_scheme(saved[0])
    config = TrainConfig(schemes=(scheme,), group_size=4)
    assert config.schemes == ("best_table:start=0.05,group_size=4",)
    with pytest.raises(ValueError, match="is for groups of 4"):
        TrainConfig(schemes=(scheme,), group_size=8)
    rewards = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    found, _ = estimator(scheme)(rewards, torch.ones(4, 1), index=["a"] * 4)
    positive, negative = scheme.table(4)
    expected = [positive[1], *[-negative[1]] * 3]
    np.testing.assert_allclose(found[:, 0].numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("sampling", ["first_success", "population"])
def test_without_groups_of_one_size_the_optimal_weight_is_kept(sampling, tmp_path, capsys):
    file = tmp_path / "best.json"
    words = ["weights", "--sampling", sampling, "--schemes", "grpo", "--save", str(file)]
    assert main(words) == 0
    assert f"Saved: {file} (optimal:design={sampling})" in capsys.readouterr().out
    assert load_scheme(file) == resolve(f"optimal:design={sampling}")


def test_refusals(tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(ValueError, match="holds no scheme"):
        save_scheme("grpo", other)
    assert other.read_text() == "{}"
    with pytest.raises(ValueError, match=r"kept in a \.json file"):
        save_scheme("grpo", tmp_path / "grpo.txt")
    with pytest.raises(FileNotFoundError):
        with_files_read(["--schemes=none.json"])
    clock = ["--sampling", "population", "--clock", "updates", "--save", str(tmp_path / "x.json")]
    assert main(["weights", *clock]) == 2
    assert "leave out --clock" in capsys.readouterr().err
