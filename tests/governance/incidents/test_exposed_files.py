"""Which files and which recorded reads an incident reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError
from minimize.governance.incidents import Exposure, exposure_scope
from minimize.governance.incidents.exposure import ExposedFile, ExposedRead, exposed_reads, find_exposed_files
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditEvent, PropertyChange, Resource
from minimize.ledger.audit_log import append_event
from minimize.stores import parse_output_location
from tests.project import AT, BEFORE, DAY, Builds, Project, events
from tests.server.home import PURPOSE, Home, home
from tests.world import INCIDENT

ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def published(project: Project) -> None:
    """Two days, of which the second was run twice."""
    for day, count in ((BEFORE, 20), (DAY, 30)):
        project.records(events(count), day)
        project.run(date=day)
    project.records(events(40), DAY)
    project.run(date=DAY)


@pytest.fixture(name="output")
def _output(builds: Builds, project: Project) -> PublishedOutput:
    builds.fill(project, published)
    folder = parse_output_location(project.out)
    return PublishedOutput(folder, load_receipts(folder))


def found(output: PublishedOutput, *texts: str, window: tuple[datetime, datetime] = ALWAYS) -> list[ExposedFile]:
    return list(find_exposed_files(Exposure.parse(texts), [output], [], window))


def records(some: list[ExposedFile]) -> list[int]:
    return [each.file.entry.rows for each in some if each.file.name == "records"]


def test_every_file_that_existed_in_the_window_was_exposed(output: PublishedOutput) -> None:
    assert records(found(output, f"output:{output.folder}")) == [20, 30, 40]


def test_a_file_is_exposed_until_it_is_replaced(output: PublishedOutput) -> None:
    replaced = output.chain[-1].finished
    window = (replaced, replaced + timedelta(days=1))
    assert records(found(output, f"output:{output.folder}", window=window)) == [20, 40]
    before = (ALWAYS[0], output.chain[0].finished)
    assert records(found(output, f"output:{output.folder}", window=before)) == [20]


def test_an_output_is_named_by_its_folder_or_its_pipeline(output: PublishedOutput) -> None:
    assert records(found(output, "output:checkins#records")) == [20, 30, 40]
    assert {each.file.name for each in found(output, "output:checkins#per_model")} == {"per_model"}
    assert found(output, "output:elsewhere") == []


def test_a_named_run_is_exposed_at_any_time(output: PublishedOutput) -> None:
    run = output.chain[1].run_id
    some = found(output, f"run:{run}", window=(ALWAYS[0], ALWAYS[0]))
    assert (records(some), {each.via for each in some}) == ([30], {f"run:{run}"})


def test_a_date_is_of_all_outputs_unless_some_are_named(output: PublishedOutput) -> None:
    assert records(found(output, f"date:{BEFORE}")) == [20]
    assert records(found(output, "output:elsewhere", f"date:{BEFORE}")) == []


def test_recipients_and_grants_reach_no_file(output: PublishedOutput) -> None:
    assert found(output, "recipient:vendor", f"date:{BEFORE}") == []
    assert found(output, "grant:g") == []


def test_files_reached_by_a_key_alone_are_marked(output: PublishedOutput) -> None:
    assert {each.keyed for each in found(output, "key:device/1")} == {True}
    assert {each.keyed for each in found(output, "key:device/1", "output:checkins")} == {False}


def test_the_run_that_wrote_a_file_is_known(output: PublishedOutput) -> None:
    for each in found(output, f"output:{output.folder}"):
        assert each.file.written_by.receipt.run_id in each.file.path


@pytest.fixture(name="home")
def _home(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with home(builds, tmp_path, monkeypatch) as found:
        yield found


def found_reads(home: Home, *texts: str) -> list[ExposedRead]:
    return exposed_reads(home.ledger, Exposure.parse(texts), (AT - timedelta(days=1), AT + timedelta(days=1)))


def test_reads_under_a_grant_are_found_by_its_name(home: Home) -> None:
    grant = home.granted()
    home.read("sam", columns=["tenant_id", "owner"], incident=INCIDENT)
    (read,) = found_reads(home, f"grant:{grant.id}")
    assert (read.actor, read.pipeline, read.name, read.columns) == (
        "sam",
        "checkins",
        "records",
        frozenset({"tenant_id", "owner"}),
    )
    assert ("north" in read.tenants, "south" in read.tenants) == (True, False)
    assert (read.rows or 0) > 0
    assert found_reads(home, "grant:another") == []


def test_reads_by_an_actor_are_found_in_the_window(home: Home) -> None:
    home.read("ann", columns=["model"])
    assert [read.actor for read in found_reads(home, "actor:ann")] == ["ann"]
    assert found_reads(home, "actor:ann@2020-01-01T00:00Z/2020-01-02T00:00Z") == []
    assert found_reads(home, "actor:sue") == []


def test_a_read_reaches_the_tenants_and_columns_that_it_showed(home: Home) -> None:
    home.time.at += timedelta(days=3650)
    home.granted()
    home.read("sam", columns=["tenant_id", "owner"], incident=INCIDENT)
    at = home.time.at
    scope = exposure_scope(Exposure.parse(["actor:sam"]), (at - timedelta(hours=1), at), home.places(), at)
    (tenant,) = scope.to_json()["tenants"]
    assert (tenant["tenant_id"], tenant["form"]) == ("north", "identified")
    assert {kind["column"] for kind in tenant["kinds"]} == {"tenant_id", "owner"}


def tells(home: Home, operation: str, name: str, kind: str, component: str = "access", **said: Any) -> None:
    """An entry of the audit log, as others than the door write it."""
    resource = Resource(
        name, kind, f"{kind}/{name}", tuple(PropertyChange(each, None, value) for each, value in said.items())
    )
    event = AuditEvent(
        component=component, actor=Actor("user", application="minimize", user="sam"), activity="decision",
        operation=operation, time=home.time(), category="access", resources=(resource,),
    )  # fmt: skip
    home.ledger.write(lambda connection: append_event(connection, event, Keyring.load(home.project.keys)))


@pytest.mark.parametrize("operation", ["subject/view", "subject/export"])
def test_viewing_or_exporting_persons_counts_as_reading_the_tenant(home: Home, operation: str) -> None:
    home.time.at += timedelta(days=3650)
    tells(home, operation, "north", "subject")
    at = home.time.at
    scope = exposure_scope(Exposure.parse(["actor:sam"]), (at - timedelta(hours=1), at), home.places(), at)
    (tenant,) = scope.to_json()["tenants"]
    assert (tenant["tenant_id"], tenant["subjects"]["exact"], scope.reads_without_tenant) == ("north", False, ())
    assert not exposure_scope(Exposure.parse(["actor:sue"]), (at - timedelta(hours=1), at), home.places(), at).tenants


def test_an_export_without_a_tenant_is_listed_and_names_no_tenant(home: Home) -> None:
    tells(home, "subject/export", "subject/export", "subject")
    at = home.time.at
    scope = exposure_scope(Exposure.parse(["actor:sam"]), (at - timedelta(hours=1), at), home.places(), at).to_json()
    assert scope["tenants"] == []
    assert [(each["actor"], each["operation"]) for each in scope["acts_of_unknown_tenants"]] == [
        ("sam", "subject/export")
    ]


def test_the_beginning_of_a_name_that_several_grants_have_means_none_of_them(home: Home) -> None:
    for grant in ("7aaa-1", "7aaa-2"):
        tells(home, "dataset/read", "checkins/records", "dataset", component="door", grants=grant)
    with pytest.raises(ConfigurationError, match="more than one grant"):
        found_reads(home, "grant:7aaa")
    assert len(found_reads(home, "grant:7aaa-1")) == len(found_reads(home, "grant:7aaa-2")) == 1


def test_a_read_counts_from_its_start_to_its_end_and_while_it_is_running(home: Home) -> None:
    batches = home.reader("ann").batches(columns=["tenant_id", "model"], purpose=PURPOSE)
    next(batches)
    start = home.time.at
    window = f"actor:ann@{(start - timedelta(hours=1)).isoformat()}/{start.isoformat()}"
    assert [read.started_at for read in found_reads(home, window)] == [start]
    home.time.passes(minutes=5)
    list(batches)
    assert [read.started_at for read in found_reads(home, window)] == [start]
    later = f"actor:ann@{home.time.at.isoformat()}/{(home.time.at + timedelta(hours=1)).isoformat()}"
    assert len(found_reads(home, later)) == 1
    after = home.time.at + timedelta(seconds=1)
    assert found_reads(home, f"actor:ann@{after.isoformat()}/{(after + timedelta(hours=1)).isoformat()}") == []
