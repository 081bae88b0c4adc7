"""Text for messages: numbers with commas, nouns in the right number; the version of an installed package."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution


def format_number(count: int) -> str:
    """A count with commas.

    >>> format_number(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def count_noun(count: int, noun: str, many: str = "") -> str:
    """A count and its noun; `many` where an `s` does not do.

    >>> count_noun(1, "row"), count_noun(2345, "row"), count_noun(2, "entry", "entries")
    ('1 row', '2,345 rows', '2 entries')
    """
    return f"{format_number(count)} {noun if count == 1 else many or noun + 's'}"


def place_text(file: str | None, line: int | None) -> str:
    """A place in a file, as compilers write it; what is not known is left out.

    >>> place_text("policy.yaml", 24), place_text("policy.yaml", None), place_text(None, None)
    ('policy.yaml:24', 'policy.yaml', '')
    """
    return ":".join(str(part) for part in (file, line) if part is not None)


@cache
def installed_version(package: str) -> str:
    """As `importlib.metadata.version`, which takes the whole of a package's description apart as an e-mail to find one line.

    Raises PackageNotFoundError where it is not installed.
    """
    found = distribution(package)
    head, _, _ = (found.read_text("METADATA") or "").partition("\n\n")
    said = [line.removeprefix("Version: ") for line in head.splitlines() if line.startswith("Version: ")]
    return said[0].strip() if len(said) == 1 else found.version
