"""Sealed records of restricted subjects: Parquet, encrypted as a whole under the `subject` key, outside the data roots.

A sealed file has the rows that a restriction removed from one file of records. Columns that were encrypted there stay encrypted
inside the seal, so that a destroyed master key also destroys their sealed copies.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.dictionaries import decode_dictionary
from minimize.errors import OutputError
from minimize.keys import Kms
from minimize.keys.keyring import SUBJECT_KEY, Subkeys, open_content, seal_content, sealed_version
from minimize.keys.parquet_encryption import FileEncryption, OutputEncryption, RewriteEncryption, open_parquet
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.output.folder import RESTRICTED, RESTRICTED_SUFFIX, output_and_date
from minimize.output.stored_file import StoredFile, as_stored_file, open_stored_file
from minimize.output.subject_search import CHECK_KEYRING
from minimize.receipts import ReceiptFile
from minimize.records import WrittenFile
from minimize.stores import Location
from minimize.stores.durable_files import HashingFile, with_output_errors

_SUBKEY_PURPOSES: Final = ("restricted/1", "restricted/2")
_ORIGIN_KEY: Final = b"minimize:restricted"


@dataclass(frozen=True, slots=True)
class RecordsOrigin:
    """The file from which sealed records were removed: its path, and whether it had a subject index."""

    path: str
    indexed: bool = False

    @classmethod
    def of_file(cls, file: ReceiptFile) -> Self:
        """The origin of records that are removed from a file."""
        return cls(file.path, file.index is not None)

    def to_metadata(self) -> bytes:
        """The origin as metadata of a Parquet file."""
        return json.dumps([self.path, self.indexed]).encode()


@dataclass(frozen=True, slots=True)
class RestrictedRecords:
    """Opened sealed records."""

    origin: RecordsOrigin
    stored: StoredFile
    """The records; their path is that of the file from which they were removed."""
    encryption: OutputEncryption | None
    """Encrypts the same columns under the newest master keys; None if no column was encrypted."""


def open_restricted(output: Location, path: str, keys: Subkeys, kms: Kms | None) -> RestrictedRecords:
    """Opens a sealed file. Raises OutputError if it is missing or damaged, KeyringError if a key is missing or destroyed."""
    content = None
    with suppress(OSError, ValueError):
        content = open_content((output / path).read_bytes(), keys, _SUBKEY_PURPOSES, path.encode())
    if content is None:
        raise OutputError(f"{path} is missing or damaged, or was sealed with another keyring", hint=CHECK_KEYRING)
    file = open_parquet(content, kms, name=path)
    origin = RecordsOrigin(*json.loads(file.metadata.metadata[_ORIGIN_KEY]))
    material = read_encrypted_columns(content)
    encryption = RewriteEncryption(kms, material) if kms is not None and material.masters else None
    return RestrictedRecords(origin, replace(as_stored_file(origin.path, file), sealed=True), encryption)


def open_records(output: Location, path: str, keys: Subkeys, kms: Kms | None) -> StoredFile:
    """Opens a file, which may be sealed. Raises the errors of `open_restricted` and of `open_stored_file`."""
    if output_and_date(path)[0] == RESTRICTED:
        return open_restricted(output, path, keys, kms).stored
    return open_stored_file(output, path, kms)


def read_sealing_key(output: Location, path: str) -> str | None:
    """The key version under which a file is sealed, for example `subject/1`; None if the file is missing or damaged."""
    with suppress(OSError, ValueError):
        return f"{SUBJECT_KEY}/{sealed_version((output / path).read_bytes())}"
    return None


class RestrictedSink:
    """Collects records in memory, compressed, and writes them sealed. The batches may have more columns than `schema`.

    encryption  encrypts columns inside the seal; None for none
    """

    def __init__(
        self, origin: RecordsOrigin, schema: pa.Schema, keys: Subkeys, encryption: OutputEncryption | None
    ) -> None:
        self._schema = schema.with_metadata({**(schema.metadata or {}), _ORIGIN_KEY: origin.to_metadata()})
        self._origin, self._keys, self._rows = origin, keys, 0
        self._encryption: FileEncryption | None = None
        self._output_encryption = encryption
        self._buffer = pa.BufferOutputStream()
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds records."""
        if not batch.num_rows:
            return
        if self._writer is None:
            if self._output_encryption is not None:
                self._encryption = self._output_encryption.for_file(self._origin.path, self._schema)
            properties = None if self._encryption is None else self._encryption.properties
            self._writer = pq.ParquetWriter(
                self._buffer, self._schema, compression="zstd", encryption_properties=properties
            )
        columns = [decode_dictionary(batch.column(name)) for name in self._schema.names]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows += batch.num_rows

    def close(self, root: Location, folder: str, stem: str) -> tuple[WrittenFile, ...]:
        """Writes the sealed file below `root`, if there are records; returns its entry."""
        if self._writer is None:
            return ()
        self._writer.close()
        path = f"{folder}/{stem}{RESTRICTED_SUFFIX}"
        content = seal_content(self._buffer.getvalue().to_pybytes(), self._keys, _SUBKEY_PURPOSES, path.encode())
        sealed = with_output_errors(HashingFile, root / path)
        with_output_errors(sealed.write, content)
        with_output_errors(sealed.close)
        keys = () if self._encryption is None else self._encryption.keys
        return (WrittenFile(path, self._rows, sealed.digest, keys=keys),)


def without_origin(schema: pa.Schema) -> pa.Schema:
    """The schema of sealed records as it was in the file from which they were removed."""
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != _ORIGIN_KEY}
    return schema.with_metadata(metadata or None)
