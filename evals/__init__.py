"""Scores on benchmarks nobody here wrote. Never in the gate; results are committed."""
