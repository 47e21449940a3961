"""The ground floor: run folders, whole files, environments, pass-rate files, words and numbers."""
