"""The doctor asks the packages themselves: each answer is made to come out and is recognised."""

from pathlib import Path

import pytest

from llm_validation import doctor, sandbox
from llm_validation.doctor import CHECKS, WEIGHTS, supported


def check(name, weights=WEIGHTS):
    return CHECKS[name](weights)


@pytest.fixture
def fake_verl(tmp_path, monkeypatch):
    """A package ``verl`` that both this process and new ones find; give it its core_algos."""

    def write(core_algos):
        folder = tmp_path / "verl" / "trainer" / "ppo"
        folder.mkdir(parents=True)
        for package in (folder, folder.parent, folder.parent.parent):
            (package / "__init__.py").write_text("")
        (folder / "core_algos.py").write_text(core_algos)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


def test_the_tested_environment_is_whole():
    for name in ("core", "llm", "device", "verifier"):
        found = check(name)
        assert (found.ok, found.remedy) == (True, ""), found
    assert "transformers 5." in check("llm").message
    assert "tested: transformers <5.25,>=5.16" in check("llm").message
    assert "tested: jax" in check("core").message
    assert "CPU cores" in check("device").message
    layer = sandbox.SECCOMP if sandbox.available() else sandbox.LIMITS
    assert check("verifier").message.endswith(f"answers are confined by {layer}")


def test_ranges_are_those_the_package_is_installed_with():
    ranges = {requirement.name: str(requirement.specifier) for requirement in supported("llm")}
    assert ranges["trl"] == "!=1.15.*,<1.17,>=1.8"
    assert "trl" not in {requirement.name for requirement in supported()}
    assert {requirement.name for requirement in supported()} >= {"numpy", "jax", "tyro"}


def test_a_version_outside_its_range_is_broken_and_a_missing_one_absent(monkeypatch):
    real = doctor._version
    versions = {"transformers": "4.50.0"}
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))
    found = check("llm")
    assert found.ok is False
    assert found.message == "transformers 4.50.0 is outside <5.25,>=5.16"
    assert found.remedy == "pip install '.[llm]'"
    versions["trl"] = None
    found = check("llm")
    assert found.ok is None
    assert found.message.startswith("trl not installed; transformers 4.50.0 is outside")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.13.0+cpu", "tested: torch ==2.13.*"),
        ("2.13.1", "tested: torch ==2.13.*"),
        ("2.14.1", "tested: torch ==2.13.* (not 2.14.1, which may work)"),
        ("2.15.0+cu130", "tested: torch ==2.13.* (not 2.15.0, which may work)"),
        ("2.11.0", "tested: torch ==2.13.* (not 2.11.0, which may work)"),
    ],
)
def test_a_version_of_torch_that_was_not_tried_is_named(version, said, monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: version if name == "torch" else real(name))
    found = check("llm")
    assert found.ok is True
    assert found.message.endswith(said)


def test_a_version_that_is_known_not_to_work_is_named_with_its_reason(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "1.15.0" if name == "trl" else real(name))
    found = check("llm")
    assert found.ok is False
    assert "trl 1.15.0 is outside !=1.15.*,<1.17,>=1.8: its log-probabilities need" in found.message
    assert not doctor._reason("trl", "1.14.2")
    assert not doctor._reason("jax", "1.15.0")


def test_engines_that_are_not_installed_are_absent_with_what_installs_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, remedy in (
        ("vllm", "pip install '.[vllm]'"),
        ("verl", "pip install '.[verl]'"),
        ("verifier", "pip install '.[llm]'"),
        ("device", "pip install '.[llm]'"),
    ):
        found = check(name)
        assert found.ok is None
        assert remedy in found.remedy


def test_an_engine_that_cannot_be_imported_is_broken(fake_verl, monkeypatch):
    fake_verl("import no_such_module_at_all")
    found = check("verl")
    assert found.ok is False
    assert "No module named 'no_such_module_at_all'" in found.message
    assert doctor._ask("import os; os._exit(3)") == ("", "it ended with status 3")
    monkeypatch.setattr(doctor, "_TIME_LIMIT", 0.2)
    assert "takes longer" in doctor._ask("import time; time.sleep(60)")[1]


def test_verl_that_knows_the_schemes_works(fake_verl):
    fake_verl("ADV_ESTIMATOR_REGISTRY = {'grpo': 1, 'apw_sqrt_r': 2}")
    found = check("verl")
    assert found.ok
    assert found.message.endswith("has loaded the plug-in: apw_sqrt_r")


def test_a_plug_in_that_verl_did_not_load_is_broken_and_says_why(fake_verl):
    # verl that swallows the error of a plug-in, as it does: its registry stays without ours.
    fake_verl(
        "ADV_ESTIMATOR_REGISTRY = {}\n"
        "def register_adv_est(name):\n    raise RuntimeError('the interface has changed')\n"
    )
    found = check("verl")
    assert found.ok is False
    assert "the plug-in cannot be loaded: RuntimeError: the interface has changed" in found.message


def test_a_plug_in_whose_entry_point_is_unknown_is_broken(fake_verl):
    fake_verl(
        "ADV_ESTIMATOR_REGISTRY = {}\n"
        "def register_adv_est(name):\n"
        "    return lambda function: ADV_ESTIMATOR_REGISTRY.setdefault(name, function)\n"
        "import sys\n"
    )
    found = check("verl")
    assert found.ok is False
    assert "verl has not loaded it" in found.message
    assert "VERL_USE_EXTERNAL_MODULES" in found.remedy


def test_a_verifier_that_judges_wrongly_is_broken(monkeypatch):
    from llm_validation.outcomes import Outcome
    from llm_validation.verifier import Verifier

    monkeypatch.setattr(Verifier, "score", lambda *_: [Outcome.CORRECT, Outcome.CORRECT])
    found = check("verifier")
    assert found.ok is False
    assert "says correct, correct instead of correct, wrong" in found.message


def test_weights_are_there_or_the_command_that_makes_them_is_named(tmp_path):
    found = check("weights", tmp_path)
    assert (found.ok, found.remedy) == (None, "make smollm2")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        Path(tmp_path / name).write_text("")
    assert check("weights", tmp_path).ok
