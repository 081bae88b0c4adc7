"""`minimize share`: what it prints and how it exits."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from minimize.errors import OutputError
from minimize.ledger import find_ledger
from tests.commands import Command, Result
from tests.governance.sharing.sender import Sender, recent_records
from tests.ledger.ledgers import by_hand, unguarded


@pytest.fixture(name="shop")
def _shop(tmp_path: Path, project: object, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A sender on disk that shares, with records of now."""
    shop = Sender(tmp_path)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(shop.ledger))
    monkeypatch.setenv("MINIMIZE_KEYS", str(tmp_path / "shop.keys"))
    shop.keys.path.rename(tmp_path / "shop.keys")
    shop.write()
    pq.write_table(recent_records(), tmp_path / "in.parquet")
    for tenant in ("north", "south"):
        shop.consent(tenant, at=datetime.now(UTC) - timedelta(days=1))
    return shop


def send(command: Command, shop: Sender, *words: object) -> Result:
    given = ("--policy", shop.folder / "policy.yaml", "--data", shop.folder / "in.parquet")
    return command("share", "send", "vendor", "sync", *given, *words)


def test_permitted_records_are_written_and_the_share_is_recorded(shop: Sender, command: Command) -> None:
    done = send(command, shop, "--to", shop.folder / "p.ndjson", "--json")
    assert (done.code, done.json["rows"]) == (0, 3)
    assert len((shop.folder / "p.ndjson").read_text().splitlines()) == 3
    listed = command("share", "log", "--json")
    assert [each["disclosure"] for each in listed.json["disclosures"]] == [done.json["disclosure"]]
    assert "vendor  sync  3 rows" in command("share", "log").out
    shown = json.loads(command("share", "show", done.json["disclosure"]).out)
    assert {name: each["contract"] for name, each in shown["tenants"].items()} == {"north": "C-1", "south": "C-1"}


def test_a_dry_run_prints_what_would_be_shared(shop: Sender, command: Command) -> None:
    said = send(command, shop, "--dry-run")
    assert said.code == 0
    assert "vendor, sync: 3 rows of 2 tenants" in said.out
    assert "N039" in said.out
    assert command("share", "log").out == "nothing was shared\n"


def test_a_refusal_exits_3_with_every_reason(shop: Sender, command: Command) -> None:
    said = send(command, shop, "--to", shop.folder / "p.csv", "--purpose", "customer_support", "--json")
    assert said.code == 3
    assert [each["code"] for each in said.error["faults"]] == ["N020", "N039"]
    assert send(command, shop, "--dry-run", "--purpose", "customer_support").code == 3


def test_nowhere_to_send_it_exits_2(shop: Sender, command: Command) -> None:
    assert send(command, shop).code == 2
    assert command("share", "send", "vendor", "sync", "--dry-run").code == 2


@pytest.mark.parametrize("exists", [False, True])
def test_before_the_first_run_send_names_the_output_and_the_command(
    shop: Sender, command: Command, *, exists: bool
) -> None:
    output = shop.folder / "published"
    if exists:
        output.mkdir()
    said = command(
        *("share", "send", "vendor", "sync", "--dry-run", "--json"),
        *("--policy", shop.folder / "policy.yaml", "--data", output),
    )
    assert (said.code, said.error["code"]) == (2, OutputError.default_code)
    assert said.error["message"] == f"no run has published to {output} yet"
    assert said.error["hint"] == "Run the pipeline first: `minimize run PIPELINE`."


def test_share_why_states_which_fields_of_a_tenant_may_be_shared(shop: Sender, command: Command) -> None:
    yes = command("share", "explain", "vendor", "sync", "--tenant", "north")
    assert yes.out.startswith("vendor, sync: may receive device_id, event_time, model\n  consent ")
    no = command("share", "explain", "vendor", "sync", "--tenant", "west")
    assert no.out.startswith("vendor, sync: may receive nothing\n  N039")


def test_share_why_reports_that_the_tenant_is_not_in_the_ledger(shop: Sender, command: Command) -> None:
    words = ("share", "explain", "vendor", "sync", "--tenant")
    said = command(*words, "norht")
    told = "  the tenant norht is not in the ledger. Did you mean north?"
    assert (said.code, said.out.splitlines()[-1]) == (0, told)
    assert command(*words, "norht", "--json").json["tenants_like_it"] == ["north"]
    assert "is not in the ledger" not in command(*words, "north").out


def test_a_withdrawal_is_called_back_requested_and_confirmed(shop: Sender, command: Command) -> None:
    send(command, shop, "--to", shop.folder / "p.csv")
    assert command("share", "recall", "list").out == "no recalls\n"
    shop.consent("north", "withdrawn", at=datetime.now(UTC))
    due = command("share", "recall", "list")
    assert (due.code, "vendor  north  withdrawn  due  2 rows, 2 subjects" in due.out) == (1, True)
    told = command("share", "recall", "issue", "vendor", "--to", shop.folder / "delete.json")
    assert told.code == 0
    assert len(json.loads((shop.folder / "delete.json").read_text())["delete"][0]["subjects"]) == 2
    assert command("share", "recall", "list").code == 0
    assert command("share", "recall", "confirm", "vendor", "--tenant", "north").code == 0
    assert command("share", "recall", "list", "--all", "--json").json["recalls"][0]["state"] == "confirmed"
    assert command("share", "recall", "confirm", "vendor").code == 2


def test_a_withdrawal_writes_the_deletion_request_for_the_recipient(shop: Sender, command: Command) -> None:
    send(command, shop, "--to", shop.folder / "p.csv")
    words = ("north", "vendor", "sync", "--evidence", "FORM-1", "--recipients", shop.folder / "recipients")
    done = command("consent", "withdraw", *words, "--to", shop.folder / "delete.json", "--json")
    assert (done.code, done.json["state"]) == (0, "withdrawn")
    assert [each["state"] for each in done.json["recalls"]] == ["requested"]
    told = json.loads((shop.folder / "delete.json").read_text())
    assert (told["recipient"], told["delete"][0]["rows"], len(told["delete"][0]["subjects"])) == ("vendor", 2, 2)
    assert command("share", "recall", "list").code == 0
    assert "vendor  north  withdrawn  requested" in command("share", "recall", "list").out


def test_due_recalls_of_all_recipients_are_requested_together(shop: Sender, command: Command) -> None:
    send(command, shop, "--to", shop.folder / "p.csv")
    shop.consent("north", "refused", at=datetime.now(UTC))
    assert "vendor  north  refused  requested" in command("share", "recall", "issue").out
    assert command("share", "recall", "list", "--overdue").out == "no recalls\n"


def test_an_overdue_recall_exits_1(shop: Sender, command: Command) -> None:
    send(command, shop, "--to", shop.folder / "p.csv")
    shop.contract_with("deletes_within", "1s")
    command("consent", "refuse", "north", "vendor", "sync", "--evidence", "FORM-1")
    time.sleep(1.1)
    late = command("share", "recall", "list", "--overdue")
    assert (late.code, late.out.rstrip().endswith("OVERDUE")) == (1, True)


def test_a_time_in_the_past_is_for_a_dry_run_alone(shop: Sender, command: Command) -> None:
    said = send(command, shop, "--to", shop.folder / "p.csv", "--at", "2026-01-01T00:00:00Z")
    assert said.code == 2
    assert "--at is in the past, which only --dry-run allows" in said.err
    assert command("share", "log").out == "nothing was shared\n"


@pytest.mark.parametrize("statement", ["DELETE FROM acts WHERE id = {}", "UPDATE acts SET body = '{{}}' WHERE id = {}"])
def test_nothing_is_sent_after_a_withdrawal_was_removed_from_the_ledger(
    shop: Sender, command: Command, statement: str
) -> None:
    shop.consent("north", "withdrawn", at=datetime.now(UTC) - timedelta(hours=1))
    target, address = shop.folder / "p.ndjson", find_ledger(shop.ledger)
    done = send(command, shop, "--to", target)  # the control: the withdrawal has an effect
    models = [json.loads(line)["model"] for line in target.read_text().splitlines()]
    assert (done.code, models) == (0, ["B"])  # the record of south
    target.unlink()
    ((act,),) = by_hand(address, "SELECT id FROM acts WHERE kind = 'consent' ORDER BY id DESC LIMIT 1")
    unguarded(address, statement.format(act))
    for words in (("--to", target), ("--dry-run",)):
        refused = send(command, shop, *words)
        assert (refused.code, "E315" in refused.err) == (3, True)
    assert not target.exists()
