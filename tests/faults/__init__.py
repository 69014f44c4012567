"""The faults lanes, in a size for every run, and the checker that judges what they saw."""
