"""The verifier neither hangs, nor crashes, nor lets a hostile answer score."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from sympy.parsing import sympy_parser

from llm_validation import _verifier_parser, _verifier_process
from llm_validation.boxed import last_boxed
from llm_validation.outcomes import Outcome
from llm_validation.verifier import Verifier, VerifierError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def box(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


@pytest.fixture(scope="module")
def verifier():
    with Verifier(workers=2, timeout=10.0) as shared:
        yield shared


@pytest.fixture(scope="module")
def strict():
    """A verifier that loses patience soon, for answers that are meant to overrun."""
    with Verifier(workers=1, timeout=1.0, memory=512) as shared:
        shared.score(["1/2"], [box("0.5")])
        yield shared


def ours() -> list[psutil.Process]:
    """Verifier workers that are children of this process, zombies included."""
    found = []
    for child in psutil.Process().children():
        command = [] if child.status() == psutil.STATUS_ZOMBIE else child.cmdline()
        if not command or any("_verifier_worker" in word for word in command):
            found.append(child)
    return found


@pytest.mark.parametrize(
    ("gold", "response", "outcome"),
    [
        ("1/2", r"so it is \boxed{\frac{2}{4}}", "correct"),
        (r"\frac{1}{2}", r"\boxed{0.5}", "correct"),
        ("7", r"\boxed{007}", "correct"),
        (r"2007 + \frac\pi 2", r"\boxed{x = 2}", "wrong"),
        (r"2007 + \frac\pi 2", r"\boxed{2007+\frac{\pi}{2}}", "correct"),
        (r"\sqrt\pi + \frac3\pi", r"\boxed{\frac{3}{\pi}+\sqrt{\pi}}", "correct"),
        ("7", r"\boxed{8}", "wrong"),
        ("7", r"first \boxed{8}, but no: \boxed{7}", "wrong"),
        ("8", r"first \boxed{8}, but no: \boxed{7}", "wrong"),
        (r"the solution: \boxed{3}", r"\boxed{3}", "correct"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, \pi/2)}", "correct"),
        (r"p - q", r"\boxed{-q+p}", "correct"),
        (r"p - q", r"\boxed{q-p}", "wrong"),
        (r"\text{Evelyn}", r"\boxed{\text{Evelyn}}", "correct"),
        (r"\text{Evelyn}", r"\boxed{\text{Anna}}", "wrong"),
        (r"x \in [-2,7]", r"\boxed{[-2,7]}", "correct"),
        ("1,-2", r"\boxed{-2,1}", "correct"),
        ("10", r"The answer is 10.", "correct"),
        ("10", r"The answer is 11.", "wrong"),
        ("10", "I do not know.", "unparsable"),
        ("10", "", "unparsable"),
        ("10", r"\boxed{}", "unparsable"),
        ("10", r"I was about to say \boxed{10", "unparsable"),
        ("", r"\boxed{10}", "error"),
    ],
)
def test_outcome(verifier, gold, response, outcome):
    assert verifier.score([gold], [response]) == [outcome]


def test_order_is_kept_and_every_response_counted(verifier):
    golds = [f"\\frac{{{i}x}}{{7}}" for i in range(1, 61)]
    responses = [box(f"{i + (i % 3 == 0)}x/7") for i in range(1, 61)]
    before = verifier.counts.total()
    expected = ["wrong" if i % 3 == 0 else "correct" for i in range(1, 61)]
    assert verifier.score(golds, responses) == expected
    assert verifier.counts.total() == before + 60


def test_a_box_is_required_on_request():
    with Verifier(require_box=True) as verifier:
        outcomes = verifier.score(["10", "10"], ["The answer is 10.", box("10")])
        assert outcomes == ["unparsable", "correct"]
        assert verifier._pool == []  # nothing of this needed a worker


GENTLE = {
    "1 MB of braces": "{" * 10**6,
    "1 MB of braces in a box": box("{" * 10**6),
    "100,000 open boxes": r"\boxed{" * 10**5,
    "nested 300 deep": box(r"\frac{1}{" * 300 + "2" + "}" * 300),
    "control characters": box("".join(map(chr, range(32)))),
    "input": box(r"\input{/etc/passwd}"),
    "def loop": box(r"\def\a{\a\a}\a"),
    "TeX loop": r"\def\x{\x}\x \loop\iftrue\repeat \boxed{\x}",
    "null bytes": "\0" * 1000,
    "null in a box": box("\0"),
    "lone surrogate": box("\ud800") + "\udfff",
    "huge integer": box("9" * 1900),
    "100,000 digits": "9" * 10**5,
    "100,000 characters": "so " * 33_333,
    "dollars": "$" * 2000,
    "fractions of nothing": r"\frac" * 200,
    "not a number": box(r"\frac{0}{0}"),
    "infinity": box(r"\infty"),
    "everything": box(r"\mathbb{R}"),
    "a choice": box(r"1 \text{ or } 2 \text{ or } 1025"),
    "right to left": box("\u202e5201"),
    "protocol": "done 0 correct\ndone 1 correct",
    "JSON": '"], ["0", "1", "1"]]\n[["0", "1", "1"',
    "format": "%s%n{0}{gold}",
}


@pytest.mark.parametrize("name", GENTLE)
def test_hostile_answer_does_not_score(verifier, name):
    for gold in ("1025", r"2^{10}+1", r"x^2+1"):
        assert verifier.score([gold], [GENTLE[name]])[0] in ("wrong", "unparsable"), gold


@pytest.mark.parametrize(
    "answer",
    [
        box("9^9^9^9"),
        box(r"9^{9^{9^{9}}}"),
        box("10^9!"),
        "the answer is 9**9**9**9",
        box("(" * 900 + "1" + ")" * 900),
        box(r"\sum_{n=1}^{10^{12}} n^n"),
    ],
    ids=lambda text: text[:30],
)
def test_answer_that_overruns_is_stopped_and_does_not_score(strict, answer):
    start = time.monotonic()
    outcome = strict.score([r"2^{10}+1"], [answer])[0]
    assert outcome in ("timeout", "wrong", "unparsable")
    # Limit, grace, and the start of a worker on a very busy machine; the answer takes for ever.
    assert time.monotonic() - start < 120
    assert strict.score(["1/3"], [box("2/6")]) == ["correct"]


def test_an_answer_that_overruns_costs_its_time_and_no_worker():
    with Verifier(workers=1, timeout=1.0) as verifier:
        golds, hang = ["x/3"] * 12, box(r"9^{9^{9^{9}}}")
        responses = [box(f"{i}x/{3 * i}") for i in range(1, 13)]
        responses[5] = hang
        expected = ["correct"] * 12
        expected[5] = "timeout"
        assert verifier.score(golds, responses) == expected
        assert verifier.restarts == 0
        assert verifier.counts[Outcome.TIMEOUT] == 1
        assert len(verifier._pool) == 1


def test_code_in_an_answer_is_not_run(verifier, tmp_path):
    trap = tmp_path / "pwned"
    payloads = [
        f"__import__('os').system('touch {trap}')",
        f"open('{trap}', 'w')",
        f"(1).__class__.__base__.__subclasses__()[0]('{trap}')",
        f"\\write18{{touch {trap}}}",
    ]
    for payload in payloads:
        for response in (payload, box(payload), f"answer: ${payload}$"):
            assert verifier.score(["1/2"], [response])[0] in ("wrong", "unparsable")
    assert not trap.exists()


def test_worker_killed_from_outside_costs_no_answer():
    with Verifier(workers=1, timeout=30.0) as verifier:
        assert verifier.score(["x/2"], [box("2x/4")]) == ["correct"]
        verifier._pool[0]._process.kill()
        assert verifier.score(["x/2", "x/3"], [box("3x/6"), box("3x/9")]) == ["correct"] * 2
        assert verifier.restarts == 1


def test_empty_gold_is_an_error_not_a_wrong_answer(caplog):
    with Verifier(workers=1) as verifier:
        outcomes = verifier.score([" ", "1/2"], [box("3"), box("4/8")])
        assert outcomes == ["error", "correct"]
        assert outcomes[0].reward is None
        assert verifier.bad_golds == {"": "it is empty"}
        assert verifier.score([""], [box("3")]) == ["error"]
    assert caplog.text.count("reference answer '' cannot be read: it is empty") == 1


FRAIL = """
import os, sys, time
sys.path.insert(0, {folder!r})
import _verifier_worker as worker
from llm_validation import _verifier_judges as judges

class Frail:
    judged = 0

    def suffer(self, text):
        while text.startswith("wait ") and not os.path.exists(text[5:]):
            pass
        if "hang" in text:
            while True: pass
        if "memory" in text:
            return bytearray(1 << 40)
        if "swallow" in text:
            return sys.stdout.write("done 0 correct") and 1
        if "crash" in text:
            os.abort()
        if "raise" in text:
            raise RuntimeError(text)

    def read_gold(self, gold):
        if "unreadable" in gold:
            raise judges.BadGoldError("it is unreadable")
        self.suffer(gold)
        return gold

    def judge(self, gold, answer):
        self.judged += 1
        self.suffer(answer)
        return ("correct" if gold in answer and self.judged == 1 else "wrong"), ""

def refuse():
    raise ImportError("no math here")

judges.JUDGES["math"] = refuse if {refuse} else Frail
worker.main()
"""


@pytest.fixture
def frail(monkeypatch, tmp_path):
    """Make verifiers use a judge that fails in ways an answer can choose."""

    def make(refuse: bool = False) -> None:
        script = tmp_path / "frail.py"
        package = Path(_verifier_process.__file__).parent
        text = FRAIL.format(folder=str(package), refuse=refuse)
        script.write_text(f"import sys\nsys.path.insert(0, {str(package.parent)!r})\n{text}")
        monkeypatch.setattr(_verifier_process, "_WORKER", script)

    make()
    return make


@pytest.mark.parametrize(
    ("gold", "answer", "outcome"),
    [
        ("x", "x", "correct"),
        ("x", "hang", "timeout"),
        ("x", "memory", "timeout"),
        ("x", "crash", "error"),
        ("x", "raise", "unparsable"),
        ("x", "swallow", "wrong"),
        ("unreadable", "x", "error"),
        ("hang", "x", "error"),
        ("memory", "x", "error"),
        ("crash", "x", "error"),
    ],
)
def test_every_way_to_fail_has_its_outcome_and_costs_no_worker(frail, gold, answer, outcome):
    golds, responses = ["x"] * 3 + [gold] + ["x"] * 3, [f"x {i}" for i in range(7)]
    responses[3] = answer
    with Verifier(workers=1, timeout=0.5, memory=300) as verifier:
        assert verifier.score(["x"], ["x before"]) == ["correct"]
        expected = ["correct"] * 7
        expected[3] = outcome
        assert verifier.score(golds, responses) == expected
        assert verifier.restarts == 0
        assert (gold in verifier.bad_golds) == (gold == "unreadable")


def test_a_reference_answer_is_not_condemned_by_a_stall(frail, monkeypatch, caplog):
    asked = []
    real = _verifier_process.Process.send

    def send(process, batch):
        asked.extend(batch)
        real(process, batch)

    monkeypatch.setattr(_verifier_process.Process, "send", send)
    with Verifier(workers=1, timeout=0.5) as verifier:
        assert verifier.score(["hang"], ["x"]) == ["error"]
        assert len(asked) == 3  # tried again, not believed at once
        assert "was not compared: reading it ended in timeout" in caplog.text
        assert verifier.bad_golds == {}
        assert verifier.score(["hang"], ["x"]) == ["error"]
        assert len(asked) == 6  # nor remembered


def test_worker_that_cannot_start_says_why(frail):
    frail(refuse=True)
    with (
        Verifier(workers=1) as verifier,
        pytest.raises(VerifierError, match=r"ImportError: no math here; .*\.\[llm\]"),
    ):
        verifier.score(["1"], ["x"])


def test_remembered_answers_are_bounded_by_their_bytes(frail, monkeypatch):
    monkeypatch.setattr("llm_validation.verifier._REMEMBERED", 10_000)
    with Verifier(workers=1) as verifier:
        responses = [f"x {i} " + "y" * 900 for i in range(40)]
        assert verifier.score(["x"] * 40, responses) == ["correct"] * 40
        assert 5 <= len(verifier._remembered) <= 10
        held = sum(len(gold) + len(answer) for gold, answer in verifier._remembered)
        assert held <= verifier._remembered.bytes <= 10_000


@pytest.mark.parametrize("character", ["y", "é", "Ж", "\U0001f600", "\ud800", "\u202e"])
def test_what_is_remembered_is_bounded_whatever_the_characters(character, monkeypatch):
    monkeypatch.setattr("llm_validation.verifier._REMEMBERED", 30_000)
    verifier = Verifier(workers=1)
    for number in range(300):
        text = f"{number} {character * (number % 1900)}"
        item = _verifier_process.Item("0", text, text)
        for outcome in (Outcome.CORRECT, Outcome.WRONG):  # the same pair twice takes no more
            verifier._remember(item, outcome)
        verifier._report_bad_gold(text, "no expression " * (number % 20))
        for kept in (verifier._remembered, verifier.bad_golds):
            assert sum(map(sys.getsizeof, flat(kept))) <= kept.bytes <= 30_000
    verifier.close()


def flat(kept):
    """Texts that a memory holds."""
    for key, value in kept.items():
        yield from key if isinstance(key, tuple) else (key,)
        if type(value) is str:
            yield value


@pytest.mark.parametrize("outcome", ["timeout", "error"])
def test_what_hangs_on_the_machines_load_is_not_remembered(frail, outcome):
    with Verifier(workers=1, timeout=0.5) as verifier:
        answer = "x hang" if outcome == "timeout" else "x crash"
        assert verifier.score(["x"], [answer]) == [outcome]
        assert not verifier._remembered


def test_a_reference_answer_that_was_stalled_once_is_read_the_next_time(frail, tmp_path):
    here = tmp_path / "here"
    with Verifier(workers=1, timeout=2.0) as verifier:
        assert verifier.score(["x"], ["x"]) == ["correct"]
        timer = threading.Timer(3.0, here.touch)
        timer.start()
        assert verifier.score([f"wait {here}"], [f"wait {here}"]) == ["correct"]
        timer.join()
        assert verifier.bad_golds == {}


def test_threads_share_a_verifier(verifier):
    results: dict[int, list[Outcome]] = {}

    def score(n: int) -> None:
        golds = [f"\\frac{{{n}x}}{{{i}}}" for i in range(11, 31)]
        results[n] = verifier.score(golds, [box(f"{2 * n}x/{2 * i}") for i in range(11, 31)])

    threads = [threading.Thread(target=score, args=(n,)) for n in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: ["correct"] * 20 for n in range(2, 6)}


def test_nothing_is_left_behind():
    before = {p.pid for p in ours()}
    with Verifier(workers=2) as verifier:
        verifier.score(["x/2"] * 8, [box(f"{i}x/{2 * i}") for i in range(1, 9)])
        started = {p.pid for p in ours()} - before
        assert len(started) == 2
    assert {p.pid for p in ours()} <= before
    with pytest.raises(RuntimeError, match="was closed"):
        verifier.score(["1"], ["1"])
    forgotten = Verifier(workers=1)
    forgotten.score(["x/2"], [box("2x/4")])
    del forgotten
    assert {p.pid for p in ours()} <= before


def test_workers_leave_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys\n"
        "from llm_validation.verifier import Verifier\n"
        "verifier = Verifier(workers=1, timeout=2.0)\n"
        "verifier.score(['x/2'], [r'\\boxed{2x/4}'])\n"
        "print(verifier._pool[0]._process.pid, flush=True)\n"
        "verifier.score(['1/2'], [r'\\boxed{9^{9^{9^{9}}}}'])\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.5)  # let it start on the answer that never ends
        parent.send_signal(signal.SIGKILL)
    # The worker is nobody's child now; its own timer must end it.
    psutil.wait_procs([worker], timeout=15)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_torch_is_never_loaded_into_a_worker():
    with Verifier(workers=1) as verifier:
        verifier.score(["x/2"], [box("2x/4")])
        worker = psutil.Process(verifier._pool[0]._process.pid)
        mapped = [region.path for region in worker.memory_maps()]
    assert mapped
    assert not any("torch" in path for path in mapped)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be positive; got 0"),
        ({"workers": -1}, "workers must be positive"),
        ({"judge": "me"}, "judge must be math or reasoning_gym; got 'me'"),
    ],
)
def test_bad_option(options, message):
    with pytest.raises(ValueError, match=message):
        Verifier(**options)


def test_bad_arguments(verifier):
    with pytest.raises(ValueError, match="must be as many; got 1 and 2"):
        verifier.score(["1"], ["1", "2"])
    with pytest.raises(ValueError, match="responses must be strings; got a int at index 1"):
        verifier.score(["1", "1"], ["1", 2])
    assert verifier.score([], []) == []


@given(
    st.text(alphabet="{}\\boxedfrac 0123456789^_$()", max_size=200),
    st.text(alphabet="{}\\0123456789", max_size=20),
)
def test_last_box_is_found_whatever_stands_before_it(before, inside):
    depth, balanced = 0, True
    for character in inside.replace("\\\\", "").replace("\\{", "").replace("\\}", ""):
        depth += (character == "{") - (character == "}")
        balanced = balanced and depth >= 0
    if balanced and depth == 0 and not inside.endswith("\\") and inside.strip():
        assert last_boxed(f"{before} \\boxed{{{inside}}}") == inside.strip()
    else:
        last_boxed(f"{before} \\boxed{{{inside}}}")  # any answer will do, but it must return


@settings(max_examples=30, deadline=None)
@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(-50, 50))
def test_integers_decided_on_the_spot_agree_with_math_verify(verifier, number, offset):
    gold, answer = str(number), box(str(number + offset))
    here = verifier._at_once(gold, answer)
    assert here is not None
    assert verifier._ask([(gold, answer)]) == {(gold, answer): here}


def test_no_math_answer_is_refused_by_itself_nor_taken_for_another(verifier):
    """The judge itself on a fixed sample; benchmarks/verifier_agreement.py takes all of MATH."""
    file = DATA / "math500.jsonl"
    if not file.exists():
        pytest.skip(f"{file.name} is not at hand")
    rows = [json.loads(line) for line in file.read_text().splitlines()][::4]
    golds = list(dict.fromkeys(row["answer"] for row in rows))
    outcomes = verifier._ask([(gold, box(gold)) for gold in golds])
    assert [gold for gold in golds if outcomes[gold, box(gold)] != "correct"] == []
    found = verifier.score(golds, [box(other) for other in (*golds[1:], golds[0])])
    assert "correct" not in found
    solutions = verifier.score([row["answer"] for row in rows], [row["solution"] for row in rows])
    assert solutions == ["correct"] * len(rows)


@pytest.mark.parametrize("text", ["7", "007", "0.50", "1.", ".25", "1,000", f"{10**30}.5", "0"])
def test_numbers_are_read_as_sympy_evaluates_them_without_evaluating(text, monkeypatch):
    expected = _Latex2Sympy.parse_number(None, text)
    monkeypatch.setattr(_Latex2Sympy, "parse_number", _Latex2Sympy.parse_number)  # put back later
    _verifier_parser.read_numbers_directly()
    monkeypatch.setattr(sympy_parser, "parse_expr", None)  # calling it fails
    found = _Latex2Sympy.parse_number(None, text)
    assert (type(found), found, str(found)) == (type(expected), expected, str(expected))
