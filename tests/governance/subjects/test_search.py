"""Where somebody stands, held against the records that came in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow.parquet as pq
import pytest

from minimize.checkpoints import at_checkpoint
from minimize.datasets.published_output import PublishedOutput
from minimize.governance.known_outputs import find_outputs
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.search import SearchOutcome, SubjectRecords, SubjectSearch, UnsearchableFile
from minimize.keys import Keyring, add_key, find_keyring
from tests.project import AT, BEFORE, DAY, Project, events

RECORDS = events(120)


def of(project: Project) -> tuple[PublishedOutput, ...]:
    return find_outputs(None, [project.out], keyring(project))[0]


def keyring(project: Project) -> Keyring:
    found = find_keyring(project.keys, project.folder)
    assert found is not None
    return found


def found(project: Project, subject: DataSubject, tenants: Iterable[str] = ()) -> list[SearchOutcome]:
    return list(SubjectSearch(subject, frozenset(tenants)).find(of(project)))


def device(do: Any) -> dict[str, Any]:
    return {"type": "string", "role": "identifier", "do": do}


def rows(all_: Iterable[SearchOutcome]) -> int:
    return sum(each.rows.num_rows for each in all_ if isinstance(each, SubjectRecords))


def count(records: Iterable[dict[str, Any]], **wanted: Any) -> int:
    return sum(all(each[name] == value for name, value in wanted.items()) for each in records)


def test_a_device_is_found_by_its_pseudonym(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    assert rows(found(project, DataSubject("d3", "north"))) == count(RECORDS, device_id="d3", tenant_id="north") > 0


def test_without_a_tenant_every_tenant_of_the_file_is_tried(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    assert rows(found(project, DataSubject("d3"))) == count(RECORDS, device_id="d3")


def test_a_device_of_another_tenant_is_another_device(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    assert found(project, DataSubject("d3", "east")) == []


def test_a_whole_tenant_is_found(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    assert rows(found(project, DataSubject(None, "south"))) == count(RECORDS, tenant_id="south")


def test_a_device_is_found_under_every_version_of_its_key(project: Project) -> None:
    project.records(RECORDS)
    project.records(RECORDS, BEFORE)
    project.run(date=BEFORE)
    add_key(project.keys, "device", now=AT)
    project.run(date=DAY)
    all_ = found(project, DataSubject("d3", "north"))
    forms = {form for each in all_ if isinstance(each, SubjectRecords) for form in each.forms}
    assert len(forms) == 2
    assert rows(all_) == 2 * count(RECORDS, device_id="d3", tenant_id="north")


def test_a_device_is_found_in_every_rotation_period(project: Project) -> None:
    project.policy({"device_id": device({"pseudonymize": {"key": "device", "rotate": "day"}})})
    project.records(events(600))
    project.run()
    assert rows(found(project, DataSubject("d3"))) == count(events(600), device_id="d3")


def test_a_device_is_found_by_its_token(project: Project) -> None:
    project.policy({"device_id": device({"tokenize": {"key": "device", "per": "tenant_id"}})})
    project.records(RECORDS)
    project.pipeline(records={})
    project.run()
    assert rows(found(project, DataSubject("d3", "south"))) == count(RECORDS, device_id="d3", tenant_id="south")


def test_a_user_is_found_by_the_field_that_is_named(project: Project) -> None:
    project.policy({"user": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    records = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(RECORDS)]
    project.records(records)
    project.run()
    assert rows(found(project, DataSubject("u2", field="user"))) == count(records, user="u2")


def test_the_index_limits_the_row_groups_that_are_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.records(RECORDS)
    project.run()
    read: list[Any] = []
    real = pq.ParquetFile.iter_batches

    def watched(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        read.append(options["row_groups"])
        return real(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    assert found(project, DataSubject("nobody", "north")) == []
    assert read == []


def test_a_dropped_subject_cannot_be_searched_for(project: Project) -> None:
    project.policy({"device_id": device("drop")})
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run()
    (blind,) = found(project, DataSubject("d3", "north"))
    assert isinstance(blind, UnsearchableFile)
    assert blind.reason == "device_id was dropped"


def test_a_form_shared_by_several_subjects_cannot_be_searched_for(project: Project) -> None:
    project.policy({"device_id": device({"mask": {"keep_last": 1}})})
    project.pipeline(records={}, aggregates=None)
    project.records(RECORDS)
    project.run()
    (blind,) = found(project, DataSubject("d3", "north"))
    assert isinstance(blind, UnsearchableFile)
    assert "mask" in blind.reason


def test_a_per_tenant_pseudonym_is_searchable_only_with_a_known_tenant(project: Project) -> None:
    hidden = {"type": "string", "do": {"map": {"values": {"north": "a"}, "otherwise": "b"}}}
    project.policy({"tenant_id": hidden})
    project.records(RECORDS)
    project.run()
    (blind,) = found(project, DataSubject("d3"))
    assert isinstance(blind, UnsearchableFile)
    assert "the tenant is unknown" in blind.reason
    assert rows(found(project, DataSubject("d3"), ["north", "south"])) == count(RECORDS, device_id="d3")


def test_times_are_reported_at_their_released_precision(project: Project) -> None:
    project.records([RECORDS[3]])
    project.run()
    (held,) = found(project, DataSubject("d3"))
    assert isinstance(held, SubjectRecords)
    since, until = held.span
    assert since is not None
    assert until is not None
    assert until - since == 3_600_000_000 - 1


def test_the_printed_search_hides_the_subject(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    search = SubjectSearch(DataSubject("d3", "north"))
    assert "'d3'" not in repr(search)
    for each in search.find(of(project)):
        assert isinstance(each, SubjectRecords)
        assert not any(form in repr(each) for form in (*each.forms, "north"))


def test_the_folders_of_other_tenants_are_not_opened(project: Project) -> None:
    project.pipeline(records={"must_be": "pseudonymized", "partition_by": ["tenant_id"]}, aggregates=None)
    project.records(RECORDS)
    project.run()
    opened: list[str] = []
    with at_checkpoint("stored.opened", lambda _, path: opened.append(path)):
        records = rows(found(project, DataSubject("d3", "north")))
    assert records == count(RECORDS, device_id="d3", tenant_id="north")
    assert opened
    assert all("tenant_id=north" in path for path in opened)
