"""Encryption at rest: columns of Parquet files under the keys of their categories (Parquet modular encryption).

Top to bottom: keys in pyarrow's terms; which columns of an output are encrypted, and with which master keys; opening a file.

A reader opens a file of an encrypted output like this:

    kms = find_kms(keys, folder)                           of `minimize.keys`: a keyring, its path, or None for discovery
    file = open_parquet(place, kms)                        a pyarrow.parquet.ParquetFile, every column readable
    file = open_parquet(place, kms, columns=["model"])     only these columns: only their keys are needed

`columns` are names of top-level columns. `open_parquet` raises KeyringError, which names the file, its columns and the key,
before anything encrypted is read. From a file opened for some columns read only those, by `iter_batches(columns=…)`
(before pyarrow 26 the other ways look at all columns), and never use `metadata.row_group(n).column(m)` of another: pyarrow
ends the process. Unencrypted columns can be read without a key: `open_parquet(place, columns=[…])`.

`dataset_format(kms)` is the decrypting `ParquetFileFormat` for `pyarrow.dataset`. Use it for files that were opened before: it
asks for keys while it scans.

The footer is plaintext and signed: names, types, row counts and metadata of all columns can be read without a key, and so can
sizes; statistics of encrypted columns are encrypted with them.

Each file has its own factory, whose cache is dropped, so that a destroyed key opens no other file. An opened file
uses keys that were unwrapped before: pyarrow ends the process if a key is refused at an unexpected moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet import encryption as arrow

from minimize.errors import KeyringError
from minimize.keys.keyring import KEY_DESTROYED
from minimize.keys.master_keys import FOOTER_KEY, Kms, MasterKey, master_key_name
from minimize.keys.parquet_footer import EncryptedColumns, check_footer
from minimize.stores import Location, open_parquet_file

UnwrappedKeys = Mapping[tuple[str, str], bytes]
"""Keys that were unwrapped, by the id of the master key and their wrapped form."""


def encryption_properties(kms: Kms, footer: MasterKey, columns: Mapping[MasterKey, Sequence[str]]) -> Any:
    """The `FileEncryptionProperties` of one file: master keys, each with the paths of its columns. Raises KeyringError."""
    configuration = arrow.EncryptionConfiguration(
        footer_key=footer.id,
        column_keys={master.id: [*paths] for master, paths in columns.items()},
        encryption_algorithm="AES_GCM_V1",
        plaintext_footer=True,
        double_wrapping=True,
        internal_key_material=True,
        data_key_length_bits=256,
    )
    factory = arrow.CryptoFactory(_kms_client_factory(kms, {}))
    try:
        return factory.file_encryption_properties(arrow.KmsConnectionConfig(), configuration)
    finally:
        factory.remove_cache_entries_for_all_tokens()


def decryption_properties(kms: Kms, unwrapped: UnwrappedKeys) -> Any:
    """The `FileDecryptionProperties` of one file."""
    factory = arrow.CryptoFactory(_kms_client_factory(kms, unwrapped))
    return factory.file_decryption_properties(arrow.KmsConnectionConfig(), arrow.DecryptionConfiguration())


def dataset_decryption_config(kms: Kms) -> Any:
    """The `ParquetDecryptionConfig` of a dataset."""
    from pyarrow.dataset import ParquetDecryptionConfig

    factory = arrow.CryptoFactory(_kms_client_factory(kms, {}))
    return ParquetDecryptionConfig(factory, arrow.KmsConnectionConfig(), arrow.DecryptionConfiguration())


def _kms_client_factory(kms: Kms, unwrapped: UnwrappedKeys) -> Callable[[Any], Any]:
    """Creates a client each time that pyarrow needs one. It is created as a type, because pyarrow has no typed base class."""

    def wrap_key(_: Any, key: bytes, master: str) -> str:
        return kms.wrap(bytes(key), MasterKey.parse(master))

    def unwrap_key(_: Any, wrapped: str, master: str) -> bytes:
        key = unwrapped.get((master, wrapped))
        return kms.unwrap(wrapped, MasterKey.parse(master)) if key is None else key

    client = type("Client", (arrow.KmsClient,), {"wrap_key": wrap_key, "unwrap_key": unwrap_key})
    return lambda _: client()


CATEGORY_METADATA: Final = b"minimize:category"
STRICTEST_CATEGORY: Final = "identified"
UNUSABLE_CHARACTERS: Final = ",;:"
"""Characters that no name in an encrypted column may contain: Arrow uses them as separators."""


@dataclass(frozen=True, slots=True)
class FileEncryption:
    """Encryption of one file: the properties of pyarrow, and the ids of the master keys for its receipt."""

    properties: Any
    keys: tuple[str, ...]


class OutputEncryption(Protocol):
    """Encryption of the files of one output. Its pickle contains no key."""

    def for_file(self, path: str, schema: pa.Schema) -> FileEncryption | None:
        """Encryption of one file, by its path relative to the output folder; None if it is not encrypted."""
        ...


@dataclass(frozen=True, slots=True)
class CategoryEncryption:
    """Encrypts columns under the master keys of their categories. Other columns are not encrypted."""

    kms: Kms
    names: Mapping[str, str]
    """The category of each encrypted top-level column."""
    tenant: str | None = None
    """The column whose folders have their own master keys; None if all tenants share the master keys."""

    @classmethod
    def for_columns(cls, kms: Kms, columns: Iterable[pa.Field], tenant: str | None = None) -> CategoryEncryption:
        """The encryption of these columns. Field metadata names the category of a column; the default is the strictest."""
        return cls(kms, {field.name: column_category(field) for field in columns}, tenant)

    def for_file(self, path: str, schema: pa.Schema) -> FileEncryption | None:
        """Encryption of one file. Raises KeyringError if a master key is missing or destroyed."""
        tenant = self._tenant(path)
        return file_encryption(
            self.kms, schema, {name: master_key_name(key, tenant) for name, key in self.names.items()}
        )

    def _tenant(self, path: str) -> str | None:
        if self.tenant is None:
            return None
        parts = PurePosixPath(path).parts
        return next(part.partition("=")[2] for part in parts if part.startswith(f"{self.tenant}="))

    def check(self) -> None:
        """Checks the master keys that do not belong to one tenant. Raises KeyringError if one is missing or destroyed."""
        names = set() if self.tenant else {master_key_name(category) for category in self.names.values()}
        for name in sorted({*names, FOOTER_KEY}):
            self.kms.newest(name)


@dataclass(frozen=True, slots=True)
class RewriteEncryption:
    """Encrypts the same columns as in a file that is replaced, with the newest versions of the same master keys."""

    kms: Kms
    material: EncryptedColumns

    def for_file(self, path: str, schema: pa.Schema) -> FileEncryption | None:
        """Encryption of one file. Raises KeyringError if a master key is missing or destroyed."""
        names = {name: MasterKey.parse(master).name for name, master in self.material.masters.items()}
        return file_encryption(self.kms, schema, names)


def file_encryption(kms: Kms, schema: pa.Schema, names: Mapping[str, str]) -> FileEncryption | None:
    """Encryption of a file, by the names of the master keys of its encrypted columns; None without such columns."""

    columns: dict[str, list[str]] = {}
    for field in schema:
        if field.name in names:
            columns.setdefault(names[field.name], []).extend(parquet_column_paths(field))
    if not columns:
        return None
    masters = {kms.newest(name): column_names for name, column_names in columns.items()}
    footer = kms.newest(FOOTER_KEY)
    return FileEncryption(
        encryption_properties(kms, footer, masters), tuple(sorted(master.id for master in (footer, *masters)))
    )


def column_category(field: pa.Field) -> str:
    """The category of a column by its metadata; for a nested column the strictest of its leaves.

    >>> column_category(pa.field("x", pa.string(), metadata={"minimize:category": "aggregated"}))
    'aggregated'
    >>> column_category(pa.field("y", pa.string()))
    'identified'
    """
    categories = {value.decode() for name, value in (field.metadata or {}).items() if _is_category_metadata(name)}
    order = (STRICTEST_CATEGORY, "pseudonymized", "aggregated")
    return next((category for category in order if category in categories), STRICTEST_CATEGORY)


def parquet_column_paths(field: pa.Field, above: Sequence[str] = ()) -> Iterator[str]:
    """The paths of the Parquet columns of a field."""
    path, type_ = (*above, field.name), field.type
    if pa.types.is_struct(type_):
        for child in type_.fields:
            yield from parquet_column_paths(child, path)
    elif pa.types.is_map(type_):
        yield from parquet_column_paths(type_.key_field.with_name("key"), (*path, "key_value"))
        yield from parquet_column_paths(type_.item_field.with_name("value"), (*path, "key_value"))
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        yield from parquet_column_paths(type_.value_field.with_name("element"), (*path, "list"))
    else:
        yield ".".join(path)


def has_unusable_name(field: pa.Field) -> bool:
    """Whether a name in a column, at any depth, prevents encryption by Arrow."""
    return any(_is_unusable(name) for path in _name_paths(field) for name in path)


def _name_paths(field: pa.Field, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    path, type_ = (*above, field.name), field.type
    yield path
    for index in range(type_.num_fields if pa.types.is_nested(type_) else 0):
        yield from _name_paths(type_.field(index), path)


def _is_unusable(name: str) -> bool:
    return name != name.strip() or any(letter in name for letter in UNUSABLE_CHARACTERS)


def _is_category_metadata(name: bytes) -> bool:
    return name == CATEGORY_METADATA or name.startswith(CATEGORY_METADATA + b"/")


_Unwrapped = dict[tuple[str, str], bytes]
KeyFault = tuple[str, str, KeyringError]
MAX_NAMED_COLUMNS: Final = 5
"""Columns that a message names at most."""
KEYS_HINT: Final = (
    "Pass --keys FILE or keys=FILE, set MINIMIZE_KEYS, read through the data server, or select unencrypted columns."
)
DESTROYED_HINT: Final = "Data under a destroyed key is lost. Run the date again if its source still exists."


def open_parquet(
    place: Location | bytes,
    kms: Kms | None = None,
    *,
    columns: Collection[str] | None = None,
    read_dictionary: Sequence[str] | None = None,
    name: str | None = None,
) -> pq.ParquetFile:
    """Opens a file with encrypted columns, by its place or its content.

    With `columns`, only the keys of these top-level columns are needed, and only these columns may be read. `name` is the name of
    the file in messages. Raises KeyringError, which names the file, the columns and the key, if a key is missing; OSError and
    errors of pyarrow if it is not a Parquet file.
    """
    material = check_footer(place)
    columns_by_master = material.columns_by_master_key(columns)
    if not columns_by_master:
        return open_parquet_file(place, read_dictionary=read_dictionary)
    shown = name or str(place)
    unwrapped_keys, faults = _unwrap_keys(kms, material, columns_by_master)
    if faults:
        details = "; ".join(f"{columns} under {master} ({error.message})" for columns, master, error in faults)
        code = KEY_DESTROYED if any(error.code == KEY_DESTROYED for *_, error in faults) else ""
        hint = DESTROYED_HINT if code else KEYS_HINT
        raise KeyringError(f"{shown} has encrypted columns that cannot be read: {details}", code=code, hint=hint)
    return _open_decrypted(place, _require_kms(kms), unwrapped_keys, read_dictionary, shown)


def dataset_format(kms: Kms) -> Any:
    """The format by which `pyarrow.dataset` reads files that may be encrypted. Pages with a checksum are compared with it."""
    from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

    options = ParquetFragmentScanOptions(
        decryption_config=dataset_decryption_config(kms), page_checksum_verification=True
    )
    return ParquetFileFormat(default_fragment_scan_options=options)


def _open_decrypted(
    place: Location | bytes, kms: Kms, unwrapped: _Unwrapped, read_dictionary: Sequence[str] | None, shown: str
) -> pq.ParquetFile:
    """Opens the file. pyarrow requests the key of the footer here."""

    try:
        return open_parquet_file(
            place, read_dictionary=read_dictionary, decryption=decryption_properties(kms, unwrapped)
        )
    except KeyringError as error:
        reason, code = error.message, error.code
    message = f"the signature of the encrypted file {shown} cannot be checked: {reason}"
    raise KeyringError(message, code=code, hint=KEYS_HINT)


def _unwrap_keys(
    kms: Kms | None, material: EncryptedColumns, key_names: Mapping[str, Sequence[str]]
) -> tuple[_Unwrapped, list[KeyFault]]:
    """The unwrapped keys of a file; and for each unavailable master key the error, with its columns."""
    unwrapped_keys: _Unwrapped = {}
    faults = []
    for master, columns in key_names.items():
        try:
            master_key = MasterKey.parse(master)
            unwrapped_keys |= {
                (master, key): _require_kms(kms).unwrap(key, master_key) for key in material.wrapped[master]
            }
        except KeyringError as error:
            faults.append((_column_list(columns), master or "a key without a name", error))
    return unwrapped_keys, faults


def _column_list(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - MAX_NAMED_COLUMNS} more" if len(columns) > MAX_NAMED_COLUMNS else ""
    return ", ".join(columns[:MAX_NAMED_COLUMNS]) + more


def _require_kms(kms: Kms | None) -> Kms:
    if kms is None:
        raise KeyringError(
            "encrypted columns require keys, and none were given",
            hint="Pass --keys FILE or keys=FILE, or set MINIMIZE_KEYS.",
        )
    return kms


T = TypeVar("T")


def unless_shredded(read: Callable[[], T]) -> T | None:
    """The result of `read`; None if a key that it needs was destroyed. Raises the other errors of `read`."""
    try:
        return read()
    except KeyringError as error:
        if error.code != KEY_DESTROYED:
            raise
    return None
