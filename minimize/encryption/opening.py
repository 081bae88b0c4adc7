"""Opening Parquet files of which some columns may be encrypted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import pyarrow.parquet as pq

from minimize.encryption.material import Material, material_of
from minimize.errors import KeyringError
from minimize.keys.keyring import DESTROYED
from minimize.keys.masters import Kms, Master
from minimize.stores import Place, parquet_file

Known = dict[tuple[str, str], bytes]
Fault = tuple[str, str, KeyringError]
SHOWN: Final = 5
"""Columns that a message names."""
HINT: Final = "the door and the jobs have the keys: keys=FILE, --keys FILE, MINIMIZE_KEYS; open columns need none"
GONE: Final = (
    "what was encrypted under a destroyed key is gone; a run of its date writes it anew, while its source stands"
)


def open_parquet(
    place: Place,
    kms: Kms | None = None,
    *,
    columns: Collection[str] | None = None,
    read_dictionary: Sequence[str] | None = None,
    name: str | None = None,
) -> pq.ParquetFile:
    """A file, opened, its encrypted columns readable.

    Takes the top-level columns that are wanted where that is not all: then only their keys are needed, and only they may be
    touched. `name` is how messages call the file. Raises KeyringError, which names the file, the columns and the key, where
    there is no key for one of them; OSError and pyarrow's errors where it is no Parquet file.
    """
    material = material_of(place)
    wanted = material.of(columns)
    if not wanted:
        return parquet_file(place, read_dictionary=read_dictionary)
    shown = str(place) if name is None else name
    known, faults = _unwrapped(kms, material, wanted)
    if faults:
        told = "; ".join(f"{columns} under {master} ({error.message})" for columns, master, error in faults)
        code = DESTROYED if any(error.code == DESTROYED for *_, error in faults) else ""
        hint = GONE if code else HINT
        raise KeyringError(f"{shown} is encrypted, and cannot be read here: {told}", code=code, hint=hint)
    return _opened(place, _needed(kms), known, read_dictionary, shown)


def dataset_format(kms: Kms) -> Any:
    """The format by which `pyarrow.dataset` reads files that may be encrypted."""
    from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

    from minimize.encryption.wire import dataset_decryption

    options = ParquetFragmentScanOptions(decryption_config=dataset_decryption(kms))
    return ParquetFileFormat(default_fragment_scan_options=options)


def _opened(place: Place, kms: Kms, known: Known, read_dictionary: Sequence[str] | None, shown: str) -> pq.ParquetFile:
    """The footer's own key is asked for here."""
    from minimize.encryption.wire import decryption

    try:
        return parquet_file(place, read_dictionary=read_dictionary, decryption=decryption(kms, known))
    except KeyringError as error:
        reason, code = error.message, error.code
    message = f"{shown} is encrypted, and its signature cannot be checked: {reason}"
    raise KeyringError(message, code=code, hint=HINT)


def _unwrapped(kms: Kms | None, material: Material, wanted: Mapping[str, Sequence[str]]) -> tuple[Known, list[Fault]]:
    """The keys of a file, unwrapped; and, for each master key that is not to be had, why, with the columns under it."""
    known: Known = {}
    faults = []
    for master, columns in wanted.items():
        try:
            each = Master.parse(master)
            known |= {(master, key): _needed(kms).unwrap(key, each) for key in material.wrapped[master]}
        except KeyringError as error:
            faults.append((_named(columns), master or "a key without a name", error))
    return known, faults


def _named(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def _needed(kms: Kms | None) -> Kms:
    if kms is None:
        raise KeyringError(
            "encrypted columns want keys, and none were given", hint="keys=FILE, --keys FILE or MINIMIZE_KEYS"
        )
    return kms
