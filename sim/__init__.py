"""What a cheap learner does: bandit, tree and log-linear policies in JAX."""
