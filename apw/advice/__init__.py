"""What ``apw advise`` needs: pass rates from wherever they come, and lines to train with."""
