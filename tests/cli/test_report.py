from __future__ import annotations

import re

import pytest

from tests.commands import Command
from tests.project import BEFORE, DAY, NOISY_AGGREGATES, Builds, Project, event, events, without_none

AT = "2026-11-25T00:00:00Z"


def done_content(project: Project) -> None:
    project.records([*events(60), "broken"])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


def test_a_report_is_printed_in_a_few_lines(done: Project, command: Command) -> None:
    said = command("report", done.out, "--keys", done.keys, "--at", AT)
    assert said.code == 0
    assert "60 or more read = 60 written + fewer than 5 quarantined" in said.out
    assert "not approved" in said.out


def test_a_page_is_written_and_named(done: Project, command: Command) -> None:
    path = done.folder / "page.html"
    said = command("report", done.out, "--keys", done.keys, "--at", AT, "--html", path)
    assert said.code == 0
    assert path.name in said.out
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_a_file_that_is_no_page_is_not_overwritten(done: Project, command: Command) -> None:
    path = done.folder / "notes.txt"
    path.write_text("notes")
    refused = command("report", done.out, "--keys", done.keys, "--at", AT, "--html", path)
    assert refused.code == 2
    assert path.read_text() == "notes"


@pytest.mark.parametrize("words", [("report",), ("leaflet",)], ids=" ".join)
def test_a_page_that_cannot_be_written_is_named(done: Project, command: Command, words: tuple[str, ...]) -> None:
    path = done.folder / "gone" / "page.html"
    place = done.out if words == ("report",) else done.folder
    error = command(*words, place, "--html", path, "--json").error
    assert error["message"] == f"{path} cannot be written: a file or folder does not exist (ENOENT)"
    assert error["code"] == "E209"


def test_an_unknown_table_names_a_similar_one(project: Project, command: Command) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records(events(60))
    project.run()
    refused = command("report", project.out, "--keys", project.keys, "--table", "per_modle")
    assert refused.code == 2
    assert "no table `per_modle` of aggregates (hint: Did you mean `per_model`?)" in refused.err


def test_for_machines_it_gives_the_facts(done: Project, command: Command) -> None:
    body = command("report", done.out, "--keys", done.keys, "--at", AT, "--json").json
    assert body["pipeline"] == "checkins"
    assert (body["flow"]["read"], body["flow"]["written"]) == ("60 or more", 60)


def test_hidden_figures_are_listed(done: Project, command: Command) -> None:
    said = command("report", done.out, "--at", AT)
    assert said.code == 0
    assert "signatures of the receipts" in said.out


def test_an_output_without_receipts_is_a_mistake(project: Project, command: Command) -> None:
    assert command("report", project.folder / "nowhere").code == 2


def line(text: str, label: str) -> str:
    """A line of the summary without its label, with the lines that continue it."""
    found = re.search(rf"^{label} +(.*(?:\n {{16}}.*)*)", re.sub("(?m)^  ", "", text), re.MULTILINE)
    assert found is not None
    return " ".join(found[1].split())


def test_rows_of_a_published_table_are_their_exact_number(project: Project, command: Command) -> None:
    by_device = {
        "group_by": {"device": "device_id"},
        "measures": {"devices": {"count_distinct": "device_id"}},
        "suppress": {"below": 1, "counting": "device_id"},
        "exact": {"because": "a test"},
    }
    project.policy(fields={"device_id": {**project.base_policy["fields"]["device_id"], "do": "keep"}})
    project.pipeline(aggregates={"by_device": by_device}, records={"must_be": "identified"})
    for day, number in ((BEFORE, 7), (DAY, 6)):
        project.records([event(each, device_id=f"{day}-{each}") for each in range(number)], day)
        project.run(date=day)
    said = command("report", project.out, "--keys", project.keys, "--at", AT)
    assert len(project.rows("by_device")) == 13
    assert line(said.out, "by_device").startswith("13 rows, ")
    assert line(said.out, "records").startswith("10 rows, "), "rows of records stay rounded date by date"


def test_a_date_that_ran_again_is_named_if_it_counts_more_than_once(project: Project, command: Command) -> None:
    for day in (BEFORE, DAY):
        project.records(events(60), day)
    project.run()
    before = command("report", project.out, "--keys", project.keys, "--at", AT)
    project.run(date=DAY)
    after = command("report", project.out, "--keys", project.keys, "--at", AT)
    assert line(before.out, "rows") == "120 read = 120 written"
    assert line(after.out, "rows") == f"180 read = 180 written; ran again, and counted more than once: {DAY}"


def test_documents_for_reviewers_state_whether_a_table_has_noise(project: Project, command: Command) -> None:
    noisy, exact = "inexact on purpose", "exact (reason: a contract)"
    table = {**NOISY_AGGREGATES["per_model"]}
    for told, other, changes in ((noisy, exact, table), (exact, noisy, {**table, "per_subject": None})):
        if told == exact:
            changes["exact"] = {"because": "a contract"}
        project.pipeline(aggregates={"per_model": without_none(changes)})
        leaflet = command("leaflet", project.folder).out
        assert (told in leaflet, other in leaflet) == (True, False)
        words = "statistics are exact (reason: a contract)" if told == exact else "statistics have noise"
        assert words in command("explain", project.folder, "battery").out
        assert command("docs", project.folder, "--to", project.folder / "pages").code == 0
        pages = [page.read_text() for page in (project.folder / "pages").rglob("*.md")]
        assert sum(words in page for page in pages) == 2, "the catalogue and the record of processing"
