"""`minimize consent`: what it prints and how it exits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.agreements import write_token
from tests.commands import Command
from tests.project import enter, write_yaml
from tests.world import sync, vendor_file, write_configuration

TOKEN = ("--token-file", "ann.token")
SIGNED = ("--document", "signed.txt")
WHOSE = ("contoso", "vendor", "sync")


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    write_configuration(tmp_path, vendor=vendor_file())
    write_token("ann@contoso.example", tmp_path / "ann.token")


def token_name() -> str:
    """The name of the token, which is no secret."""
    return Path("ann.token").read_text().split("_")[1]


def test_a_consent_is_asked_for_given_and_withdrawn(command: Command) -> None:
    asked = command("consent", "request", *WHOSE)
    given = command(
        "consent", "give", *WHOSE, *TOKEN, "--since", "2026-11-01T00:00:00Z", "--until", "2099-01-01T00:00:00Z"
    )
    assert (asked.code, given.code) == (0, 0)
    assert given.out == (
        f"contoso  vendor  sync  given  by ann@contoso.example, token {token_name()}, "
        "from 2026-11-01T00:00:00Z until 2099-01-01T00:00:00Z\n"
    )
    assert command("consent", "show").out == given.out.rstrip("\n") + ": valid\n"
    assert command("consent", "withdraw", *WHOSE, *TOKEN).code == 0
    assert ": no consent: withdrawn\n" in command("consent", "show").out
    assert len(command("consent", "show", "--history", "--json").json["consents"]) == 3


def test_a_consent_from_before_a_withdrawal_is_reported_as_without_effect(command: Command) -> None:
    assert command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-01-01T00:00:00Z").code == 0
    assert command("consent", "withdraw", *WHOSE, *TOKEN, "--since", "2026-06-01T00:00:00Z").code == 0
    again = command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-05-01T00:00:00Z")
    assert "no effect from 2026-06-01T00:00:00Z on, because the consent is withdrawn since then" in again.out
    body = command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-05-01T00:00:00Z", "--json").json
    assert body["overruled_by"]["valid_from"] == "2026-06-01T00:00:00Z"
    assert "no consent: withdrawn" in command("consent", "show").out
    later = command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-06-02T00:00:00Z")
    assert "no effect" not in later.out
    assert ": valid" in command("consent", "show").out


def test_why_prints_the_deciding_act(command: Command, tmp_path: Path) -> None:
    assert command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-11-01T00:00:00Z").code == 0
    said = command("consent", "explain", *WHOSE)
    assert said.out.startswith("vendor sync for contoso: consent (valid)\nat 2")
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=sync(text_version=2)))
    assert "no consent (given for another version of the text)" in command("consent", "explain", *WHOSE).out
    told = command("consent", "explain", *WHOSE, "--event", "2026-10-01T00:00:00Z", "--json").json
    assert (told["valid"], told["why"], len(told["moments"])) == (False, "other_text", 2)


def test_why_at_a_time_before_the_recording_prints_when_the_consent_was_recorded(command: Command) -> None:
    given = command("consent", "give", *WHOSE, *TOKEN, "--since", "2026-01-01T00:00:00Z", "--json").json
    lines = command("consent", "explain", *WHOSE, "--at", "2026-01-02T00:00:00Z").out.splitlines()
    recorded = given["recorded_at"][:19] + "Z"
    assert lines[1:] == [
        "at 2026-01-02T00:00:00Z: nothing",
        f"given by ann@contoso.example, valid from 2026-01-01T00:00:00Z, but recorded only at {recorded}. "
        f"Runs before {recorded} ignore it",
    ]


NO_CONSENT = "no consent of this tenant to sync of vendor is recorded"


@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_the_end_of_a_consent_that_is_not_recorded_is_recorded_with_a_warning(command: Command, verb: str) -> None:
    assert command("consent", "give", "contoso", "vendor", "sync", *TOKEN).code == 0
    done = command("consent", verb, "contsoo", "vendor", "sync", *TOKEN)
    assert (done.code, NO_CONSENT in done.err, "contsoo" in done.err) == (0, True, False)
    assert NO_CONSENT in command("consent", verb, "contsoo", "vendor", "sync", *TOKEN).err


@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_the_end_of_a_recorded_consent_needs_no_warning(command: Command, verb: str) -> None:
    assert command("consent", "give", *WHOSE, *TOKEN).code == 0
    assert NO_CONSENT not in command("consent", verb, *WHOSE).err


def test_only_a_refusal_answers_a_request_without_a_warning(command: Command) -> None:
    assert command("consent", "request", *WHOSE).code == 0
    assert NO_CONSENT not in command("consent", "refuse", *WHOSE, *TOKEN).err
    assert NO_CONSENT in command("consent", "withdraw", *WHOSE, *TOKEN).err


def test_an_invalid_consent_exits_with_2(command: Command) -> None:
    assert "Did you mean `sync`" in command("consent", "give", "contoso", "vendor", "snyc", *TOKEN).err
    old = command("consent", "give", *WHOSE, *TOKEN, "--text-version", "7")
    assert (old.code, "that is 1" in old.err) == (2, True)
    assert command("consent", "give", *WHOSE, *TOKEN, "--until", "soon").code == 2


def test_a_refusal_is_recorded(command: Command) -> None:
    assert command("consent", "refuse", *WHOSE, *TOKEN, "--json").json["dpv"] == "ConsentRefused"


def test_an_expired_consent_is_marked(command: Command) -> None:
    command("consent", "give", *WHOSE, *TOKEN, "--since", "2020-01-01T00:00:00Z", "--until", "2020-02-01T00:00:00Z")
    assert command("consent", "mark-expired").out == "1 consent marked as expired\n"
    assert command("consent", "mark-expired", "--json").json == {"expired": []}


def test_consent_acts_are_in_the_audit_log(command: Command) -> None:
    command("consent", "give", *WHOSE, *TOKEN)
    assert "consent" in command("audit", "log", "--activity", "consent").out


def test_without_a_ledger_nothing_is_shown(command: Command) -> None:
    Path("ledger.db").unlink()
    assert command("consent", "show").code == 2


@pytest.mark.parametrize("verb", ["give", "refuse", "withdraw"])
def test_the_name_of_an_account_is_no_evidence(command: Command, verb: str) -> None:
    done = command("consent", verb, *WHOSE, "--json")
    assert done.code == 3
    assert json.loads(done.err)["error"]["code"] == "N060"
    assert command("consent", "show").out == "no consents\n"


def token(command: Command, user: str) -> str:
    """The text of a new token of an account."""
    text: str = command("access", "token", "--actor", user, "--json").json["secret"]
    return text


def test_an_api_token_of_the_account_is_evidence(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token(command, "ann@contoso.example")
    monkeypatch.setenv("MINIMIZE_TOKEN", text)
    assert command("consent", "give", *WHOSE).code == 0
    (shown,) = command("consent", "show", "--json").json["consents"]
    assert shown["evidence"] == {"kind": "token", "reference": text.split("_")[1]}
    assert text.split("_")[2] not in Path("ledger.db").read_bytes().decode("latin-1")


def test_a_token_file_is_evidence(command: Command, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token(command, "ann@contoso.example") + "\n")
    assert command("consent", "give", *WHOSE, "--token-file", "token").code == 0
    assert command("consent", "give", *WHOSE, "--token-file", "none").code == 2


def test_a_token_of_another_account_or_a_forged_one_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "eve@contoso.example")
    monkeypatch.setenv("MINIMIZE_TOKEN", token(command, "eve@contoso.example"))
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    assert json.loads(command("consent", "give", *WHOSE, "--json").err)["error"]["code"] == "N061"
    monkeypatch.setenv("MINIMIZE_TOKEN", f"mzd_{'0' * 16}_{'0' * 64}")
    assert command("consent", "give", *WHOSE).code == 3
    assert command("consent", "show").out == "no consents\n"


@pytest.mark.parametrize("reference", ["", " ", "ann@contoso.example"])
def test_a_blank_reference_or_an_address_is_no_evidence(command: Command, reference: str) -> None:
    assert command("consent", "request", *WHOSE).code == 0
    assert command("consent", "give", *WHOSE, "--evidence", reference).code == 2
    assert [each["state"] for each in command("consent", "show", "--history", "--json").json["consents"]] == [
        "requested"
    ]


def test_the_reference_of_a_document_alone_is_no_consent(command: Command) -> None:
    done = command("consent", "give", *WHOSE, "--evidence", "FORM-1", "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N062")
    assert command("consent", "show").out == "no consents\n"


def test_a_consent_by_document_has_no_effect_until_another_person_confirms_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = command("consent", "give", *WHOSE, *SIGNED, "--evidence", "FORM-1")
    assert "another person must run `minimize consent confirm contoso vendor sync --document FILE`" in given.out
    assert "no consent: given by a document that no second person has confirmed" in command("consent", "show").out
    monkeypatch.setenv("MINIMIZE_ACTOR", "ben@service.example")
    assert command("consent", "confirm", *WHOSE, *SIGNED).code == 0
    (shown,) = command("consent", "show", "--json").json["consents"]
    digest = "sha256:" + hashlib.sha256(Path("signed.txt").read_bytes()).hexdigest()
    assert (shown["valid"], shown["by"]) == (True, "ann@contoso.example")
    assert shown["evidence"] == {
        "kind": "document",
        "reference": "FORM-1",
        "digest": digest,
        "confirmed_by": "ben@service.example",
    }


def test_the_person_who_recorded_a_consent_by_document_cannot_confirm_it(command: Command) -> None:
    command("consent", "give", *WHOSE, *SIGNED)
    done = command("consent", "confirm", *WHOSE, *SIGNED, "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N065")
    assert command("consent", "show", "--json").json["consents"][0]["valid"] is False


def test_another_document_confirms_no_consent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command("consent", "give", *WHOSE, *SIGNED)
    Path("other.txt").write_text("Another form.")
    monkeypatch.setenv("MINIMIZE_ACTOR", "ben@service.example")
    done = command("consent", "confirm", *WHOSE, "--document", "other.txt", "--json")
    assert (done.code, json.loads(done.err)["error"]["code"]) == (3, "N064")


def test_a_withdrawn_consent_by_document_cannot_be_confirmed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command("consent", "give", *WHOSE, *SIGNED)
    assert command("consent", "withdraw", *WHOSE, "--evidence", "TICKET-2").code == 0
    monkeypatch.setenv("MINIMIZE_ACTOR", "ben@service.example")
    assert command("consent", "confirm", *WHOSE, *SIGNED).code == 3
    assert ": no consent: withdrawn\n" in command("consent", "show").out


@pytest.mark.parametrize("content", [None, b""])
def test_a_document_that_is_missing_or_empty_is_no_evidence(command: Command, content: bytes | None) -> None:
    if content is not None:
        Path("form.pdf").write_bytes(content)
    assert command("consent", "give", *WHOSE, "--document", "form.pdf").code == 2
    assert command("consent", "show").out == "no consents\n"
