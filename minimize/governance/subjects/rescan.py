"""What a deletion may have left in the bytes of files: subjects in dictionaries that no record has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from minimize.encryption import open_parquet
from minimize.governance.subjects.outputs import Output
from minimize.io.stored import open_stored
from minimize.keys import Keyring, find_kms
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.stores import local


def hidden(
    outputs: Iterable[Output], paths: Iterable[str], keys: Keyring, fields: Collection[str] = ()
) -> Iterator[str]:
    """Of files that were written anew those whose dictionaries hold a subject (or an id of a field) that no record has."""
    wanted = frozenset(paths)
    for output in outputs:
        for written, file in output.files():
            names = {written.policy.subject, *fields} & written.policy.fields.keys() if file.path in wanted else set()
            if any(_has_unused(output, file.path, Pointer.parse(str(name)), keys) for name in names):
                yield file.path


def _has_unused(output: Output, path: str, subject: Pointer, keys: Keyring) -> bool:
    """Whether a row group has an entry in the dictionary of its subjects that no record uses."""
    kms = find_kms(keys, local(output.folder))
    stored = open_stored(output.folder, path, kms)
    if subject.top not in stored.schema.names:
        return False
    if subject.is_flat:
        file = open_parquet(output.folder / path, kms, read_dictionary=[subject.top], name=path)
        stored = replace(stored, file=file, coded=True)
    groups = range(stored.file.metadata.num_row_groups)
    return any(_unused(stored.column(subject.top, group), subject) for group in groups)


def _unused(batches: Iterable[pa.RecordBatch], subject: Pointer) -> bool:
    """Whether a dictionary that is handed on, and may grow, from batch to batch has an entry that none of them uses."""
    known: pa.Array = pa.array([])
    used = np.zeros(0, np.bool_)
    for values in (leaf(batch, subject).values for batch in batches):
        if not pa.types.is_dictionary(values.type):
            return False
        goes_on = len(known) > 0 and values.dictionary.slice(0, len(known)).equals(known)
        if not goes_on and not used.all():
            return True
        known, before = values.dictionary, used if goes_on else used[:0]
        used = np.append(before, np.zeros(len(known) - len(before), np.bool_))
        used[values.indices.drop_null().to_numpy()] = True
    return not bool(used.all())
