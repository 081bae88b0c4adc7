"""Which fields stand for somebody: identifiers, the subject, pseudonyms; and where equal values stay equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from minimize.policy.fields import is_dropped, ways_of
from minimize.policy.model import Field, Policy

_TELLING: Final = ("everything", "linkable", "reversible")


def keys_of(policy: Policy) -> Iterator[str]:
    """The fields whose released values name one person or device, by name or by pseudonym."""
    for name, field in policy.fields.items():
        stands_for = field.role == "identifier" or name == policy.subject or _is_pseudonym(field)
        if stands_for and not is_dropped(field) and tells(field):
            yield name


def tells(field: Field) -> bool:
    """Whether equal values stay equal, and different ones different, in some form of the field that leaves."""
    ways = [way for way in ways_of(field) if not isinstance(way, str)]
    return any(all(step.leaves in _TELLING for step in way) for way in ways)


def _is_pseudonym(field: Field) -> bool:
    ways = [way for way in ways_of(field) if not isinstance(way, str)]
    return any(step.name in ("pseudonymize", "tokenize") for way in ways for step in way)
