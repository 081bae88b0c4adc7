"""Corrections of data subjects, stored encrypted in the ledger. They replace the values read from the source, before the gate.

A correction applies to all events up to its time; the source of later records was corrected, too. A subject is stored as a
keyed token and a value is encrypted: only a process with the keyring can read them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import SubjectPairs, check_token_keys, column_microseconds
from minimize.arrow.dictionaries import decode_dictionary, valid_mask
from minimize.arrow.types import parse_texts
from minimize.errors import KeyringError
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY, subject_sealer
from minimize.ledger.subject_tokens import TokenIndex, token_secrets, token_versions
from minimize.policy.model import Policy
from minimize.times import epoch_microseconds

if TYPE_CHECKING:
    from minimize.ledger.subject_kinds import RecordedCorrection

KEY_PURPOSES: Final = ("corrections/1", "corrections/2")
_NULL, _TEXT = b"0", b"1"


@dataclass(frozen=True, slots=True)
class FieldCorrection:
    """The corrected value (None: null), for all events up to a time (microseconds since 1970)."""

    text: str | None = field(repr=False)
    until: int


SubjectCorrections = Mapping[str, FieldCorrection]
"""The corrections of a subject, by field."""


def seal_value(keys: Keyring, token: str, name: str, text: str | None) -> str:
    """A value encrypted for the ledger. It can be decrypted with the keyring, for this subject and field only."""
    content = _NULL if text is None else _TEXT + text.encode()
    version = keys.version_of(SUBJECT_KEY)
    sealed = subject_sealer(keys, KEY_PURPOSES, version).seal(content, token.encode(), name.encode())
    return f"{version}:{base64.b64encode(sealed).decode('ascii')}"


def open_value(keys: Keyring, token: str, name: str, text: str) -> str | None:
    """The decrypted value. Raises KeyringError if the keyring cannot decrypt it."""
    version, _, body = text.partition(":")
    content: bytes | None = None
    if version.isdigit():
        try:
            sealed = base64.b64decode(body, validate=True)
        except binascii.Error:
            sealed = b""
        content = subject_sealer(keys, KEY_PURPOSES, int(version)).open(sealed, token.encode(), name.encode())
    if content is None:
        raise KeyringError(
            "a correction in the ledger cannot be decrypted with this keyring",
            hint="Check that the keyring belongs to this ledger.",
        )
    return None if content == _NULL else content[1:].decode()


@dataclass
class Corrections:
    """The corrections of a run. Keys and values exist only in this process: they are not pickled (see `open_value`)."""

    rows: tuple[RecordedCorrection, ...] = field(repr=False)
    policy: Policy = field(repr=False)
    keys: Keyring | None = field(default=None, repr=False)

    def unlock(self, keys: Keyring) -> Corrections:
        """The same corrections with the keyring."""
        return replace(self, keys=keys)

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: without keys and values."""
        return {"rows": self.rows, "policy": self.policy, "keys": None}

    def __call__(self, raw: pa.RecordBatch) -> pa.RecordBatch:
        """Return the records with their corrections applied."""
        tenant, subject = (str(name) for name in (self.policy.tenant, self.policy.subject))
        pairs = SubjectPairs.from_columns(raw[tenant], raw[subject], self._index)
        corrections = [self._subject_corrections(*pair) for pair in pairs.names]
        for name in sorted(
            {name for subject_corrections in corrections for name in subject_corrections} & set(raw.schema.names)
        ):
            column = self._column(
                raw, name, pairs, [subject_corrections.get(name) for subject_corrections in corrections]
            )
            raw = raw.set_column(raw.schema.get_field_index(name), name, column)
        return raw

    def _column(
        self, raw: pa.RecordBatch, name: str, pairs: SubjectPairs, rights: list[FieldCorrection | None]
    ) -> pa.Array:
        values = decode_dictionary(raw[name])
        untils = np.array([np.iinfo(np.int64).min if each is None else each.until for each in rights], np.int64)
        texts = pa.array([None if each is None else each.text for each in rights], pa.string())
        typed = parse_texts(texts, self.policy.fields[name].type)[0].cast(values.type)
        before = self._times(raw)[pairs.rows] <= untils[pairs.places]
        mask = np.zeros(len(values), np.bool_)
        mask[pairs.rows[before]] = True
        put = pc.replace_with_mask(values, pa.array(mask), typed.take(pa.array(pairs.places[before])))
        return put.dictionary_encode() if pa.types.is_dictionary(raw[name].type) else put

    def _times(self, raw: pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Event times in microseconds; a record without one gets the earliest possible time."""
        times = raw[str(self.policy.time)] if self.policy.time in raw.schema.names else None
        if times is None:
            return np.full(raw.num_rows, np.iinfo(np.int64).min + 1)
        valid = valid_mask(times)
        microseconds = column_microseconds(times)
        return microseconds if valid is None else np.where(valid, microseconds, np.iinfo(np.int64).min + 1)

    def _subject_corrections(self, tenant: str, subject: str) -> SubjectCorrections:
        tenant_tokens = self._index.find(self._secrets, tenant, subject)
        return {key: right for name, token in tenant_tokens for key, right in self._subjects[name][token].items()}

    @cached_property
    def _index(self) -> TokenIndex:
        return TokenIndex(self._subjects, self.policy.folding)

    @cached_property
    def _secrets(self) -> Mapping[int, bytes]:
        versions = token_versions(row.subject for row in self.rows)
        secrets = {} if self.keys is None else token_secrets(self.keys, versions)
        check_token_keys(versions, secrets)
        return secrets

    @cached_property
    def _subjects(self) -> Mapping[str, Mapping[str, SubjectCorrections]]:
        """Per tenant and token, the corrections. If a field has several, the last one is valid."""
        keys = self.keys
        if keys is None:
            raise KeyringError("corrections need a keyring", hint="Pass --keys FILE or set MINIMIZE_KEYS.")
        corrections: dict[str, dict[str, dict[str, FieldCorrection]]] = {}
        for row in self.rows:
            right = FieldCorrection(open_value(keys, row.subject, row.field, row.sealed), epoch_microseconds(row.at))
            corrections.setdefault(canonical_text(row.tenant_id), {}).setdefault(row.subject, {})[row.field] = right
        return corrections


def find_corrections(
    rows: Iterable[RecordedCorrection], policy: Policy, when: datetime, keys: Keyring | None
) -> Corrections | None:
    """The corrections known to a run at this time, of fields of its policy; None if there are none."""
    known_rows = tuple(row for row in rows if row.recorded_at <= when and _is_correctable(policy, row.field))
    return Corrections(known_rows, policy, keys) if known_rows and policy.tenant and policy.subject else None


def _is_correctable(policy: Policy, name: str) -> bool:
    field_ = policy.fields.get(name)
    return field_ is not None and not field_.from_ and not field_.pointer.stars and len(field_.pointer.parts) == 1


def correctable_fields(policy: Policy) -> Iterator[str]:
    """The fields of a policy that can be corrected in records: columns that are not computed from others."""
    heads = {policy.tenant, policy.subject, policy.time, policy.record}
    yield from (key for key in policy.fields if key not in heads and _is_correctable(policy, key))
