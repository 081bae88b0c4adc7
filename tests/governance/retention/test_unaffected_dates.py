"""Which dates a retraction leaves alone by their receipts: exactly those of which nothing is found if every file is looked at."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.datasets.pipelines import origin_place as written_at
from minimize.errors import RefusedError
from minimize.receipts import RunOrigin
from minimize.removal.rerun import DatesWithSource
from minimize.removal.retract import ResolvedRetraction, _resolve_retraction, retract
from minimize.runs.inputs import load_subject_acts
from minimize.runs.resolve import RunRequest
from minimize.workspace import Workspace
from tests.governance.retention.daily import FIELDS, PIPELINE, SETTINGS, START, Daily, rows

DAY = timedelta(days=1)
DATES = [START.date() + DAY * number for number in range(4)]
RAN, SOON = START + 5 * DAY, START + 6 * DAY
FEATURES = {"location": {"about": "position"}, "inventory": {"about": "applications"}}
PLAIN = {
    "place": {"type": "string", "role": "quasi", "do": "keep"},
    "/apps/*/name": {"type": "string", "do": "keep"},
}
POLICIES: dict[str, dict[str, Any]] = {
    "plain": {"fields": PLAIN},
    "gated": {},
    "records": {"fields": PLAIN, "records": {"collect_if": {"owner_type": "corporate"}}},
}
TODAY: dict[str, dict[str, Any]] = {
    "same": {},
    "dropped": {"note": {"type": "string", "do": "drop"}},
    "coarser": {"event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "day"}}}},
    "finer": {"event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "minute"}}}},
}
CHANGES = {
    "same": "",
    "off": "south,,location,off,admin,2026-01-01T12:00:00Z,2026-01-05T00:00:00Z\n",
    "of time": "south,,location,off,admin,2026-01-06T12:00:00Z,2026-01-05T00:00:00Z\n",
    "of another": "west,,location,off,admin,2026-01-01T12:00:00Z,2026-01-05T00:00:00Z\n",
}


BLIP = """south,,location,off,admin,2026-01-01T22:30:00Z,2026-01-02T00:00:00Z
south,,location,on,admin,2026-01-01T22:31:00Z,2026-01-02T00:00:00Z
"""
"""A switch that was off for a minute of an hour. A run keeps other events of the hour; the output does not show their minute."""
PIPELINES: dict[str, dict[str, Any]] = {
    "same": {},
    "same plan": {"quarantine": {"fail_above": 0.9}},
    "other plan": {
        "aggregates": {"daily": {**PIPELINE["aggregates"]["daily"], "suppress": {"below": 3}}},
    },
}


def collect(project: Daily, on: date, *, managed: bool) -> None:
    lines = [row.line() for row in rows(on)]
    for line in lines:
        line["apps"][0]["managed"] = managed
    project.lines(f"data/{on}/a.ndjson", lines)


def write_policy(project: Daily, kind: str, fields: dict[str, Any], version: int) -> None:
    said = POLICIES[kind]
    changed = {**said.get("fields", {}), **fields}
    more = {key: value for key, value in said.items() if key != "fields"}
    project.policy(changed, features=FEATURES, version=version, **more)


def run(project: Daily, *dates: date) -> None:
    for on in dates:
        project.run(on, RAN)


def resolved(project: Daily) -> ResolvedRetraction:
    workspace = Workspace(output=project.out, keys=project.keys)
    return _resolve_retraction(workspace, RunRequest(at=SOON), is_received_only=False)


def in_full(made: ResolvedRetraction) -> ResolvedRetraction:
    """The same, with every date looked at."""
    origin = made.output.chain[-1].origin or RunOrigin()
    said, source = (written_at(made.request.output, each) for each in (origin.settings, origin.input))
    standing = DatesWithSource(
        workspace=made.workspace,
        output=made.output,
        as_of=made.request.as_of,
        now=made.request.as_of,
        source=source,
        settings_source=said,
        settings=made.settings,
        consents=load_subject_acts(made.workspace).consents,
    ).rerunnable(())
    return replace(made, rerunnable=standing, unaffected=frozenset())


def found(made: ResolvedRetraction) -> Any:
    try:
        each = made.plan()
    except RefusedError as error:
        return [(finding.code, finding.field) for finding in error.findings]
    return each.rerun_dates, each.plan.partitions, each.plan.dates_left


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(6, 60))])
def test_dates_chosen_by_receipts_are_those_chosen_by_reading_every_file(project: Daily, seed: int) -> None:
    chance = Random(seed)
    kind, managed, settings = chance.choice(list(POLICIES)), chance.random() < 0.5, chance.choice(["", BLIP])
    for on in DATES:
        collect(project, on, managed=managed)
    write_policy(project, kind, {}, 1)
    (project.folder / "settings.csv").write_text(SETTINGS + settings)
    run(project, *DATES)
    if chance.random() < 0.3:
        project.expire(RAN, events=project.events("south,d0,subject_left,2026-01-02T00:00:00Z"))
    project.pipeline(**PIPELINES[chance.choice(["same", "same", *PIPELINES])])
    changed = TODAY[chance.choice(["same", "same", "same", *TODAY])]
    write_policy(project, kind, changed, 2 if changed else 1)
    settings += CHANGES[chance.choice(["same", "same", "same", *CHANGES])]
    (project.folder / "settings.csv").write_text(SETTINGS + settings)
    run(project, *chance.sample(DATES, chance.randrange(len(DATES))))
    for on in DATES:
        what = chance.choice(["stands", "stands", "gone", "changed"])
        if what == "gone":
            shutil.rmtree(project.folder / "data" / str(on))
        elif what == "changed":
            project.collect(rows(on)[:3], on)
    made = resolved(project)
    assert found(made) == found(in_full(made))


def work(project: Daily) -> tuple[int, int]:
    """How many files of the output a retraction opens, and how many dates it resolves as a run."""
    opened: list[str] = []
    resolved_runs: list[str] = []
    with (
        at_checkpoint("stored.opened", lambda _, path: opened.append(path)),
        at_checkpoint("run.resolved", resolved_runs.append),
    ):
        retract(project.out, at=SOON, keys=project.keys)
    return len(set(opened)), len(resolved_runs)


@pytest.mark.parametrize("kind", ["plain", "gated"])
def test_the_work_does_not_grow_with_dates_that_nothing_concerns(project: Daily, kind: str) -> None:
    write_policy(project, kind, {"note": {"type": "string", "do": "keep"}}, 1)
    for on in DATES[:2]:
        project.collect(rows(on), on)
    run(project, DATES[0])
    write_policy(project, kind, {"note": {"type": "string", "do": "drop"}}, 2)
    run(project, DATES[1])
    few = work(project)
    for on in DATES[2:]:
        project.collect(rows(on), on)
        run(project, on)
    assert work(project) == few == (0, 2)


def test_one_run_is_resolved_for_all_dates_that_a_change_of_the_policy_concerns(project: Daily) -> None:
    write_policy(project, "plain", {"note": {"type": "string", "do": "keep"}}, 1)
    for on in DATES:
        project.collect(rows(on), on)
    run(project, *DATES)
    write_policy(project, "plain", {"note": {"type": "string", "do": "drop"}}, 2)
    assert work(project) == (0, 1)
    assert retract(project.out, at=SOON, keys=project.keys).rerun_dates == tuple(map(str, DATES))


def test_without_a_source_and_without_conditions_no_file_is_opened(project: Daily) -> None:
    write_policy(project, "plain", {}, 1)
    project.collect(rows(DATES[0]), DATES[0])
    run(project, DATES[0])
    shutil.rmtree(project.folder / "data")
    assert work(project) == (0, 0)


def test_without_a_source_a_condition_is_looked_up_in_the_file(project: Daily) -> None:
    write_policy(project, "gated", {}, 1)
    project.collect(rows(DATES[0]), DATES[0])
    run(project, DATES[0])
    shutil.rmtree(project.folder / "data")
    assert work(project) == (1, 0)
