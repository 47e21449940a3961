"""What to install when something optional is missing."""

from __future__ import annotations

import importlib.util


class MissingExtraError(ImportError):
    """An optional part of the package was asked for without what it needs."""


def require(extra: str, *modules: str) -> None:
    """Raise unless the modules of an extra can be imported.

    Raises:
        MissingExtraError: Names the missing module and the command that installs it.

    >>> require("llm", "no_such_module")
    Traceback (most recent call last):
        ...
    llm_validation.extras.MissingExtraError: no_such_module is not installed; pip install '.[llm]'
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"{module} is not installed; pip install '.[{extra}]'")


def require_llm() -> None:
    """Raise unless everything training needs is installed."""
    require("llm", "torch", "transformers", "trl", "datasets", "accelerate")
