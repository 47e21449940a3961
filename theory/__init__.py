"""What the mathematics says: arrays in, arrays out; no files, no randomness it is not given."""
