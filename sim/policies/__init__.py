"""Policies over enumerable answers: independent bandit, token tree, log-linear with sharing."""
