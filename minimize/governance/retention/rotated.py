"""Subjects of the ledger's events after a key rotation: found through the source, where that still stands.

The ledger has tokens of the forms that subjects had in outputs when their events were recorded. Under a newer version of the key
a pseudonym is another one, which cannot be made from a token. The source of the file has the id behind the token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from os import PathLike

import pyarrow as pa

from minimize.encryption import unless_shredded
from minimize.governance.retention.clock import Clock
from minimize.governance.retention.events import Event
from minimize.governance.retention.forms import Column, Pinned
from minimize.governance.retention.ordered import Asked, named_in
from minimize.governance.retention.rules import Rules, fields_of
from minimize.governance.retention.sources import source_of
from minimize.governance.retention.written import Written
from minimize.io.base import Source
from minimize.io.places import place_of
from minimize.io.stored import open_stored
from minimize.job.given import day_of
from minimize.keys import Keyring
from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipt import OutputFile, Receipt
from minimize.settings.erased import Erased, Tombstone

Files = Iterable[tuple[Written, OutputFile]]
_ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)


def identified(
    asked: Asked,
    events: Iterable[Event],
    files: Files,
    job: Pipeline,
    chain: Sequence[Receipt],
    ledger: str | PathLike[str] | None,
) -> Asked:
    """What an expiry was asked, with the ids of those subjects that are found in the source of a file.

    Takes the events whose subject may stand in a file in a form that the ledger does not know, and the files of records.
    """
    found: dict[Event, str] = {}
    for on, mine in _by_date(asked, list(events), files).items():
        left = [event for event in mine if event not in found]
        source = source_of(job, asked.output, chain, on, asked.at, asked.keys, ledger) if left else None
        if source is not None:
            found |= dict(_in_source(job.policy, source[1].sources[day_of(on)], left, asked.keys))
    known = tuple(replace(each, subject=found.get(each, each.subject)) for each in asked.events)
    return replace(asked, events=tuple(each if each.subject is None else replace(each, token=None) for each in known))


def _by_date(asked: Asked, events: Sequence[Event], files: Files) -> dict[str | None, list[Event]]:
    """Per batch date the events whose subject the ledger knows in its files under older key versions alone."""
    found: dict[str | None, list[Event]] = {}
    for written, file in files:
        stored = unless_shredded(partial(open_stored, asked.output, file.path, asked.kms))
        if stored is None:
            continue
        policy, schema = written.policy, stored.whole
        for event in events:
            rules, clock = Rules(pointers=fields_of(policy, schema)), Clock.of(policy, schema)
            named = named_in(policy, rules, clock, stored, asked.keys, event.named_by)[1]
            if named is not None and isinstance(named.column, Column) and _is_rotated(named.column, event):
                mine = found.setdefault(place_of(file.path)[1], [])
                mine += [event] if event not in mine else []
    return found


def _is_rotated(column: Column, event: Event) -> bool:
    """Whether the ledger knows the subject of an event in a column as it would be under older versions of its keys alone."""
    if column.names is None or column.names <= event.forms.keys():
        return False
    names = sorted({name for way in column.ways or () for step in way.steps for name in step.key_names})
    each = [range(1, column.keys.version_of(name) + 1) for name in names]
    older = (dict(zip(names, versions, strict=True)) for versions in product(*each))
    return any(event.forms.keys() & (_pinned(column, versions).names or ()) for versions in older)


def _pinned(column: Column, versions: Mapping[str, int]) -> Column:
    return replace(column, keys=Pinned(column.keys.keys, versions))


def _in_source(policy: Policy, source: Source, events: Sequence[Event], keys: Keyring) -> Iterator[tuple[Event, str]]:
    """The ids of the subjects of events, as they came in."""
    for by in sorted({event.named_by for event in events}, key=str):
        key = policy.subject if by is None else by
        field = policy.fields.get(key or "")
        if policy.tenant is None or field is None or field.pointer.top not in source.schema.names:
            continue
        mine = [event for event in events if event.named_by == by]
        for tenant, subject in _concerned(source, Pointer.parse(policy.tenant), field.pointer, mine, keys):
            one = (pa.array([tenant]), pa.array([subject]))
            yield from ((event, subject) for event in mine if _erased([event], keys).gone(*one, None) is not None)


def _concerned(
    source: Source, tenant: Pointer, subject: Pointer, events: Sequence[Event], keys: Keyring
) -> Iterator[tuple[str, str]]:
    """The distinct tenants and subjects of a source that these events are about."""
    erased, seen = _erased(events, keys), set[tuple[str, str]]()
    for part in source.parts:
        for chunk in part.read():
            found = leaf(chunk.records, subject)
            rows = pa.array(rows_of(found, chunk.records.num_rows))
            tenants = leaf(chunk.records, tenant).values.take(rows)
            gone = erased.gone(tenants, found.values, None)
            if gone is not None:
                pairs = (each.filter(gone).to_pylist() for each in (tenants, found.values))
                seen |= {(str(one), str(other)) for one, other in zip(*pairs, strict=True)}
    yield from sorted(seen)


def _erased(events: Sequence[Event], keys: Keyring) -> Erased:
    """The subjects of events, of one field, as records are asked for them."""
    made = Erased.of([Tombstone(event.tenant, _ALWAYS, event.token) for event in events])
    assert made is not None
    return replace(made, named_by=events[0].named_by).opened(keys)
