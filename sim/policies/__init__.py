"""Policies over enumerable answers: bandit and token tree, and both with shared parameters."""
