"""What the rollouts of a training run say about prompt weighting, as tables, words and a picture.

Whole groups come in, in any number of batches (:mod:`figures.diagnosis.groups`). What depends on
rewards alone goes through the table of group outcomes (:mod:`figures.diagnosis.outcomes`): how many
groups of n responses had K correct ones at each step, from which every scheme with a table follows
exactly. What needs log-probabilities or texts is summed response by response
(:mod:`figures.diagnosis.responses`). :mod:`figures.diagnosis.tally` adds the batches up.
"""
