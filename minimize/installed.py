"""Which version of a package is installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution

__all__ = ["version"]


@cache
def version(package: str) -> str:
    """As `importlib.metadata.version`, which takes the whole of a package's description apart as an e-mail to find one line.

    Raises PackageNotFoundError where it is not installed.
    """
    found = distribution(package)
    head, _, _ = (found.read_text("METADATA") or "").partition("\n\n")
    said = [line.removeprefix("Version: ") for line in head.splitlines() if line.startswith("Version: ")]
    return said[0].strip() if len(said) == 1 else found.version
