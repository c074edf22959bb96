"""Stored rows brought to where the partner's product lives, resumable, with a word on every row."""

from engine.delivery.deliver import deliver
from engine.delivery.destination import (
    Delivered,
    Destination,
    HttpDestination,
    Load,
    PostgresDestination,
    RowResult,
    S3Destination,
    destination_from,
    open_destination,
    seal_destination,
    shown_destination,
)

__all__ = [
    "Delivered",
    "Destination",
    "HttpDestination",
    "Load",
    "PostgresDestination",
    "RowResult",
    "S3Destination",
    "deliver",
    "destination_from",
    "open_destination",
    "seal_destination",
    "shown_destination",
]
