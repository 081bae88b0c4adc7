"""What a sink wrote, in the words of a receipt."""

from __future__ import annotations

from collections.abc import Iterable

from minimize.io.base import Written
from minimize.receipt import CompanionFile, OutputFile


def files_stated(written: Iterable[Written]) -> tuple[OutputFile, ...]:
    """The files, for an output or the quarantine."""
    return tuple(OutputFile(each.path, each.rows, each.digest, keys=each.keys or None) for each in written)


def indexes_stated(written: Iterable[Written]) -> tuple[CompanionFile, ...] | None:
    """Their indexes, for the records output; None where there are none."""
    pairs = [(each.path, each.index) for each in written if each.index is not None]
    return tuple(CompanionFile(index.path, index.digest, path) for path, index in pairs) or None


def sketches_stated(written: Iterable[Written]) -> tuple[CompanionFile, ...] | None:
    """Their sketches, for an aggregate; None where there are none."""
    pairs = [(each.path, each.sketches) for each in written if each.sketches is not None]
    return tuple(CompanionFile(sketches.path, sketches.digest, path) for path, sketches in pairs) or None


def keys_stated(written: Iterable[Written]) -> frozenset[str]:
    """The master keys that they are encrypted under."""
    return frozenset(key for each in written for key in each.keys)
