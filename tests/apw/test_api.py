"""One import name: what it offers, what it costs, and what hides it."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import apw
from theory.best_tables import best_table

ROOT = Path(__file__).parents[2]


def python(code, folder=ROOT, check=False):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=check
    )


def test_importing_it_and_using_theory_pulls_in_neither_torch_nor_jax():
    code = (
        "import sys, apw\n"
        "early = [m for m in ('numpy', 'theory', 'torch', 'jax') if m in sys.modules]\n"
        "apw.optimal_weight(0.01, 0.9).excess('grpo'); apw.Scheme; apw.pass_at_k; apw.advise\n"
        "print(early, [m for m in ('torch', 'jax', 'matplotlib') if m in sys.modules])"
    )
    assert python(code, check=True).stdout.strip() == "[] []"


def test_every_name_is_there_documented_and_typed():
    assert dir(apw) == sorted(apw.__all__)
    assert "trl" in dir(apw)
    for name in apw._MODULES:
        value = getattr(apw, name)
        assert name == "SCHEMES" or inspect.getdoc(value)
    tree = ast.parse(Path(apw.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert typed == set(apw.__all__)
    with pytest.raises(AttributeError, match="apw has no 'grpo'; it has SCHEMES"):
        _ = apw.grpo


def test_documents_name_what_there_is():
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
            assert set(re.findall(r"\bapw\.(\w+)", block)) <= set(dir(apw)), path


def test_the_trainer_stands_under_its_name():
    pytest.importorskip("trl")
    from llm_validation.trainer import WeightedGRPOTrainer

    assert apw.trl.WeightedGRPOTrainer is WeightedGRPOTrainer


@pytest.mark.parametrize("foreign", ["theory.py", "sim/__init__.py", "figures/__init__.py"])
def test_a_foreign_package_that_hides_ours_is_named(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).write_text("")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nimport apw\napw.advise"
    last = python(code, tmp_path).stderr.strip().splitlines()[-1]
    name = re.split(r"[./]", foreign)[0]
    assert last.startswith(f"ImportError: apw needs its own package {name}, and Python finds ")
    assert str(tmp_path / foreign) in last


def test_results_show_themselves():
    advice = apw.advise([0.02, 0.2], group_size=8, schemes=["Sqrt-R", "grpo"])
    assert "Sqrt-R" in str(advice)
    assert "<table" in advice._repr_html_()
    assert len(repr(advice)) < 400
    found = apw.simulate(
        schemes=["grpo"],
        seeds=1,
        prompts=4,
        steps=2,
        measure_every=1,
        learning_rate=1.0,
        progress=False,
    )
    assert "<table" in found._repr_html_()
    best = apw.optimal_weight(0.01, 0.9)
    assert len(repr(best)) < 300
    assert "Sqrt-R" in best._repr_html_()
    allocation = apw.optimal_population(np.linspace(0.01, 0.5, 200), 0.6)
    assert len(repr(allocation)) < 300
    assert "prompts trained" in allocation._repr_html_()
    slow = apw.learning_time("grpo", 0.3, 0.35)
    assert "learning rate" in slow._repr_html_()
    table = best_table(start=0.01, target=0.9, group_size=4)
    assert len(repr(table)) < 500
    assert table._repr_html_().count("<tr>") == 6
    assert repr(apw.resolve("grpo:ddof=1")) == "<GRPO (ddof=1): 1/√(ρ(1−ρ))>"
    np.testing.assert_allclose(apw.pass_at_k(10, 3, 1), 0.3)


def test_a_diagnosis_shows_itself(tmp_path):
    rows = [
        f"{step},p{step}{n},{int(n + r > 2)}" for step in (0, 1) for n in (0, 1) for r in range(4)
    ]
    log = tmp_path / "rollouts.csv"
    log.write_text("\n".join(["step,prompt,reward", *rows]) + "\n")
    found = apw.diagnose(log)
    assert repr(found) == "<Diagnosis: 4 groups, 16 responses, GRPO>"
    assert "<li>" in found._repr_html_()
    assert "zero advantage" in found._repr_html_()
