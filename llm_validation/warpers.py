"""What transformers makes of a distribution before it samples from it, and when there is none."""

from __future__ import annotations

from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

WARPERS = {
    "temperature": (TemperatureLogitsWarper, 1),
    "top_k": (TopKLogitsWarper, 0),
    "top_p": (TopPLogitsWarper, 1),
    "min_p": (MinPLogitsWarper, 0),
    "typical_p": (TypicalLogitsWarper, 1),
    "epsilon_cutoff": (EpsilonLogitsWarper, 0),
    "eta_cutoff": (EtaLogitsWarper, 0),
}
"""Options of sampling in the order transformers applies them, with the value that changes nothing.
"""


class DivergedError(ValueError):
    """The model's numbers are not finite any more."""


def sampling_warpers(config: GenerationConfig) -> LogitsProcessorList:
    """What transformers makes of a distribution before it samples from it."""
    warpers = LogitsProcessorList()
    for name, (warper, neutral) in WARPERS.items():
        value = getattr(config, name, None)
        if value is not None and value != neutral:
            warpers.append(warper(value))
    return warpers
