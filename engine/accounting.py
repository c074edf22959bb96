"""Row accounting: where every row that was read went."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounting:
    """Rows of one file, sheet or run. Always: read = valid + invalid + duplicate + skipped."""

    read: int = 0
    valid: int = 0
    invalid: int = 0
    duplicate: int = 0
    skipped: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.valid + self.invalid + self.duplicate + self.skipped

    def __add__(self, other: "Accounting") -> "Accounting":
        return Accounting(
            read=self.read + other.read,
            valid=self.valid + other.valid,
            invalid=self.invalid + other.invalid,
            duplicate=self.duplicate + other.duplicate,
            skipped=self.skipped + other.skipped,
        )
