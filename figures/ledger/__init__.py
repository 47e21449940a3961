"""The ledger of claims: predictions written down beforehand, verdicts derived from evidence.

``claims.toml`` holds the claims; :func:`~figures.ledger.entries.ledger` judges them;
:func:`~figures.ledger.audit.audit` tells whether what is published still follows.
"""
