"""Where an access file is configured, only who may takes something out of an output."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from minimize.errors import AccessDenied
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.ledger import open_ledger
from minimize.removal.retract import retract
from tests.governance.retention.daily import PIPELINE, START, Daily, rows
from tests.project import Builds
from tests.world import access_file, assignment, write_configuration

FIRST = date(2026, 1, 1)
DAY = timedelta(days=1)


def shut_content(project: Daily) -> None:
    """A project whose operator may work on this pipeline's outputs, and whose other one on another's."""
    project.collect(rows(FIRST), FIRST)
    operators = {"ops": PIPELINE["pipeline"], "other": "elsewhere"}
    assignments = [assignment("operator", user, datasets=[dataset]) for user, dataset in operators.items()]
    write_configuration(project.folder, access=access_file(*assignments))
    project.run(FIRST, START + DAY)


@pytest.fixture(name="shut")
def _shut(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, shut_content)


def told(project: Daily) -> list[tuple[str, str]]:
    with open_ledger(find_ledger(project.folder / "ledger.db")) as ledger:
        found = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="decision"))]
    return [(each["operation"], each["result"]) for each in found]


def expire(project: Daily) -> object:
    return project.expire(START + 41 * DAY)


def retracts(project: Daily) -> object:
    changed = json.loads((project.folder / "policy.yaml").read_text())
    changed["fields"]["place"] = {"type": "string", "do": "drop"} if "place" in changed["fields"] else {}
    changed["fields"] = {key: each for key, each in changed["fields"].items() if each}
    (project.folder / "policy.yaml").write_text(json.dumps(changed))
    return retract(project.out, yes=True, keys=project.keys)


@pytest.mark.parametrize(("act", "operation"), [(expire, "output/expire"), (retracts, "output/retract")])
def test_only_an_authorized_account_removes_data(
    shut: Daily, monkeypatch: pytest.MonkeyPatch, act: Callable[[Daily], object], operation: str
) -> None:
    before = shut.rows()
    for user, rule in (("nemo", "nobody"), ("other", "out_of_scope")):
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        with pytest.raises(AccessDenied) as caught:
            act(shut)
        assert [each.rule for each in caught.value.reasons] == [rule]
    assert shut.rows() == before
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    act(shut)
    assert shut.rows() != before
    assert told(shut) == [(operation, "refused"), (operation, "refused"), (operation, "success")]
    shut.verified()
