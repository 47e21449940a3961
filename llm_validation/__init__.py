"""What a language model does: trainer, tasks, verifier, evaluation, recipes."""
