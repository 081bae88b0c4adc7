"""Subjects that stand in the ledger as tokens, found in a file: the forms that stand there are made tokens, and compared.

Nobody can make a pseudonym of a token. So whoever records an event, and knows its subject, records tokens of the forms in which
it stands in outputs as well: HMAC under the keyring's `subject` key, as the subject's own, for a purpose of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.events import Event
from minimize.governance.retention.whose import Found, Named
from minimize.keys import Keyring
from minimize.ledger.tokens import KEY, token_of, version_in, versions_in
from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer

PURPOSE: Final = "ledger/forms"
Batches = Callable[[Collection[str]], Iterable[pa.RecordBatch]]
"""The batches of a file, of these columns alone."""


def form_tokens(keys: Keyring, tenant: str, forms: Iterable[str]) -> tuple[str, ...]:
    """The tokens of forms in which a subject of a tenant stands, under the newest `subject` key. Raises KeyringError."""
    version = keys.version_of(KEY)
    secret = keys.subkey(KEY, PURPOSE, version)
    return tuple(sorted(token_of(secret, version, tenant, form) for form in forms))


def recognized(
    events: Sequence[Event], tenant: Named | None, subject: Named | None, batches: Batches, keys: Keyring
) -> dict[Event, Found]:
    """In which forms the subjects of the ledger's events stand in a file, and whether all are known in which they may.

    Takes by which columns tenants and subjects are found. Raises KeyringError where tokens are of a version that is not there.
    """
    told = [event for event in events if event.token is not None]
    if subject is None or not told:
        return {}
    names = subject.column.names
    wanted = {event: _tokens(event, names or ()) for event in told}
    known = _Known(keys, _standing(tenant, subject, [event.tenant for event in told], batches))
    return {
        event: Found(known.forms(event.tenant, tokens), names is not None and names <= event.forms.keys())
        for event, tokens in wanted.items()
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """The forms of subjects that stand in a file, by tenant; and their tokens, once they are asked for."""

    keys: Keyring = field(repr=False)
    standing: Mapping[str, Collection[str]] = field(repr=False)
    _made: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict, repr=False)

    def forms(self, tenant: str, tokens: frozenset[str]) -> frozenset[str]:
        """The forms of a tenant's subjects whose token is among these."""
        made = (self._tokens(tenant, version) for version in versions_in(tokens))
        return frozenset(form for forms in made for token, form in forms.items() if token in tokens)

    def _tokens(self, tenant: str, version: int) -> dict[str, str]:
        if (tenant, version) not in self._made:
            secret = self.keys.subkey(KEY, PURPOSE, version)
            forms = self.standing.get(tenant, ())
            self._made[tenant, version] = {token_of(secret, version, tenant, form): form for form in forms}
        return self._made[tenant, version]


def _tokens(event: Event, names: Collection[str]) -> frozenset[str]:
    return frozenset(token for name in names for token in event.forms.get(name, ()) if version_in(token) is not None)


def _standing(
    tenant: Named | None, subject: Named, tenants: Iterable[str], batches: Batches
) -> dict[str, frozenset[str]]:
    """Per tenant the forms of subjects that stand in a file beside it; where the file does not show tenants, all."""
    under = {name: None if tenant is None else tenant.column.forms(name, name) for name in dict.fromkeys(tenants)}
    found: dict[str, set[str]] = {name: set() for name in under}
    columns = [each.pointer.top for each in (tenant, subject) if each is not None]
    for batch in batches(columns) if under else ():
        for name, forms in under.items():
            found[name].update(_beside(batch, None if tenant is None else tenant.pointer, forms, subject.pointer))
    return {name: frozenset(forms) for name, forms in found.items()}


def _beside(
    batch: pa.RecordBatch, tenant: Pointer | None, forms: Collection[str] | None, subject: Pointer
) -> Iterator[str]:
    """The distinct subjects of a batch, of records whose tenant stands in one of these forms."""
    there = leaf(batch, subject)
    values = there.values
    if tenant is not None and forms is not None:
        tenants = leaf(batch, tenant).values.cast(pa.string())
        mask = pc.is_in(tenants, value_set=pa.array(sorted(forms), pa.string()))
        values = values.filter(mask.take(pa.array(rows_of(there, batch.num_rows))))
    distinct = pc.unique(values.dictionary_decode() if pa.types.is_dictionary(values.type) else values)
    yield from map(_text, distinct.drop_null().to_pylist())


def _text(value: str | int | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
