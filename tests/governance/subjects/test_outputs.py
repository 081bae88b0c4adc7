"""Every output in which somebody may stand."""

from __future__ import annotations

from minimize.governance.output_file import find_outputs
from minimize.governance.subjects.search import record_files
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.project import Project, events


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


def test_an_output_that_is_named_and_known_is_looked_at_once(project: Project) -> None:
    project.records(events(20))
    project.run()
    with open_ledger(find_ledger(project.out / "ledger.db")) as book:
        found, _ = find_outputs(book, [project.out])
    assert len(found) == 1


def test_an_output_that_is_gone_is_said_to_be(project: Project) -> None:
    project.records(events(20))
    ledger = project.folder / "organization.db"
    project.run(ledger=ledger)
    project.out.rename(project.folder / "elsewhere")
    with open_ledger(find_ledger(ledger)) as book:
        found, (missed,) = find_outputs(book)
    assert found == ()
    assert (missed.folder, missed.pipeline, missed.reason) == (str(project.out), "checkins", "E205")


def test_aggregates_are_about_nobody_alone(project: Project) -> None:
    project.records(events(60))
    project.run()
    ((output,), _) = find_outputs(None, [project.out])
    assert {file.path.split("/")[0] for file in record_files([output])} == {"records"}
