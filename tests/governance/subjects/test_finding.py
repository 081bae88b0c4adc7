"""Where somebody stands, held against the records that came in."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pyarrow.parquet as pq
import pytest

from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Blind, Found, Held, Search
from minimize.governance.subjects.outputs import Output, outputs
from minimize.keys import Keyring, add_key, find_keyring
from tests.job.house import AT, BEFORE, DAY, House, events

RECORDS = events(120)


def of(house: House) -> tuple[Output, ...]:
    return outputs(None, [house.out])[0]


def keyring(house: House) -> Keyring:
    found = find_keyring(house.keys, house.folder)
    assert found is not None
    return found


def found(house: House, subject: Subject, tenants: Iterable[str] = ()) -> list[Found]:
    return list(Search(subject, keyring(house), frozenset(tenants)).over(of(house)))


def device(do: Any) -> dict[str, Any]:
    return {"type": "string", "role": "identifier", "do": do}


def rows(all_: Iterable[Found]) -> int:
    return sum(each.rows.num_rows for each in all_ if isinstance(each, Held))


def count(records: Iterable[dict[str, Any]], **wanted: Any) -> int:
    return sum(all(each[name] == value for name, value in wanted.items()) for each in records)


def test_a_device_is_found_by_its_pseudonym(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    assert rows(found(house, Subject("d3", "north"))) == count(RECORDS, device_id="d3", tenant_id="north") > 0


def test_without_a_tenant_every_tenant_of_the_file_is_tried(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    assert rows(found(house, Subject("d3"))) == count(RECORDS, device_id="d3")


def test_a_device_of_another_tenant_is_another_device(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    assert found(house, Subject("d3", "east")) == []


def test_a_whole_tenant_is_found(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    assert rows(found(house, Subject(None, "south"))) == count(RECORDS, tenant_id="south")


def test_a_device_is_found_under_every_version_of_its_key(house: House) -> None:
    house.brings(RECORDS)
    house.brings(RECORDS, BEFORE)
    house.run(date=BEFORE)
    add_key(house.keys, "device", now=AT)
    house.run(date=DAY)
    all_ = found(house, Subject("d3", "north"))
    forms = {form for each in all_ if isinstance(each, Held) for form in each.forms}
    assert len(forms) == 2
    assert rows(all_) == 2 * count(RECORDS, device_id="d3", tenant_id="north")


def test_a_device_is_found_in_every_rotation_period(house: House) -> None:
    house.policy({"device_id": device({"pseudonymize": {"key": "device", "rotate": "day"}})})
    house.brings(events(600))
    house.run()
    assert rows(found(house, Subject("d3"))) == count(events(600), device_id="d3")


def test_a_device_is_found_by_its_token(house: House) -> None:
    house.policy({"device_id": device({"tokenize": {"key": "device", "per": "tenant_id"}})})
    house.brings(RECORDS)
    house.pipeline(records={})
    house.run()
    assert rows(found(house, Subject("d3", "south"))) == count(RECORDS, device_id="d3", tenant_id="south")


def test_a_user_is_found_by_the_field_that_is_named(house: House) -> None:
    house.policy({"user": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    records = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(RECORDS)]
    house.brings(records)
    house.run()
    assert rows(found(house, Subject("u2", field="user"))) == count(records, user="u2")


def test_an_index_says_which_row_groups_are_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.brings(RECORDS)
    house.run()
    read: list[Any] = []
    real = pq.ParquetFile.iter_batches

    def watched(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        read.append(options["row_groups"])
        return real(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    assert found(house, Subject("nobody", "north")) == []
    assert read == []


def test_where_the_subject_was_dropped_nobody_can_be_looked_for(house: House) -> None:
    house.policy({"device_id": device("drop")})
    house.pipeline(aggregates=None)
    house.brings(RECORDS)
    house.run()
    (blind,) = found(house, Subject("d3", "north"))
    assert isinstance(blind, Blind)
    assert blind.why == "device_id was dropped"


def test_a_form_that_several_share_names_nobody(house: House) -> None:
    house.policy({"device_id": device({"mask": {"keep_last": 1}})})
    house.pipeline(records={}, aggregates=None)
    house.brings(RECORDS)
    house.run()
    (blind,) = found(house, Subject("d3", "north"))
    assert isinstance(blind, Blind)
    assert "mask" in blind.why


def test_where_tenants_are_not_told_a_pseudonym_of_one_cannot_be_made(house: House) -> None:
    hidden = {"type": "string", "do": {"map": {"values": {"north": "a"}, "otherwise": "b"}}}
    house.policy({"tenant_id": hidden})
    house.brings(RECORDS)
    house.run()
    (blind,) = found(house, Subject("d3"))
    assert isinstance(blind, Blind)
    assert "no tenant is known" in blind.why
    assert rows(found(house, Subject("d3"), ["north", "south"])) == count(RECORDS, device_id="d3")


def test_times_are_told_as_wide_as_they_were_released(house: House) -> None:
    house.brings([RECORDS[3]])
    house.run()
    (held,) = found(house, Subject("d3"))
    assert isinstance(held, Held)
    assert held.since is not None
    assert held.until is not None
    assert held.until - held.since == 3_600_000_000 - 1


def test_nobody_is_printed(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    search = Search(Subject("d3", "north"), keyring(house))
    assert "'d3'" not in repr(search)
    for each in search.over(of(house)):
        assert isinstance(each, Held)
        assert not any(form in repr(each) for form in (*each.forms, "north"))


def test_the_folders_of_other_tenants_are_not_opened(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.pipeline(records={"must_be": "pseudonymized", "partition_by": ["tenant_id"]}, aggregates=None)
    house.brings(RECORDS)
    house.run()
    opened: list[str] = []
    room = import_module("minimize.governance.subjects.finding")
    real = room.open_stored

    def watched(output: Any, path: str, *options: Any) -> Any:
        opened.append(path)
        return real(output, path, *options)

    monkeypatch.setattr(room, "open_stored", watched)
    assert rows(found(house, Subject("d3", "north"))) == count(RECORDS, device_id="d3", tenant_id="north")
    assert opened
    assert all("tenant_id=north" in path for path in opened)
