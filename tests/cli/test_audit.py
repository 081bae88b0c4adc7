"""`minimize audit`: printed, verified and exported, with filters, columns, formats and the entries that a tenant sees."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.audit_event import Actor
from tests.cli.permission_table import prepare
from tests.commands import Command
from tests.ledger.ledgers import event, opened, tells, unguarded
from tests.project import Project, events
from tests.world import World


@pytest.fixture(name="ledger")
def _ledger(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of three entries, which the environment names."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    with opened(find_ledger()) as ledger:
        tells(ledger, Keyring.load(project.keys), event(1), event(2, result="refused"), event(3))
    return project.folder / "ledger.db"


@pytest.mark.usefixtures("ledger")
def test_the_log_is_printed_one_entry_a_line(command: Command) -> None:
    said = command("audit", "log")
    assert said.code == 0
    lines = said.out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == [
        "2",
        "2026-11-25T00:00:02Z",
        "ann",
        "settings",
        "set:",
        "refused",
        "feature",
        "location",
    ]


@pytest.mark.usefixtures("ledger")
def test_for_machines_an_entry_has_all_its_parts(command: Command) -> None:
    entries = command("audit", "log", "--json", "--result", "refused").json["entries"]
    assert [entry["sequence"] for entry in entries] == [2]
    assert entries[0]["event"]["actor"]["user"] == "ann"
    assert entries[0]["digest"].startswith("sha256:")
    assert entries[0]["signature"]["key"] == "signing/1"


@pytest.mark.usefixtures("ledger")
def test_entries_are_narrowed_down(command: Command) -> None:
    assert len(command("audit", "log", "--since", "2026-11-25T00:00:02Z", "--json").json["entries"]) == 2
    assert len(command("audit", "log", "--last", "1", "--json").json["entries"]) == 1
    assert command("audit", "log", "--activity", "share").out == "no entries\n"


@pytest.mark.usefixtures("ledger")
def test_without_outputs_the_log_is_verified_alone(command: Command) -> None:
    said = command("audit", "verify", "--json")
    assert said.code == 0
    assert (said.json["ok"], said.json["sequence"]) == (True, 3)
    assert [finding["code"] for finding in said.json["findings"]] == ["H009"]
    assert "removal of the last entries cannot be excluded" in command("audit", "verify").out


def test_a_head_that_was_kept_finds_that_the_end_was_cut_off(command: Command, ledger: Path) -> None:
    kept = ledger.with_name("head.json")
    kept.write_text(command("audit", "verify", "--json").out)
    assert command("audit", "verify", "--head", kept, "--json").json["findings"] == []
    unguarded(find_ledger(), "DELETE FROM audit WHERE sequence = 3")
    said = command("audit", "verify", "--head", kept, "--json")
    assert said.code == 1
    assert [finding["code"] for finding in said.json["findings"]] == ["H006"]
    assert "not verified" in command("audit", "verify", "--head", kept).out


def test_an_older_copy_that_was_put_back_is_found(command: Command, ledger: Path, project: Project) -> None:
    older = ledger.read_bytes()
    with opened(find_ledger()) as log:
        tells(log, Keyring.load(project.keys), event(4))
    kept = ledger.with_name("head.json")
    kept.write_text(command("audit", "verify", "--json").out)
    ledger.write_bytes(older)
    assert command("audit", "verify").code == 0
    assert "H006" in command("audit", "verify", "--head", kept).out


def test_a_changed_entry_fails(command: Command, ledger: Path) -> None:
    unguarded(find_ledger(ledger), "UPDATE audit SET event = replace(event, 'ann', 'bob') WHERE sequence = 2")
    said = command("audit", "verify", "--json")
    assert said.code == 1
    assert ("H001", "audit/2") in [(finding["code"], finding["file"]) for finding in said.json["findings"]]


@pytest.mark.usefixtures("ledger")
def test_a_public_key_is_enough(command: Command, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / "key.pem").write_text(command("keys", "public", project.keys).out)
    monkeypatch.delenv("MINIMIZE_KEYS")
    assert command("audit", "verify", "--public-key", project.folder / "key.pem").code == 0
    said = command("audit", "verify")
    assert (said.code, "a keyring or a public key is required" in said.err) == (2, True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sequence": 3}', '{"sequence": "3", "head": "x"}'])
@pytest.mark.usefixtures("ledger")
def test_a_file_without_a_head_is_refused(command: Command, project: Project, content: str) -> None:
    (project.folder / "head.json").write_text(content)
    said = command("audit", "verify", "--head", project.folder / "head.json")
    assert (said.code, "does not contain the head of an audit log" in said.err) == (2, True)


@pytest.mark.usefixtures("ledger")
def test_an_export_is_one_entry_a_line_in_a_file_of_its_owner(command: Command, project: Project) -> None:
    file = project.folder / "audit.ndjson"
    assert command("audit", "export", file, "--json").json == {"file": str(file), "entries": 3}
    assert [json.loads(line)["sequence"] for line in file.read_text().splitlines()] == [1, 2, 3]
    assert file.stat().st_mode & 0o777 == 0o600
    said = command("audit", "export", file)
    assert (said.code, "already exists (EEXIST)" in said.err) == (2, True)


def test_the_name_of_an_account_is_no_formula_in_a_spreadsheet(
    command: Command, project: Project, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(find_ledger(ledger)) as book:
        tells(book, Keyring.load(project.keys), replace(event(4), actor=Actor("user", user="=1+1")))
    file = project.folder / "audit.csv"
    assert command("audit", "export", file, "--columns", "time,actor").code == 0
    assert [line.split(",")[1] for line in file.read_text().splitlines()[1:]] == ["ann", "ann", "ann", "'=1+1"]


@pytest.mark.parametrize("verb", [("log",), ("verify",), ("export", "x.ndjson")])
def test_a_missing_ledger_is_reported_with_the_searched_path(
    command: Command, project: Project, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    said = command("audit", *verb)
    assert said.code == 2
    assert "MINIMIZE_LEDGER is not set" in said.err
    said = command("audit", *verb, "--output", project.folder)
    assert said.code == 2
    assert f"no ledger found at {project.folder}/ledger.db" in said.err
    assert not (project.folder / "ledger.db").exists()


def test_missing_receipts_are_reported(command: Command, ledger: Path) -> None:
    said = command("audit", "verify", "--receipts", ledger.with_name("nowhere"))
    assert (said.code, "does not exist" in said.err) == (2, True)


@pytest.mark.usefixtures("ledger")
def test_a_folder_that_holds_no_receipt_vouches_for_nothing_and_is_refused(command: Command, project: Project) -> None:
    (project.folder / "empty").mkdir()
    said = command("audit", "verify", "--receipts", project.folder / "empty")
    assert (said.code, "and its subfolders contain no receipt" in said.err) == (2, True)


@pytest.mark.usefixtures("ledger")
def test_a_receipt_that_cannot_be_read_is_a_finding(command: Command, project: Project) -> None:
    (project.folder / "kept").mkdir()
    (project.folder / "kept" / "receipt.json").write_text("{}")
    said = command("audit", "verify", "--receipts", project.folder / "kept", "--json")
    assert [(finding["code"], finding["file"]) for finding in said.json["findings"]] == [
        ("H009", None),
        ("H010", "receipt.json"),
    ]


@pytest.mark.usefixtures("ledger")
def test_an_actor_cannot_make_lines_of_its_own(
    command: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "eve\n     1  2026-11-25T00:00:00Z  root\x1b[2J")
    command("settings", "set", "north", "location", "on", "--pipeline", project.folder)
    last = command("audit", "log", "--last", "1").out
    assert len(last.splitlines()) == 1
    assert last.strip("\n").isprintable()


def test_entries_older_than_a_year_are_removed_after_they_were_shown_and_exported(
    command: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    with opened(find_ledger()) as ledger:
        old = [event(number, time=datetime(2024, 5, 1, tzinfo=UTC)) for number in range(2)]
        tells(ledger, Keyring.load(project.keys), *old, event(3, time=datetime.now(UTC)))
    shown = command("audit", "truncate")
    assert (shown.code, "2 entries" in shown.out, "Pass --yes to apply" in shown.out) == (0, True, True)
    assert len(command("audit", "log", "--json").json["entries"]) == 3
    kept = project.folder / "old.ndjson"
    done = command("audit", "truncate", "--yes", "--to", kept, "--json").json
    assert (done["done"], done["entries"], len(kept.read_text().splitlines())) == (True, 2, 2)
    checked = command("audit", "verify")
    assert (checked.code, "entries up to 2 are replaced" in checked.out) == (0, True)
    assert command("audit", "truncate", "--yes").out.startswith("nothing to do")
    assert command("audit", "truncate", "--yes", "--to", kept).code == 0


def test_the_check_prints_the_numbers_of_entries_and_acts(project: Project, command: Command) -> None:
    project.records(events(5))
    project.run()
    words = ("audit", "verify", "--ledger", project.out / "ledger.db", "--keys", project.keys)
    before = command(*words, "--json").json["acts"]
    command("events", "add", "north", "tenant_closed", "--output", project.out, "--keys", project.keys)
    found = command(*words, "--json").json
    assert found["acts"] == before + 1
    assert f"verified: {found['sequence']} entries and {found['acts']} act" in command(*words).out


CASE = "incident open CASE-1 --kind support --title text --reference none"

GRANT = "access request usage --incident CASE-1 --justification text --category aggregated"


@pytest.fixture(name="organization")
def _organization(world: World) -> World:
    """A copy of the world, with an entry about two tenants."""
    prepare(world)
    assert world.command("sam", *CASE.split(), "--tenant", "north", "--tenant", "south").code == 0
    asked = world.command("sam", *GRANT.split(), "--tenant", "north", "--tenant", "south")
    assert asked.code == 0, asked.err
    return world


def test_a_tenant_sees_no_entry_that_concerns_other_tenants_or_none(organization: World) -> None:
    found = organization.command("tess", "audit", "log", "--json").json["entries"]
    assert found
    assert {each["event"]["tenant"] for each in found} == {"north"}


def test_an_entry_shows_a_tenant_no_number_that_counts_the_others(organization: World) -> None:
    found = organization.command("tess", "audit", "log", "--json").json["entries"]
    assert {tuple(each) for each in found} == {("digest", "event")}
    line = organization.command("tess", "audit", "log", "--last", "1").out.splitlines()[0]
    assert line.startswith("2026-11-25T")


def test_entries_are_selected_by_tenant_category_and_columns(organization: World) -> None:
    words = "audit log --tenant north --category consent --columns time,operation,tenant"
    listed = organization.command("pia", *words.split())
    assert listed.out.splitlines() == [
        "time\toperation\ttenant",
        "2026-11-25T00:01:00.000000Z\trecord\tnorth",
        "2026-11-25T00:04:00.000000Z\tgive\tnorth",
        "2026-11-25T00:05:00.000000Z\tconfirm\tnorth",
    ]
    assert organization.command("pia", *words.split(), "--json").json["entries"][1:] == [
        {"time": "2026-11-25T00:04:00.000000Z", "operation": "give", "tenant": "north"},
        {"time": "2026-11-25T00:05:00.000000Z", "operation": "confirm", "tenant": "north"},
    ]


def test_an_unknown_column_is_named_with_a_hint(organization: World) -> None:
    refused = organization.command("pia", "audit", "log", "--columns", "time,operatoin")
    assert (refused.code, "Did you mean `operation`?" in refused.err) == (2, True)


@pytest.mark.parametrize("suffix", ["csv", "json", "ndjson"])
def test_a_tenant_exports_its_entries(organization: World, suffix: str) -> None:
    file = organization.folder / f"entries.{suffix}"
    done = organization.command("tess", "audit", "export", file.name, "--columns", "actor,tenant")
    assert (done.code, "limited to the tenants in your scope" in done.out) == (0, True)
    entries = read_entries(file)
    assert {"actor": "pia", "tenant": "north"} in entries
    assert {each["tenant"] for each in entries} == {"north"}


def read_entries(file: Path) -> list[dict[str, str]]:
    """The entries of an exported file."""
    with file.open(newline="") as text:
        if file.suffix == ".csv":
            return list(csv.DictReader(text))
        return json.load(text) if file.suffix == ".json" else [json.loads(line) for line in text]


def test_an_export_of_nothing_is_valid_json(organization: World) -> None:
    done = organization.command("pia", "audit", "export", "none.json", "--actor", "nobody")
    assert (done.code, read_entries(organization.folder / "none.json")) == (0, [])


def test_every_entry_has_the_application_and_the_permissions_of_its_actor(organization: World) -> None:
    ran = organization.command("otto", "run", "checkins", "--date", "2026-11-24")
    assert ran.code == 0, ran.err
    found = organization.command("pia", "audit", "log", "--activity", "run", "--last", "2", "--json").json["entries"]
    actors = [each["event"]["actor"] for each in found]
    assert {each["user"] for each in actors} == {"otto"}
    assert {each["application"] for each in actors} == {"minimize/0.1.0"}
    assert all("settings/set" in each["permissions"] for each in actors)
    assert {each["ip"] for each in actors} == {None}
