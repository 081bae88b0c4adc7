from __future__ import annotations

from tests.commands import Command
from tests.project import BEFORE, DAY, Project, event, events

WHEN, LATER = "2026-11-25T00:00:00Z", "2026-11-25T01:00:00Z"


def prepared(project: Project, command: Command, limit: float | None = None) -> None:
    """A run with five in quarantine, of which two pass under the policy of today."""
    limits = {} if limit is None else {"fail_above": limit}
    project.pipeline(aggregates=None, quarantine=limits)
    project.records([*events(30), "broken", event(31, storage="much"), event(32, storage="little")])
    project.records([*events(30), "broken", "too"], day=BEFORE)
    command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys)
    project.policy({"storage": None})


def test_it_tells_what_passes_and_what_was_run(project: Project, command: Command) -> None:
    prepared(project, command)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys)
    assert said.code == 0
    assert f"{BEFORE}: 0 of 2 quarantined records pass now" in said.out
    assert f"{DAY}: 2 of 3 quarantined records pass now" in said.out
    assert "checkins: replay " in said.out


def test_for_machines_it_gives_counts_and_receipts(project: Project, command: Command) -> None:
    prepared(project, command)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys, "--json").json
    assert said["dates"] == [
        {"date": BEFORE, "quarantined": 2, "passing": 0},
        {"date": DAY, "quarantined": 3, "passing": 2},
    ]
    assert [(receipt["kind"], receipt["dates"]) for receipt in said["receipts"]] == [("replay", [DAY])]


def test_nothing_to_do_says_so(project: Project, command: Command) -> None:
    project.records(events(30))
    project.run()
    said = command("replay", project.out, "--keys", project.keys)
    assert (said.code, said.out) == (0, "nothing to do: nothing is in quarantine\n")


def test_nothing_that_passes_says_so(project: Project, command: Command) -> None:
    project.records([*events(30), "broken"])
    project.run()
    said = command("replay", project.out, "--keys", project.keys)
    assert said.code == 0
    assert "nothing to do: none of them would leave quarantine" in said.out


def test_what_still_is_above_fail_above_exits_4(project: Project, command: Command) -> None:
    prepared(project, command, limit=0.01)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys)
    assert said.code == 4
    assert "more than 1.00%" in said.err


def test_a_changed_source_exits_3_with_both_digests(project: Project, command: Command) -> None:
    prepared(project, command)
    project.records(events(3))
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys, "--json")
    assert said.code == 3
    (fault,) = said.error["faults"]
    assert (fault["code"], fault["message"].count("sha256:")) == ("R011", 2)


def test_a_folder_without_an_output_exits_2(project: Project, command: Command) -> None:
    assert command("replay", project.folder / "nowhere", "--keys", project.keys).code == 2


def test_a_pipeline_that_is_named_and_not_there_is_said_so(project: Project, command: Command) -> None:
    prepared(project, command)
    done = command("replay", project.out, "--pipeline", project.folder / "elsewhere", "--keys", project.keys)
    assert (done.code, "there is no such file" in done.err, "not known" in done.err) == (2, True, False)
