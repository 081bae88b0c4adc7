"""What is taken down of files that a change takes away."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.datasets.inventory import (
    INVENTORY_FILE,
    RemovalInventory,
    TenantContent,
    count_persons,
    open_inventory,
    read_inventory,
)
from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring, new_keyring
from minimize.output.stored_file import open_stored_file
from tests.project import AT, NOISY_AGGREGATES, Builds, Project, enter, events, new_project

RECORDS = events(60)
NORTH = [each for each in RECORDS if each["tenant_id"] == "north"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ledger of where the tests are run."""
    enter(tmp_path, monkeypatch)


def run_without_north(project: Project) -> None:
    """Runs a day twice: the second time without north."""
    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records(RECORDS)
    project.run()
    project.records([each for each in RECORDS if each["tenant_id"] == "south"])
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, tmp_path: Path) -> Project:
    return builds.fill(new_project(tmp_path), run_without_north)


def held(project: Project) -> dict[str, dict[str | None, TenantContent]]:
    found = read_inventory(project.out, load_receipts(project.out)[-1], Keyring.load(project.keys))
    return {path.partition("/")[0]: {each.tenant: each for each in some.contents} for path, some in found.items()}


def test_records_persons_and_times_of_each_tenant_are_in_the_inventory(project: Project) -> None:
    north = held(project)["records"]["north"]
    persons = {each["device_id"] for each in NORTH}
    times = sorted(datetime.fromisoformat(each["event_time"]) for each in NORTH)
    assert (north.rows, north.persons) == (len(NORTH), len(persons))
    hours = [datetime.fromtimestamp((micro or 0) / 1e6, UTC) for micro in (north.since, north.until)]
    assert hours == [each.replace(minute=0, second=0) for each in (times[0], times[-1])]


def test_an_aggregate_without_tenants_shows_no_name(project: Project) -> None:
    assert set(held(project)["per_model"]) == {None}


def test_the_columns_are_listed_with_their_treatment(project: Project) -> None:
    found = read_inventory(project.out, load_receipts(project.out)[-1], Keyring.load(project.keys))
    schema = next(each.schema for path, each in found.items() if path.startswith("records"))
    assert schema.field("device_id").metadata[b"minimize:key"] == b"device/1"


def test_it_is_encrypted_and_its_digest_is_in_the_receipt(project: Project) -> None:
    receipt = load_receipts(project.out)[-1]
    path = project.out / "runs" / receipt.run_id / INVENTORY_FILE
    assert INVENTORY_FILE in receipt.files
    assert b"north" not in path.read_bytes()
    assert not stat.S_IMODE(project.out.stat().st_mode) & 0o077
    minimize.verify(project.out, keys=project.keys)


def test_another_keyring_opens_nothing(project: Project) -> None:
    other = new_keyring(project.folder / "other.keys", ("device",), now=AT)
    assert read_inventory(project.out, load_receipts(project.out)[-1], other) == {}


def test_a_first_run_takes_nothing_away(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.records(RECORDS)
    assert INVENTORY_FILE not in project.run().files


def test_an_unreadable_file_adds_nothing_to_the_inventory_and_stops_no_change(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.records(RECORDS)
    first = project.run()
    for path in project.files():
        (project.out / path).write_bytes(b"nothing")
    assert INVENTORY_FILE not in project.run().files
    paths, keys = [*project.files(), "records/other.parquet"], Keyring.load(project.keys)
    assert RemovalInventory.for_files(project.out, (first,), paths, keys).attachments() == {}


def test_files_passed_on_by_the_rewrite_are_inventoried_without_another_read(project: Project) -> None:
    chain, keys = load_receipts(project.out), Keyring.load(project.keys)
    paths = [path for path in project.files() if path.startswith("records")]
    told = RemovalInventory.for_files(project.out, chain, paths, keys).attachments()
    shown = RemovalInventory.for_files(project.out, chain, paths, keys)
    for path in paths:
        stored = open_stored_file(project.out, path, encoded=True, also=["device_id"])
        showing = shown(stored)
        assert showing is not None
        for batch in stored.batches():
            showing(batch)
        showing.close()
        (project.out / path).unlink()
    assert open_inventory(shown.attachments()[INVENTORY_FILE], keys) == open_inventory(told[INVENTORY_FILE], keys)


def test_a_file_outside_the_inventory_is_not_read(project: Project) -> None:
    shown = RemovalInventory.for_files(project.out, load_receipts(project.out), [], Keyring.load(project.keys))
    assert shown(open_stored_file(project.out, next(iter(project.files())))) is None
    assert shown.attachments() == {}


def test_a_tenant_under_a_pseudonym_is_not_named(tmp_path: Path) -> None:
    project = new_project(tmp_path, ("device", "user"))
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    for _ in range(2):
        project.records(RECORDS)
        project.run()
    assert {name: each.rows for name, each in held(project)["records"].items()} == {None: len(RECORDS)}


def test_already_removed_records_are_not_in_the_inventory(project: Project) -> None:
    project.records(events(70))
    project.run()
    run = load_receipts(project.out)[-1]
    assert {each.rows for each in held(project)["records"].values()} == {len(RECORDS) // 2}
    assert all(INVENTORY_FILE in each.files for each in (run, load_receipts(project.out)[1]))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6))))
def test_persons_of_each_tenant_are_counted_as_a_set_would(pairs: list[tuple[int, int]]) -> None:
    tenants, persons = (np.array([pair[place] for pair in pairs], np.int32) for place in (0, 1))
    seen = {pair for pair in pairs if pair[1] < 6}
    assert count_persons(tenants, persons, 4, 6).tolist() == [
        sum(tenant == each for each, _ in seen) for tenant in range(4)
    ]
