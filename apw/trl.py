"""The trainer for TRL scripts, under the name of the public API; it imports torch and TRL."""

from llm_validation.trainer import WeightedGRPOTrainer

__all__ = ["WeightedGRPOTrainer"]
