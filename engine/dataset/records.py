"""What a sheet is made of: where it lies, its columns, and what each of its versions did."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from engine.errors import CompileError

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
    "binary": "BLOB",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """Where a sheet's rows lie: a local folder or an s3:// URL with the store's options."""

    url: str
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def local(self) -> Path | None:
        """The folder, when there is one."""
        if self.url.startswith("file://"):
            return Path(unquote(self.url.removeprefix("file://")))
        return None if "://" in self.url else Path(self.url)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A stored column with its DuckDB type."""

    name: str
    type: str


#: Where a stored row comes from; `_run` wrote its present values, `_created_run` its first ones.
LINEAGE = (
    Column(name="_id", type="BIGINT"),
    Column(name="_run", type="VARCHAR"),
    Column(name="_file", type="VARCHAR"),
    Column(name="_row", type="BIGINT"),
    Column(name="_plan_version", type="VARCHAR"),
    Column(name="_tags", type="VARCHAR[]"),
    Column(name="_created_run", type="VARCHAR"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What became of every row a run brought; the members add up to the rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    excluded: int = 0  #: on a suppression list
    repeated: int = 0  #: an earlier row of the run is the same record
    by_mode: int = 0  #: known in create_only, unknown in update_only

    @property
    def skipped(self) -> int:
        """Rows that were not looked at further."""
        return self.excluded + self.repeated + self.by_mode

    @property
    def rows(self) -> int:
        """All rows."""
        return self.created + self.updated + self.unchanged + self.skipped


class Kind(StrEnum):
    """What made a version of the table."""

    IMPORT = "import"  #: a run wrote its valid rows
    UNDO = "undo"  #: a run's rows were taken back
    TIDY = "tidy"  #: files were rewritten or removed; no row changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One version of the table and the run that made it."""

    version: int
    at: datetime
    kind: Kind
    run: str = ""
    undoes: str = ""
    counts: Counts = Counts()
    removed: int = 0
    restored: int = 0
    kept: int = 0

    @property
    def maker(self) -> str:
        """The run that made it; `run` is `id/back` where its failure took its own rows back."""
        return self.run.partition("/")[0]


def storable(type_: str) -> str:
    """The type a column is kept as: Delta knows no time of day, UUID or unsigned number."""
    if type_ in DUCKDB_TYPES.values() or type_.startswith("DECIMAL") or type_ == "VARCHAR[]":
        return type_
    if type_ in ("UTINYINT", "USMALLINT", "UINTEGER"):
        return "BIGINT"
    return "DECIMAL(38,0)" if type_ in ("UBIGINT", "HUGEINT") else "VARCHAR"


def same_type(column: Column, stored: Column) -> None:
    """CompileError when an incoming column cannot go where rows of another type are kept."""
    if column.type != stored.type:
        raise CompileError(
            f"column {column.name} is {column.type} in this plan, but the sheet keeps it as "
            f"{stored.type}: give the field its former type, or another name"
        )
