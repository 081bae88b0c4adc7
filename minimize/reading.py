"""`read` and `files`: the set in force of an output, for notebooks and for other engines; and where subjects are in it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from os import PathLike
from typing import Any

import pyarrow as pa

from minimize.errors import OutputError, without_values
from minimize.io import published
from minimize.io.history import RUNS
from minimize.io.index.lens import Value
from minimize.io.index.seek import Place
from minimize.io.index.seek import find as places
from minimize.io.published import Dates, Subjects
from minimize.keys import Keyring, find_keyring, find_kms
from minimize.pointer import Pointer
from minimize.receipt import OutputFile
from minimize.stores import Anywhere, local, output_at
from minimize.stores import Place as Location

PathLike_ = str | PathLike[str]


@without_values
def read(
    output: Anywhere,
    name: str = "records",
    *,
    dates: Dates = None,
    keys: Any = None,
    mixed_keys: bool = False,
    subjects: Collection[Value] | Value | None = None,
    without_destroyed: bool = False,
) -> pa.Table:
    """The rows of an output that are in force, with `date` (date32) last where it is partitioned by date.

    Takes the output folder, the output's name, batch dates (all where none is given), and the keyring. `subjects` is a
    released value of the subject's column, or several (pseudonyms, where it has those: every candidate, of every key version,
    period and `per`); then only their records are given, and with the keyring the indexes say which row groups to read.
    What is encrypted wants the keyring, too, or whoever keeps the master keys (`minimize.keys.Kms`).
    Refuses, as KeyringError, what it cannot open, naming file, columns and key; and, as OutputError, to mix two versions of a
    key, whose pseudonyms do not join; `mixed_keys=True` reads them all. Files whose keys were destroyed are refused, too;
    `without_destroyed=True` reads the others, and a warning counts what was left out.
    """
    folder = output_at(output)
    wanted = None
    if subjects is not None:
        wanted = Subjects(_several(subjects), _keyring(keys, folder), _pointers(folder))
    kms = find_kms(keys, local(folder))
    options: Any = {"mixed_keys": mixed_keys, "subjects": wanted, "without_destroyed": without_destroyed}
    return published.read(folder, name, dates, kms=kms, **options)


@without_values
def files(output: Anywhere, name: str = "records", *, dates: Dates = None) -> list[str]:
    """The paths of the same files, for DuckDB, Polars or Spark. Raises OutputError where there is no such output."""
    return published.files(output_at(output), name, dates)


def find(
    output: Anywhere, subjects: Collection[Value] | Value, *, dates: Dates = None, keys: Any = None
) -> list[Place]:
    """The files of records that may hold these released values of the subject's column, and which of their row groups.

    None is missed; a row group may be named in vain. `groups` is None where a file has no index, or no keyring is there to
    open it. Raises OutputError for an index that is damaged, KeyringError where its key version is missing.
    """
    folder, wanted = output_at(output), _several(subjects)
    return places(folder, published.standing(folder, "records", dates), wanted, _keyring(keys, folder))


def _keyring(keys: Any, output: Location) -> Keyring | None:
    """The keyring, found where no more is given than who keeps master keys."""
    named = keys if isinstance(keys, Keyring | str | PathLike) else None
    return find_keyring(named, local(output))


def _several(subjects: Collection[Value] | Value) -> list[Value]:
    """A value that stands alone is one value: the letters of a pseudonym would find nobody, and nobody would notice."""
    return [subjects] if isinstance(subjects, str | int | bytes) else [*subjects]


def _pointers(output: Location) -> Callable[[OutputFile], Pointer]:
    """Where each file of records has its subject, by the policy that its run carries."""
    known: dict[str, Pointer | None] = {}
    runs = {
        file.path: receipt.run_id
        for receipt in published.receipts(output)
        if "records" in receipt.outputs
        for file in receipt.outputs["records"].files
    }

    def pointer(file: OutputFile) -> Pointer:
        run = runs[file.path]
        if run not in known:
            known[run] = _subject(output / RUNS / run / "policy.yaml")
        found = known[run]
        if found is None:
            raise OutputError(f"the policy of {RUNS}/{run} names no subject", hint="nothing can be found by it")
        return found

    return pointer


def _subject(policy: Location) -> Pointer | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        said = YAML(typ="safe", pure=True).load(policy.read_bytes())
    except (YAMLError, OSError, ValueError):
        said = None
    named = said.get("subject") if isinstance(said, dict) else None
    return None if named is None else Pointer.parse(str(named))
