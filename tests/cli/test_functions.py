"""`minimize functions`: turning a function of a third party on asks, and works once everything is in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agreements import write_token
from tests.commands import Command
from tests.project import enter, write_yaml
from tests.world import sync, vendor_file, write_configuration

FUNCTION = ("contoso", "vendor", "sync")
FORM = ("--token-file", "ann.token")
OFFERED = ("--reference", "C-1", "--offered", "--document", "signed.txt", "--from", "2026-01-01", "--until", "2099-01-01")
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
    asked = command("functions", "enable", *FUNCTION)
    assert "Which apps a device has goes to the vendor." in asked.out
    assert status(command) == {"state": "requested", "missing": ["consent", "contract", "prerequisite an_account"]}
    assert command("consent", "give", *FUNCTION, *FORM).code == 0
    assert status(command) == {"state": "requested", "missing": ["contract", "prerequisite an_account"]}
    assert command("contract", "record", "contoso", "vendor", *OFFERED).code == 0
    assert status(command) == {"state": "requested", "missing": ["prerequisite an_account"]}
    assert command("functions", "confirm", "contoso", "vendor", "an_account", *FORM).code == 0
    assert status(command) == {"state": "on", "missing": []}
    assert command("share", "why", "vendor", "sync", "--tenant", "contoso", "--json").json["permitted"]


def test_a_prerequisite_without_the_name_of_a_document_is_not_confirmed(command: Command) -> None:
    command("functions", "enable", *FUNCTION)
    assert command("functions", "confirm", "contoso", "vendor", "an_account", "--reference", " ").code == 2
    assert "prerequisite an_account" in status(command)["missing"]


def test_the_request_is_recorded_once_with_its_text(command: Command) -> None:
    command("functions", "enable", *FUNCTION)
    command("functions", "enable", *FUNCTION)
    (act,) = command("consent", "show", "--history", "--json").json["consents"]
    assert (act["state"], act["text"]) == ("requested", "Which apps a device has goes to the vendor.")
    assert (act["by"], act["evidence"]) == ("ann@contoso.example", None)


def test_a_new_text_is_asked_for_again(command: Command, tmp_path: Path) -> None:
    command("functions", "enable", *FUNCTION)
    command("consent", "give", *FUNCTION, *FORM)
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=sync(text_version=2, text="Another.")))
    assert "text 2 for the administrator of contoso: Another." in command("functions", "enable", *FUNCTION).out
    acts = command("consent", "show", "--history", "--json").json["consents"]
    assert [(act["state"], act["text_version"]) for act in acts] == [("requested", 1), ("given", 1), ("requested", 2)]


def test_turning_it_off_is_the_withdrawal_with_both_sides(command: Command) -> None:
    command("functions", "enable", *FUNCTION)
    command("consent", "give", *FUNCTION, *FORM)
    done = command("functions", "disable", *FUNCTION, *FORM)
    assert f"to do by hand: {ENDING}" in done.out
    assert status(command)["state"] == "off"
    assert command("consent", "show", "--json").json["consents"][0]["state"] == "withdrawn"


def test_turning_it_off_needs_evidence(command: Command) -> None:
    done = command("functions", "disable", *FUNCTION)
    assert done.code == 3
    assert "MINIMIZE_TOKEN" in done.err


def test_a_prerequisite_says_who_confirmed_it_and_when_and_can_end(command: Command) -> None:
    words = ("contoso", "vendor", "an_account", "--reference", "TICKET-1")
    done = command("functions", "confirm", *words, "--json").json
    assert (done["state"], done["by"], done["reference"]) == ("confirmed", "ann@contoso.example", "TICKET-1")
    assert done["recorded_at"]
    assert "prerequisite an_account" not in status(command)["missing"]
    command("functions", "confirm", *words, "--revoke")
    assert "prerequisite an_account" in status(command)["missing"]


def test_an_unknown_prerequisite_is_refused(command: Command) -> None:
    done = command("functions", "confirm", "contoso", "vendor", "an_acount", "--reference", "TICKET-1")
    assert done.code == 2
    assert "Did you mean `an_account`" in done.err
