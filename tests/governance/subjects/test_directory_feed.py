"""A directory's feed of deleted users becomes lifecycle events, each recorded once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.governance.events import list_events, withdraw_event
from minimize.governance.subjects import import_events
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT
from minimize.removal.expire import expire
from tests.calls import open_items
from tests.commands import command
from tests.governance.outputs import places, run
from tests.governance.subjects.test_linked import USER, add_output, checkins, rows_of
from tests.project import AT, Builds, Project

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FEED = "tenant_id,user,deleted_at\nnorth,u1,2026-11-30T10:00:00Z\nnorth,u3,2026-11-30T11:00:00+01:00\n"
NDJSON = (
    '{"tenant_id": "north", "user": "u1", "deleted_at": "2026-11-30T10:00:00Z"}\n'
    '{"tenant_id": "north", "user": "u3", "deleted_at": "2026-11-30T11:00:00+01:00"}\n'
)


def fill(project: Project) -> None:
    project.policy({"user": USER})
    project.pipeline(aggregates=None)
    project.records(checkins())
    run(project, at=AT, output=project.out)
    add_output(project, "apps", None, at=AT, output=project.folder / "apps" / "out")


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fill)


def feed(project: Project, text: str, name: str = "deleted.csv") -> Path:
    path = project.folder / name
    path.write_text(text)
    return path


def acts(project: Project) -> int:
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        return len(ledger.find(LIFECYCLE_EVENT))


@pytest.mark.parametrize(("name", "text"), [("deleted.csv", FEED), ("deleted.ndjson", NDJSON)])
def test_the_same_feed_records_each_user_once(filled: Project, name: str, text: str) -> None:
    file = feed(filled, text, name)
    first = import_events(file, places(filled), NOW, field="user")
    again = import_events(file, places(filled), NOW, field="user")
    assert (first.new, first.repeated, again.new, again.repeated, acts(filled)) == (2, 0, 0, 2, 2)
    assert {entry.row.field for entry in list_events(places(filled))} == {"user"}


def test_a_line_that_cannot_be_taken_is_named_by_its_number_and_the_others_are_recorded(filled: Project) -> None:
    text = FEED + "north,,2026-11-30T10:00:00Z\n,u9,2026-11-30T10:00:00Z\nnorth,canary-u8,yesterday\n"
    found = import_events(feed(filled, text), places(filled), NOW, field="user")
    assert [(each.line, each.code) for each in found.faults] == [(4, "G005"), (5, "G002"), (6, "G003")]
    assert (found.new, found.exit_code) == (2, 1)
    assert "canary-u8" not in "".join(map(str, found.lines()))


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[1]",
        '{"tenant_id": "north", "user": "u9", "deleted_at": "2026-11-30T10:00:00Z", "tenant_id": "south"}',
        '{"tenant_id": ["north"], "user": "u9", "deleted_at": "2026-11-30T10:00:00Z"}',
        '{"tenant_id": "north", "user": true, "deleted_at": "2026-11-30T10:00:00Z"}',
    ],
)
def test_a_line_of_another_form_does_not_stop_the_others(filled: Project, line: str) -> None:
    text = f"{line}\n{NDJSON}"
    found = import_events(feed(filled, text, "deleted.ndjson"), places(filled), NOW, field="user")
    assert ([each.line for each in found.faults], found.new, found.exit_code) == ([1], 2, 1)


def test_a_withdrawn_event_does_not_come_back_with_the_next_feed(filled: Project) -> None:
    import_events(feed(filled, FEED), places(filled), NOW, field="user")
    withdraw_event(list_events(places(filled))[0].row.id, places(filled), NOW)
    again = import_events(feed(filled, FEED), places(filled), NOW, field="user")
    assert (again.new, again.repeated, again.withdrawn) == (0, 1, 1)
    assert len(list_events(places(filled))) == 1


def test_the_next_expiry_removes_the_records_of_users_and_of_their_own_devices(filled: Project) -> None:
    import_events(feed(filled, FEED), places(filled), NOW, field="user", linked=True)
    ledger = filled.folder / "organization.db"
    apps = filled.folder / "apps" / "out"
    assert {each.tenant for each in open_items(filled.out, ledger=ledger, keys=filled.keys, at=NOW)} == {"north"}
    for output in (filled.out, apps):
        expire(output, ledger=ledger, keys=filled.keys, at=NOW, yes=True, allow_shrink=True)
    assert len(filled.rows()) == len(checkins()) - rows_of(user="u1") - rows_of(user="u3")
    assert len(filled.rows(output=apps)) == len(checkins()) - rows_of("d0") - rows_of("d3")


def test_a_feed_without_its_columns_is_refused(filled: Project) -> None:
    with pytest.raises(PolicyError, match="the feed cannot be read"):
        import_events(feed(filled, "tenant_id,id\nnorth,u1\n"), places(filled), NOW, field="user")


def test_a_feed_can_name_its_columns(filled: Project) -> None:
    file = feed(filled, "customer,objectId,when\nnorth,u1,2026-11-30T10:00:00Z\n")
    columns = ("--tenant-column", "customer", "--id-column", "objectId", "--time-column", "when")
    where = ("--ledger", filled.folder / "organization.db", "--keys", filled.keys)
    done = command("events", "import", file, "--as", "user", *columns, *where, "--json")
    assert (done.code, done.json["new"]) == (0, 1)


@pytest.mark.parametrize(("name", "code"), [("deleted.csv", 0), ("missing.csv", 2)])
def test_a_quiet_import_prints_nothing_unless_it_fails(filled: Project, name: str, code: int) -> None:
    feed(filled, FEED)
    where = ("--ledger", filled.folder / "organization.db", "--keys", filled.keys)
    done = command("events", "import", filled.folder / name, "--as", "user", *where, "--quiet")
    assert (done.code, done.out, bool(done.err)) == (code, "", code == 2)
    assert code == 0 or "the feed " in done.err


def test_users_are_recorded_for_the_outputs_of_every_pipeline_that_is_named(filled: Project) -> None:
    (filled.folder / "organization.db").unlink()
    text = "tenant_id,user,deleted_at\nnorth,u1,2026-11-30T10:00:00Z\n"
    hashed = add_output(
        filled, "hashed", {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}
    )
    forms = []
    for number, pipelines in enumerate([(), (filled,), (filled, hashed)]):
        ledger = filled.folder / f"other-{number}.db"
        named = [word for each in pipelines for word in ("--pipeline", each.folder)]
        done = command(
            "events", "import", feed(filled, text), "--as", "user", "--ledger", ledger, "--keys", filled.keys, *named
        )
        assert done.code == 0, done.err
        with open_ledger(find_ledger(ledger)) as opened:
            forms.append(len(json.loads(opened.find(LIFECYCLE_EVENT)[0].forms)))
    assert forms[0] < forms[1] < forms[2]
