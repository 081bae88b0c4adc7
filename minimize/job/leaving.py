"""What the files held that a change takes away, tenant by tenant: sealed beside its receipt, for nobody can look again.

Counts, times and the files' schemas; no value of a record but the tenants' names, and those only for who has the keyring.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import KeyringError, OutputError
from minimize.io.history import RUNS
from minimize.io.places import place_of
from minimize.io.publish import QUARANTINE
from minimize.io.stored import Stored, coded, open_stored
from minimize.keys import Keyring, find_kms
from minimize.keys.seal import Seal
from minimize.ledger.tokens import KEY
from minimize.policy.faults import Faults
from minimize.policy.yaml import parse
from minimize.receipt import OutputFile, Receipt, with_companions
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
    return Leaving.of(output, chain, paths, keys).attachments()


@dataclass(frozen=True, slots=True)
class Leaving:
    """The same of files that a change reads itself: it shows what it reads, so that only the others are read for this.

    files  by path who wrote it, and the file
    """

    output: Place
    keys: Keyring = field(repr=False)
    files: Mapping[str, tuple[Receipt, OutputFile]] = field(default_factory=dict)
    _told: dict[str, Left] = field(default_factory=dict, repr=False)
    _policies: dict[bytes, list[str]] = field(default_factory=dict, repr=False)
    """By the bytes of a policy what it calls them: mostly all files have one policy, and to read it takes longer than a file."""

    @classmethod
    def of(cls, output: Place, chain: Sequence[Receipt], paths: Iterable[str], keys: Keyring) -> Self:
        """For these files; for none where the keyring has no `subject` key."""
        by = {file.path: (receipt, file) for receipt in chain for file in _files(receipt)}
        told = [] if KEY not in keys.names() else sorted({*paths} & by.keys())
        return cls(output, keys, {path: by[path] for path in told if place_of(path)[0] != QUARANTINE})

    def __call__(self, stored: Stored) -> _Showing | None:
        """What every batch of a file is to be shown to, where something is to be told of it."""
        with suppress(OSError, LookupError):
            return _Showing.of(stored, self._keys(stored.path), self._told)
        return None

    def attachments(self) -> dict[str, bytes]:
        """What is to stand beside the receipt; files that were not shown are read."""
        for path in self.files.keys() - self._told.keys():
            with suppress(OSError, OutputError, KeyringError):
                self._read(path)
        found = {path: self._told[path] for path in self.files if path in self._told}
        return {LEFT: _sealed(found, self.keys)} if found else {}

    def _read(self, path: str) -> None:
        kms = find_kms(self.keys, local(self.output))
        stored = open_stored(self.output, path, kms)
        showing = _Showing.of(stored, self._keys(path), self._told)
        again = coded(stored, self.output, kms, showing.names)
        for batch in again.batches(columns=showing.names) if showing.names else ():
            showing(batch)
        showing.close()

    def _keys(self, path: str) -> list[str]:
        """What the policy of the file calls its tenant, its subject and its time."""
        content = (self.output / RUNS / self.files[path][0].run_id / "policy.yaml").read_bytes()
        if content not in self._policies:
            root = parse(content.decode("utf-8-sig", "replace"), Faults())
            said = {} if root is None else {key: node.plain() for key, node in root.entries.items()}
            self._policies[content] = [str(said.get(key, "")) for key in ("tenant", "subject", "time")]
        return self._policies[content]


def left(output: Place, receipt: Receipt, keys: Keyring) -> Mapping[str, Left]:
    """What was taken down when a change took files away, by their paths; nothing where it was not, or does not open here."""
    if LEFT not in receipt.files:
        return {}
    with suppress(OSError, KeyringError, ValueError, zlib.error):
        return opened((output / RUNS / receipt.run_id / LEFT).read_bytes(), keys)
    return {}


def _files(receipt: Receipt) -> Iterable[OutputFile]:
    return (file for made in receipt.outputs.values() for file in with_companions(made))


@dataclass(frozen=True, slots=True)
class _Showing:
    """One file. Memory grows with the number of its rows, a few bytes each, and with that of persons."""

    stored: Stored
    whose: pa.Field | None
    who: pa.Field | None
    when: pa.Field | None
    told: dict[str, Left] = field(repr=False)
    batches: list[_Codes] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, stored: Stored, keys: Sequence[str], told: dict[str, Left]) -> Self:
        """Takes what the policy of the file calls its tenant, its subject and its time, and where to put what it held."""
        tenant, subject, time = (_column(stored.whole, key) for key in keys)
        whose = tenant if _does(tenant, frozenset({"keep"})) else None
        return cls(stored, whose, subject if _does(subject, _NAMES) else None, time, told)

    @property
    def names(self) -> list[str]:
        """The columns that tell."""
        return [each.name for each in (self.whose, self.who, self.when) if each is not None]

    def __call__(self, batch: pa.RecordBatch) -> None:
        """Takes a batch in."""
        if self.names:
            self.batches.append(_Codes.of(batch, self.whose, self.who, self.when))

    def close(self) -> None:
        """Puts down what the file held, every batch of which was shown."""
        whole = (Held(None, self.stored.file.metadata.num_rows, None, None, None),)
        held = tuple(_lines(self.batches, named=self.who is not None)) if self.names else whole
        self.told[self.stored.path] = Left(self.stored.whole, held)


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


def opened(content: bytes, keys: Keyring) -> dict[str, Left]:
    """What was sealed. Raises KeyringError without its key, ValueError where it is nothing of the kind."""
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
