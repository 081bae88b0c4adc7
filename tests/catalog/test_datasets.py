from __future__ import annotations

from pathlib import Path

import pytest

from minimize.catalog.datasets import dataset
from minimize.catalog.gather import pipelines_in, recipients_of
from minimize.catalog.model import Dataset, FieldEntry

PIPELINES = Path(__file__).parents[2] / "pipelines"


def of(name: str) -> Dataset:
    known = pipelines_in([str(PIPELINES / name)])
    return dataset(known[0], recipients_of(known))


@pytest.fixture(name="entry", scope="module")
def _entry() -> Dataset:
    return of("device_telemetry")


def field(entry: Dataset, key: str) -> FieldEntry:
    return next(each for each in entry.fields if each.key == key)


def test_every_declared_field_has_an_entry_dropped_ones_too(entry: Dataset) -> None:
    known = pipelines_in([str(PIPELINES / "device_telemetry")])[0]
    assert [each.key for each in entry.fields] == list(known.plan.fields)
    imei = field(entry, "imei")
    assert (imei.after, imei.kept, imei.outputs) == ("absent", "", ())


def test_a_field_tells_its_form_before_and_after_and_what_is_left(entry: Dataset) -> None:
    ip = field(entry, "ip_address")
    assert (ip.before, ip.after, ip.leaves, ip.category) == (
        "string",
        "truncate_ip (v4 24, v6 48)",
        "nothing",
        "pseudonymized",
    )


def test_cases_are_told_with_their_conditions() -> None:
    after = field(of("device_support"), "phone_number").after
    assert "owner_type is corporate: keep" in after
    assert "owner_type is personal: mask (keep_last 4)" in after


def test_a_feature_tells_when_it_is_collected_and_how_long_it_is_kept(entry: Dataset) -> None:
    place = field(entry, "latitude")
    assert (place.collected, place.kept) == ("feature location is on", "1d")
    assert field(entry, "event_time").kept == "30d"


def test_purposes_are_the_fields_own_or_the_policys(entry: Dataset) -> None:
    assert field(entry, "phone_number").purposes == ("customer_support",)
    assert field(entry, "model").purposes == ("service_maintenance", "customer_support")


def test_aggregates_are_outputs_of_the_fields_behind_their_columns(entry: Dataset) -> None:
    battery = field(entry, "battery_pct")
    assert battery.outputs == ("records", "fleet_by_version")
    assert battery.after == "bin (width 10); in aggregates clip (min 0, max 100)"
    fleet = next(each for each in entry.outputs if each.name == "fleet_by_version")
    assert (fleet.category, fleet.suppressed) == ("aggregated", "groups of fewer than 10 subjects")


def test_recipients_are_those_whose_functions_send_a_field_of_that_name(entry: Dataset) -> None:
    assert field(entry, "imei").recipients == ("google (android_management)",)
    assert field(entry, "battery_pct").recipients == ()
