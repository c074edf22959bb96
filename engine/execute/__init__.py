"""Runs compiled Programs over staged tables, one shard at a time, and accounts for every row."""

from engine.execute.compare import Comparison, compare
from engine.execute.job import Job, Part
from engine.execute.run import execute

__all__ = ["Comparison", "Job", "Part", "compare", "execute"]
