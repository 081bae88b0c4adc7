"""Which batch dates a run is asked for.
What arrived since a date's last receipt, and runs of just that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, StoppedError
from minimize.receipts import files_in_force
from minimize.runs import unfinished_parts
from minimize.runs.batch_dates import Arrival, DateSelection, compare_files
from minimize.sources.files import file_parts
from minimize.stores.durable_files import file_digest
from tests.project import AT, BEFORE, DAY, Builds, Project, events

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, number) for number in (23, 24, 25))


def test_by_default_every_date_is_selected_and_a_batch_without_date() -> None:
    assert MONDAY in DateSelection.from_options()
    assert None in DateSelection.from_options()


def test_one_date_is_that_date_alone() -> None:
    assert TUESDAY in DateSelection.from_options("2026-11-24")
    assert MONDAY not in DateSelection.from_options("2026-11-24")
    assert None not in DateSelection.from_options("2026-11-24")


def test_a_span_holds_both_its_ends() -> None:
    span = DateSelection.from_options(since="2026-11-23", until=TUESDAY)
    assert [day in span for day in (MONDAY, TUESDAY, WEDNESDAY)] == [True, True, False]


def test_a_span_may_be_open() -> None:
    assert WEDNESDAY in DateSelection.from_options(since=TUESDAY)
    assert WEDNESDAY not in DateSelection.from_options(until=TUESDAY)


@pytest.mark.parametrize(
    ("since", "until", "pending"), [(MONDAY, None, False), (None, MONDAY, False), (None, None, True)]
)
def test_one_date_and_others_contradict_each_other(since: date | None, until: date | None, pending: bool) -> None:
    with pytest.raises(ConfigurationError, match="--date cannot be combined"):
        DateSelection.from_options(TUESDAY, since, until, pending=pending)


def test_a_span_does_not_end_before_it_begins() -> None:
    with pytest.raises(ConfigurationError, match="--until is before"):
        DateSelection.from_options(since=TUESDAY, until=MONDAY)


FIRST = "2026-11-22"
LATER = AT + timedelta(hours=1)


def nights_content(project: Project) -> None:
    """Two dates that were run, each by itself."""
    project.pipeline(aggregates=None)
    for day, first in ((BEFORE, 0), (DAY, 100)):
        project.records(events(20, first), day=day)
        project.run(date=day)


@pytest.fixture(name="nights")
def _nights(builds: Builds, project: Project) -> Project:
    return builds.fill(project, nights_content)


@pytest.fixture(name="arrived")
def _arrived(tmp_path: Path) -> Callable[..., Arrival]:
    """Compares files of these names, each with its name as content, with what a receipt names."""

    def compare(names: str, before: dict[str, str] | None) -> Arrival:
        for name in names:
            (tmp_path / name).write_text(name)
        return compare_files(file_parts([tmp_path / name for name in names], tmp_path), before)

    return compare


A, B = (file_digest(content) for content in (b"a", b"b"))
A_OF_EARLIER_VERSIONS = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_a_date_that_never_ran_is_new(arrived: Callable[..., Arrival]) -> None:
    assert arrived("a", None) == Arrival("new")


@pytest.mark.parametrize("digest", [A, A_OF_EARLIER_VERSIONS])
def test_the_same_files_are_the_same(arrived: Callable[..., Arrival], digest: str) -> None:
    assert arrived("a", {"a": digest}) == Arrival("same")


@pytest.mark.parametrize("digest", [B, A_OF_EARLIER_VERSIONS[:-1] + "c", "md5:0cc175b9c0f1b6a831c399e269772661", ""])
def test_other_bytes_and_a_digest_that_cannot_be_compared_are_a_change(
    arrived: Callable[..., Arrival], digest: str
) -> None:
    assert arrived("a", {"a": digest}) == Arrival("changed")


def test_a_file_more_is_a_change(arrived: Callable[..., Arrival]) -> None:
    assert arrived("ab", {"a": A}) == Arrival("changed")


def test_a_file_less_is_no_change_but_a_loss(arrived: Callable[..., Arrival]) -> None:
    assert arrived("ac", {"a": A, "b": B}) == Arrival("shrunk", 1)
    assert arrived("", {"a": A, "b": B}) == Arrival("gone", 2)


def test_where_nothing_arrived_there_is_nothing_to_do(nights: Project) -> None:
    assert nights.run(pending=True, at=LATER).sequence == 0


def test_a_new_date_is_run_and_no_other(nights: Project) -> None:
    nights.records(events(5, 200), day=FIRST)
    receipt = nights.run(pending=True, at=LATER)
    assert receipt.dates == (FIRST,)
    assert len(nights.rows()) == 45


def test_a_late_file_reopens_its_date_which_is_replaced_whole(nights: Project) -> None:
    nights.records(events(3, 300), day=BEFORE, name="late")
    receipt = nights.run(pending=True, at=LATER)
    assert receipt.dates == (BEFORE,)
    assert receipt.rows.read == 23
    assert len(receipt.replaces) == 1
    minimize.verify(nights.out, keys=nights.keys)
    assert nights.run(pending=True, at=LATER).sequence == 0


def test_several_changed_dates_are_one_run_and_tracked_separately_afterwards(nights: Project) -> None:
    for day in (BEFORE, DAY):
        nights.records(events(3, 300), day=day, name="late")
    assert nights.run(pending=True, at=LATER).dates == (BEFORE, DAY)
    nights.records(events(1, 400), day=DAY, name="later")
    assert nights.run(pending=True, at=LATER).dates == (DAY,)


def test_a_date_that_lost_a_file_is_skipped_with_a_warning(nights: Project, caplog: pytest.LogCaptureFixture) -> None:
    late = nights.records(events(3, 300), day=BEFORE, name="late")
    nights.run(pending=True, at=LATER)
    late.unlink()
    with caplog.at_level(logging.WARNING, "minimize"):
        receipt = nights.run(pending=True, at=LATER)
    assert receipt.sequence == 0
    assert receipt.skipped == {BEFORE: "shrunk"}
    assert unfinished_parts(receipt) == "1 date skipped"
    assert "1 of its files is missing" in caplog.text
    assert len(nights.rows()) == 43


def test_a_date_whose_files_are_all_gone_is_skipped(nights: Project) -> None:
    (nights.folder / "data" / BEFORE / "a.ndjson.gz").unlink()
    receipt = nights.run(pending=True, at=LATER)
    assert (receipt.sequence, receipt.skipped) == (0, {BEFORE: "gone"})
    assert len(nights.rows()) == 40


def test_a_requested_date_runs_with_its_remaining_files_and_reports_the_loss(
    nights: Project, caplog: pytest.LogCaptureFixture
) -> None:
    nights.records(events(3, 300), day=BEFORE, name="b")
    (nights.folder / "data" / BEFORE / "a.ndjson.gz").unlink()
    with caplog.at_level(logging.WARNING, "minimize"):
        assert nights.run(date=BEFORE, at=LATER, allow_shrink=True).rows.read == 3
    assert "1 file of its last run is missing" in caplog.text


def test_a_span_limits_what_is_pending(nights: Project) -> None:
    for day in (BEFORE, DAY):
        nights.records(events(3, 300), day=day, name="late")
    assert nights.run(pending=True, since=DAY, at=LATER).dates == (DAY,)
    assert nights.run(pending=True, until=BEFORE, at=LATER).dates == (BEFORE,)


def test_a_span_runs_its_dates(nights: Project) -> None:
    nights.records(events(5, 200), day=FIRST)
    assert nights.run(since=FIRST, until=BEFORE, at=LATER).dates == (FIRST, BEFORE)


def test_a_source_without_dates_is_pending_as_a_whole(project: Project) -> None:
    project.pipeline(aggregates=None, source={"path": "data/**", "format": "ndjson"})
    project.records(events(4))
    assert project.run(pending=True).rows.read == 4
    assert project.run(pending=True).sequence == 0
    project.records(events(2, 50), name="b")
    assert project.run(pending=True).rows.read == 6


def test_killed_between_dates_the_next_pending_run_does_the_rest(nights: Project) -> None:
    nights.records(events(5, 200), day=FIRST)
    nights.records(events(3, 300), day=BEFORE, name="late")
    nights.run(date=FIRST, at=LATER)
    assert nights.run(pending=True, at=LATER).dates == (BEFORE,)
    assert sum(file.rows for file in files_in_force(minimize_receipts(nights))["records"]) == 48


def minimize_receipts(project: Project) -> list[minimize.Receipt]:
    paths = (project.out / "runs").glob("*/receipt.json")
    return sorted((minimize.Receipt.from_json(path.read_bytes()) for path in paths), key=lambda each: each.sequence)


@pytest.fixture(name="bad")
def _bad(nights: Project) -> Project:
    """A new date that is sound, and one that ran and of which much is broken now."""
    nights.pipeline(aggregates=None, quarantine={"stop_above": 0.1})
    nights.records(events(20), day=FIRST)
    nights.records(["broken"] * 5, day=DAY, name="z")
    return nights


def test_a_bad_date_is_left_alone_and_the_others_are_done(bad: Project, caplog: pytest.LogCaptureFixture) -> None:
    receipt = bad.run(pending=True)
    assert (receipt.dates, receipt.skipped) == ((FIRST,), {DAY: "stopped"})
    assert "W024" in {getattr(record, "code", "") for record in caplog.records}
    assert unfinished_parts(receipt) == "1 date skipped"
    minimize.verify(bad.out, keys=bad.keys)


def test_once_a_bad_date_is_mended_it_is_done(bad: Project) -> None:
    bad.run(pending=True)
    bad.records(events(5, 200), day=DAY, name="z")
    assert bad.run(pending=True).dates == (DAY,)


def test_where_all_pending_dates_are_bad_nothing_is_published(bad: Project) -> None:
    bad.run(pending=True)
    stood = bad.files()
    with pytest.raises(StoppedError, match=DAY):
        bad.run(pending=True)
    assert bad.files() == stood


@pytest.fixture(name="hashed")
def _hashed() -> Iterator[list[str]]:
    """The names of the files that are read only to be hashed."""
    found: list[str] = []

    def hashes(_: str, content: Path | bytes) -> None:
        if isinstance(content, Path) and content.suffix == ".gz":  # not the files of the output
            found.append(content.name)

    with at_checkpoint("file.hashed", hashes):
        yield found


def test_a_new_date_is_hashed_while_it_is_read(nights: Project, hashed: list[str]) -> None:
    nights.records(events(5), day=FIRST, name="new")
    assert nights.run(pending=True, at=LATER).dates == (FIRST,)
    assert "new.ndjson.gz" not in hashed


def test_a_changed_date_is_hashed_once(nights: Project, hashed: list[str]) -> None:
    nights.records(events(25), day=DAY)
    assert nights.run(pending=True, at=LATER).dates == (DAY,)
    assert sorted(hashed) == ["a.ndjson.gz", "a.ndjson.gz"]  # each date once, to be compared
