"""What two other sniffers say of a sample; asked only when our own readings are close."""

import os

import clevercsv
import duckdb

from engine.sql import literal

#: CleverCSV tries every dialect on every character: more would cost seconds.
SAMPLE = 6_000


def delimiters(text: str) -> tuple[str, ...]:
    """The delimiter each sniffer that has an answer would choose."""
    return tuple(each for each in (_duckdb(text), _clever(text)) if each)


def _duckdb(text: str) -> str:
    fd = os.memfd_create("sample")
    try:
        os.write(fd, text.encode("utf-8", "replace"))
        path = literal(f"/proc/self/fd/{fd}")
        with duckdb.connect(":memory:") as connection:
            found = connection.execute(f"SELECT delimiter FROM sniff_csv({path})").fetchone()
    except duckdb.Error:
        return ""
    finally:
        os.close(fd)
    return str(found[0]) if found else ""


def _clever(text: str) -> str:
    head = text[:SAMPLE]
    cut = head.rfind("\n") + 1
    try:
        found = clevercsv.Sniffer().sniff(head[:cut] if cut else head)
    except clevercsv.Error:
        return ""
    return str(found.delimiter) if found is not None and found.delimiter else ""
