"""Whether what training needs is installed and works, asked of the packages themselves."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from runs.environment import available_cores

WEIGHTS = Path("weights/smollm2-135m-instruct")
"""Where ``make smollm2`` puts the real model that some recipes train."""

_TIME_LIMIT = 300.0
"""Seconds that importing an engine may take; on a cold disk it takes one minute or two."""

_KNOWN_BAD = {
    "trl": (
        SpecifierSet("==1.15.*"),
        "its log-probabilities need Triton, which a CPU build of torch lacks",
    )
}
"""Versions within a range that do not work, and why."""

_RANGES = ("jax", "transformers", "trl")
"""Packages whose every new version is tried before it is allowed: their ranges are told."""

_TRIED = {"torch": SpecifierSet("==2.13.*")}
"""Packages whose every version may work, and those that were tried."""

_VLLM = """
import vllm
from vllm import LLM, SamplingParams
from vllm.platforms import current_platform
print("apw:", vllm.__version__, current_platform.device_type or "no device")
"""
_VERL = """
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
print("apw:", *sorted(str(n) for n in ADV_ESTIMATOR_REGISTRY if str(n).startswith("apw_")))
"""


@dataclasses.dataclass(frozen=True)
class Check:
    """Answer to one question.

    Attributes:
        name: What was looked at.
        ok: True; False where it is broken; None where it is not there.
        message: What was found, in a sentence.
        remedy: A command that helps; empty if nothing needs help.
    """

    name: str
    ok: bool | None
    message: str
    remedy: str = ""


def diagnose(weights: Path = WEIGHTS) -> list[Check]:
    """Look at the packages, the device, the engines, the verifier and the weights.

    Engines are imported in processes of their own, as a training does it: an import that crashes
    or hangs is an answer. verl logs the import errors of plug-ins at DEBUG only, so its registry
    of advantage estimators is asked which of ours it knows.

    Args:
        weights: Folder of the real small model.

    Returns:
        One check per name in ``CHECKS``, in order.
    """
    return [check(weights) for check in CHECKS.values()]


def supported(extra: str = "") -> list[Requirement]:
    """Requirements of this package, or of one of its extras, as it was installed.

    >>> [r.name for r in supported("vllm")]
    ['vllm']
    """
    found = [Requirement(text) for text in importlib.metadata.requires("apw") or []]
    if not extra:
        return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [
        r
        for r in found
        if r.marker is not None and "extra" in str(r.marker) and r.marker.evaluate({"extra": extra})
    ]


def _packages(extra: str, weights: Path) -> Check:
    """Versions of an extra's packages against the ranges that are supported."""
    install = f"pip install '.[{extra}]'" if extra else "pip install ."
    wanted = supported(extra)
    versions = {r.name: _version(r.name) for r in wanted}
    absent = [name for name, version in versions.items() if version is None]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    outside = [
        f"{r.name} {version} is outside {r.specifier}{_reason(r.name, version)}"
        for r in wanted
        if (version := versions[r.name]) and not r.specifier.contains(version, prereleases=True)
    ]
    if absent:
        sentence = "; ".join([f"{', '.join(absent)} not installed", *outside])
        return Check(extra or "core", None, sentence, install)
    if outside:
        return Check(extra or "core", False, "; ".join(outside), install)
    ranges = [f"tested: {r.name} {r.specifier}" for r in wanted if r.name in _RANGES]
    ranges += [_tried(r.name, versions[r.name]) for r in wanted if r.name in _TRIED]
    return Check(extra or "core", True, "; ".join([listed, *ranges]))


def _tried(name: str, version: str | None) -> str:
    """Which versions of a package were tested, and whether the one that is there was."""
    tested = f"tested: {name} {_TRIED[name]}"
    # A build's own ending, as in 2.13.0+cpu, is no other version.
    if version and not _TRIED[name].contains(version, prereleases=True):
        tested += f" (not {version.partition('+')[0]}, which may work)"
    return tested


def _reason(name: str, version: str) -> str:
    """Why a version is known not to work, to follow what is allowed; empty if it is not known."""
    bad, why = _KNOWN_BAD.get(name, (None, ""))
    return f": {why}" if bad is not None and bad.contains(version) else ""


def _device(weights: Path) -> Check:
    cpu = f"{available_cores()} CPU cores, Python {platform.python_version()}"
    if importlib.util.find_spec("torch") is None:
        return Check("device", None, f"{cpu}; torch is not installed", "pip install '.[llm]'")
    import torch

    if not torch.cuda.is_available():
        return Check("device", True, f"no GPU that torch can use; {cpu}")
    places = range(torch.cuda.device_count())
    gpus = [torch.cuda.get_device_properties(place) for place in places]
    names = ", ".join(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in gpus)
    return Check("device", True, f"{names}; {cpu}")


def _vllm(weights: Path) -> Check:
    remedy = "pip install '.[vllm]' (on a CPU: make test-vllm)"
    if importlib.util.find_spec("vllm") is None:
        return Check("vllm", None, "not installed; generation is by transformers", remedy)
    answer, error = _ask(_VLLM)
    if error:
        return Check("vllm", False, f"vllm cannot be imported: {error}", remedy)
    version, device = answer.split(maxsplit=1)
    return Check("vllm", True, f"vllm {version} can be imported and runs on {device}")


def _verl(weights: Path) -> Check:
    """Import verl as training does, and look for our estimators in its registry."""
    if importlib.util.find_spec("verl") is None:
        return Check(
            "verl",
            None,
            "not installed",
            "pip install '.[verl]', in an environment apart from the extra llm's",
        )
    answer, error = _ask(_VERL)
    if error:
        return Check("verl", False, f"verl cannot be imported: {error}", "pip install '.[verl]'")
    if answer:
        known = ", ".join(answer.split())
        return Check("verl", True, f"verl {_version('verl')} has loaded the plug-in: {known}")
    # verl hides what went wrong, so do it again in the open.
    _, error = _ask("import llm_validation.verl_plugin as p; p.register_all(); print('apw:')")
    if error:
        return Check("verl", False, f"the plug-in cannot be loaded: {error}", "pip install .")
    return Check(
        "verl",
        False,
        "the plug-in works but verl has not loaded it: its entry point verl.plugins is not known",
        "pip install ., or export VERL_USE_EXTERNAL_MODULES=llm_validation.verl_plugin",
    )


def _verifier(weights: Path) -> Check:
    """Score one right and one wrong answer in a worker process, as training does."""
    if importlib.util.find_spec("math_verify") is None:
        return Check("verifier", None, "math-verify is not installed", "pip install '.[llm]'")
    from llm_validation.verifier import Verifier

    try:
        with Verifier(workers=1, timeout=60.0) as verifier:
            found = verifier.score([r"\sqrt{2}"] * 2, [r"\boxed{2/\sqrt{2}}", r"\boxed{\sqrt{3}}"])
            layer = verifier.layer
    except Exception as error:
        return Check("verifier", False, f"math-verify does not work: {_one_line(str(error))}")
    if [str(outcome) for outcome in found] == ["correct", "wrong"]:
        return Check(
            "verifier", True, f"math-verify tells 2/√2 from √3; answers are confined by {layer}"
        )
    listed = ", ".join(map(str, found))
    return Check(
        "verifier",
        False,
        f"math-verify says {listed} instead of correct, wrong",
        "pip install '.[llm]'",
    )


def _weights(weights: Path) -> Check:
    from llm_validation.packaged_models import is_whole

    if is_whole(weights):
        return Check("weights", True, f"SmolLM2-135M-Instruct is in {weights}")
    return Check("weights", None, f"{weights} does not hold SmolLM2-135M-Instruct", "make smollm2")


CHECKS: dict[str, Callable[[Path], Check]] = {
    "core": functools.partial(_packages, ""),
    "llm": functools.partial(_packages, "llm"),
    "device": _device,
    "vllm": _vllm,
    "verl": _verl,
    "verifier": _verifier,
    "weights": _weights,
}
"""What is looked at, in the order it is reported."""


def _ask(code: str) -> tuple[str, str]:
    """Run code in a new Python; what it printed after ``apw:``, and what went wrong or ""."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"it takes longer than {_TIME_LIMIT:.0f} s"
    answers = [line for line in done.stdout.splitlines() if line.startswith("apw:")]
    if done.returncode == 0 and answers:
        return answers[-1].removeprefix("apw:").strip(), ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "", _one_line(lines[-1]) if lines else f"it ended with status {done.returncode}"


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "no message"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
