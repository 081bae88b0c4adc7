"""Lengths of time as a policy writes them: `30d`, `24h`, `2w`, `15m`, `45s`."""

from __future__ import annotations

import re
from datetime import timedelta

PATTERN = r"^[1-9][0-9]{0,5}[smhdw]$"


def duration(text: object) -> timedelta | None:
    """The length of time, or None for what is none.

    >>> duration("24h")
    datetime.timedelta(days=1)
    >>> duration("30") is None
    True
    """
    if not isinstance(text, str) or not re.fullmatch(PATTERN, text):
        return None
    count = int(text[:-1])
    return {
        "s": timedelta(seconds=count),
        "m": timedelta(minutes=count),
        "h": timedelta(hours=count),
        "d": timedelta(days=count),
        "w": timedelta(weeks=count),
    }[text[-1]]
