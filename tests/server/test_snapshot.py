"""A tenant whose keys were destroyed is gone from the door, and takes nobody else along.
Files that are held open can be read to their end, whatever becomes of their names.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minimize.governance.subjects import DataSubject, lift_restriction, restrict_subjects
from minimize.keys import Keyring
from minimize.keys.keyring import destroy_key
from minimize.server.authorizer import Caller
from minimize.server.client import DatasetReader
from minimize.server.service import DataAccessService, LocalTransport, find_datasets
from minimize.server.snapshot import PinnedFiles
from tests.server.home import AGGREGATES, FIELDS, PURPOSE, Home
from tests.world import owned_event

APART = {"must_be": "identified", "partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


def test_other_tenants_are_read_after_one_was_shredded(home: Home) -> None:
    home.project.policy(FIELDS)
    home.project.pipeline(purpose=PURPOSE, records=APART, aggregates=AGGREGATES, output="apart")
    home.project.records([owned_event(number) for number in range(60)], "2026-11-24")
    home.project.run(output=home.project.out / "apart")
    for line in Keyring.load(home.project.keys).listing():
        if line.name.endswith(".t-south"):
            destroy_key(home.project.keys, line.name, line.version, now=home.time())
    keys = Keyring.load(home.project.keys)
    door = home.door_of(home.project.out / "apart", keys)
    found = DatasetReader(LocalTransport(door, Caller("ann")), "checkins").read(columns=["tenant_id"], purpose=PURPOSE)
    assert set(found["tenant_id"].to_pylist()) == {"north"}


def test_identified_columns_that_alone_are_encrypted_are_served(home: Home) -> None:
    records = {"must_be": "identified", "encrypt": "identified"}
    home.project.pipeline(purpose=PURPOSE, records=records, aggregates=AGGREGATES, output="apart")
    home.project.records([owned_event(number) for number in range(60)], "2026-11-24")
    home.project.run(output=home.project.out / "apart")
    keys = Keyring.load(home.project.keys)
    door = home.door_of(home.project.out / "apart", keys)
    reader = DatasetReader(LocalTransport(door, Caller("ian")), "checkins")
    whole, part = reader.read(purpose=PURPOSE), reader.read(columns=["tenant_id"], purpose=PURPOSE)
    assert whole.num_rows == part.num_rows == 30
    assert "phone" in whole.column_names


def test_a_running_server_continues_without_a_tenant_that_is_shredded(home: Home) -> None:
    home.project.policy(FIELDS)
    home.project.pipeline(purpose=PURPOSE, records=APART, aggregates=AGGREGATES, output="apart")
    home.project.records([owned_event(number) for number in range(60)], "2026-11-24")
    home.project.run(output=home.project.out / "apart")
    keys = Keyring.load(home.project.keys)
    door = home.door_of(home.project.out / "apart", keys)
    reader = DatasetReader(LocalTransport(door, Caller("ann")), "checkins")
    before = reader.read(columns=["tenant_id"], purpose=PURPOSE)
    for line in keys.listing():
        if line.name.endswith(".t-south"):
            destroy_key(home.project.keys, line.name, line.version, now=home.time())
    found = reader.read(columns=["tenant_id"], purpose=PURPOSE)
    assert (set(before["tenant_id"].to_pylist()), set(found["tenant_id"].to_pylist())) == (
        {"north", "south"},
        {"north"},
    )


def test_a_pinned_file_can_be_read_after_its_removal(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with held.pin(tmp_path, ["a"]) as places:
        (tmp_path / "a").unlink()
        assert Path(str(places["a"])).read_bytes() == b"content"
        assert Path(str(places["a"])).read_bytes() == b"content"
    assert held.count == 0


def test_readers_share_what_they_hold_and_the_last_lets_go(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with held.pin(tmp_path, ["a"]):
        with held.pin(tmp_path, ["a"]) as places:
            assert held.count == 1
        assert Path(str(places["a"])).read_bytes() == b"content"
    assert held.count == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(int(Path(str(places["a"])).name))


def test_where_one_is_gone_none_is_held(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    held = PinnedFiles()
    with pytest.raises(FileNotFoundError), held.pin(tmp_path, ["a", "b"]):
        pass
    assert held.count == 0


def test_a_server_that_runs_does_not_show_a_restricted_subject(home: Home) -> None:
    records = [owned_event(number) for number in range(60)]
    home.project.policy(FIELDS)
    home.project.pipeline(purpose=PURPOSE, records={"must_be": "identified"}, aggregates=AGGREGATES, output="apart")
    home.project.records(records, "2026-11-24")
    home.project.run(output=home.project.out / "apart", ledger=home.ledger.address.path)
    service = DataAccessService(find_datasets([home.project.out / "apart"]), home.access, home.ledger, home.time)
    reader = DatasetReader(LocalTransport(service, Caller("ann")), "checkins")
    assert reader.read(columns=["tenant_id"], purpose=PURPOSE).num_rows == len(records)
    subject = DataSubject(records[0]["device_id"], records[0]["tenant_id"])
    count = sum((each["device_id"], each["tenant_id"]) == (subject.id, subject.tenant) for each in records)
    home.acts("pia")
    restrict_subjects([subject], home.places(), home.time(), named=[home.project.out / "apart"], yes=True)
    assert reader.read(columns=["tenant_id"], purpose=PURPOSE).num_rows == len(records) - count
    lift_restriction([subject], home.places(), home.time(), yes=True)
    assert reader.read(columns=["tenant_id"], purpose=PURPOSE).num_rows == len(records)
