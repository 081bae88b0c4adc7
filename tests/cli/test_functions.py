"""`minimize functions`: turning a function of a third party on asks, and works once everything is in place."""

from __future__ import annotations

import hashlib
import json
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from tests.agreements import write_token
from tests.commands import Command
from tests.project import enter, write_yaml
from tests.world import LASTING_OFFER, sync, vendor_file, write_configuration

FUNCTION = ("contoso", "vendor", "sync")
FORM = ("--token-file", "ann.token")
ENDING = "the connection is cut here, and the account is deleted there"


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    write_configuration(tmp_path, vendor=vendor_file(functions=sync(requires=["an_account"]), ending=ENDING))
    write_token("ann@contoso.example", tmp_path / "ann.token")


def status(command: Command) -> dict[str, Any]:
    """The state of the function, and what is missing."""
    (found,) = command("functions", "list", "contoso", "--json").json["functions"]
    return {"state": found["state"], "missing": [each.partition(":")[0] for each in found["missing"]]}


def test_a_function_is_on_once_agreed_contracted_and_confirmed(command: Command) -> None:
    asked = command("functions", "request", *FUNCTION)
    assert "Which apps a device has goes to the vendor." in asked.out
    assert status(command) == {"state": "requested", "missing": ["consent", "contract", "prerequisite an_account"]}
    assert command("consent", "give", *FUNCTION, *FORM).code == 0
    assert status(command) == {"state": "agreed", "missing": ["contract", "prerequisite an_account"]}
    assert command("contract", "record", "contoso", "vendor", *LASTING_OFFER).code == 0
    assert status(command) == {"state": "agreed", "missing": ["prerequisite an_account"]}
    assert command("functions", "confirm", "contoso", "vendor", "an_account", *FORM).code == 0
    assert status(command) == {"state": "on", "missing": []}
    assert command("share", "explain", "vendor", "sync", "--tenant", "contoso", "--json").json["permitted"]


def test_why_names_everything_that_is_missing(command: Command) -> None:
    command("functions", "request", *FUNCTION)
    found = command("share", "explain", "vendor", "sync", "--tenant", "contoso", "--json").json
    assert [reason["code"] for reason in found["reasons"]] == ["N039", "N010", "N015"]


def test_a_prerequisite_without_the_name_of_a_document_is_not_confirmed(command: Command) -> None:
    command("functions", "request", *FUNCTION)
    assert command("functions", "confirm", "contoso", "vendor", "an_account", "--evidence", " ").code == 2
    assert "prerequisite an_account" in status(command)["missing"]


def test_the_request_is_recorded_once_with_its_text(command: Command) -> None:
    command("functions", "request", *FUNCTION)
    command("functions", "request", *FUNCTION)
    (act,) = command("consent", "show", "--history", "--json").json["consents"]
    assert (act["state"], act["text"]) == ("requested", "Which apps a device has goes to the vendor.")
    assert (act["by"], act["evidence"]) == ("ann@contoso.example", None)


def test_a_new_text_is_asked_for_again(command: Command, tmp_path: Path) -> None:
    command("functions", "request", *FUNCTION)
    command("consent", "give", *FUNCTION, *FORM)
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=sync(text_version=2, text="Another.")))
    assert "text 2 for the administrator of contoso: Another." in command("functions", "request", *FUNCTION).out
    acts = command("consent", "show", "--history", "--json").json["consents"]
    assert [(act["state"], act["text_version"]) for act in acts] == [("requested", 1), ("given", 1), ("requested", 2)]


def test_turning_it_off_is_the_withdrawal_with_both_sides(command: Command) -> None:
    command("functions", "request", *FUNCTION)
    command("consent", "give", *FUNCTION, *FORM)
    done = command("functions", "disable", *FUNCTION, *FORM)
    assert f"to do by hand: {ENDING}" in done.out
    assert status(command)["state"] == "off"
    assert command("consent", "show", "--json").json["consents"][0]["state"] == "withdrawn"


def test_turning_it_off_needs_evidence(command: Command) -> None:
    done = command("functions", "disable", *FUNCTION)
    assert done.code == 3
    assert "MINIMIZE_TOKEN" in done.err


def test_a_prerequisite_records_who_confirmed_it_and_when_and_can_be_revoked(command: Command) -> None:
    words = ("contoso", "vendor", "an_account", "--evidence", "TICKET-1")
    done = command("functions", "confirm", *words, "--document", "signed.txt", "--json").json
    assert (done["state"], done["by"], done["reference"]) == ("confirmed", "ann@contoso.example", "TICKET-1")
    assert done["recorded_at"]
    assert done["digest"] == "sha256:" + hashlib.sha256(Path("signed.txt").read_bytes()).hexdigest()
    assert "prerequisite an_account" not in status(command)["missing"]
    command("functions", "confirm", *words, "--revoke")
    assert "prerequisite an_account" in status(command)["missing"]


def test_an_unknown_prerequisite_is_refused(command: Command) -> None:
    done = command("functions", "confirm", "contoso", "vendor", "an_acount", "--evidence", "TICKET-1")
    assert done.code == 2
    assert "Did you mean `an_account`" in done.err


def test_a_ticket_alone_confirms_no_prerequisite(command: Command) -> None:
    done = command("functions", "confirm", "contoso", "vendor", "an_account", "--evidence", "TICKET-1", "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N062")


GRANT = ("functions", "confirm", "contoso", "vendor", "admin_consent", "--document", "signed.txt")


@pytest.fixture(name="granted")
def _granted(tmp_path: Path) -> None:
    function = sync(requires=["admin_consent"], permissions=["update_device_attributes"])
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=function))


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize(
    "named", [(), ("read_devices",), ("update_device_attributes", "read_devices"), ("update_device_attributes",) * 2]
)
def test_a_permission_is_confirmed_under_its_name_and_alone(command: Command, named: tuple[str, ...]) -> None:
    flags = [word for name in named for word in ("--permission", name)]
    done = command(*GRANT, *flags, "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N066")
    assert "--permission update_device_attributes" in json.loads(done.err)["error"]["hint"]
    assert "prerequisite admin_consent" in status(command)["missing"]


@pytest.mark.usefixtures("granted")
def test_the_one_permission_of_a_function_is_recorded(command: Command) -> None:
    done = command(*GRANT, "--permission", "update_device_attributes", "--json").json
    assert done["permissions"] == ["update_device_attributes"]
    assert "prerequisite admin_consent" not in status(command)["missing"]


@pytest.mark.usefixtures("granted")
def test_a_confirmed_permission_does_not_cover_another_one(command: Command, tmp_path: Path) -> None:
    command(*GRANT, "--permission", "update_device_attributes")
    function = sync(requires=["admin_consent"], permissions=["read_devices"])
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=function))
    assert "prerequisite admin_consent" in status(command)["missing"]


def notify(folder: Path, *, code: int = 0, contacts: str = "contoso,administrator,Ann,ann@contoso.example\n") -> Path:
    """Configures a command that copies its message, and contacts. Gives the file of the copy."""
    copy = folder / "sent.eml"
    program = folder / "deliver.py"
    program.write_text(f"import shutil, sys\nshutil.copy(sys.argv[1], {str(copy)!r})\nsys.exit({code})\n")
    (folder / "contacts.csv").write_text(f"tenant_id,role,name,address\n{contacts}")
    configured = (folder / "minimize.yaml").read_text()
    words = {**json.loads(configured), "notify": [sys.executable, str(program)], "contacts": "contacts.csv"}
    write_yaml(folder / "minimize.yaml", words)
    return copy


def test_the_request_reaches_the_administrator_through_the_command_of_notify(command: Command, tmp_path: Path) -> None:
    copy = notify(tmp_path)
    done = command("functions", "request", *FUNCTION, "--json").json
    assert (done["state"], done["delivery"]) == ("requested", "sent")
    message = message_from_bytes(copy.read_bytes(), policy=policy.default)
    assert message["To"] == "ann@contoso.example"
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    text, html = (each.get_content() for each in bodies if each is not None)
    assert "Which apps a device has goes to the vendor." in text
    assert "minimize consent give contoso vendor sync" in text
    assert "app_id" in html
    assert "notify" in command("audit", "log", "--activity", "function").out


@pytest.mark.parametrize(
    ("setup", "delivery", "code"),
    [
        (None, "not_configured", 0),
        ({"contacts": ""}, "no_contact", 0),
        ({"code": 1}, "failed", 1),
    ],
)
def test_a_request_that_was_not_sent_is_reported(
    command: Command, tmp_path: Path, setup: dict[str, Any] | None, delivery: str, code: int
) -> None:
    if setup is not None:
        notify(tmp_path, **setup)
    done = command("functions", "request", *FUNCTION, "--json")
    assert (done.code, done.json["delivery"]) == (code, delivery)
    assert command("consent", "show", "--history", "--json").json["consents"][0]["state"] == "requested"


def test_a_function_that_was_agreed_to_is_not_asked_for_again(command: Command, tmp_path: Path) -> None:
    command("consent", "give", *FUNCTION, *FORM)
    copy = notify(tmp_path)
    assert command("functions", "request", *FUNCTION, "--json").json["delivery"] is None
    assert not copy.exists()


def test_the_page_of_a_tenant_has_its_open_requests_with_text_data_and_answer(command: Command) -> None:
    command("functions", "request", *FUNCTION)
    assert command("functions", "list", "contoso", "--html", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "Which apps a device has goes to the vendor." in page
    assert "minimize consent give contoso vendor sync" in page
    assert "app_id" in page
    command("consent", "give", *FUNCTION, *FORM)
    command("functions", "list", "contoso", "--html", "page.html")
    assert "minimize consent give" not in Path("page.html").read_text()
