"""Names by which verl knows schemes; apart from the plug-in, which needs torch and verl."""

from __future__ import annotations

import re

PREFIX = "apw_"
SCHEMES_VARIABLE = "APW_VERL_SCHEMES"
"""Environment variable: schemes with options to register besides the plain ones, by semicolons."""
OUTCOME_VARIABLE = "APW_VERL_OUTCOME"
"""Environment variable: which total rewards are correct, as ``low=-1,high=1,threshold=0``."""
SHAPING_VARIABLE = "APW_VERL_SHAPING"
"""Environment variable: how what is left of a reward enters, ``gate``, ``add`` or ``apart``."""


def estimator_name(scheme: str) -> str:
    """Name of a scheme's advantage estimator in verl.

    >>> estimator_name("sqrt_r"), estimator_name("w_reinforce:lam=0.1")
    ('apw_sqrt_r', 'apw_w_reinforce_lam_0.1')
    """
    return PREFIX + re.sub(r"[^A-Za-z0-9._-]+", "_", scheme)
