"""What a deletion may have left in the bytes of files: subjects in dictionaries that no record has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

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
    stored = open_stored(output.folder, path, find_kms(keys, local(output.folder)), encoded=True)
    if subject.top not in stored.schema.names:
        return False
    groups = range(stored.file.metadata.num_row_groups)
    return any(_unused(stored.column(subject.top, group), subject) for group in groups)


def _unused(batches: Iterable[pa.RecordBatch], subject: Pointer) -> bool:
    values = [leaf(batch, subject).values for batch in batches]
    if not values or not all(pa.types.is_dictionary(each.type) for each in values):
        return False
    whole = pa.chunked_array(values).unify_dictionaries().chunks
    used = pc.count_distinct(pa.chunked_array([each.indices for each in whole]), mode="only_valid").as_py()
    return bool(used < len(whole[0].dictionary))
