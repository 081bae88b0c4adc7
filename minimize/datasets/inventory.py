"""Per-tenant inventory of the files that a change removes, encrypted and stored with its receipt.

It contains counts, times and the schemas of the files. The only values are the names of tenants, readable with the keyring.
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

from minimize.arrow.columns import column_microseconds
from minimize.errors import KeyringError, OutputError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.keys import Keyring, Kms, find_kms
from minimize.keys.keyring import SUBJECT_KEY, open_content, seal_content
from minimize.output.folder import output_and_date
from minimize.output.publish import QUARANTINE
from minimize.output.restricted import open_records
from minimize.output.stored_file import StoredFile, with_dictionaries
from minimize.receipts import Receipt, ReceiptFile, files_with_companions
from minimize.records import POLICY_FILE, RUNS
from minimize.stores import Location, local_path
from minimize.techniques import is_published_unchanged, published_techniques

INVENTORY_FILE: Final = "left.sealed"
"""The name of the attachment."""
_SUBKEY_PURPOSES: Final = ("left/1", "left/2")
CODE_TYPE: Final = pa.dictionary(pa.int32(), pa.string())
DictionaryCodes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TenantContent:
    """Content of a file for one tenant (None: the file does not identify tenants)."""

    tenant: str | None
    rows: int
    persons: int | None
    """The number of persons; None if the file does not identify persons."""
    since: int | None
    """The first time in the rows, in microseconds since 1970; None if there is none."""
    until: int | None
    """The last time in the rows, in the same form."""


@dataclass(frozen=True, slots=True)
class RemovedFileInventory:
    """The contents of one file by tenant, and its columns."""

    schema: pa.Schema
    contents: tuple[TenantContent, ...]


@dataclass(frozen=True, slots=True)
class RemovalInventory:
    """The inventory for a change that removes files. It counts the batches that the change reads, and reads only the other files.

    A file that cannot be read has no inventory. The change does not fail for that.
    """

    output: Location
    keys: Keyring = field(repr=False)
    kms: Kms = field(repr=False)
    files: Mapping[str, tuple[Receipt, ReceiptFile]] = field(default_factory=dict)
    """By path: the receipt of the run that wrote the file, and the file's entry."""
    _inventories: dict[str, RemovedFileInventory] = field(default_factory=dict, repr=False)
    _policies: dict[bytes, list[str]] = field(default_factory=dict, repr=False)
    """The names of the tenant, subject and time, by the bytes of a policy. Most files have the same policy, and parsing a policy
    takes longer than reading a file."""

    @classmethod
    def for_files(
        cls, output: Location, chain: Sequence[Receipt], paths: Iterable[str], keys: Keyring, kms: Kms | None = None
    ) -> Self:
        """An inventory of these files; of none if the keyring has no `subject` key.

        Takes the keyring, and the service with the master keys (by default the one that is found for them).
        """
        entries_by_path = {file.path: (receipt, file) for receipt in chain for file in _receipt_files(receipt)}
        known = [] if SUBJECT_KEY not in keys.names() else sorted({*paths} & entries_by_path.keys())
        kms = find_kms(keys, local_path(output)) if kms is None else kms
        return cls(
            output, keys, kms, {path: entries_by_path[path] for path in known if output_and_date(path)[0] != QUARANTINE}
        )

    def __call__(self, stored: StoredFile) -> _InventoryBuilder | None:
        """The builder that must be called with every batch of a file; None if the file has no inventory."""
        with suppress(OSError, LookupError):
            return _InventoryBuilder.of(stored.path, stored, self._keys(stored.path), self._inventories)
        return None

    def attachments(self) -> dict[str, bytes]:
        """The attachment for the receipt. Files whose batches were not passed are read."""
        for path in self.files.keys() - self._inventories.keys():
            with suppress(OSError, OutputError, KeyringError):
                self._read(path)
        inventories = {path: self._inventories[path] for path in self.files if path in self._inventories}
        return {INVENTORY_FILE: _seal_inventory(inventories, self.keys)} if inventories else {}

    def _read(self, path: str) -> None:
        stored = open_records(self.output, path, self.keys, self.kms)
        showing = _InventoryBuilder.of(path, stored, self._keys(path), self._inventories)
        again = with_dictionaries(stored, self.output, self.kms, showing.names)
        for batch in again.batches(columns=showing.names) if showing.names else ():
            showing(batch)
        showing.close()

    def _keys(self, path: str) -> list[str]:
        """The names of the tenant, the subject and the time in the policy of the file."""
        content = (self.output / RUNS / self.files[path][0].run_id / POLICY_FILE).read_bytes()
        if content not in self._policies:
            root = parse_yaml(content.decode("utf-8-sig", "replace"), FaultList())
            document = {} if root is None else {key: node.to_data() for key, node in root.entries.items()}
            self._policies[content] = [str(document.get(key, "")) for key in ("tenant", "subject", "time")]
        return self._policies[content]


def read_inventory(output: Location, receipt: Receipt, keys: Keyring) -> Mapping[str, RemovedFileInventory]:
    """The inventory of the files that a change removed, by path; empty if there is none, or if it cannot be decrypted."""
    if INVENTORY_FILE not in receipt.files:
        return {}
    with suppress(OSError, KeyringError, ValueError, zlib.error):
        return open_inventory((output / RUNS / receipt.run_id / INVENTORY_FILE).read_bytes(), keys)
    return {}


def _receipt_files(receipt: Receipt) -> Iterable[ReceiptFile]:
    yield from (file for output in receipt.outputs.values() for file in files_with_companions(output))
    yield from receipt.restricted or ()


@dataclass(frozen=True, slots=True)
class _InventoryBuilder:
    """Builder for one file. Memory grows with the number of rows, a few bytes each, and with the number of persons."""

    path: str
    stored: StoredFile
    tenant_field: pa.Field | None
    subject_field: pa.Field | None
    time_field: pa.Field | None
    inventories: dict[str, RemovedFileInventory] = field(repr=False)
    batches: list[_BatchCodes] = field(default_factory=list, repr=False)

    @classmethod
    def of(
        cls, path: str, stored: StoredFile, keys: Sequence[str], inventories: dict[str, RemovedFileInventory]
    ) -> Self:
        """A builder that adds its result to `inventories`.

        `path` is that of the file, which differs from that of its stored records if it is sealed. `keys` are the policy's names
        of the tenant, subject and time.
        """
        tenant, subject, time = (_field_column(stored.whole, key) for key in keys)
        tenant_field = tenant if is_published_unchanged(_technique_names(tenant)) else None
        kinds = published_techniques(_technique_names(subject))
        subject_field = subject if len(kinds) == 1 and kinds[0].keeps_distinct() else None
        return cls(path, stored, tenant_field, subject_field, time, inventories)

    @property
    def names(self) -> list[str]:
        """The columns that are counted."""
        return [each.name for each in (self.tenant_field, self.subject_field, self.time_field) if each is not None]

    def __call__(self, batch: pa.RecordBatch) -> None:
        """Adds a batch."""
        if self.names:
            self.batches.append(_BatchCodes.of(batch, self.tenant_field, self.subject_field, self.time_field))

    def close(self) -> None:
        """Stores the inventory of the file after all of its batches were added."""
        whole = (TenantContent(None, self.stored.file.metadata.num_rows, None, None, None),)
        contents = tuple(_tenant_contents(self.batches, named=self.subject_field is not None)) if self.names else whole
        self.inventories[self.path] = RemovedFileInventory(self.stored.whole, contents)


@dataclass(frozen=True, slots=True)
class _BatchCodes:
    """Tenants and subjects of a batch as dictionaries, and its times."""

    tenants: pa.DictionaryArray
    persons: pa.DictionaryArray
    times: pa.Array

    @classmethod
    def of(cls, batch: pa.RecordBatch, *fields: pa.Field | None) -> Self:
        tenant_field, subject_field, time = fields
        return cls(
            _dictionary_codes(batch, tenant_field), _dictionary_codes(batch, subject_field), _column_times(batch, time)
        )


def _tenant_contents(batches: Sequence[_BatchCodes], *, named: bool) -> Iterable[TenantContent]:
    tenants, texts = _unify_codes([each.tenants for each in batches])
    persons, person_names = _unify_codes([each.persons for each in batches])
    names, times = [*texts.to_pylist(), None], pa.chunked_array([each.times for each in batches], pa.int64())
    heads = count_persons(tenants, persons, len(names), len(person_names)) if named else None
    table = pa.table({"tenant": tenants, "at": times})
    measures = [("tenant", "count"), ("at", "min"), ("at", "max")]
    for line in table.group_by("tenant").aggregate(measures).to_pylist():
        code = line["tenant"]
        count = None if heads is None else int(heads[code])
        yield TenantContent(names[code], line["tenant_count"], count, line["at_min"], line["at_max"])


def _unify_codes(parts: Sequence[pa.DictionaryArray]) -> tuple[DictionaryCodes, pa.Array]:
    """Codes over all batches, and the texts that they represent. Null has the code after the last text."""
    whole = pa.chunked_array(parts, CODE_TYPE).unify_dictionaries()
    texts = whole.chunk(0).dictionary if whole.num_chunks else pa.array([], pa.string())
    codes = [pc.fill_null(chunk.indices, len(texts)).to_numpy(zero_copy_only=False) for chunk in whole.chunks]
    return np.concatenate([np.empty(0, np.int32), *codes]), texts


def count_persons(
    tenants: DictionaryCodes, persons: DictionaryCodes, tenant_count: int, person_count: int
) -> npt.NDArray[np.int64]:
    """Number of distinct persons per tenant, given the numbers of tenants and of names. Values without a name are not counted.

    Most names belong to one tenant; only the others are sorted.

    >>> count_persons(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 2]), 2, 2).tolist()
    [1, 1]
    """
    known = persons < person_count
    tenants, persons = tenants[known], persons[known]
    first = np.full(person_count, -1, np.int64)
    first[persons] = tenants
    is_shared = first[persons] != tenants
    other_tenants = np.unique(persons[is_shared].astype(np.int64) * tenant_count + tenants[is_shared]) % tenant_count
    return np.bincount(first[first >= 0], minlength=tenant_count) + np.bincount(other_tenants, minlength=tenant_count)


def _field_column(schema: pa.Schema, key: str) -> pa.Field | None:
    """The column of a field of the policy that is not a measure of the field."""
    document = ((each, each.metadata or {}) for each in schema)
    return next((each for each, about in document if _is_field(about, key)), None)


def _is_field(about: Mapping[bytes, bytes], key: str) -> bool:
    return bool(key) and about.get(b"minimize:field", b"").decode() == key and b"minimize:measure" not in about


def _technique_names(field: pa.Field | None) -> str:
    return "" if field is None else (field.metadata or {}).get(b"minimize:technique", b"").decode()


def _dictionary_codes(batch: pa.RecordBatch, field: pa.Field | None) -> pa.DictionaryArray:
    if field is None:
        return pa.nulls(batch.num_rows, pa.string()).dictionary_encode().cast(CODE_TYPE)
    values = batch.column(field.name)
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.string()).dictionary_encode()
    return values.cast(CODE_TYPE)


def _column_times(batch: pa.RecordBatch, field: pa.Field | None) -> pa.Array:
    if field is None or not (pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)):
        return pa.nulls(batch.num_rows, pa.int64())
    values = batch.column(field.name)
    return pa.array(column_microseconds(values), mask=pc.is_null(values).to_numpy(zero_copy_only=False))


def _seal_inventory(inventories: Mapping[str, RemovedFileInventory], keys: Keyring) -> bytes:
    schemas = list(dict.fromkeys(_schema_text(each.schema) for each in inventories.values()))
    files = {
        path: [
            schemas.index(_schema_text(inventory.schema)),
            [
                [content.tenant, content.rows, content.persons, content.since, content.until]
                for content in inventory.contents
            ],
        ]
        for path, inventory in inventories.items()
    }
    document = json.dumps({"left": 1, "schemas": schemas, "files": files}, ensure_ascii=False)
    return seal_content(zlib.compress(document.encode()), keys, _SUBKEY_PURPOSES, INVENTORY_FILE.encode())


def open_inventory(content: bytes, keys: Keyring) -> dict[str, RemovedFileInventory]:
    """The decrypted inventory. Raises KeyringError without its key, ValueError if the content is not an inventory."""
    opened = open_content(content, keys, _SUBKEY_PURPOSES, INVENTORY_FILE.encode())
    document: dict[str, Any] = {"files": {}, "schemas": []} if opened is None else json.loads(zlib.decompress(opened))
    schemas = [pa.ipc.read_schema(pa.py_buffer(base64.b64decode(each))) for each in document["schemas"]]
    return {
        path: RemovedFileInventory(schemas[at], tuple(TenantContent(*each) for each in contents))
        for path, (at, contents) in document["files"].items()
    }


def _schema_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode("ascii")
