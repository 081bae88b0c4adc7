"""Every output in which somebody may stand."""

from __future__ import annotations

from minimize.governance.known_outputs import find_outputs
from minimize.governance.subjects.search import record_files
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.commands import command
from tests.project import DAY, Project, event, events


def test_the_ledger_knows_every_output_that_was_published(project: Project) -> None:
    project.records(events(20))
    other = project.folder / "other"
    ledger = project.folder / "organization.db"
    for output in (project.out, other):
        project.run(output=output, ledger=ledger)
    with open_ledger(find_ledger(ledger)) as book:
        found, missed = find_outputs(book)
    assert {each.folder for each in found} == {project.out, other}
    assert missed == ()


def test_an_output_that_is_both_named_and_known_is_searched_once(project: Project) -> None:
    project.records(events(20))
    project.run()
    with open_ledger(find_ledger(project.out / "ledger.db")) as book:
        found, _ = find_outputs(book, [project.out])
    assert len(found) == 1


def test_a_missing_output_is_reported(project: Project) -> None:
    project.records(events(20))
    ledger = project.folder / "organization.db"
    project.run(ledger=ledger)
    project.out.rename(project.folder / "elsewhere")
    with open_ledger(find_ledger(ledger)) as book:
        found, (missed,) = find_outputs(book)
    assert found == ()
    assert (missed.folder, missed.pipeline, missed.reason) == (str(project.out), "checkins", "E205")


def test_aggregates_are_not_searched_for_subjects(project: Project) -> None:
    project.records(events(60))
    project.run()
    ((output,), _) = find_outputs(None, [project.out])
    assert {file.path.split("/")[0] for file in record_files([output])} == {"records"}


def test_a_deletion_lists_what_it_removed_from_each_folder(project: Project) -> None:
    without, second, of_d3 = project.folder / "without", project.folder / "second", ("north", "d3")
    ledger, records = project.folder / "organization.db", events(60)
    others = [each for each in records if (each["tenant_id"], each["device_id"]) != of_d3]
    project.pipeline(aggregates=None)
    for output, content in ((without, others), (project.out, records), (second, records[:30])):
        project.records(content)
        project.run(output=output, ledger=ledger)
    counts = {
        project.out: len(records) - len(others),
        second: sum((each["tenant_id"], each["device_id"]) == of_d3 for each in records[:30]),
    }
    words = ("subject", "delete", "d3", "--tenant", "north", "--ledger", ledger, "--keys", project.keys)
    for yes, done in (((), "would be removed"), (("--yes",), "removed")):
        lines = command(*words, *yes).out.splitlines()
        assert lines[0] == f"{sum(counts.values())} records of 1 subject {done}"
        assert [line for line in lines if line.startswith("  /")] == [
            f"  {folder}: records {DAY}: rows: {count} of tenants or subjects with a lifecycle event"
            " (files removed: 0, rewritten: 1)"
            for folder, count in counts.items()
        ]
    assert [len(project.rows(output=each)) for each in (without, project.out, second)] == [
        len(others),
        len(others),
        30 - counts[second],
    ]


def test_a_deletion_lists_the_figures_that_each_folder_keeps(project: Project) -> None:
    second, ledger = project.folder / "second", project.folder / "organization.db"
    many = {"measures": {"devices": {"count_distinct": "device_id"}}, "suppress": {"below": 3}}
    project.pipeline(aggregates={"per_model": {**many, "group_by": {"day": {"event_time": "day"}}}})
    project.records(event(number, device_id=f"d{number}", tenant_id="north") for number in range(60))
    for output in (project.out, second):
        project.run(output=output, ledger=ledger)
    words = ("subject", "delete", "d3", "--tenant", "north", "--yes", "--ledger", ledger, "--keys", project.keys)
    kept = [line for line in command(*words).out.splitlines() if "keeps statistics" in line]
    assert [line.partition(f" for {DAY}: ")[0] for line in kept] == [
        f"  per_model in {folder} keeps statistics" for folder in (project.out, second)
    ]
