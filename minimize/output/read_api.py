"""`read` and `files`: the files of an output that are in force, as a table or as paths; and where subjects are found in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from os import PathLike
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.errors import OutputError, redact_errors
from minimize.keys import Keyring, find_keyring, find_kms
from minimize.output import reader
from minimize.output.folder import RUNS
from minimize.output.reader import Dates, SubjectSelection
from minimize.output.subject_index import SubjectValue
from minimize.output.subject_search import CandidateFile, find_candidate_files
from minimize.receipts import ReceiptFile
from minimize.stores import Location, LocationLike, local_path, parse_output_location

AnyPath = str | PathLike[str]


@redact_errors
def read(
    output: LocationLike,
    name: str = "records",
    *,
    dates: Dates = None,
    keys: Any = None,
    mixed_keys: bool = False,
    subjects: Collection[SubjectValue] | SubjectValue | None = None,
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
    folder = parse_output_location(output)
    wanted = None
    if subjects is not None:
        wanted = SubjectSelection(_as_list(subjects), _optional_keyring(keys, folder), _subject_pointers(folder))
    kms = find_kms(keys, local_path(folder))
    options: Any = {"mixed_keys": mixed_keys, "subjects": wanted, "without_destroyed": without_destroyed}
    return reader.read_output(folder, name, dates, kms=kms, **options)


@redact_errors
def files(output: LocationLike, name: str = "records", *, dates: Dates = None) -> list[str]:
    """The paths of the same files, for DuckDB, Polars or Spark. Raises OutputError where there is no such output."""
    return reader.file_paths(parse_output_location(output), name, dates)


def find_subjects(
    output: LocationLike, subjects: Collection[SubjectValue] | SubjectValue, *, dates: Dates = None, keys: Any = None
) -> list[CandidateFile]:
    """The files of records that may hold these released values of the subject's column, and which of their row groups.

    None is missed; a row group may be named in vain. `groups` is None where a file has no index, or no keyring is there to
    open it. Raises OutputError for an index that is damaged, KeyringError where its key version is missing.
    """
    folder, wanted = parse_output_location(output), _as_list(subjects)
    return find_candidate_files(
        folder, reader.files_in_force(folder, "records", dates), wanted, _optional_keyring(keys, folder)
    )


def _optional_keyring(keys: Any, output: Location) -> Keyring | None:
    """The keyring, found where no more is given than who keeps master keys."""
    named = keys if isinstance(keys, Keyring | str | PathLike) else None
    return find_keyring(named, local_path(output))


def _as_list(subjects: Collection[SubjectValue] | SubjectValue) -> list[SubjectValue]:
    """A value that stands alone is one value: the letters of a pseudonym would find nobody, and nobody would notice."""
    return [subjects] if isinstance(subjects, str | int | bytes) else [*subjects]


def _subject_pointers(output: Location) -> Callable[[ReceiptFile], Pointer]:
    """Where each file of records has its subject, by the policy that its run carries."""
    known: dict[str, Pointer | None] = {}
    runs = {
        file.path: receipt.run_id
        for receipt in reader.load_receipts(output)
        if "records" in receipt.outputs
        for file in receipt.outputs["records"].files
    }

    def pointer(file: ReceiptFile) -> Pointer:
        run = runs[file.path]
        if run not in known:
            known[run] = _policy_subject(output / RUNS / run / "policy.yaml")
        found = known[run]
        if found is None:
            raise OutputError(f"the policy of {RUNS}/{run} names no subject", hint="nothing can be found by it")
        return found

    return pointer


def _policy_subject(policy: Location) -> Pointer | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        said = YAML(typ="safe", pure=True).load(policy.read_bytes())
    except (YAMLError, OSError, ValueError):
        said = None
    named = said.get("subject") if isinstance(said, dict) else None
    return None if named is None else Pointer.parse(str(named))
