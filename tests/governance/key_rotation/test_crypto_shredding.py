"""Versions destroyed: listed first, done when said so, and told."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, KeyringError
from minimize.keys import Keyring, MasterKey
from minimize.ledger.audit_event import EntryFilter
from minimize.removal.expire import expire
from minimize.removal.keys import rotate_keys, shred_keys
from minimize.workspace import Workspace as Where
from tests.calls import log_entries
from tests.commands import command
from tests.project import AT, BEFORE, DAY, Project, events

NOW = AT + timedelta(hours=1)


def where(project: Project) -> Where:
    return Where(keys=project.keys)


def shreds(project: Project) -> list[dict[str, Any]]:
    """What the log has of keys, beside those that runs have made."""
    told = [
        json.loads(entry.event) for entry in log_entries(project.folder / "ledger.db", EntryFilter(activity="keys"))
    ]
    return [each for each in told if each["operation"] != "make"]


def test_without_yes_it_lists_outputs_dates_files_rows_and_destroys_nothing(ran: Project) -> None:
    found = shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1")
    assert [(each.name, each.date, each.files, each.rows, each.folders) for each in found.unreadable] == [
        ("records", BEFORE, 1, 40, ()),
        ("records", DAY, 1, 40, ()),
    ]
    assert all(each.output == str(ran.out) for each in found.unreadable)
    assert not found.done
    assert len(ran.rows()) == 80


def test_with_yes_its_files_are_unreadable_for_good(ran: Project) -> None:
    assert shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True).done
    with pytest.raises(KeyringError, match=r"encrypt\.pseudonymized/1 .* was destroyed"):
        ran.rows()


def test_its_number_is_never_used_again(ran: Project) -> None:
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    assert rotate_keys(where(ran), NOW, names=["encrypt.pseudonymized"]).versions == (
        MasterKey("encrypt.pseudonymized", 2),
    )
    lines = [each for each in Keyring.load(ran.keys).listing() if each.name == "encrypt.pseudonymized"]
    assert [(each.version, each.destroyed) for each in lines] == [(1, NOW), (2, None)]


def test_its_bytes_are_gone_from_the_keyring(ran: Project) -> None:
    content = ran.keys.read_text()
    before = Keyring.load(ran.keys).bytes_of("encrypt.pseudonymized")
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    assert base64.b64encode(before).decode() in content
    assert base64.b64encode(before).decode() not in ran.keys.read_text()


def test_aggregates_stay_readable(ran: Project) -> None:
    before = ran.rows("per_model")
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    assert ran.rows("per_model") == before


def test_only_the_files_of_that_version_are_listed(ran: Project) -> None:
    rotate_keys(where(ran), NOW)
    ran.records(events(40), DAY)
    ran.run(date=DAY)
    found = shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1")
    assert [each.date for each in found.unreadable] == [BEFORE]


def test_a_tenant_is_shredded_and_others_stay(apart: Project) -> None:
    found = shred_keys(where(apart), NOW, tenant="north", yes=True)
    assert found.masters == (MasterKey("encrypt.pseudonymized.t-north", 1),)
    assert [each.folders for each in found.unreadable] == [("tenant_id=north",)]
    with pytest.raises(KeyringError, match="t-north/1"):
        apart.rows()
    assert shred_keys(where(apart), NOW, tenant="south").unreadable[0].rows == 20


def test_a_tenant_without_keys_of_its_own_is_refused(ran: Project) -> None:
    with pytest.raises(KeyringError, match="no keys of its own"):
        shred_keys(where(ran), NOW, tenant="north", yes=True)


@pytest.mark.parametrize("key", ["device/1", "signing/1", "encrypt.pseudonymized/7", "encrypt.pseudonymized", ""])
def test_nothing_but_a_standing_version_of_a_master_key_is_destroyed(ran: Project, key: str) -> None:
    before = ran.keys.read_bytes()
    with pytest.raises(KeyringError):
        shred_keys(where(ran), NOW, key=key, yes=True)
    assert ran.keys.read_bytes() == before


def test_a_key_and_a_tenant_together_are_refused(ran: Project) -> None:
    with pytest.raises(ConfigurationError, match="a key or a tenant"):
        shred_keys(where(ran), NOW, key="encrypt.footer/1", tenant="north")


def test_a_shredding_is_logged_only_when_confirmed(ran: Project) -> None:
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1")
    assert shreds(ran) == []
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    [told] = shreds(ran)
    assert (told["operation"], told["resources"][0]["name"]) == ("shred", "encrypt.pseudonymized/1")


def test_an_unreachable_output_is_listed(ran: Project) -> None:
    ran.out.rename(ran.folder / "elsewhere")
    found = shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1")
    assert found.outputs_unreachable == (str(ran.out),)
    again = shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", outputs=[ran.folder / "elsewhere"])
    assert [each.output for each in again.unreadable] == [str(ran.folder / "elsewhere")] * 2


def test_verify_accepts_an_output_with_shredded_files(ran: Project) -> None:
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    minimize.verify(ran.out, keys=ran.keys)


def test_an_expiry_works_without_files_that_cannot_be_read_any_more(ran: Project) -> None:
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    found = expire(ran.out, keys=ran.keys, at=NOW)
    assert len(found.plan.unreadable) == 2
    assert found.plan.to_json()["closed"] == list(found.plan.unreadable)
    assert str(found.plan) == "2 files stay and cannot be read: their keys were destroyed"


def test_files_that_cannot_be_read_any_more_are_removed_with_their_batch_date(ran: Project) -> None:
    shred_keys(where(ran), NOW, key="encrypt.pseudonymized/1", yes=True)
    done = expire(ran.out, keys=ran.keys, at=NOW + timedelta(days=40), yes=True, allow_shrink=True)
    assert done.plan.unreadable == ()
    assert done.receipts
    assert list((ran.out / "records").rglob("*.parquet")) == []
    minimize.verify(ran.out, keys=ran.keys)


def test_an_unused_key_is_reported_in_one_line(ran: Project) -> None:
    rotate_keys(where(ran), NOW)
    told = "\n".join(shred_keys(where(ran), NOW, key="encrypt.pseudonymized/2").lines())
    assert told.splitlines()[0] == (
        "encrypt.pseudonymized/2 would be destroyed; no file in 1 known output uses this key"
    )


@pytest.mark.parametrize("key", ["subject/1", "subject/7", "subject"])
def test_versions_of_the_key_of_subjects_are_not_destroyed(ran: Project, key: str) -> None:
    """Tokens of erased subjects could not be made again, and their records would come back."""
    before = ran.keys.read_bytes()
    done = command("keys", "shred", ran.keys, key, "--yes")
    assert (done.code, "versions of the key `subject` cannot be destroyed" in done.err) == (3, True)
    assert "subject delete" in done.err
    assert ran.keys.read_bytes() == before
