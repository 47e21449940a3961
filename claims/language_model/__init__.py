"""Evidence of the language model: which runs speak to which claim, and what they said.

``claims/evidence/llm`` holds the published tables of each setting, ``findings`` the verdicts.
"""
