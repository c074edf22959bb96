"""Keys that several rows have: told by their sorted hashes, the few candidates then compared."""

import numpy as np
import pyarrow as pa

from engine.shards import Database

#: Rows whose hashes are sorted at once; eight bytes each.
ROWS = 16_000_000


def keys_again(db: Database, key: str, rows: str) -> str:
    """A subquery of the keys (`key`) that stand in several of the rows; good until the next call."""
    parts = db.number(f"SELECT count(*) FROM {rows}") // ROWS + 1
    db.run("CREATE OR REPLACE TABLE again (h UBIGINT)")
    for part in range(parts):
        share = f" AND hash({key}) % {parts} = {part}" if parts > 1 else ""
        hashes = db.connection.execute(
            f"SELECT hash({key}) AS h FROM {rows} WHERE {key} IS NOT NULL{share}"
        ).fetchnumpy()["h"]
        hashes.sort()
        twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        db.connection.register("twice_here", pa.table({"h": twice}))
        db.run("INSERT INTO again SELECT h FROM twice_here")
        db.connection.unregister("twice_here")
    return (
        f"(SELECT {key} AS key FROM {rows} WHERE hash({key}) IN (SELECT h FROM again)"
        " GROUP BY 1 HAVING count(*) > 1)"
    )
