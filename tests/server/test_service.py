"""What leaves through a door, and what does not: roles, scope, views, grants and purposes on every read.
The door in a process that holds the keys: found by itself, and no wider than over the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, KeyringError, MinimizeError, OutputError, RefusedError
from minimize.governance.incidents import close_incident
from minimize.keys import add_key
from minimize.server import snapshot
from minimize.server.service import find_datasets
from tests.server.home import AGGREGATES, FIELDS, PURPOSE, ROWS, Home, changes_of
from tests.world import INCIDENT, PHONE, owned_event

OPEN = ["tenant_id", "event_time", "device_id", "model", "battery", "storage"]


def refused(home: Home, *arguments: Any, **words: Any) -> MinimizeError:
    with pytest.raises(MinimizeError) as error:
        home.read(*arguments, **words)
    return error.value


def test_a_role_shows_its_category_and_no_column_above(home: Home) -> None:
    found = home.read("ann")
    assert found.num_rows == ROWS
    assert set(found.column_names) == {"tenant_id", "event_time", "device_id", "model", "battery", "storage", "date"}


def test_the_server_returns_the_released_values(home: Home) -> None:
    names = ["device_id", "model", "event_time", "date"]
    ours = home.read("ann", columns=names).sort_by([(name, "ascending") for name in names])
    import minimize

    theirs = (
        minimize.read(home.project.out, keys=home.keys).select(names).sort_by([(name, "ascending") for name in names])
    )
    assert ours.to_pylist() == theirs.to_pylist()
    assert ours.schema.types == theirs.schema.types


def test_a_scope_shows_its_tenants_alone_whether_the_tenant_is_shown_or_not(home: Home) -> None:
    assert set(home.read("nora")["tenant_id"].to_pylist()) == {"north"}
    assert home.read("nora", columns=["model"]).num_rows == ROWS // 2


def test_an_account_without_a_role_or_a_purpose_sees_nothing(home: Home) -> None:
    assert refused(home, "nobody").code == "B005"
    assert refused(home, "ann", purpose=None).code == "B005"
    assert refused(home, "ann", purpose="marketing").code == "B005"
    assert refused(home, "sam").code == "B005"


def test_a_column_above_the_category_is_refused_by_name(home: Home) -> None:
    error = refused(home, "ann", columns=["model", "owner"])
    assert [each.field for each in error.findings] == ["owner"]


def test_a_view_shows_a_column_coarser_than_the_output_has_it(home: Home) -> None:
    assert {each.hour for each in home.read("dan")["event_time"].to_pylist()} == {0}
    assert set(home.read("cora")["model"].to_pylist()) == {"old", "new"}
    assert {each.hour for each in home.read("ann")["event_time"].to_pylist()} != {0}


def test_a_filter_is_on_what_is_seen(home: Home) -> None:
    assert home.read("cora", where={"model": "old"}).num_rows == ROWS // 2
    assert home.read("cora", where={"model": "A"}).num_rows == 0
    day = home.read("dan")["event_time"][0].as_py()
    assert home.read("dan", where={"event_time": day}).num_rows == ROWS
    assert home.read("dan", where={"event_time": {">": day}}).num_rows == 0


def test_a_column_that_rows_are_chosen_by_need_not_be_shown(home: Home) -> None:
    found = home.read("ann", columns=["device_id"], where={"model": ["A"], "battery": {">=": 50}})
    assert found.column_names == ["device_id"]
    assert 0 < found.num_rows < ROWS // 2


def test_an_aggregate_is_open_to_more_and_held_to_the_scope(home: Home) -> None:
    assert home.read("otto", "checkins/per_tenant")["tenant_id"].to_pylist() == ["north", "south"]
    assert home.read("nora", "checkins/per_tenant")["tenant_id"].to_pylist() == ["north"]
    assert refused(home, "otto").code == "B005"


def test_an_output_without_tenants_is_refused_to_a_tenant_scope(home: Home) -> None:
    assert home.read("otto", "checkins/per_model").num_rows == 3
    assert refused(home, "nora", "checkins/per_model").code == "B005"


def test_a_grant_opens_what_it_names_for_its_tenants_and_its_time(home: Home) -> None:
    home.granted("sam", columns=("owner", "model"))
    found = home.read("sam", columns=["owner", "model"], incident=INCIDENT)
    assert found.num_rows == ROWS // 2
    assert refused(home, "sam", columns=["phone"], incident=INCIDENT).code == "B005"
    assert refused(home, "sue", columns=["owner"], incident=INCIDENT).code == "B005"
    assert refused(home, "sam", columns=["owner"]).code == "B005"
    home.time.passes(hours=8)
    assert refused(home, "sam", columns=["owner"], incident=INCIDENT).code == "B005"


def test_the_batch_date_is_a_column_that_may_be_chosen_by(home: Home) -> None:
    home.run(40, day="2026-11-23")
    assert home.read("ann", where={"date": "2026-11-23"}).num_rows == 40
    assert home.read("ann", columns=["date", "model"], where={"date": {">": "2026-11-23"}}).num_rows == ROWS


def test_unknown_outputs_and_columns_are_refused(home: Home) -> None:
    assert refused(home, "ann", "elsewhere").code == "B003"
    assert refused(home, "ann", "checkins/per_nothing").code == "B003"
    assert refused(home, "ann", columns=["nothing"]).code == "B004"


@pytest.mark.parametrize(
    "where", [{"model": 7}, {"battery": "much"}, {"event_time": "soon"}, {"nothing": 1}, {"tenant_id": [True]}]
)
def test_a_filter_that_does_not_fit_is_refused_without_its_value(home: Home, where: dict[str, object]) -> None:
    error = refused(home, "ann", where=where)
    assert error.code == "B004"
    assert not any(str(value) in str(error) for value in where.values() if isinstance(value, str))


def test_every_read_is_recorded_once_with_its_rows_and_no_value(home: Home) -> None:
    home.read("nora", columns=["model"], where={"model": "A"})
    (told,) = home.told()
    assert told["result"] == "success"
    assert told["actor"]["user"] == "nora"
    said = changes_of(told)
    assert (said["rows"], said["columns"], said["where"]) == (0, "model", "model ==") or said["rows"] > 0
    assert said["purpose"] == PURPOSE
    assert "'A'" not in str(told)


def test_every_refusal_is_recorded_once(home: Home) -> None:
    for words in ({"columns": ["owner"]}, {"columns": ["nothing"]}, {"where": {"model": 7}}, {"purpose": None}):
        refused(home, "ann", **words)
    refused(home, "ann", "elsewhere")
    assert [each["result"] for each in home.told()] == ["refused"] * 5


def test_a_grant_that_is_revoked_ends_a_read_on_its_way(home: Home) -> None:
    home.run(40, day="2026-11-23")
    grant = home.granted("sam")
    batches = home.reader("sam").batches(columns=["owner"], purpose=PURPOSE, incident=INCIDENT)
    assert next(batches).num_rows
    from minimize.governance.grants import answer_grant

    answer_grant("revoke", grant.id, home.places(), home.time.at)
    home.time.passes(seconds=1)
    with pytest.raises(RefusedError) as error:
        next(batches)
    assert error.value.code == "B007"
    (told,) = home.told()
    assert changes_of(told)["ended"] == "B007"
    assert told["result"] == "failure"


def test_a_grant_that_runs_out_ends_a_read_to_the_second(home: Home) -> None:
    home.run(40, day="2026-11-23")
    home.granted("sam", duration=timedelta(seconds=10))
    batches = home.reader("sam").batches(columns=["owner"], purpose=PURPOSE, incident=INCIDENT)
    home.time.passes(seconds=9, milliseconds=999)
    assert next(batches).num_rows
    home.time.passes(milliseconds=1)
    with pytest.raises(RefusedError):
        next(batches)


def test_a_role_that_is_taken_away_ends_a_read_on_its_way(home: Home) -> None:
    home.run(40, day="2026-11-23")
    batches = home.reader("ann").batches(purpose=PURPOSE)
    assert next(batches).num_rows
    home.rules(assignments=[])
    home.time.passes(seconds=1)
    with pytest.raises(RefusedError):
        next(batches)


def test_a_publication_changes_no_running_read(home: Home) -> None:
    home.run(40, day="2026-11-23")
    before = home.read("ann").num_rows
    batches = home.reader("ann").batches(columns=["model"], purpose=PURPOSE)
    rows = next(batches).num_rows
    for day in ("2026-11-23", "2026-11-24"):
        home.run(10, first=500, day=day, allow_shrink=True)
    assert rows + sum(batch.num_rows for batch in batches) == before
    assert home.read("ann").num_rows == 20


def test_files_are_held_no_longer_than_they_are_read(home: Home) -> None:
    reader = home.reader("ann")
    batches = reader.batches(purpose=PURPOSE)
    next(batches)
    assert home.doors[-1].pinned_count
    assert [*batches] == []
    assert not home.doors[-1].pinned_count
    reader.read(purpose=PURPOSE)
    refused(home, "nobody")
    assert not any(door.pinned_count for door in home.doors)


def test_a_read_that_its_reader_ends_is_recorded(home: Home) -> None:
    batches = home.reader("ann").batches(purpose=PURPOSE)
    next(batches)
    assert isinstance(batches, Generator)
    batches.close()
    del batches
    assert [changes_of(each)["ended"] for each in home.told()] == ["left"]
    assert not any(door.pinned_count for door in home.doors)


def test_times_compare_as_times(home: Home) -> None:
    noon = datetime.fromisoformat("2026-11-24T18:00:00+00:00")
    found = home.read("ann", where={"event_time": {">=": noon}})
    assert found.num_rows == sum(each >= noon for each in home.read("ann")["event_time"].to_pylist())


def test_pseudonyms_of_two_key_versions_are_not_mixed_unless_asked_for(home: Home) -> None:
    home.keys = add_key(home.project.keys, "device", now=home.time.at)
    home.run(40, day="2026-11-23")
    error = refused(home, "ann")
    assert (error.code, "device_id" in error.message) == ("B011", True)
    assert home.read("ann", mixed_keys=True).num_rows == ROWS + 40
    assert home.read("ann", columns=["model"]).num_rows == ROWS + 40
    assert home.read("ann", where={"date": "2026-11-23"}).num_rows == 40


def test_a_column_is_open_for_the_purposes_of_its_policy_only(home: Home) -> None:
    home.granted("sam", columns=("phone", "owner"))
    assert refused(home, "sam", columns=["phone"], incident=INCIDENT, purpose="service_maintenance").code == "B005"
    assert home.read("sam", columns=["phone"], incident=INCIDENT).num_rows == ROWS // 2


def test_data_under_policies_without_a_common_purpose_is_closed(home: Home) -> None:
    home.project.policy(FIELDS | {"phone": None}, purposes=["operations"])
    home.project.pipeline(purpose="operations", records={"must_be": "identified"}, aggregates=AGGREGATES)
    home.project.records([owned_event(number) for number in range(40)], "2026-11-23")
    home.project.run(date="2026-11-23")
    for purpose in (PURPOSE, "operations", ""):
        assert refused(home, "ann", purpose=purpose or None).code == "B005"


def test_where_files_cannot_be_kept_open_a_read_ends_when_they_are_replaced(home: Home, tmp_path: Path) -> None:
    home.monkeypatch.setattr(snapshot, "DESCRIPTOR_FOLDER", tmp_path / "none")
    for day in ("2026-11-21", "2026-11-22", "2026-11-23"):
        home.run(40, day=day)
    batches = home.reader("ann").batches(columns=["model"], purpose=PURPOSE)
    assert next(batches).num_rows == 40
    home.run(10, first=500, day="2026-11-23", allow_shrink=True)
    with pytest.raises(MinimizeError) as error:
        deque(batches, 0)
    assert error.value.code == "B006"
    assert home.read("ann").num_rows == ROWS + 90


def test_a_read_under_a_grant_ends_with_its_incident(home: Home) -> None:
    home.granted("sam")
    assert home.read("sam", columns=["owner"], incident=INCIDENT).num_rows == ROWS // 2
    close_incident(INCIDENT, None, "the device checks in", home.places(), home.time.at)
    home.time.passes(minutes=1)
    assert refused(home, "sam", columns=["owner"], incident=INCIDENT).code == "B005"


def test_the_ledger_contains_no_value(home: Home) -> None:
    home.granted("sam")
    home.read("sam", where={"owner": "owner-3@example.com"}, incident=INCIDENT)
    home.read("nora", where={"model": "a model that is sought"})
    content = b"".join(path.read_bytes() for path in home.folder.glob("ledger.db*"))
    assert b"owner" in content
    assert not [word for word in (b"owner-", b"is sought", PHONE.encode()) if word in content]


@pytest.mark.parametrize("by_pipeline", [True, False])
def test_minimize_open_finds_its_files_and_logs_the_acting_account(home: Home, by_pipeline: bool) -> None:
    home.acts("nora")
    path = home.folder if by_pipeline else home.project.out
    with minimize.open_dataset(path, keys=home.project.keys, clock=home.time) as door:
        assert door.read(purpose=PURPOSE).num_rows == ROWS // 2
        assert door.read("checkins/per_tenant", purpose=PURPOSE).num_rows == 1
        assert sum(batch.num_rows for batch in door.batches(columns=["model"], purpose=PURPOSE)) == ROWS // 2
        with pytest.raises(RefusedError):
            door.read(columns=["owner"], purpose=PURPOSE)
    assert [each["actor"]["user"] for each in home.told()] == ["nora"] * 4
    assert [changes_of(each).get("rows") for each in home.told()] == [60, 1, 60, None]


def test_the_configuration_may_name_the_access_file_and_require_encryption(home: Home) -> None:
    (home.folder / "minimize.yaml").write_text("access: {file: access.yaml, encrypt: by_category}\nledger: ledger.db\n")
    with minimize.open_dataset(home.project.out, keys=home.project.keys, user="ann") as door:
        assert door.read(purpose=PURPOSE).num_rows == ROWS


def test_an_account_may_be_named(home: Home) -> None:
    with (
        minimize.open_dataset(home.project.out, keys=home.project.keys, user="nobody") as door,
        pytest.raises(RefusedError),
    ):
        door.read(purpose=PURPOSE)


def test_without_keys_or_rules_nothing_is_opened(home: Home, tmp_path: Path) -> None:
    def opened(**words: Any) -> MinimizeError:
        with pytest.raises(MinimizeError) as error:
            minimize.open_dataset(home.project.out, **words)
        return error.value

    assert isinstance(opened(), KeyringError)
    assert isinstance(opened(keys=home.project.keys, access=tmp_path / "none.yaml"), ConfigurationError)
    (home.folder / "minimize.yaml").write_text("ledger: ledger.db\n")
    assert "access file" in opened(keys=home.project.keys).message


def test_a_dataset_is_found_by_its_pipelines_name_and_has_it_alone(home: Home, tmp_path: Path) -> None:
    assert [*find_datasets([home.folder, home.project.out])] == ["checkins"]
    with pytest.raises(OutputError):
        find_datasets([tmp_path / "none"])
    with pytest.raises(ConfigurationError, match="no dataset"):
        find_datasets([])
    home.project.run(output=tmp_path / "second", date="2026-11-24")
    with pytest.raises(ConfigurationError, match="two outputs"):
        find_datasets([home.project.out, tmp_path / "second"])
