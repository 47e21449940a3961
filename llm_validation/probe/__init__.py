"""The drift law on a real model: how success moves with updates, measured from one set of rollouts.

For prompts x_i with success ρ_i and log-odds ℓ_i = logit ρ_i the theory says that a small update
moves ℓ_i by (η/N) Σ_j K_ij e_M(ρ_j), K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩. Nothing here assumes a form of K: it is
estimated without bias from the scores ∇ln π of sampled responses, and what the law predicts is held
against steps that are taken.
"""
