"""What the values of each staged column look like; counts and rates, never a decision."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnProfile:
    """One column over the rows looked at. `rates`: share (0..1) of filled cells that fit a kind."""

    index: int
    header: str
    rows: int
    filled: int
    distinct: int  #: approximate above 1,000
    rates: dict[str, float]
    min_length: int
    max_length: int
    top: tuple[tuple[str, int], ...]  #: most frequent values with their counts, at most 50
    samples: tuple[str, ...]  #: a few different values, at most 20
    shapes: tuple[tuple[str, int], ...]  #: letters as A/a, digits as 9, at most 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """All columns of one staged table. `whole` tells that every row was looked at."""

    columns: tuple[ColumnProfile, ...]
    rows: int
    whole: bool
