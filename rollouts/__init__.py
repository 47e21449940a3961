"""Reads what training runs log of their rollouts, in whatever format, as whole groups.

``files`` finds the files and the step in their names, ``layouts`` knows how TRL, verl and prime-rl
write them, ``columns`` says which column is what, ``query`` puts that into one SQL statement, and
``reader`` streams it.
"""
