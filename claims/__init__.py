"""The ledger of claims: predictions written down beforehand, verdicts derived from evidence.

``claims.toml`` holds the claims; :func:`~claims.entries.ledger` judges them;
:func:`~claims.audit.audit` tells whether what is published still follows.
"""
