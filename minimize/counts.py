"""Numbers in messages: with commas, and their nouns in the right number."""

from __future__ import annotations


def number(count: int) -> str:
    """A count with commas.

    >>> number(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def counted(count: int, noun: str, many: str = "") -> str:
    """A count and its noun; `many` where an `s` does not do.

    >>> counted(1, "row"), counted(2345, "row"), counted(2, "entry", "entries")
    ('1 row', '2,345 rows', '2 entries')
    """
    return f"{number(count)} {noun if count == 1 else many or noun + 's'}"
