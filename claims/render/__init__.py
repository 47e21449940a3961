"""The ledger in words: one model of what is shown, written to a terminal, Markdown and HTML."""
