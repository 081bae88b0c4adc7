"""What a deletion may have left in the bytes of files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.governance.subjects.delete import files_with_leftovers
from minimize.governance.subjects.outputs import SearchableOutput, find_outputs
from minimize.keys import Keyring
from tests.project import Project, events


def standing(project: Project) -> tuple[tuple[SearchableOutput, ...], str, Keyring]:
    project.records(events(120))
    project.run()
    found = find_outputs(None, [project.out])[0]
    (path,) = [file.path for _, file in found[0].files()]
    return found, path, Keyring.load(project.keys)


def rewritten(project: Project, path: str, name: str, *, cleanly: bool, **options: Any) -> None:
    """The file without the records of one value of a column: with its entry in the dictionary, or without."""
    full = project.out / path
    table = pq.read_table(full, partitioning=None)
    column = table[name].combine_chunks().dictionary_encode()
    table = table.set_column(
        table.schema.get_field_index(name), table.schema.field(name).with_type(column.type), column
    )
    left = table.filter(pa.compute.not_equal(table[name], column.dictionary[0]))
    if cleanly:
        plain = left[name].combine_chunks().dictionary_decode().dictionary_encode()
        left = left.set_column(left.schema.get_field_index(name), left.schema.field(name), plain)
    pq.write_table(left, full, **options)


@pytest.mark.parametrize("cleanly", [True, False])
def test_an_entry_that_no_record_has_is_noticed(project: Project, *, cleanly: bool) -> None:
    found, path, keys = standing(project)
    rewritten(project, path, "device_id", cleanly=cleanly)
    assert list(files_with_leftovers(found, [path], keys)) == ([] if cleanly else [path])


def test_a_field_by_which_somebody_was_named_is_looked_at_too(project: Project) -> None:
    found, path, keys = standing(project)
    rewritten(project, path, "model", cleanly=False)
    assert list(files_with_leftovers(found, [path], keys)) == []
    assert list(files_with_leftovers(found, [path], keys, {"model"})) == [path]


def test_only_files_that_were_written_anew_are_looked_at(project: Project) -> None:
    found, path, keys = standing(project)
    rewritten(project, path, "device_id", cleanly=False)
    assert list(files_with_leftovers(found, [], keys)) == []


def test_a_dictionary_that_grows_over_many_values_is_no_fault(project: Project) -> None:
    records = [{**each, "device_id": f"{'d' * 40}{number % 9000}"} for number, each in enumerate(events(20_000))]
    project.pipeline(aggregates=None)
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    project.pipeline(records={}, aggregates=None)
    project.records(records)
    project.run()
    found = find_outputs(None, [project.out])[0]
    (path,) = [file.path for _, file in found[0].files()]
    assert list(files_with_leftovers(found, [path], Keyring.load(project.keys))) == []
