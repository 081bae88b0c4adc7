"""Whose records leave: the distinct subjects of each tenant, as keyed tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.canonical import canonical, canonical_text
from minimize.governance.sharing.consented import Coded
from minimize.interned import Interned
from minimize.keys import Keyring
from minimize.keys.cmac import Cmac
from minimize.ledger.disclosures import token_text
from minimize.ledger.tokens import KEY
from minimize.words import data_of, known_of, offsets_of

PURPOSE: Final = "disclosures"


@dataclass(slots=True)
class Owners:
    """The pairs of tenant and subject that were seen; what is printed of them is nothing."""

    tenants: dict[str, int] = field(default_factory=dict, repr=False)
    subjects: Interned = field(default_factory=lambda: Interned(pa.large_string()), repr=False)

    def take(self, tenants: Coded, subjects: pa.Array) -> None:
        """Takes in the tenants and subjects of some rows."""
        places = [self.tenants.setdefault(name, len(self.tenants)) for name in tenants.names]
        scopes = np.array([*places, 0], np.int32)[tenants.codes]
        self.subjects.codes(_texts(subjects), scopes)

    def digests(self, keys: Keyring) -> dict[str, bytes]:
        """Per tenant what the tokens of its subjects hold, ascending, one after the other."""
        if not len(self.subjects):
            return {}
        scopes, texts = self.subjects.scoped()
        order, names = np.argsort(scopes, kind="stable"), [*self.tenants]
        forms = _forms(texts.take(pa.array(order)))
        data, offsets = data_of(forms), offsets_of(forms)
        ends = np.searchsorted(scopes[order], np.arange(len(names)), side="right").tolist()
        found, first = {}, 0
        for name, own, end in zip(names, _own(_secret(keys, None), names), ends, strict=True):
            if end > first:
                found[name] = _sorted(Cmac(own).tags(data, offsets[first : end + 1]))
            first = end
        return found


@dataclass(slots=True)
class Seen:
    """Which entries of a dictionary were seen, from batch to batch as long as it only grows; another begins anew."""

    known: pa.Array | None = field(default=None, repr=False)
    marks: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)

    def new(self, column: pa.DictionaryArray) -> npt.NDArray[np.int64]:
        """The rows that say something new: of each entry that was not seen before the first, and those without one."""
        self._turn(column.dictionary)
        codes = np.asarray(column.indices.fill_null(-1) if column.null_count else column.indices)
        rows = np.flatnonzero(np.append(~self.marks, True)[codes])
        left = codes[rows]
        self.marks[left[left >= 0]] = True
        return rows[once_each(pa.array(left, mask=left < 0))]

    def _turn(self, entries: pa.Array) -> None:
        """Takes in the dictionary of the next batch."""
        known = known_of(self.known, entries)
        self.marks = np.append(self.marks[:known], np.zeros(len(entries) - known, np.bool_))
        self.known = entries


def token_of(keys: Keyring, tenant: str, subject: str, version: int | None = None) -> str:
    """The token by which a subject of a tenant stands in disclosures, under the newest version of the `subject` key, or another.

    Raises KeyringError.
    """
    which = keys.version_of(KEY) if version is None else version
    (own,), forms = _own(_secret(keys, which), [canonical_text(tenant)]), _forms(pa.array([subject], pa.large_string()))
    return token_text(which, Cmac(own).tags(data_of(forms), offsets_of(forms)).tobytes())


def once_each(codes: pa.Array) -> npt.NDArray[np.int64]:
    """The rows that say it all: of each code the first, and those without one.

    >>> once_each(pa.array([1, 0, 1, None, 0])).tolist()
    [0, 1, 3]
    """
    found = np.asarray(codes.fill_null(-1) if codes.null_count else codes)
    first = np.full(int(found.max(initial=-1)) + 2, -1, np.int64)
    first[found[::-1]] = np.arange(len(found))[::-1]
    telling = found < 0
    telling[first[:-1][first[:-1] >= 0]] = True
    return np.flatnonzero(telling)


def _secret(keys: Keyring, version: int | None) -> Cmac:
    return Cmac(keys.subkey(KEY, PURPOSE, version))


def _own(secret: Cmac, tenants: Sequence[str]) -> list[bytes]:
    """The key of each tenant: one subject of two tenants has two tokens."""
    names = [name.encode() for name in tenants]
    offsets = np.cumsum([0, *map(len, names)])
    return [bytes(tag) for tag in secret.tags(np.frombuffer(b"".join(names), np.uint8), offsets)]


def _forms(subjects: pa.Array) -> pa.Array:
    """One form of each: what a pseudonym takes for the same subject is the same here."""
    return canonical(subjects)


def _sorted(tags: npt.NDArray[np.uint8]) -> bytes:
    high, low = np.ascontiguousarray(tags).view(">u8").reshape(-1, 2).T
    ordered = tags[np.lexsort((low, high))]
    other = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return bytes(ordered[other].tobytes())


def _texts(column: pa.Array) -> pa.Array:
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return plain if plain.type == pa.large_string() else plain.cast(pa.large_string())
