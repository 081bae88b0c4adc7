"""Records of people, devices and tenants are removed from every output and do not come back; requests state the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.datasets.published_output import PublishedOutput
from minimize.errors import CheckFailed, ConfigurationError, OutputError, RefusedError, StoppedError
from minimize.governance.known_outputs import find_outputs
from minimize.governance.subjects import DataSubject, SubjectRemoval, delete_subjects, request_statuses, view_subjects
from minimize.governance.subjects.requests import request_outcome
from minimize.governance.subjects.search import files_with_leftovers
from minimize.governance.subjects.subject_page import view_page
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import SubjectRequestStep
from minimize.removal import Removal, RuledRemoval
from minimize.removal.plan import RemovalPlan
from minimize.removal.rewrite_receipt import RewriteResult
from minimize.workspace import Workspace as Places
from tests.governance.outputs import RECORDS, places, run
from tests.project import BEFORE, DAY, Builds, Project, event, events
from tests.receipts.make import small

NOW = datetime.now(UTC)

D3, D4 = DataSubject("d3", "north"), DataSubject("d4", "south")

COUNTS = {
    "daily": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count", "devices": {"count_distinct": "device_id"}},
        "suppress": {"below": 2},
        "exact": {"because": "a test"},
    }
}


def deleted(project: Project, *subjects: DataSubject, yes: bool = True, **options: Any) -> SubjectRemoval:
    return delete_subjects(subjects, places(project), datetime.now(UTC), yes=yes, **options)


def count(records: Iterable[dict[str, Any]], *subjects: DataSubject) -> int:
    return sum(
        each["tenant_id"] == subject.tenant and subject.id in (None, each["device_id"])
        for each in records
        for subject in subjects
    )


def test_without_yes_the_plan_is_made_and_nothing_is_changed(filled: Project) -> None:
    before = filled.files()
    plan = deleted(filled, D3, yes=False)
    assert plan.rows == 2 * count(RECORDS, D3)
    assert (plan.receipts, plan.requests) == ((), ())
    assert filled.files() == before
    with open_ledger(find_ledger(filled.folder / "organization.db")) as book:
        assert request_statuses(book) == []


def test_records_of_many_subjects_go_in_one_pass_with_a_receipt(filled: Project) -> None:
    done = deleted(filled, D3, D4)
    (receipt,) = done.receipts
    assert (receipt.kind, receipt.gated_by.erased) == ("delete", 2 * count(RECORDS, D3, D4))
    assert len(filled.rows()) == 2 * (len(RECORDS) - count(RECORDS, D3, D4))
    assert view_subjects([D3, D4], places(filled), NOW)[0].rows == 0
    minimize.verify(filled.out, keys=filled.keys)


def test_a_deletion_reads_each_file_once_and_counts_what_its_plan_counted(filled: Project) -> None:
    planned = deleted(filled, D3, yes=False, unseen=True)
    paths = [str(path.relative_to(filled.out)) for path in sorted(filled.out.rglob("records/**/*.parquet"))]
    read = Counter[str]()
    with at_checkpoint("stored.read", lambda _, path: read.update([path])):
        done = deleted(filled, D3, unseen=True)
    assert [read[path] for path in paths] == [1, 1]
    assert [each.partitions for each in done.plans.values()] == [each.partitions for each in planned.plans.values()]


def test_a_file_of_which_no_record_remains_is_removed(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.records([each for each in RECORDS if count([each], D3)], BEFORE)
    run(project)
    planned, done = deleted(project, D3, yes=False), deleted(project, D3)
    assert [each.partitions for each in done.plans.values()] == [each.partitions for each in planned.plans.values()]
    assert [(each.date, each.removed) for plan in done.plans.values() for each in plan.partitions] == [
        (BEFORE, 1),
        (DAY, 0),
    ]
    assert (done.receipts[0].rows.gated, len(done.receipts[0].removes)) == (2 * count(RECORDS, D3), 1)
    minimize.verify(project.out, keys=project.keys)


def test_a_whole_tenant_is_removed(filled: Project) -> None:
    deleted(filled, DataSubject(None, "south"))
    assert {row["tenant_id"] for row in filled.rows()} == {"north"}


def test_a_subject_without_a_tenant_is_removed_from_each_tenant_that_has_it(filled: Project) -> None:
    done = deleted(filled, DataSubject("d3"))
    assert {each.tenant for each in done.subjects} == {"north", "south"}
    assert done.rows == 2 * sum(each["device_id"] == "d3" for each in RECORDS)


def test_files_without_the_deleted_subjects_keep_their_bytes(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records([each for each in RECORDS if each["device_id"] != "d3"], BEFORE)
    project.records(RECORDS)
    run(project)
    before = {name for name in project.files() if BEFORE in name}
    deleted(project, D3)
    assert {name for name in project.files() if BEFORE in name} == before


def test_no_dictionary_of_a_file_knows_who_is_gone(filled: Project) -> None:
    form = {row["device_id"] for row in filled.rows()}
    deleted(filled, D3)
    left = {row["device_id"] for row in filled.rows()}
    (gone,) = form - left
    for path in filled.out.rglob("records/**/*.parquet"):
        assert gone.encode() not in path.read_bytes()
        table = pq.read_table(path, columns=["device_id"], read_dictionary=["device_id"], partitioning=None)
        assert gone not in table["device_id"].combine_chunks().dictionary.to_pylist()


def test_a_deleted_subject_does_not_return_by_a_rerun_or_a_late_file(filled: Project) -> None:
    deleted(filled, D3)
    filled.records(RECORDS, name="late")
    receipt = run(filled, date=DAY)
    assert receipt.gated_by.erased == 2 * count(RECORDS, D3)
    assert view_subjects([D3], places(filled), NOW)[0].rows == 0


def test_every_output_that_the_ledger_knows_is_looked_at(filled: Project) -> None:
    run(filled, output=filled.folder / "other")
    done = deleted(filled, D3)
    assert len(done.receipts) == 2
    assert len(filled.rows(output=filled.folder / "other")) == 2 * (len(RECORDS) - count(RECORDS, D3))


def state_of_request(project: Project) -> str:
    with places(project).open_ledger() as ledger:
        (status,) = request_statuses(ledger)
    return status.last.state


def test_a_request_is_not_done_while_an_output_that_the_ledger_knows_is_not_reached(filled: Project) -> None:
    other, away = filled.folder / "other", filled.folder / "away"
    run(filled, output=other)
    other.rename(away)
    with pytest.raises(CheckFailed, match="could not be reached"):
        deleted(filled, D3)
    assert state_of_request(filled) == "failed"
    away.rename(other)
    deleted(filled, D3)
    assert state_of_request(filled) == "done"
    assert view_subjects([D3], places(filled), NOW)[0].rows == 0


def test_an_output_to_which_nothing_was_published_keeps_no_request_open(filled: Project) -> None:
    filled.records([*RECORDS, *["broken"] * len(RECORDS)])
    filled.pipeline(quarantine={"stop_above": 0.1})
    with pytest.raises(StoppedError):
        run(filled, output=filled.folder / "other")
    filled.records(RECORDS)
    assert deleted(filled, D3).requests
    assert state_of_request(filled) == "done"


def test_an_output_that_is_gone_for_good_keeps_no_request_open(filled: Project) -> None:
    run(filled, output=filled.folder / "other")
    (filled.folder / "other").rename(filled.folder / "away")
    assert deleted(filled, D3, allow_unreached=True).requests


def counted_content(project: Project) -> None:
    project.pipeline(aggregates=COUNTS)
    project.records(RECORDS)
    run(project)


@pytest.fixture(name="counted")
def _counted(builds: Builds, project: Project) -> Project:
    return builds.fill(project, counted_content)


def devices(project: Project) -> dict[str, int]:
    return {row["tenant"]: row["devices"] for row in project.rows("daily")}


@pytest.mark.parametrize("others", [(), ("d5", "d7")])
def test_a_table_stays_and_is_named(counted: Project, others: tuple[str, ...]) -> None:
    done = deleted(counted, D3, *(DataSubject(name, "north") for name in others))
    assert done.stays == {"checkins": {"daily": [DAY]}}
    assert devices(counted) == {"north": 11, "south": 11}
    assert any("daily in" in str(line) and "keeps statistics" in str(line) for line in done.lines())
    minimize.verify(counted.out, keys=counted.keys)


def test_a_request_is_a_record_with_a_deadline(filled: Project) -> None:
    done = deleted(filled, D3)
    with open_ledger(find_ledger(filled.folder / "organization.db")) as book:
        (status,) = request_statuses(book)
    assert done.requests == (status.last.id[:12],)
    assert (status.last.state, (status.last.due - status.last.asked_at).days) == ("done", 30)
    assert not status.is_open
    assert str(status.last.subject).startswith("subject/1:")


def test_a_request_that_failed_is_gone_on_with_by_the_same_command(filled: Project) -> None:
    run(filled, output=filled.folder / "other")
    outputs = list[object]()

    def once(_: str, output: object) -> None:
        outputs.append(output)
        if len(outputs) == 2:
            raise OutputError("no room")

    with at_checkpoint("removal.execute", once), pytest.raises(OutputError):
        deleted(filled, D3)
    with open_ledger(find_ledger(filled.folder / "organization.db")) as book:
        assert [each.last.state for each in request_statuses(book)] == ["failed"]
    (partly,) = view_subjects([D3], places(filled), NOW)
    assert partly.rows == 2 * count(RECORDS, D3)
    (named,) = partly.to_json()["to_be_deleted"]
    assert (named["state"], named["rows"]) == ("failed", partly.rows)
    assert f"is failed: {partly.rows} records still to remove" in "\n".join(map(str, partly.lines()))
    assert f"A deletion request of {named['asked_at'][:10]} is in progress." in view_page([partly])
    done = deleted(filled, D3)
    assert done.rows == 2 * count(RECORDS, D3)
    (left,) = view_subjects([D3], places(filled), NOW)
    assert (left.rows, "to_be_deleted" in left.to_json()) == (0, False)


def test_remaining_records_fail_the_check(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuledRemoval, "plan", lambda self, _, **__: RemovalPlan(self.as_of))
    with pytest.raises(CheckFailed, match="2 files still hold"):
        deleted(filled, D3)


def test_a_subject_without_records_requires_a_tenant(filled: Project) -> None:
    with pytest.raises(ConfigurationError, match="found in no output"):
        deleted(filled, DataSubject("d99"))
    assert deleted(filled, DataSubject("d99", "north")).rows == 0


def test_an_unknown_field_selects_no_subject(filled: Project) -> None:
    with pytest.raises(ConfigurationError, match=r"with the field `modle` \(hint: Did you mean `model`\?"):
        deleted(filled, DataSubject("d3", "north", "modle"))


def test_a_tenant_that_nothing_names_is_noticed(filled: Project) -> None:
    with pytest.raises(ConfigurationError, match=r"names the tenant nroth .*Check the spelling"):
        deleted(filled, DataSubject("d3", "nroth"))
    assert deleted(filled, DataSubject("d3", "nroth"), unseen=True).rows == 0


def in_days(days: float, device: str = "d3") -> dict[str, Any]:
    when = f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    return event(1, tenant_id="north", device_id=device, event_time=when)


@pytest.fixture(name="ahead")
def _ahead(project: Project) -> Project:
    """An output that holds records of the future."""
    project.policy(future="52w")
    project.pipeline(aggregates=None)
    project.records([*RECORDS, in_days(100), in_days(100, "d4")])
    run(project)
    return project


def test_a_record_of_the_future_is_removed_with_the_others(ahead: Project) -> None:
    ahead.policy(future="1h")
    assert deleted(ahead, D3).rows == count(RECORDS, D3) + 1
    assert view_subjects([D3], places(ahead), NOW)[0].rows == 0
    assert len(ahead.rows()) == len(RECORDS) - count(RECORDS, D3) + 1


def test_a_record_of_the_future_does_not_come_back_with_its_file(ahead: Project) -> None:
    deleted(ahead, D3)
    ahead.policy(future="1h")
    assert run(ahead).gated_by.erased == count(RECORDS, D3)
    ahead.policy(future="52w")
    assert run(ahead).gated_by.erased == count(RECORDS, D3) + 1


def test_a_whole_tenant_is_removed_with_its_records_of_the_future(ahead: Project) -> None:
    deleted(ahead, DataSubject(None, "north"))
    assert {row["tenant_id"] for row in ahead.rows()} == {"south"}


def test_data_collected_after_a_request_is_not_part_of_it(project: Project) -> None:
    """The request failed, the subject came back, and the request is gone on with."""
    project.policy(future="1h")
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    run(project)

    def fails(*_: object) -> None:
        raise CheckFailed("interrupted")

    with at_checkpoint("removal.execute", fails), pytest.raises(CheckFailed, match="interrupted"):
        deleted(project, D3)
    later = NOW + timedelta(hours=3)
    project.records([{**in_days(0.1), "event_time": f"{later:%Y-%m-%dT%H:%M:%SZ}"}], BEFORE)
    run(project, date=BEFORE, at=later, output=project.out)
    done = delete_subjects([D3], places(project), later, yes=True)
    assert done.rows == count(RECORDS, D3)
    assert view_subjects([D3], places(project), later)[0].rows == 1
    with open_ledger(find_ledger(project.folder / "organization.db")) as book:
        assert [each.last.state for each in request_statuses(book)] == ["done"]


def test_a_request_is_not_done_while_a_search_finds_a_record(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = (RemovalPlan(NOW), RewriteResult())
    monkeypatch.setattr(Removal, "execute", lambda *_: nothing)
    with pytest.raises(CheckFailed):
        deleted(filled, D3)


def test_a_deletion_with_another_ledger_is_refused_before_anything_is_recorded(filled: Project) -> None:
    other = Places(filled.folder / "other.db", keys=filled.keys)
    with pytest.raises(RefusedError):
        delete_subjects([D3], other, datetime.now(UTC), named=[filled.out], yes=True, unseen=True)
    assert not (filled.folder / "other.db").exists()


def standing(project: Project) -> tuple[tuple[PublishedOutput, ...], str]:
    project.records(events(120))
    project.run()
    found = find_outputs(None, [project.out], Keyring.load(project.keys))[0]
    (path,) = [file.path for file in found[0].files("records")]
    return found, path


def rewritten(project: Project, path: str, name: str, *, cleanly: bool, **options: Any) -> None:
    """The file without the records of one value of a column: with its entry in the dictionary, or without."""
    full = project.out / path
    table = pq.read_table(full, partitioning=None)
    column = table[name].combine_chunks().dictionary_encode()
    table = table.set_column(
        table.schema.get_field_index(name), table.schema.field(name).with_type(column.type), column
    )
    left = table.filter(pa.compute.not_equal(table[name], column.dictionary[0]))
    if cleanly:
        plain = left[name].combine_chunks().dictionary_decode().dictionary_encode()
        left = left.set_column(left.schema.get_field_index(name), left.schema.field(name), plain)
    pq.write_table(left, full, **options)


@pytest.mark.parametrize("cleanly", [True, False])
def test_an_entry_that_no_record_has_is_noticed(project: Project, *, cleanly: bool) -> None:
    found, path = standing(project)
    rewritten(project, path, "device_id", cleanly=cleanly)
    assert list(files_with_leftovers(found, [path])) == ([] if cleanly else [path])


def test_the_field_that_selected_the_subjects_is_checked_for_leftovers(project: Project) -> None:
    found, path = standing(project)
    rewritten(project, path, "model", cleanly=False)
    assert list(files_with_leftovers(found, [path])) == []
    assert list(files_with_leftovers(found, [path], {"model"})) == [path]


def test_only_rewritten_files_are_checked_for_leftovers(project: Project) -> None:
    found, path = standing(project)
    rewritten(project, path, "device_id", cleanly=False)
    assert list(files_with_leftovers(found, [])) == []


def test_a_dictionary_that_grows_over_many_values_is_no_fault(project: Project) -> None:
    records = [{**each, "device_id": f"{'d' * 40}{number % 9000}"} for number, each in enumerate(events(20_000))]
    project.pipeline(aggregates=None)
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    project.pipeline(records={}, aggregates=None)
    project.records(records)
    project.run()
    found = find_outputs(None, [project.out], Keyring.load(project.keys))[0]
    (path,) = [file.path for file in found[0].files("records")]
    assert list(files_with_leftovers(found, [path])) == []


REMOVAL_TIME = datetime(2026, 11, 25, tzinfo=UTC)


def test_a_request_that_is_gone_on_with_keeps_what_it_came_to_before() -> None:
    body = {"receipts": ["one"], "recalls": {"vendor": ["x"]}}
    step = SubjectRequestStep("delete", "north", None, REMOVAL_TIME, REMOVAL_TIME, "failed", body, REMOVAL_TIME, "ann")
    told = request_outcome(step, ["two"], {"vendor": ["y", "x"], "other": ["z"]})
    assert told == {"receipts": ["one", "two"], "recalls": {"other": ["z"], "vendor": ["x", "y"]}}
    assert request_outcome(replace(step, body={}), [], {}) == {"receipts": [], "recalls": {}}


def test_aggregates_that_keep_figures_are_those_of_all_portions() -> None:
    receipts = [small(number + 1, stays={"daily": (f"2026-11-{23 + number}",)}) for number in range(2)]
    done = SubjectRemoval((), {}, receipts=tuple(receipts))
    assert done.stays == {"device_telemetry": {"daily": ["2026-11-23", "2026-11-24"]}}
