"""Groups of an aggregate are shared tenant by tenant, as they stand, and never with less behind them than was promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.errors import ConfigurationError, NotPermitted
from minimize.ledger import find_ledger
from minimize.ledger.kinds import TENANT_SHARE, find_disclosures
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import OUTPUT_FIELDS, function, sender_of
from tests.project import AT, FIELDS, Builds, Project, events
from tests.world import CONTRACT, vendor_file

GROUPS = {
    "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id", "model": "model"},
    "measures": {
        "events": "count",
        "devices": {"count_distinct": "device_id"},
        "battery": {"mean": "battery"},
        "latitude": {"mean": "latitude"},
        "storage": {"histogram": "storage"},
    },
    "suppress": {"below": 3, "counting": "device_id"},
    "exact": {"because": "a test"},
}
COLUMNS = ["day", "tenant", "model", "events", "devices", "battery", "latitude"]
SHARED: dict[str, Any] = {
    "day": {"type": "timestamp", "do": "keep"},
    "tenant": {"do": "keep"},
    "model": {"do": "keep"},
    "events": {"type": "integer", "do": {"round": {"to": 5}}},
    "devices": {"type": "integer", "do": "keep"},
    "battery": {"type": "double", "do": "keep"},
    "latitude": {"type": "double", "do": "keep"},
}
MAINTENANCE: dict[str, Any] = {"purpose": "service_maintenance", "must_be": "aggregated"}


def vendor(fields: Mapping[str, Any] = SHARED, aggregate: str = "per_model") -> dict[str, Any]:
    contract = {**CONTRACT, "permitted_fields": [*COLUMNS, "storage"]}
    report = function(fields, aggregate=aggregate, **MAINTENANCE)
    return vendor_file(contract=contract, functions={"report": report})


def shared(home: Project, data: Any = None, recipient: Any = None, **asked: Any) -> pa.Table:
    given = home.out if data is None else data
    return sender_of(home, recipient or vendor()).share(given, function="report", clock=AT, **asked)


def content(home: Project) -> None:
    """A pipeline whose aggregate tells tenants apart; it has run, and north agrees."""
    home.policy({"latitude": {**FIELDS["latitude"], "in_aggregates": {"clip": {"min": -90, "max": 90}}}})
    home.pipeline(aggregates={"per_model": GROUPS})
    home.records(events(400))
    home.run(date="2026-11-24")
    sender_of(home, vendor()).agree("north", function="report")


@pytest.fixture(name="home")
def _home(builds: Builds, project: Project) -> Project:
    return builds.fill(project, content)


def standing(home: Project) -> pa.Table:
    return minimize.read(home.out, "per_model")


def test_groups_of_consenting_tenants_are_shared_unchanged(home: Project) -> None:
    given = shared(home)
    north = [row for row in standing(home).to_pylist() if row["tenant"] == "north"]
    assert given.column_names == COLUMNS
    assert len(north) == given.num_rows > 0
    for column in ("model", "devices", "battery", "latitude"):
        assert given.column(column).to_pylist() == [row[column] for row in north]


def test_no_group_that_leaves_has_fewer_subjects_than_was_promised(home: Project) -> None:
    assert min(shared(home).column("devices").to_pylist()) >= 3


def test_the_manifest_may_round_further(home: Project) -> None:
    assert {count % 5 for count in shared(home).column("events").to_pylist()} == {0}


def test_an_aggregated_payload_identifies_no_subject(home: Project) -> None:
    assert sender_of(home, vendor()).dry(home.out, function="report", clock=AT).category == "aggregated"
    shared(home)
    with open_ledger(find_ledger(home.out / "ledger.db")) as ledger:
        (act,) = find_disclosures(ledger)
        assert [share.token_texts() for share in ledger.find(TENANT_SHARE, key=act.disclosure)] == [[]]
    assert (act.body["category"], act.body["subject_form"]) == ("aggregated", None)


def test_records_are_more_than_aggregated(home: Project) -> None:
    report = function({"battery": {"type": "double", "do": "keep"}}, **MAINTENANCE)
    contract = {**CONTRACT, "permitted_fields": list(OUTPUT_FIELDS)}
    records = vendor_file(contract=contract, functions={"report": report})
    with pytest.raises(NotPermitted) as caught:
        shared(home, recipient=records)
    assert "category" in {each.rule for each in caught.value.reasons}


def test_a_histogram_stays(home: Project) -> None:
    wide = vendor(fields={**SHARED, "storage": {"type": "integer", "do": "keep"}})
    sender_of(home, wide).agree("north", function="report")
    assert "storage" not in shared(home, recipient=wide).column_names


def test_a_feature_that_the_tenant_has_turned_off_closes_its_measures(home: Project) -> None:
    assert shared(home).column("latitude").null_count == 0
    (home.folder / "settings.csv").write_text(
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
        "north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
        "north,,location,off,admin,2026-11-24T23:30:00Z,2026-11-24T23:30:00Z\n"
    )
    given = shared(home)
    assert (given.column("latitude").null_count, given.column("battery").null_count) == (given.num_rows, 0)


def test_a_field_dropped_by_the_current_policy_is_also_not_shared_in_groups(home: Project) -> None:
    home.policy({"battery": {"type": "double", "do": "drop"}})
    assert "battery" not in shared(home).column_names


def test_groups_without_a_tenant_key_cannot_be_shared(home: Project) -> None:
    groups = {**GROUPS, "group_by": {"day": {"event_time": "day"}, "model": "model"}}
    home.pipeline(aggregates={"per_model": groups})
    home.run(date="2026-11-24")
    with pytest.raises(ConfigurationError, match="is not grouped by tenant"):
        shared(home)


def test_groups_of_a_lower_threshold_than_today_s_do_not_leave(home: Project) -> None:
    home.pipeline(aggregates={"per_model": {**GROUPS, "suppress": {"below": 5, "counting": "device_id"}}})
    with pytest.raises(NotPermitted) as caught:
        shared(home)
    assert "N053" in {each.code for each in caught.value.reasons}


def test_changed_groups_are_not_shared(home: Project) -> None:
    import pyarrow.parquet as pq

    (file,) = (home.out / path for path in minimize.files(home.out, "per_model"))
    table = pq.read_table(file)
    place = table.schema.get_field_index("devices")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([1] * table.num_rows, pa.int64())), file)
    with pytest.raises(NotPermitted) as caught:
        shared(home)
    assert "N051" in {each.code for each in caught.value.reasons}


def test_groups_are_shared_from_their_output_alone(home: Project) -> None:
    with pytest.raises(ConfigurationError, match="only be shared from its output folder"):
        shared(home, standing(home))


def test_an_unknown_aggregate_is_a_fault(home: Project) -> None:
    with pytest.raises(ConfigurationError, match="unknown aggregate"):
        shared(home, recipient=vendor(aggregate="per_modle"))


def test_a_consent_to_records_does_not_cover_groups_nor_the_other_way(home: Project) -> None:
    other = vendor(aggregate="per_tenant")
    home.pipeline(aggregates={"per_tenant": GROUPS})
    home.records(events(400), "2026-11-23")
    home.run(date="2026-11-23")
    with pytest.raises(NotPermitted) as caught:
        shared(home, recipient=other)
    assert "other_fields" in {each.rule for each in caught.value.reasons}
