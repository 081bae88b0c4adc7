"""A refused request is recorded with its reason, and so is a copy that leaves fields out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import CheckFailed, ConfigurationError, KeyringError
from minimize.governance.subjects import DataSubject, delete_subjects, refuse_request, view_subjects, write_exports
from minimize.governance.subjects.requests import refuse_subjects
from minimize.workspace import Workspace
from tests.commands import Result, command
from tests.governance.outputs import places, run
from tests.project import Builds, Project, events

D3 = DataSubject("d3", "north")
DROPPED = {"type": "string", "role": "identifier", "do": "drop"}


def fill(project: Project) -> None:
    project.policy({"user": DROPPED})
    project.pipeline(aggregates=None)
    project.records(events(60))
    run(project)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fill)


def subject(project: Project, verb: str, *arguments: str) -> Result:
    return command("subject", verb, *arguments, "--ledger", project.folder / "organization.db", "--keys", project.keys)


def requests(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = subject(project, "status", "--json").json["requests"]
    return found


def test_an_open_request_is_refused_with_a_reason_and_a_reference(filled: Project) -> None:
    with pytest.raises(CheckFailed):
        delete_subjects([DataSubject("u1", "north", "user")], places(filled), datetime.now(UTC), yes=True)
    (request,) = requests(filled)
    cited = ("--reason", "unidentified", "--evidence", "CASE-9")
    assert subject(filled, "refuse", request["request"], *cited).code == 0
    (refused,) = requests(filled)
    assert (refused["state"], refused["because"], refused["reference"]) == ("refused", "unidentified", "CASE-9")
    assert "the person could not be identified, see CASE-9" in subject(filled, "status").out
    assert subject(filled, "refuse", request["request"], *cited).code == 2


def test_a_request_that_no_command_started_is_recorded_as_refused(filled: Project) -> None:
    cited = ("--reason", "withheld", "--evidence", "CASE-9")
    assert subject(filled, "refuse", "--kind", "export", "--id", "d3", "--tenant", "north", *cited).code == 0
    (refused,) = requests(filled)
    assert (refused["kind"], refused["state"], refused["tenant_id"]) == ("export", "refused", "north")
    assert "d3" not in str(refused["subject"])
    assert subject(filled, "refuse", "--kind", "export", "--id", "d3", *cited).code == 2
    assert subject(filled, "refuse", *cited).code == 2


def test_a_refusal_cites_no_personal_data(filled: Project) -> None:
    cited = ("--reason", "withheld", "--evidence", "ann@contoso.example")
    done = subject(filled, "refuse", "--kind", "export", "--id", "d3", "--tenant", "north", *cited)
    assert (done.code, "ann@" in done.err) == (2, False)
    assert requests(filled) == []


@pytest.mark.parametrize("redact", [(), ("model",)])
def test_a_copy_is_recorded_with_the_fields_that_it_leaves_out(
    filled: Project, tmp_path: Path, redact: tuple[str, ...]
) -> None:
    found = view_subjects([D3], places(filled), datetime.now(UTC))
    write_exports(found, tmp_path / "copy", places(filled), redact=redact)
    (request,) = requests(filled)
    assert (request["kind"], request["state"], request["redacted"]) == ("export", "done", list(redact))
    assert ("copy without model" in subject(filled, "status").out) == bool(redact)


def test_a_request_that_is_done_cannot_be_refused(filled: Project) -> None:
    delete_subjects([D3], places(filled), datetime.now(UTC), yes=True)
    (request,) = requests(filled)
    with pytest.raises(ConfigurationError, match="is done"):
        refuse_request(request["request"], "withheld", "CASE-9", places(filled), datetime.now(UTC))


def test_a_refusal_needs_a_keyring_that_can_be_read_before_a_ledger_is_made(filled: Project, tmp_path: Path) -> None:
    def refuse() -> None:
        workspace = Workspace(ledger=tmp_path / "new.db", keys=filled.keys)
        refuse_subjects("export", [D3], "withheld", "CASE-9", workspace, datetime.now(UTC))

    filled.keys.chmod(0o644)
    with pytest.raises(KeyringError, match="accessible to group"):
        refuse()
    assert not (tmp_path / "new.db").exists()
    filled.keys.chmod(0o600)
    refuse()
    assert (tmp_path / "new.db").exists()
