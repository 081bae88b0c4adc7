"""Datasets about administrators: accounts, audit events, console usage and site summaries."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
from minimize_samples.dataset import Slice
from minimize_samples.datasets.administration import ACTIONS, CONSOLE_PAGES, CONTROLS

from ..made import dataset, records, settings

RECORDS = records("administrators")


def test_an_administrator_has_one_record_a_day() -> None:
    assert len({record["admin_id"] for record in RECORDS}) == len(RECORDS)


def test_payment_is_the_accounts() -> None:
    names = ("account_id", "owner_email", "payment_method", "payment_card_token", "subscription_key")
    assert len({tuple(record.get(name) for name in names) for record in RECORDS}) == 6


def test_only_who_pays_by_card_has_one() -> None:
    assert {record["payment_method"] for record in RECORDS} == {"card", "invoice"}
    for record in RECORDS:
        assert (
            (record["payment_method"] == "card") == ("payment_card_token" in record) == ("payment_card_last4" in record)
        )


def test_some_have_several_roles() -> None:
    assert {len(record["roles"]) for record in RECORDS} == {1, 2}


def test_the_same_administrators_use_the_console() -> None:
    users = {record["admin_id"]: record["tenant_id"] for record in records("console_usage")}
    assert users.items() <= {record["admin_id"]: record["tenant_id"] for record in RECORDS}.items()


AUDIT_EVENTS = records("audit_events")


def test_every_operation_is_there() -> None:
    expected = {"manage", "create", "update", "delete", "assign", "remote_task"}
    assert {record["operation"] for record in AUDIT_EVENTS} == expected


def test_actors_are_administrators_of_the_tenant() -> None:
    administrators = {(record["admin_id"], record["tenant_id"]) for record in records("administrators", 400)}
    assert {(record["actor_id"], record["tenant_id"]) for record in AUDIT_EVENTS} <= administrators


def test_devices_and_users_are_those_of_the_tenant() -> None:
    known = {
        (record["tenant_id"], record[field])
        for record in records("device_inventory")
        for field in ("device_id", "user_id")
        if field in record
    }
    named = {
        (record["tenant_id"], resource["id"])
        for record in AUDIT_EVENTS
        for resource in record["resources"]
        if resource["type"] in ("managedDevice", "user") and "id" in resource
    }
    assert named
    assert named <= known


def test_an_assignment_names_what_and_to_whom() -> None:
    for record in AUDIT_EVENTS:
        types = [resource["type"] for resource in record["resources"]]
        assert types == [record["activity"].split()[1]] + ["user"] * (record["operation"] == "assign")


def test_only_updates_change_properties() -> None:
    assert {bool(record["changed_properties"]) for record in AUDIT_EVENTS if record["operation"] == "update"} == {True}
    assert not any(record["changed_properties"] for record in AUDIT_EVENTS if record["operation"] != "update")


CONSOLE_USAGE = records("console_usage")


def test_every_page_control_and_action_is_there() -> None:
    for field, pool in (("page", CONSOLE_PAGES), ("control", CONTROLS), ("action", ACTIONS)):
        assert {record[field] for record in CONSOLE_USAGE} == set(pool)


def test_only_a_search_has_a_text_which_can_hold_a_name() -> None:
    assert all(("search_text" in record) == (record["action"] == "search") for record in CONSOLE_USAGE)
    names = {record["user_display_name"] for record in records("device_inventory") if "user_id" in record}
    assert names & {record["search_text"] for record in CONSOLE_USAGE if "search_text" in record}


def test_its_settings_are_levels_of_tenants() -> None:
    assert {(row.setting, row.subject) for row in settings("console_usage")} == {("level", "")}


SITE_SUMMARY = records("site_summary")


def test_a_site_reports_once_a_week() -> None:
    sites: list[str] = []
    for day in range(7):
        part = Slice(date(2026, 11, 23 + day), 0, 1500, 1500)
        made = dataset("site_summary").records(part, np.random.default_rng(1)).lines().to_pylist()
        sites += [json.loads(line)["site_id"] for line in made]
    assert len(set(sites)) == len(sites) == 7 * 1500


def test_every_level_is_there() -> None:
    assert {record["diagnostic_level"] for record in SITE_SUMMARY} == {"basic", "enhanced", "full"}


def test_a_system_has_at_most_all_clients() -> None:
    assert all(record["os_device_count"] <= record["client_count"] for record in SITE_SUMMARY)


def test_contacts_are_administrators_of_the_tenant() -> None:
    administrators = {(record["user_principal_name"], record["tenant_id"]) for record in records("administrators")}
    assert {(record["contact_email"], record["tenant_id"]) for record in SITE_SUMMARY} <= administrators


def test_names_of_sites_can_hold_a_persons_and_addresses_are_in_no_town() -> None:
    assert all(" building " in record["site_name"] for record in SITE_SUMMARY)
    assert {record["postal_address"].split()[-1] for record in SITE_SUMMARY} == {
        *("Exampleville", "Sampleton", "Mustertal", "Exempleux"),
    }
