"""Answers that a scorer would evaluate: what gets through, what does not, and what if it did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_gym import create_dataset
from reasoning_gym.factory import DATASETS

from llm_validation import _verifier_judges, _verifier_worker, sandbox
from llm_validation.answer_grammar import admitted, evaluates_text
from llm_validation.tasks import load_task

ALWAYS_RIGHT = "setattr(type(self),'score_answer',lambda *a:1.0) or []"


def shell(trap):
    """A shell command through ``_posixsubprocess``, without a word that a filter looks for."""
    module = "eval('_'+'_import_'+'_')('_posix'+'subprocess')"
    args = f"[b'/bin/sh',b'-c',b'touch {trap}'],[b'/bin/sh'],True,(),None,None,-1,-1,-1,-1,-1,-1"
    return f"{module}.fork_exec({args},0,1,False,False,-1,None,None,None,-1,None)"


def spelt(code):
    """Python code without quotes or dots, as SymPy's names for ``eval`` and ``chr`` spell it."""
    letters = "+".join(f"S('chr')({ord(letter)})" for letter in code)
    return f"S('eval')({letters})"


EQUALS_ALL = "type('X',(),{'__eq__':lambda *a:True,'__hash__':lambda s:1})()"


def escapes(trap):
    under = "'_'+'_import_'+'_'"
    return [
        spelt(EQUALS_ALL),
        spelt(f"open('{trap}','w')"),
        "S('vars')()",
        "N ('eval')('x'+'y')",
        "(S)('exit')()",
        "[S][0]\n('exit')()",
        "sin('a'+'b')",
        "log(x,['exit'])",
        "'exit'('x')",
        ALWAYS_RIGHT,
        shell(trap),
        f"open('{trap}','w')",
        f"eval(chr(111)+'pen')('{trap}','w')",
        f"exec('import os; os.mkdir(\"{trap}\")')",
        f"eval({under})('os').system('touch {trap}')",
        f"eval({under})('pathlib').Path('{trap}').touch()",
        f"eval({under})('posix').mkdir('{trap}')",
        f"eval({under})('os').posix_spawn('/bin/touch',['touch','{trap}'],{{}})",
        f"eval({under})('ctypes').CDLL(None).creat(b'{trap}',511)",
        f"eval({under})('ctypes').CDLL(None).system(b'touch {trap}')",
        f"eval({under})('shutil').copy('/etc/hostname','{trap}')",
        f"eval({under})('socket').socket().bind(('127.0.0.1',0)) or open('{trap}','x')",
        f"eval({under})('sqlite3').connect('{trap}').execute('create table t(a)')",
        f"[x for x in ().__class__.__base__.__subclasses__() if x('{trap}')]",
        f"(lambda f: f('{trap}','w'))(open)",
        f"print(1, file=open('{trap}','w'))",
        f"[f := open, f('{trap}','w')]",
        f'f\'{{open("{trap}","w")}}\'',
        f"globals().update(x=open('{trap}','w'))",
        f"eval({under})('sys').modules['os'].mkfifo('{trap}')",
        f"eval({under})('os').kill(eval({under})('os').getppid(),9)",
        f"eval({under})('os').symlink('a','{trap}')",
        "vars(type(self)).clear()",
        "setattr(eval('_'+'_builtins_'+'_'),'float',lambda *a:1.0)",
        "sorted.__globals__",
        "self",
        "entry",
        "answer",
        "S('1').func",
        "exec('while True: pass')",
        "dataset=0 or 1 if 1 else 1",
    ]


def test_escapes_are_no_plain_expressions(tmp_path):
    for escape in escapes(tmp_path / "trap"):
        assert not admitted(escape), escape


NAMES = ["polynomial_multiplication", "string_insertion", "spiral_matrix", "puzzle24"]


@pytest.mark.parametrize("name", NAMES)
def test_an_escape_neither_scores_nor_changes_later_answers(name, tmp_path):
    options = {"train_size": 2, "test_size": 0, "workers": 1, "timeout": 5.0, "tags": False}
    with load_task(f"reasoning_gym:{name}", seed=3, **options) as task:
        gold, other = (example.gold for example in task.train)
        tries = escapes(tmp_path / "trap")
        outcomes = task.score([gold] * len(tries), tries)
        assert set(outcomes) <= {"wrong", "unparsable"}
        assert task.score([other], ["[0, 0]"]) == ["wrong"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sandbox.available(), reason="this kernel has no seccomp")
# JAX, if an earlier test used it in this process, warns at forks. The verifier's template, which
# forks in real use, imports neither JAX nor torch.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_the_sandbox_holds_where_the_grammar_would_not(tmp_path, monkeypatch):
    """Evaluate the escapes: they change no file and no later answer."""
    judge = _verifier_judges.ReasoningGymJudge("string_insertion", {"size": 1, "seed": 0}, 1.0)
    monkeypatch.setattr(_verifier_judges, "admitted", lambda *_: True)
    gold = '{"answer": "ABC", "metadata": {}}'
    for escape in escapes(tmp_path / "trap"):
        _verifier_worker.judged_by_a_child(judge, gold, escape, 1.0)
        assert _verifier_worker.judged_by_a_child(judge, gold, "[1]", 20.0)[0] == "wrong"
        assert list(tmp_path.iterdir()) == [], escape


def test_scorers_that_evaluate_text_are_found_in_their_source():
    found = {name for name in DATASETS if evaluates_text(scorer(name))}
    # Each was seen to evaluate its answer, or its entry, when its scorer was read by a person.
    assert found >= {"binary_matrix", "countdown", "intermediate_integration", "n_queens"}
    assert found >= {"polynomial_multiplication", "puzzle24", "simple_integration"}
    assert found >= {"spiral_matrix", "string_insertion", "bitwise_arithmetic", "composite"}
    assert not found & {"chain_sum", "base_conversion", "knights_knaves", "propositional_logic"}


def _inner(text):
    return eval(text)


class Sly:
    def score_answer(self, answer, entry):
        return self.helper(answer)

    def helper(self, text):
        return [_inner][0](text)


class Hidden:
    score_answer = len


def test_evaluation_behind_other_functions_is_found():
    assert evaluates_text(Sly().score_answer)
    assert evaluates_text(Hidden().score_answer)  # no source: not trusted
    assert not evaluates_text(Task.score)


class Task:
    def score(self, answer):
        return float(answer.strip() == "1")


def test_evaluating_scorers_are_refused_where_nothing_confines_them(monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: False)
    with pytest.raises(ValueError, match=r"evaluates answers.*seccomp"):
        load_task("reasoning_gym:puzzle24", train_size=1, test_size=0)
    load_task("reasoning_gym:chain_sum", train_size=1, test_size=0).close()


@given(st.text(alphabet="xySNE1.0'\"_()[]+-*, \nlambdforin:=é", max_size=40))
def test_what_is_admitted_has_no_attribute_no_keyword_and_no_call_but_of_functions(answer):
    import ast

    if not admitted(answer):
        return
    try:
        tree = ast.parse(answer.strip().replace("\n", " "))
    except (SyntaxError, ValueError):
        return
    bad = (ast.Attribute, ast.Lambda, ast.comprehension, ast.NamedExpr, ast.IfExp)
    for node in ast.walk(tree):
        assert not isinstance(node, bad), answer
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name), answer
            assert len(node.func.id) > 1, answer
            inner = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            assert not any(isinstance(value, str) for value in inner), answer
        if isinstance(node, ast.Name):
            assert len(node.id) == 1 or node.id in {"sin", "cos", "tan", "ln", "exp"}, answer


def scorer(name):
    kind, _ = DATASETS[name]
    return kind.score_answer.__get__(object.__new__(kind))


def test_every_reference_answer_is_admitted():
    for name in sorted(set(DATASETS) - {"composite"}):
        if not evaluates_text(scorer(name)):
            continue
        for entry in create_dataset(name, size=30, seed=5):
            answer = str(entry["answer"])
            assert admitted(answer, answer), (name, answer)
