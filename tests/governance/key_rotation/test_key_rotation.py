"""New versions of master keys, and re-encrypted files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import minimize
from minimize.errors import KeyringError, LedgerError, RefusedError
from minimize.keys import Keyring, MasterKey
from minimize.keys.keyring import destroy_key
from minimize.ledger.audit_event import EntryFilter
from minimize.removal.keys import rotate_keys
from minimize.workspace import Workspace as Where
from tests.calls import log_entries
from tests.project import AT, BEFORE, DAY, Project, events

NOW = AT + timedelta(hours=1)


def where(project: Project) -> Where:
    return Where(keys=project.keys)


def said(project: Project) -> list[tuple[str, str]]:
    entries = log_entries(project.folder / "ledger.db", EntryFilter(activity="keys"))
    return [
        (each["operation"], each["resources"][0]["name"])
        for each in map(json.loads, (entry.event for entry in entries))
        if each["operation"] != "make"  # what a run makes on first use
    ]


def test_a_new_version_is_for_new_files_and_the_old_one_still_decrypts(ran: Project) -> None:
    made = rotate_keys(where(ran), NOW).versions
    assert made == (MasterKey("encrypt.footer", 2), MasterKey("encrypt.pseudonymized", 2))
    before = ran.rows()
    ran.records(events(40), DAY)
    ran.run(date=DAY)
    assert ran.master_keys() == {"encrypt.pseudonymized/1", "encrypt.pseudonymized/2"}
    assert len(ran.rows()) == len(before) == 80
    minimize.verify(ran.out, keys=ran.keys)


def test_one_key_is_rotated_alone(ran: Project) -> None:
    assert rotate_keys(where(ran), NOW, names=["encrypt.pseudonymized"]).versions == (
        MasterKey("encrypt.pseudonymized", 2),
    )
    assert Keyring.load(ran.keys).version_of("encrypt.footer") == 1


def test_a_key_that_is_not_there_is_refused(ran: Project) -> None:
    with pytest.raises(KeyringError, match="unknown master key device") as caught:
        rotate_keys(where(ran), NOW, names=["device"])
    assert f"minimize keys add {ran.keys} device" in caught.value.hint
    with pytest.raises(KeyringError, match="unknown master key noise") as caught:
        rotate_keys(where(ran), NOW, names=["noise"])
    assert ("one version only" in caught.value.hint, "keys add" in caught.value.hint) == (True, False)
    with pytest.raises(KeyringError, match="unknown master key other") as caught:
        rotate_keys(where(ran), NOW, names=["other"])
    assert "minimize keys list" in caught.value.hint


def test_keys_of_techniques_are_not_rotated(ran: Project) -> None:
    rotate_keys(where(ran), NOW)
    ring = Keyring.load(ran.keys)
    assert {name: ring.version_of(name) for name in ("device", "signing", "subject")} == dict.fromkeys(
        ("device", "signing", "subject"), 1
    )


@pytest.mark.parametrize("new", [True, False])
def test_a_clock_that_is_ahead_changes_neither_keys_nor_files(ran: Project, new: bool) -> None:
    if not new:
        rotate_keys(where(ran), NOW)
    keys, files = ran.keys.read_bytes(), ran.files()
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(days=3652), tick=False),
        pytest.raises(RefusedError, match="the time is more than") as refused,
    ):
        rotate_keys(where(ran), NOW, outputs=[ran.out], new=new)
    assert refused.value.code == "E304"
    assert (ran.keys.read_bytes(), ran.files()) == (keys, files)
    assert rotate_keys(where(ran), NOW, outputs=[ran.out]).receipts


def test_rewriting_leaves_rows_and_policies_and_changes_every_key(ran: Project) -> None:
    before = ran.rows()
    done = rotate_keys(where(ran), NOW, outputs=[ran.out])
    assert ran.master_keys() == {"encrypt.pseudonymized/2"}
    assert ran.rows() == before
    assert [receipt.kind for receipt in done.receipts] == ["rotate", "rotate"]
    minimize.verify(ran.out, keys=ran.keys)


def test_a_rotation_receipt_names_what_it_replaces_and_its_keys(ran: Project) -> None:
    first, second = rotate_keys(where(ran), NOW, outputs=[ran.out]).receipts
    assert [first.dates, second.dates] == [(BEFORE,), (DAY,)]
    assert first.keys == ("device/1", "encrypt.footer/2", "encrypt.pseudonymized/2")
    assert [file.keys for file in first.outputs["records"].files] == [("encrypt.footer/2", "encrypt.pseudonymized/2")]
    assert (first.rows.read, first.rows.written, len(first.replaces), first.removes) == (40, 40, 1, ())
    assert first.at == AT


def test_the_index_still_finds_subjects(ran: Project) -> None:
    device = ran.rows()[0]["device_id"]
    before = minimize.read(ran.out, keys=ran.keys, subjects=device).num_rows
    rotate_keys(where(ran), NOW, outputs=[ran.out])
    assert minimize.read(ran.out, keys=ran.keys, subjects=device).num_rows == before > 0


def test_rewriting_again_has_nothing_to_do(ran: Project) -> None:
    rotate_keys(where(ran), NOW, outputs=[ran.out])
    assert rotate_keys(where(ran), NOW, outputs=[ran.out], new=False).receipts == ()


def test_after_rewriting_nothing_needs_the_old_version(ran: Project) -> None:
    rotate_keys(where(ran), NOW, outputs=[ran.out])
    for name in ("encrypt.footer", "encrypt.pseudonymized"):
        destroy_key(ran.keys, name, 1, now=NOW)
    assert len(ran.rows()) == 80
    minimize.verify(ran.out, keys=ran.keys)


def test_files_that_cannot_be_read_any_more_are_not_rotated(apart: Project) -> None:
    destroy_key(apart.keys, "encrypt.pseudonymized.t-north", 1, now=NOW)
    done = rotate_keys(where(apart), NOW, outputs=[apart.out])
    assert apart.master_keys() == {"encrypt.pseudonymized.t-north/1", "encrypt.pseudonymized.t-south/2"}
    assert done.versions == (MasterKey("encrypt.footer", 2), MasterKey("encrypt.pseudonymized.t-south", 2))


def test_each_new_key_version_is_in_the_audit_log(ran: Project) -> None:
    rotate_keys(where(ran), NOW)
    assert said(ran) == [("rotate", "encrypt.footer/2"), ("rotate", "encrypt.pseudonymized/2")]


def test_without_a_ledger_it_refuses_and_nothing_is_made(ran: Project) -> None:
    (ran.folder / "minimize.yaml").write_text("keys: test.keys\n")
    with pytest.raises(LedgerError):
        rotate_keys(where(ran), NOW)
    assert Keyring.load(ran.keys).version_of("encrypt.footer") == 1


def test_a_run_after_a_rewriting_replaces_what_was_rewritten(ran: Project) -> None:
    rotate_keys(where(ran), NOW, outputs=[ran.out])
    ran.records(events(10), DAY)
    ran.run(date=DAY, allow_shrink=True)
    assert len(ran.rows()) == 50
    minimize.verify(ran.out, keys=ran.keys)


def test_another_master_key_is_not_asked_for(ran: Project) -> None:
    rotate_keys(where(ran), NOW, outputs=[ran.out])
    assert "encrypt.identified" not in Keyring.load(ran.keys).names()
