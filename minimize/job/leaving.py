"""What the files held that a change takes away, tenant by tenant: sealed beside its receipt, for nobody can look again.

Counts, times and the files' schemas; no value of a record but the tenants' names, and those only for who has the keyring.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.encryption import open_parquet
from minimize.errors import KeyringError, OutputError
from minimize.io.history import RUNS
from minimize.io.places import place_of
from minimize.io.publish import QUARANTINE
from minimize.io.stored import Stored, open_stored
from minimize.keys import Keyring, Kms, find_kms
from minimize.keys.seal import Seal
from minimize.ledger.tokens import KEY
from minimize.policy.faults import Faults
from minimize.policy.yaml import parse
from minimize.receipt import OutputFile, Receipt, with_indexes
from minimize.settings.columns import moments
from minimize.stores import Place, local

LEFT: Final = "left.sealed"
"""Its name beside a receipt."""
_PURPOSES: Final = ("left/1", "left/2")
CODED: Final = pa.dictionary(pa.int32(), pa.string())
_NAMES: Final = frozenset({"keep", "pseudonymize"})
"""What gives each person a name of their own."""
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Held:
    """What a file held of one tenant (None: the file did not tell whose).

    persons  None where the file did not name them
    since    the first and the last time that stood there, in microseconds since 1970; None where none did
    """

    tenant: str | None
    rows: int
    persons: int | None
    since: int | None
    until: int | None


@dataclass(frozen=True, slots=True)
class Left:
    """What one file held, and its columns."""

    schema: pa.Schema
    held: tuple[Held, ...]


def leaving(output: Place, chain: Sequence[Receipt], paths: Iterable[str], keys: Keyring) -> dict[str, bytes]:
    """What is to stand beside the receipt of a change that takes these files away; nothing where none of them tells.

    A file that cannot be read, and a keyring without a `subject` key, tell nothing; no change fails for that.
    """
    by = {file.path: (receipt, file) for receipt in chain for file in _files(receipt)}
    wanted = [path for path in sorted({*paths} & by.keys()) if place_of(path)[0] != QUARANTINE]
    if not wanted or KEY not in keys.names():
        return {}
    looking = _Looking(output, find_kms(keys, local(output)))
    found = {path: left for path in wanted if (left := looking.at(*by[path])) is not None}
    return {LEFT: _sealed(found, keys)} if found else {}


def left(output: Place, receipt: Receipt, keys: Keyring) -> Mapping[str, Left]:
    """What was taken down when a change took files away, by their paths; nothing where it was not, or does not open here."""
    if LEFT not in receipt.files:
        return {}
    with suppress(OSError, KeyringError, ValueError, zlib.error):
        return _opened((output / RUNS / receipt.run_id / LEFT).read_bytes(), keys)
    return {}


def _files(receipt: Receipt) -> Iterable[OutputFile]:
    return (file for made in receipt.outputs.values() for file in with_indexes(made))


@dataclass(frozen=True, slots=True)
class _Looking:
    output: Place
    kms: Kms
    _known: dict[bytes, list[str]] = field(default_factory=dict)
    """By the bytes of a policy what it calls them: mostly all files have one policy, and to read it takes longer than a file."""

    def at(self, wrote: Receipt, file: OutputFile) -> Left | None:
        """What a file holds; None where it cannot be read."""
        with suppress(OSError, OutputError, KeyringError):
            stored = open_stored(self.output, file.path, self.kms)
            return Left(stored.whole, _held(self.output, file.path, self.kms, stored, self._keys(wrote)))
        return None

    def _keys(self, wrote: Receipt) -> list[str]:
        """What the policy of the file calls its tenant, its subject and its time."""
        content = (self.output / RUNS / wrote.run_id / "policy.yaml").read_bytes()
        if content not in self._known:
            root = parse(content.decode("utf-8-sig", "replace"), Faults())
            said = {} if root is None else {key: node.plain() for key, node in root.entries.items()}
            self._known[content] = [str(said.get(key, "")) for key in ("tenant", "subject", "time")]
        return self._known[content]


def _held(output: Place, path: str, kms: Kms, stored: Stored, keys: Sequence[str]) -> tuple[Held, ...]:
    """Memory grows with the number of rows, a few bytes each, and with that of persons."""
    tenant, subject, time = (_column(stored.whole, key) for key in keys)
    whose = tenant if _does(tenant, frozenset({"keep"})) else None
    who = subject if _does(subject, _NAMES) else None
    names = [each.name for each in (whose, who, time) if each is not None]
    texts = [each.name for each in (whose, who) if each is not None and each.name in stored.schema.names]
    again = replace(stored, file=open_parquet(output / path, kms, columns=names, read_dictionary=texts, name=path))
    batches = [_Codes.of(batch, whose, who, time) for batch in again.batches(columns=names)] if names else []
    if not names:
        return (Held(None, stored.file.metadata.num_rows, None, None, None),)
    return tuple(_lines(batches, named=who is not None))


@dataclass(frozen=True, slots=True)
class _Codes:
    """A batch: whose rows and about whom, as dictionaries, and when."""

    tenants: pa.DictionaryArray
    persons: pa.DictionaryArray
    times: pa.Array

    @classmethod
    def of(cls, batch: pa.RecordBatch, *fields: pa.Field | None) -> Self:
        whose, who, time = fields
        return cls(_coded(batch, whose), _coded(batch, who), _times(batch, time))


def _lines(batches: Sequence[_Codes], *, named: bool) -> Iterable[Held]:
    tenants, texts = _united([each.tenants for each in batches])
    persons, every = _united([each.persons for each in batches])
    names, times = [*texts.to_pylist(), None], pa.chunked_array([each.times for each in batches], pa.int64())
    heads = distinct(tenants, persons, len(names), len(every)) if named else None
    table = pa.table({"tenant": tenants, "at": times})
    how = [("tenant", "count"), ("at", "min"), ("at", "max")]
    for line in table.group_by("tenant").aggregate(how).to_pylist():
        code = line["tenant"]
        count = None if heads is None else int(heads[code])
        yield Held(names[code], line["tenant_count"], count, line["at_min"], line["at_max"])


def _united(parts: Sequence[pa.DictionaryArray]) -> tuple[Codes, pa.Array]:
    """Codes over all batches, and the texts that they stand for; null is one more than those."""
    whole = pa.chunked_array(parts, CODED).unify_dictionaries()
    texts = whole.chunk(0).dictionary if whole.num_chunks else pa.array([], pa.string())
    codes = [pc.fill_null(chunk.indices, len(texts)).to_numpy(zero_copy_only=False) for chunk in whole.chunks]
    return np.concatenate([np.empty(0, np.int32), *codes]), texts


def distinct(tenants: Codes, persons: Codes, many: int, every: int) -> npt.NDArray[np.int64]:
    """How many persons each of so many tenants has, of so many names; what is no name counts for nobody.

    Most names are of one tenant: only the others are sorted.

    >>> distinct(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 2]), 2, 2).tolist()
    [1, 1]
    """
    known = persons < every
    tenants, persons = tenants[known], persons[known]
    first = np.full(every, -1, np.int64)
    first[persons] = tenants
    other = first[persons] != tenants
    rest = np.unique(persons[other].astype(np.int64) * many + tenants[other]) % many
    return np.bincount(first[first >= 0], minlength=many) + np.bincount(rest, minlength=many)


def _column(schema: pa.Schema, key: str) -> pa.Field | None:
    """The column that is a field of the policy, and no measure of it."""
    said = ((each, each.metadata or {}) for each in schema)
    return next((each for each, about in said if _is(about, key)), None)


def _is(about: Mapping[bytes, bytes], key: str) -> bool:
    return bool(key) and about.get(b"minimize:field", b"").decode() == key and b"minimize:measure" not in about


def _does(field: pa.Field | None, techniques: frozenset[str]) -> bool:
    return field is not None and (field.metadata or {}).get(b"minimize:technique", b"").decode() in techniques


def _coded(batch: pa.RecordBatch, field: pa.Field | None) -> pa.DictionaryArray:
    if field is None:
        return pa.nulls(batch.num_rows, pa.string()).dictionary_encode().cast(CODED)
    values = batch.column(field.name)
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.string()).dictionary_encode()
    return values.cast(CODED)


def _times(batch: pa.RecordBatch, field: pa.Field | None) -> pa.Array:
    if field is None or not (pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)):
        return pa.nulls(batch.num_rows, pa.int64())
    values = batch.column(field.name)
    return pa.array(moments(values), mask=pc.is_null(values).to_numpy(zero_copy_only=False))


def _sealed(found: Mapping[str, Left], keys: Keyring) -> bytes:
    schemas = list(dict.fromkeys(_written(each.schema) for each in found.values()))
    files = {
        path: [
            schemas.index(_written(each.schema)),
            [[one.tenant, one.rows, one.persons, one.since, one.until] for one in each.held],
        ]
        for path, each in found.items()
    }
    version = keys.version_of(KEY)
    said = json.dumps({"left": 1, "schemas": schemas, "files": files}, ensure_ascii=False)
    made = _seal(keys, version).seal(zlib.compress(said.encode()), LEFT.encode())
    return f"{KEY}/{version}\n".encode() + made


def _opened(content: bytes, keys: Keyring) -> dict[str, Left]:
    head, _, body = content.partition(b"\n")
    opened = _seal(keys, int(head.rpartition(b"/")[2])).opened(body, LEFT.encode())
    said: dict[str, Any] = {"files": {}, "schemas": []} if opened is None else json.loads(zlib.decompress(opened))
    schemas = [pa.ipc.read_schema(pa.py_buffer(base64.b64decode(each))) for each in said["schemas"]]
    return {path: Left(schemas[at], tuple(Held(*each) for each in held)) for path, (at, held) in said["files"].items()}


def _written(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode("ascii")


def _seal(keys: Keyring, version: int) -> Seal:
    one, two = (keys.subkey(KEY, purpose, version) for purpose in _PURPOSES)
    return Seal(one + two)
