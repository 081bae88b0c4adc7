"""One id in all datasets: requests about users and devices that the policies know under several fields and ids."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from minimize.errors import CheckFailed, ConfigurationError
from minimize.governance.events import NewEvent, add_events
from minimize.governance.subjects import DataSubject, SubjectRemoval, delete_subjects, request_statuses, view_subjects
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.removal.expire import expire
from tests.governance.outputs import places, run
from tests.project import AT, DAY, Builds, Project, events


def identifier(identity: str | list[str] | None, key: str = "device", **more: Any) -> dict[str, Any]:
    """A field of ids, with the pseudonym of its identity."""
    link = {} if identity is None else {"link": identity if isinstance(identity, str) else identity[0]}
    stated = {} if identity is None else {"identifies": identity}
    do = {"pseudonymize": {"key": key, "per": "tenant_id", **link}}
    return {"type": "string", "role": "identifier", **stated, "do": do, **more}


DEVICE, OWNER, CONTACT = identifier("device"), identifier("user", "user"), identifier("user", "user")
SERIAL = identifier("device.serial_number")
DATASETS: dict[str, dict[str, Any]] = {
    "inventory": {"device_id": DEVICE, "owner": OWNER, "serial": {**SERIAL, "do": "keep"}},
    "cases": {"subject": "contact", "device_id": DEVICE, "contact": CONTACT},
    "apps": {"device_id": DEVICE},
    "vendor": {"subject": "serial", "serial": SERIAL, "device_id": None},
}
"""The fields of each dataset that identify: the vendor knows serial numbers only."""
OWNERS = {"d0": "u0", "d1": "u1", "d2": "u1"}


def ids_of(number: int) -> dict[str, str]:
    device = f"d{number % 3}"
    return {"tenant_id": "north", "device_id": device, "owner": OWNERS[device], "serial": f"s{device}"}


def records_of(name: str) -> list[dict[str, Any]]:
    """Two records of each device; in the cases its owner is the contact."""
    rows = [{**record, **ids_of(number)} for number, record in enumerate(events(6))]
    return [{**row, "contact": row["owner"]} for row in rows] if name == "cases" else rows


def part(project: Project, name: str) -> Project:
    return replace(project, folder=project.folder / name, keyring=project.keys)


def publish(project: Project, name: str, stated: dict[str, Any], records: list[dict[str, Any]]) -> Project:
    """Publishes a dataset whose policy states these fields."""
    dataset = part(project, name)
    dataset.folder.mkdir()
    shutil.copy(project.folder / "settings.csv", dataset.folder)
    fields = {key: each for key, each in stated.items() if key != "subject"}
    dataset.policy(fields, policy=name, subject=stated.get("subject", "device_id"))
    dataset.pipeline(pipeline=name, aggregates=None, records={"encrypt": "off"})
    dataset.records(records)
    run(dataset, ledger=project.folder / "organization.db")
    return dataset


def fill(project: Project) -> None:
    shutil.rmtree(project.folder / "data", ignore_errors=True)
    for name, stated in DATASETS.items():
        publish(project, name, stated, records_of(name))


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fill)


def rows(project: Project) -> dict[str, int]:
    return {name: len(part(project, name).rows()) for name in DATASETS}


def deleted(project: Project, subject: DataSubject, **options: Any) -> SubjectRemoval:
    return delete_subjects([subject], places(project), datetime.now(UTC), yes=True, **options)


def last_state(project: Project) -> str:
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        return request_statuses(ledger)[-1].last.state


@pytest.mark.parametrize("name", [None, "device", "device_id"])
def test_a_device_is_deleted_from_every_dataset_also_where_another_id_shows_it(
    filled: Project, name: str | None
) -> None:
    assert deleted(filled, DataSubject("d0", "north", name)).rows == 8
    assert (rows(filled), last_state(filled)) == ({"inventory": 4, "cases": 4, "apps": 4, "vendor": 4}, "done")


def test_a_user_is_found_in_every_field_that_holds_users(filled: Project) -> None:
    (found,) = view_subjects([DataSubject("u0", "north", "owner")], places(filled), datetime.now(UTC))
    assert {each.file.output.pipeline: each.keys for each in found.records} == {
        "inventory": ("owner",),
        "cases": ("contact",),
    }
    assert {each.file.output.pipeline for each in found.unsearchable} == {"apps", "vendor"}


def test_a_users_request_is_open_while_outputs_of_devices_were_not_searched(filled: Project) -> None:
    with pytest.raises(CheckFailed) as failure:
        deleted(filled, DataSubject("u0", "north"))
    assert failure.value.code == "Q004"
    assert (rows(filled), last_state(filled)) == ({"inventory": 4, "cases": 4, "apps": 6, "vendor": 6}, "failed")


def test_a_user_is_deleted_with_devices_and_their_other_ids(filled: Project) -> None:
    deleted(filled, DataSubject("u1", "north", "user"), linked=True)
    assert (rows(filled), last_state(filled)) == ({"inventory": 2, "cases": 2, "apps": 2, "vendor": 2}, "done")


def test_records_under_another_id_do_not_come_back_by_a_rerun(filled: Project) -> None:
    deleted(filled, DataSubject("d0", "north"))
    for name in DATASETS:
        run(part(filled, name), date=DAY, ledger=filled.folder / "organization.db")
    assert rows(filled) == {"inventory": 4, "cases": 4, "apps": 4, "vendor": 4}


def test_a_device_of_which_the_other_id_is_unknown_is_not_called_deleted(filled: Project) -> None:
    with pytest.raises(CheckFailed) as failure:
        deleted(filled, DataSubject("d9", "north"))
    assert [each.message for each in failure.value.findings] == [
        "vendor was not searched: no record shows the device.serial_number of the subject"
    ]


def test_an_id_of_a_user_and_of_a_device_is_refused_until_one_is_named(filled: Project) -> None:
    same = [{**row, "contact": "d0"} for row in records_of("cases")]
    part(filled, "cases").records(same)
    run(part(filled, "cases"), date=DAY, ledger=filled.folder / "organization.db")
    with pytest.raises(ConfigurationError, match="a named id is that of a user and also that of a device") as refused:
        deleted(filled, DataSubject("d0", "north"))
    assert refused.value.hint == "Pass --id-field user or --id-field device."
    deleted(filled, DataSubject("d0", "north", "device"))
    assert rows(filled) == {"inventory": 4, "cases": 4, "apps": 4, "vendor": 4}


@pytest.mark.parametrize("name", [None, "device"])
def test_an_event_of_a_device_reaches_every_dataset_that_shows_it(filled: Project, name: str | None) -> None:
    add_events([NewEvent("north", "reset", "d0", named_by=name)], places(filled), datetime.now(UTC))
    for each in ("inventory", "cases", "apps"):
        expire(part(filled, each).out, ledger=filled.folder / "organization.db", keys=filled.keys, yes=True)
    assert rows(filled) == {"inventory": 4, "cases": 4, "apps": 4, "vendor": 6}


RENTAL: dict[str, Any] = {"subject": "serial", "device_id": None, "serial": SERIAL, "owner": OWNER}


def test_a_device_is_shared_also_if_another_person_has_it_in_another_form(filled: Project) -> None:
    """The inventory keeps serial numbers, the rental has pseudonyms of them."""
    other = [{**row, "owner": "u9"} for row in records_of("rental")]
    rental = publish(filled, "rental", RENTAL, other)
    removal = deleted(filled, DataSubject("u0", "north", "user"), linked=True)
    assert (len(rental.rows()), len(part(filled, "vendor").rows()), removal.shared) == (6, 6, 1)


def test_a_known_serial_number_does_not_hide_one_that_cannot_be_compared(filled: Project) -> None:
    """Under another key, the pseudonym of the second serial number has no form in the vendor's data."""
    another = identifier("device.serial_number", "user")
    found = [{**row, "serial": "s9"} for row in records_of("rental")[:1]]
    publish(filled, "rental", {**RENTAL, "serial": another}, found)
    with pytest.raises(CheckFailed) as failure:
        deleted(filled, DataSubject("u0", "north", "user"), linked=True)
    assert any(each.message.startswith("vendor was not searched") for each in failure.value.findings)


def test_ids_as_received_are_linked_in_their_canonical_form(filled: Project) -> None:
    kept = {**SERIAL, "do": "keep"}
    blank = [{**row, "serial": "sd0 ", "owner": "u7"} for row in records_of("rental")[:1]]
    publish(filled, "rental", {**RENTAL, "serial": kept}, [{**row, "serial": "sd8 "} for row in blank])
    sold = publish(
        filled, "sold", {"subject": "serial", "device_id": None, "serial": kept}, [{**blank[0], "serial": "sd8"}]
    )
    deleted(filled, DataSubject("u7", "north", "user"), linked=True)
    assert sold.rows() == []


def test_an_output_whose_policy_states_no_identity_was_not_searched(filled: Project) -> None:
    silent = {"device_id": identifier(None), "owner": identifier(None, "user")}
    publish(filled, "silent", silent, records_of("silent"))
    with pytest.raises(CheckFailed) as failure:
        deleted(filled, DataSubject("u0", "north"), linked=True)
    assert [each.message for each in failure.value.findings] == [
        "silent was not searched: it shows no device by which records of the subject can be found"
    ]


def test_later_records_of_another_user_of_the_device_are_published(filled: Project) -> None:
    deleted(filled, DataSubject("u0", "north"), linked=True)
    inventory = part(filled, "inventory")
    inventory.records([{**row, "owner": "u5"} for row in records_of("inventory")])
    run(inventory, date=DAY, ledger=filled.folder / "organization.db")
    assert rows(filled)["inventory"] == 6


def test_a_run_as_of_an_earlier_time_leaves_out_who_was_erased_since(filled: Project) -> None:
    deleted(filled, DataSubject("d0", "north"))
    inventory, earlier = part(filled, "inventory"), filled.folder / "earlier"
    receipt = run(inventory, at=AT, output=earlier, ledger=filled.folder / "organization.db")
    assert (receipt.rows.written, receipt.gated_by.reasons["erased"]) == (4, 2)


def test_a_request_that_left_an_output_unsearched_ends_with_a_reason_for_this_output(filled: Project) -> None:
    """The first call removes the records that show the device with its serial number."""
    kinds = {"subject": "imei", "device_id": None, "imei": identifier("device.imei")}
    publish(filled, "network", kinds, [{**row, "imei": "i0"} for row in records_of("network")])
    for _ in range(2):
        with pytest.raises(CheckFailed) as failure:
            deleted(filled, DataSubject("d0", "north"))
        assert {each.message.partition(" ")[0] for each in failure.value.findings} == {"network"}
    deleted(filled, DataSubject("d0", "north"), unsearchable={"network": "holds other devices only"})
    assert last_state(filled) == "done"


APPLE_ID, ADDRESS = identifier("user.apple_id", "user"), identifier("user.principal_name", "user")
ACCOUNTS = {"device_id": DEVICE, "owner": OWNER, "apple_id": APPLE_ID, "address": ADDRESS}
ENROLMENT = {
    "device_id": DEVICE,
    "serial": {**SERIAL, "do": "keep"},
    "token_made_by": {**APPLE_ID, "do": "keep"},
    "assigned_by": {**ADDRESS, "do": "keep"},
}
ADMINISTRATOR = {"token_made_by": "apple-u1", "assigned_by": "u2@north.example"}


@pytest.fixture(name="enrolled")
def _enrolled(filled: Project) -> Project:
    """All devices were enrolled by the administrator u1 and assigned by another one."""
    accounts = [
        {**row, "apple_id": f"apple-{row['owner']}", "address": f"{row['owner']}@north.example"}
        for row in records_of("accounts")
    ]
    publish(filled, "accounts", ACCOUNTS, accounts)
    publish(filled, "enrolment", ENROLMENT, [{**row, **ADMINISTRATOR} for row in records_of("enrolment")])
    return filled


def test_an_administrator_in_the_records_of_a_device_is_not_its_user(enrolled: Project) -> None:
    assert deleted(enrolled, DataSubject("u0", "north", "user"), linked=True).rows == 12
    devices = {row["serial"] for row in part(enrolled, "enrolment").rows()}
    assert (devices, last_state(enrolled)) == ({"sd1", "sd2"}, "done")


def test_an_administrator_is_found_as_received_by_the_pseudonym_in_another_dataset(enrolled: Project) -> None:
    deleted(enrolled, DataSubject("u1", "north", "user"), linked=True)
    assert (part(enrolled, "enrolment").rows(), last_state(enrolled)) == ([], "done")


def test_two_administrators_of_one_device_are_not_linked(enrolled: Project) -> None:
    other = {**ADMINISTRATOR, "assigned_by": "u0@north.example"}
    publish(enrolled, "later", ENROLMENT, [{**row, **other} for row in records_of("later")])
    deleted(enrolled, DataSubject("apple-u1", "north", "user.apple_id"), linked=True)
    assert ({row["serial"] for row in part(enrolled, "inventory").rows()}, last_state(enrolled)) == ({"sd0"}, "done")


def test_devices_that_only_a_list_shows_leave_the_request_open(project: Project) -> None:
    """A list links nothing, because it can name devices of others. So the datasets of devices count as not searched."""
    shutil.rmtree(project.folder / "data", ignore_errors=True)
    listed = {"owner": OWNER, "/seen/*/id": identifier("device"), "device_id": None, "subject": "owner"}
    seen = [{**row, "seen": [{"id": row["device_id"]}, {"id": "d9"}]} for row in records_of("inventory")]
    publish(project, "sightings", listed, seen)
    publish(project, "apps", DATASETS["apps"], records_of("apps"))
    with pytest.raises(CheckFailed) as failure:
        deleted(project, DataSubject("u0", "north", "user"), linked=True)
    assert (failure.value.code, last_state(project)) == ("Q004", "failed")
    assert [each.message.partition(" ")[0] for each in failure.value.findings] == ["apps"]
