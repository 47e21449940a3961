"""Whether the packages that ``apw`` builds on are its own, not others of the same names."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

PACKAGES = ("theory", "runs", "sim", "rollouts", "llm_validation", "claims", "figures")


@functools.cache
def check_packages() -> None:
    """Check that no folder or file on the path hides one of ours; it imports none of them.

    Raises:
        ImportError: One does; the sentence says which.
    """
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is not None and Path(origin).resolve() == home / name / "__init__.py":
            continue
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        found = origin or (places[0] if places else "nowhere")
        raise ImportError(
            f"apw needs its own package {name}, and Python finds {found} instead: rename that, or "
            "run from another folder"
        )
