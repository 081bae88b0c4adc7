"""Whether the source is still what a receipt says that it was: what changed or vanished since is refused, with its digests."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.io.base import Source
from minimize.job.quarantined import Held
from minimize.receipt import Input


def differences(held: Held, source: Source | None) -> Iterator[Finding]:
    """What of the inputs of a date is not as its receipt has it: R011 for another digest, R012 for a file that is gone."""
    now = {} if source is None else {part.name: part for part in source.parts}
    for each in held.receipt.inputs:
        if each.path in now:
            if now[each.path].digest != each.digest:
                message = f"has the digest {now[each.path].digest}, and had {each.digest}"
                yield Finding("R011", message, hint="a changed source is run, not replayed", file=each.path)
        elif each.path in held.places or _is_of(each, held):
            message = f"is gone; its digest was {each.digest}"
            yield Finding("R012", message, hint="restore it, or run what is left", file=each.path)


def _is_of(file: Input, held: Held) -> bool:
    """Whether a file belongs to the date: its receipt says so, or says nothing of it."""
    return file.date in (None, held.day)
