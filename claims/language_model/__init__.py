"""Evidence of the LLM arm: which runs speak to which claim, and what they said.

The folders beside this file hold the published tables of each arm; ``findings`` holds the verdicts.
"""
