"""`minimize contract`: recorded, shown and ended per tenant, and what a recipient must delete after the end."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.recipients.load import load_contracts
from tests.commands import Command
from tests.project import AT, enter, write_yaml
from tests.world import World, vendor_file, write_configuration

DOCUMENT = ("--document", "signed.txt")
LATER = AT + timedelta(days=1)
PARTIES = ("contoso", "vendor")
SEND = ("share", "send", "vendor", "sync", "--pipeline", "usage")


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia@service.example")
    write_configuration(tmp_path, vendor=vendor_file())
    return tmp_path


def test_a_contract_has_the_offered_terms_unless_an_option_replaces_them(home: Path, command: Command) -> None:
    terms = ("--reference", "C-7", "--offered", "--from", "2026-02-01", "--field", "app_id", "--evidence", "DOC-9")
    done = command("contract", "record", *PARTIES, *DOCUMENT, *terms, "--json").json
    assert (done["reference"], done["from"], done["until"]) == ("C-7", "2026-02-01", "2027-01-01")
    assert (done["permits_transmission"], done["permitted_fields"], done["retention"]) == (True, ["app_id"], "30d")
    assert (done["recorded"]["evidence"], done["recorded"]["by"]) == ("DOC-9", "pia@service.example")
    (shown,) = command("contract", "show", "--tenant", "contoso", "--json").json["contracts"]
    assert shown == done
    assert command("contract", "show", "--tenant", "fabrikam").out == "no contracts of tenants\n"


def test_without_the_offered_terms_nothing_may_be_sent(home: Path, command: Command) -> None:
    done = command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7", "--json").json
    assert (done["permits_transmission"], done["permitted_fields"], done["retention"]) == (False, [], None)


@pytest.mark.parametrize("words", [("--reference", " "), ("--reference", "C-7", "--evidence", "")])
def test_a_contract_without_the_name_of_a_document_is_refused(
    home: Path, command: Command, words: tuple[str, ...]
) -> None:
    assert command("contract", "record", *PARTIES, *DOCUMENT, *words).code == 2


def test_a_contract_without_its_document_is_refused(home: Path, command: Command) -> None:
    done = command("contract", "record", *PARTIES, "--reference", "C-7", "--offered", "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N062")


def test_the_digest_of_the_document_of_a_contract_is_recorded(home: Path, command: Command) -> None:
    done = command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7", "--json").json
    digest = hashlib.sha256((home / "signed.txt").read_bytes()).hexdigest()
    assert done["recorded"]["digest"] == f"sha256:{digest}"


def test_a_field_that_no_function_sends_is_refused(home: Path, command: Command) -> None:
    done = command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7", "--field", "app_idd")
    assert done.code == 2
    assert "Did you mean `app_id`" in done.err


def test_a_contract_that_ends_before_it_begins_is_refused(home: Path, command: Command) -> None:
    days = ("--from", "2026-02-01", "--until", "2026-01-01")
    assert command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7", *days).code == 2


def test_the_contract_with_an_agent_is_not_of_a_tenant(home: Path, command: Command) -> None:
    agent = vendor_file(standing="agent", subprocessor="Helper")
    write_yaml(home / "recipients" / "vendor.yaml", agent)
    done = command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7")
    assert done.code == 2
    assert "the organization's own" in done.err


def test_an_unrecorded_contract_cannot_be_ended(home: Path, command: Command) -> None:
    command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-7")
    assert command("contract", "end", "fabrikam", "vendor").code == 2
    assert command("contract", "end", *PARTIES, "--reference", "C-8").code == 2
    assert command("contract", "end", *PARTIES, "--reference", "C-7").code == 0
    assert command("contract", "end", *PARTIES).code == 2


def test_the_end_of_a_contract_stops_the_share_and_recalls_what_was_sent_of_its_tenant(world: World) -> None:
    assert world.command("pia", *SEND, "--to", "again.parquet").code == 0
    ended = world.command(
        "pia", "contract", "end", "north", "vendor", "--evidence", "LETTER-1", "--json", at=LATER
    ).json
    assert "received" not in ended
    assert {(each["tenant"], each["cause"], each["state"]) for each in ended["recalls"]} == {
        ("north", "contract_ended", "due")
    }
    refused = world.command("pia", *SEND, "--to", "never.parquet", at=LATER)
    assert refused.code == 3
    assert "N011" in refused.err
    asked = world.command("pia", "share", "recall", "issue", "--json", at=LATER).json["recalls"]
    assert {each["tenant"] for each in asked} == {"north"}


def test_a_file_of_contracts_counts_until_the_ledger_has_one(home: Path, command: Command) -> None:
    own = {"tenant": "contoso", "recipient": "vendor", "reference": "F-1", "from": "2026-01-01"}
    write_yaml(home / "contracts.yaml", {"contracts": [own]})
    settings = "access: off\nkeys: test.keys\nledger: ledger.db\nrecipients: recipients\ncontracts: contracts.yaml\n"
    (home / "minimize.yaml").write_text(settings)
    command("contract", "record", "fabrikam", "vendor", *DOCUMENT, "--reference", "C-7")
    shown = command("contract", "show", "--json").json["contracts"]
    assert {each["reference"]: each["recorded"] is None for each in shown} == {"F-1": True, "C-7": False}
    command("contract", "record", *PARTIES, *DOCUMENT, "--reference", "C-8")
    shown = command("contract", "show", "--tenant", "contoso", "--json").json["contracts"]
    assert [each["reference"] for each in shown] == ["C-8"]


def test_a_faulty_file_of_contracts_is_refused_with_every_fault(home: Path) -> None:
    (home / "minimize.yaml").write_text("contracts: contracts.yaml\n")
    faulty = {"tenant": "contoso", "recipient": "vendor", "from": "2026-01-01", "until": "2025-01-01", "fields": []}
    write_yaml(home / "contracts.yaml", {"contracts": [faulty]})
    with pytest.raises(PolicyError) as caught:
        load_contracts(home)
    assert {each.code for each in caught.value.findings} >= {"P004", "P005"}
    assert "contoso" not in json.dumps(caught.value.to_json())
