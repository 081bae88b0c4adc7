"""The log on stderr: text for people, one JSON object a line for machines. Events have stable codes; values never appear."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

FORMATS: Final = ("text", "json")


class JsonLines(logging.Formatter):
    """`ts, level, code, run_id, msg, data`, one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        body = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "code": getattr(record, "code", None),
            "run_id": getattr(record, "run_id", None),
            "msg": record.getMessage(),
            "data": getattr(record, "data", {}),
        }
        return json.dumps(body, ensure_ascii=False)


def is_json() -> bool:
    """Whether the log is for machines; then all of stderr is."""
    return any(isinstance(each.formatter, JsonLines) for each in logging.getLogger("minimize").handlers)


def set_up(log_format: str, verbose: bool) -> None:
    """Sends the library's log to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("minimize")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose or log_format == "json" else logging.WARNING)
    logger.propagate = False
