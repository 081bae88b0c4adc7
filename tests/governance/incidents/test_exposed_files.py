"""Which files an incident reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minimize.datasets.published_output import PublishedOutput
from minimize.governance.incidents import Exposure
from minimize.governance.incidents.exposure import ExposedFile, find_exposed_files
from minimize.output.reader import load_receipts
from minimize.stores import parse_output_location
from tests.project import BEFORE, DAY, Builds, Project, events

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


def test_every_file_that_stood_in_the_window_was_reached(output: PublishedOutput) -> None:
    assert records(found(output, f"output:{output.folder}")) == [20, 30, 40]


def test_a_file_is_reached_until_another_stands_in_its_place(output: PublishedOutput) -> None:
    replaced = output.chain[-1].finished
    window = (replaced, replaced + timedelta(days=1))
    assert records(found(output, f"output:{output.folder}", window=window)) == [20, 40]
    before = (ALWAYS[0], output.chain[0].finished)
    assert records(found(output, f"output:{output.folder}", window=before)) == [20]


def test_an_output_is_named_by_its_folder_or_its_pipeline(output: PublishedOutput) -> None:
    assert records(found(output, "output:checkins#records")) == [20, 30, 40]
    assert {each.file.name for each in found(output, "output:checkins#per_model")} == {"per_model"}
    assert found(output, "output:elsewhere") == []


def test_a_run_was_reached_whatever_stands_now(output: PublishedOutput) -> None:
    run = output.chain[1].run_id
    some = found(output, f"run:{run}", window=(ALWAYS[0], ALWAYS[0]))
    assert (records(some), {each.via for each in some}) == ([30], {f"run:{run}"})


def test_a_date_is_of_all_outputs_unless_some_are_named(output: PublishedOutput) -> None:
    assert records(found(output, f"date:{BEFORE}")) == [20]
    assert records(found(output, "output:elsewhere", f"date:{BEFORE}")) == []


def test_recipients_and_grants_reach_no_file(output: PublishedOutput) -> None:
    assert found(output, "recipient:vendor", f"date:{BEFORE}") == []
    assert found(output, "grant:g") == []


def test_what_a_key_alone_reaches_is_marked_so(output: PublishedOutput) -> None:
    assert {each.keyed for each in found(output, "key:device/1")} == {True}
    assert {each.keyed for each in found(output, "key:device/1", "output:checkins")} == {False}


def test_who_wrote_a_file_is_known(output: PublishedOutput) -> None:
    for each in found(output, f"output:{output.folder}"):
        assert each.file.written_by.receipt.run_id in each.file.path
