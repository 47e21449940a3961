"""Which commands there are."""

COMMANDS = {
    "weights": "optimal prompt weights between two success probabilities, and what others lose",
    "simulate": "train schemes on a bandit of prompts and answers, with intervals",
    "train": "train a language model with any scheme, through TRL's GRPOTrainer",
    "evaluate": "pass@k of a model on a task, unbiased, with intervals",
    "probe": "how prompts of a model share parameters, and what one step by each scheme does",
    "models": "real language models from the package index, where there is no hub",
    "figures": "draw the figures of theory and of run folders",
    "doctor": "what is installed, whether it works, and what to install",
    "advise": "which scheme and group size suit measured pass rates and your costs",
    "claims": "every claim, its verdicts, and whether they follow from the evidence",
    "diagnose": "what a run's rollouts teach: wasted groups, gradient mass, drift, mismatch",
    "audit": "where a run's logged rewards and our verifier disagree, with the rows",
    "explore": "a page to pick a problem and a sampling design on, and see what schemes take",
    "reproduce": "every claim tried again within the hour, in one report",
}
"""Every command with its one-line summary; each is a module of ``apw.commands``."""
