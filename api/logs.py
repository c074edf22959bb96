"""JSON log lines in which no secret, no body and no cell can stand."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from engine.store.keys import PATTERN

_SECRETS = re.compile(
    PATTERN.pattern + r""
    r"|sk-[A-Za-z0-9_-]{8,}"
    r"|whsec_[A-Za-z0-9+/=]+"
    r"|ptn_[0-9A-Z]{26}\.[\w.-]{20,}"  # magic links and sign-in links
    r"|(?i:bearer|basic)\s+[^\s\"',;]+"
    r"|(?i:(?<=signature=)|(?<=token=)|(?<=api_key=)|(?<=x-amz-signature=))[^\s&\"']+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)

#: Members of a log line whose value is never written, whatever it looks like.
_NEVER = frozenset(
    {"authorization", "x-api-key", "anx-api-key", "cookie", "secret", "password", "body", "rows"}
)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def redacted(text: str) -> str:
    """The text without what looks like a credential."""
    return _SECRETS.sub("[redacted]", text)


class JsonLines(logging.Formatter):
    """One JSON object a line; control characters are escaped by JSON itself.

    `known`: secrets of this process that no pattern could tell from other text.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__()
        # As they stand in a JSON string, the longest first: one may be a part of another.
        self._known = sorted((json.dumps(each)[1:-1] for each in known), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record with its extra members, redacted as a whole."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = "[redacted]" if name.lower() in _NEVER else value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # ensure_ascii also takes care of bidirectional and line-separator characters.
        text = json.dumps(line, default=str)
        for each in self._known:
            text = text.replace(each, "[redacted]")
        return redacted(text)


def configure(
    level: str = "INFO", *, known: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every logger of the process to `stream` (standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(known))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "dbos", "alembic"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # DBOS adds a handler of its own, with lines of its own, where it finds none.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    # Ours has the request id and no query string.
    logging.getLogger("uvicorn.access").disabled = True
    # Two write whole URLs and with them a secret path, the others tell what we tell ourselves.
    for name in ("httpx", "httpcore", "dbos", "alembic", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
