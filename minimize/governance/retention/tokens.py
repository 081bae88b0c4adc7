"""Subjects that stand in the ledger as tokens, found in a file: the forms that stand there are made tokens, and compared.

Nobody can make a pseudonym of a token. So whoever records an event, and knows its subject, records tokens of the forms in which
it stands in outputs as well: HMAC under the keyring's `subject` key, as the subject's own, for a purpose of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.events import Event
from minimize.governance.retention.whose import Found, Named
from minimize.keys import Keyring
from minimize.ledger.tokens import KEY, folded_part, token_of, tokens_of, version_in, versions_in
from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer
from minimize.techniques.distinct import merged

PURPOSE: Final = "ledger/forms"
Batches = Callable[[Collection[str]], Iterable[pa.RecordBatch]]
"""The batches of a file, of these columns alone."""


def form_tokens(keys: Keyring, tenant: str, forms: Iterable[str]) -> tuple[str, ...]:
    """The tokens of forms in which a subject of a tenant stands, under the newest `subject` key. Raises KeyringError."""
    version = keys.version_of(KEY)
    secret = keys.subkey(KEY, PURPOSE, version)
    return tuple(sorted(token_of(secret, version, tenant, form) for form in forms))


def recognized(
    events: Sequence[Event],
    tenant: Named | None,
    subject: Named | None,
    batches: Batches,
    keys: Keyring,
    *,
    folds: bool = False,
) -> dict[Event, Found]:
    """In which forms the subjects of the ledger's events stand in a file, and whether all are known in which they may.

    Takes by which columns tenants and subjects are found, and whether ids that differ in case alone are one subject. Raises
    KeyringError where tokens are of a version that is not there.
    """
    told = [event for event in events if event.token is not None]
    if subject is None or not told:
        return {}
    names = subject.column.names
    wanted = {event: _tokens(event, names or ()) for event in told}
    tenants = [event.tenant for event, tokens in wanted.items() if tokens]
    known = _Known(keys, _standing(tenant, subject, tenants, batches), folds)
    return {
        event: Found(known.forms(event.tenant, tokens), names is not None and names <= event.forms.keys())
        for event, tokens in wanted.items()
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """The forms of subjects that stand in a file, by tenant; and their tokens, once they are asked for."""

    keys: Keyring = field(repr=False)
    standing: Mapping[str, Collection[str]] = field(repr=False)
    folds: bool = False
    _made: dict[tuple[str, int], dict[str, list[str]]] = field(default_factory=dict, repr=False)

    def forms(self, tenant: str, tokens: frozenset[str]) -> frozenset[str]:
        """The forms of a tenant's subjects whose token is among these."""
        made = (self._tokens(tenant, version) for version in versions_in(tokens))
        wanted = {*tokens, *(map(folded_part, tokens) if self.folds else ())}
        return frozenset(form for by_token in made for token in wanted for form in by_token.get(token, ()))

    def _tokens(self, tenant: str, version: int) -> dict[str, list[str]]:
        if (tenant, version) not in self._made:
            secret = self.keys.subkey(KEY, PURPOSE, version)
            found: dict[str, list[str]] = {}
            for form in self.standing.get(tenant, ()):
                own = list(tokens_of(secret, version, tenant, form))
                for token in (*own, folded_part(own[0])):
                    found.setdefault(token, []).append(form)
            self._made[tenant, version] = found
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
        beside = _Beside.of(batch, None if tenant is None else tenant.pointer, subject.pointer)
        for name, forms in under.items():
            found[name].update(beside.texts(forms))
    return {name: frozenset(forms) for name, forms in found.items()}


Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Beside:
    """The distinct pairs of a tenant and a subject of a batch, by tenant: worked out once for all of them.

    places  by form of a tenant its number; its subjects are those from `starts` at that number to the next
    """

    entries: pa.Array = field(repr=False)
    subjects: Codes = field(repr=False)
    starts: Codes = field(repr=False)
    places: Mapping[str, int] = field(repr=False)

    @classmethod
    def of(cls, batch: pa.RecordBatch, tenant: Pointer | None, subject: Pointer) -> Self:
        """Those of a batch; without a column of tenants all subjects are of nobody."""
        there = leaf(batch, subject)
        who, entries = _coded(there.values)
        whose, names = (
            (np.zeros(len(who), np.int64), pa.array([])) if tenant is None else _coded(leaf(batch, tenant).values)
        )
        whose = whose[rows_of(there, batch.num_rows)]
        pairs = np.unique(((whose + 1) * len(entries) + who)[who >= 0])
        tenants, subjects = np.divmod(pairs, max(len(entries), 1))
        starts = np.searchsorted(tenants, np.arange(len(names) + 2))
        return cls(entries, subjects, starts, {each: place + 1 for place, each in enumerate(_texts(names))})

    def texts(self, forms: Collection[str] | None) -> Iterator[str]:
        """The subjects beside a tenant that stands in one of these forms; where nobody knows those, all."""
        if forms is None:
            yield from _texts(self.entries.take(pa.array(np.unique(self.subjects))))
            return
        for place in (self.places[form] for form in forms if form in self.places):
            yield from _texts(self.entries.take(pa.array(self.subjects[self.starts[place] : self.starts[place + 1]])))


def _coded(values: pa.Array) -> tuple[Codes, pa.Array]:
    """Per value the number of its entry, -1 for none, and the entries, each once."""
    plain = values.dictionary_decode() if _has_null(values) else values
    made = merged(plain) if pa.types.is_dictionary(plain.type) else plain.dictionary_encode()
    return np.asarray(pc.fill_null(made.indices.cast(pa.int64()), -1).to_numpy(), np.int64), made.dictionary


def _has_null(values: pa.Array) -> bool:
    """Whether a dictionary has null among its entries."""
    return bool(pa.types.is_dictionary(values.type) and values.dictionary.null_count)


def _texts(values: pa.Array) -> Iterator[str]:
    return map(_text, values.to_pylist())


def _text(value: str | int | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
