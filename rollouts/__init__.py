"""What the logs of training runs say: file → reader → rows → tally → sentences.

``files`` finds the files, ``layouts`` knows how training libraries write them, ``columns`` says
which column is what, ``query`` puts that into one SQL statement, ``reader`` streams whole groups,
``tally`` adds them up, ``tables`` and ``sentences`` say what came of it, and
:func:`rollouts.diagnosis.diagnose` does all of it.
"""

from rollouts.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
