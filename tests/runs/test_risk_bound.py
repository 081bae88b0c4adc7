"""A bound on disclosure risk: runs that miss it are refused, or remove or coarsen records, and the receipt states the figures."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import PolicyError, RefusedError, VerificationError
from minimize.results import Paragraph
from minimize.review import published_risk
from minimize.runs.inspection import preview_plan
from tests.project import AT, BEFORE, DAY, Project, event

NO_TABLES: dict[str, Any] = {"aggregates": None, "settings": None}
VERSIONS = {"os": {"type": "string", "role": "quasi", "optional": True, "do": {"truncate_version": {"parts": "auto"}}}}
KEPT_VERSION = {"os": {"type": "string", "role": "quasi", "optional": True, "do": "keep"}}


def bounded(project: Project, fields: dict[str, Any] | None = None, **risk: Any) -> None:
    """A pipeline of records with a bound on combinations of the operating system's version."""
    project.policy(fields or KEPT_VERSION)
    bound = {"quasi_identifiers": ["os"], "require": {"k": 3}, **risk}
    project.pipeline(**NO_TABLES, records={"risk": bound})


def check_ins(*versions: tuple[str, int], first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """For each version as many devices, with two records each."""
    rows, device = [], first
    for version, devices in versions:
        for _ in range(devices):
            rows += [
                event(2 * device + half, device_id=f"d{device}", os=version, **{"tenant_id": "north", **changes})
                for half in (0, 1)
            ]
            device += 1
    return rows


def persons_by(project: Project, *names: str) -> dict[tuple[Any, ...], set[Any]]:
    persons = defaultdict(set)
    for row in project.rows():
        persons[tuple(row[name] for name in names)].add((row["tenant_id"], row["device_id"]))
    return dict(persons)


def test_a_run_that_meets_the_bound_is_published_with_its_figures(project: Project) -> None:
    bounded(project)
    project.records(check_ins(("17", 4), ("18", 3)))
    receipt = project.run()
    assert receipt.risk is not None
    assert (receipt.risk.k, receipt.risk.suppressed, receipt.rows.written) == (3, 0, 14)
    minimize.verify(project.out, keys=project.keys)


def test_a_run_that_misses_the_bound_is_refused_and_publishes_nothing(project: Project) -> None:
    bounded(project)
    project.records(check_ins(("17", 4), ("18.1.77", 1)))
    with pytest.raises(RefusedError) as caught:
        project.run()
    assert (caught.value.exit_code, caught.value.code) == (3, "E305")
    assert "18.1.77" not in str(caught.value)
    assert not (project.out / "records").exists()


def test_rows_of_one_person_are_not_several_persons(project: Project) -> None:
    bounded(project)
    project.records([event(number, device_id="d1", os="17") for number in range(9)])
    with pytest.raises(RefusedError, match="k of some combinations"):
        project.run()
    bounded(project, counting="rows")
    assert project.run().rows.written == 9


def test_records_without_a_version_are_a_combination_of_their_own(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.5)
    project.records([*check_ins(("17", 4)), event(90, device_id="d90"), event(91, device_id="d91")])
    receipt = project.run()
    assert (receipt.rows.written, receipt.rows.suppressed) == (8, 2)
    assert {row["os"] for row in project.rows()} == {"17"}


def test_rare_records_are_removed_and_counted(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.25)
    project.records(check_ins(("17", 4), ("18", 3), ("19.canary", 2)))
    receipt = project.run()
    rows = receipt.rows
    assert (rows.read, rows.written, rows.suppressed) == (18, 14, 4)
    assert receipt.risk is not None
    assert (receipt.risk.k, receipt.risk.suppressed) == (3, 4)
    assert min(map(len, persons_by(project, "os").values())) == 3
    assert receipt.fields["os"].values == 14
    minimize.verify(project.out, keys=project.keys)


def test_more_removals_than_permitted_are_refused(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.2)
    project.records(check_ins(("17", 4), ("18", 3), ("19", 2)))
    with pytest.raises(RefusedError, match="4 records would be removed, and at most 3 may be"):
        project.run()


def test_removed_records_are_not_in_tables_either(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.5)
    table = {
        "group_by": {"os": "os"},
        "measures": {"events": "count"},
        "suppress": {"below": 1},
        "exact": {"because": "test"},
    }
    bound = {"quasi_identifiers": ["os"], "require": {"k": 3}, "otherwise": "suppress", "suppress_at_most": 0.5}
    project.pipeline(settings=None, records={"risk": bound}, aggregates={"by_os": table})
    project.records(check_ins(("17", 4), ("18", 2)))
    project.run()
    assert [(row["os"], row["events"]) for row in project.rows("by_os")] == [("17", 8)]


def test_a_search_chooses_the_finest_levels_that_meet_the_bound(project: Project) -> None:
    bounded(project, VERSIONS, otherwise="generalize")
    project.records(check_ins(("17.1.1", 2), ("17.1.2", 2), ("18.4.0", 3)))
    receipt = project.run()
    assert receipt.risk is not None
    assert receipt.risk.levels == {"os": 1}
    assert (receipt.risk.k, receipt.risk.suppressed, receipt.risk.proven) == (3, 0, True)
    assert {row["os"] for row in project.rows()} == {"17.1", "18.4"}
    assert receipt.fields["os"].changed == receipt.rows.written
    minimize.verify(project.out, keys=project.keys)


def test_values_at_the_root_are_null_and_count_as_dropped(project: Project) -> None:
    bounded(project, VERSIONS, otherwise="generalize")
    project.records(check_ins(("17.1.1", 2), ("18.4.0", 2)))
    receipt = project.run()
    assert receipt.risk is not None
    assert receipt.risk.levels == {"os": 3}
    assert {row["os"] for row in project.rows()} == {None}
    assert receipt.fields["os"].dropped == 8
    minimize.verify(project.out, keys=project.keys)


def test_the_bound_sees_values_after_top(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.5, quasi_identifiers=["model", "os"])
    common = [*check_ins(("17", 4), model="A"), *check_ins(("17", 4), first=10, model="B")]
    project.records(
        [*common, *check_ins(("17", 1), ("18", 2), first=20, model="C"), *check_ins(("18", 1), first=30, model="D")]
    )
    receipt = project.run()
    assert {(row["model"], row["os"]) for row in project.rows()} == {("A", "17"), ("B", "17"), ("other", "18")}
    assert receipt.rows.suppressed == 2


def test_each_date_meets_the_bound_and_has_its_figures(project: Project) -> None:
    bounded(project, otherwise="suppress", suppress_at_most=0.5)
    project.records(check_ins(("17", 4), ("18", 2)))
    project.records(
        [{**row, "event_time": "2026-11-23T10:00:00Z"} for row in check_ins(("17", 3), ("18", 5))], day=BEFORE
    )
    risk = project.run().risk
    assert risk is not None
    assert risk.dates is not None
    assert {date: (entry.k, entry.suppressed) for date, entry in risk.dates.items()} == {BEFORE: (3, 0), DAY: (4, 4)}
    assert (risk.k, risk.suppressed) == (3, 4)


def test_sensitive_values_are_diverse(project: Project) -> None:
    state = {"state": {"type": "string", "optional": True, "do": "keep"}}
    bounded(
        project,
        {**KEPT_VERSION, **state},
        otherwise="suppress",
        suppress_at_most=0.6,
        sensitive=["state"],
        require={"k": 2, "l": 2},
    )
    same = check_ins(("17", 4), state="ok")
    mixed = [*check_ins(("18", 2), first=10, state="ok"), *check_ins(("18", 2), first=20, state="bad")]
    project.records([*same, *mixed])
    receipt = project.run()
    assert {row["os"] for row in project.rows()} == {"18"}
    assert receipt.risk is not None
    assert (receipt.risk.l, receipt.risk.k) == (2, 4)
    minimize.verify(project.out, keys=project.keys)


def test_a_date_without_records_passes(project: Project) -> None:
    bounded(project, otherwise="suppress")
    project.records(["no json"])
    risk = project.run().risk
    assert risk is not None
    assert risk.k is None


def test_verify_finds_records_that_miss_the_bound(project: Project) -> None:
    bounded(project, counting="rows")
    project.records(check_ins(("17", 2), ("18", 3)))
    receipt = project.run()
    path = project.out / "runs" / receipt.run_id / "pipeline.yaml"
    path.write_text(path.read_text().replace('"rows"', '"persons"'))
    with pytest.raises(VerificationError) as caught:
        minimize.verify(project.out, keys=project.keys)
    assert "V090" in {finding.code for finding in caught.value.findings}


def test_receipts_round_trip(project: Project) -> None:
    bounded(project)
    project.records(check_ins(("17", 4)))
    receipt = project.run()
    stored = json.loads((project.out / "runs" / receipt.run_id / "receipt.json").read_text())
    assert stored["risk"] == {"k": 4, "suppressed": 0}
    assert minimize.Receipt.from_json(json.dumps(stored)).risk == receipt.risk


@pytest.mark.parametrize("otherwise", ["refuse", "suppress"])
def test_little_memory_gives_the_same_records_and_figures(
    project: Project, monkeypatch: pytest.MonkeyPatch, otherwise: str
) -> None:
    bounded(project, otherwise=otherwise, suppress_at_most=0.5 if otherwise == "suppress" else 0)
    project.records(check_ins(("17", 400), ("18", 300), *([("19", 2)] if otherwise == "suppress" else [])))
    plenty = project.run()
    rows = project.rows()
    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    pieces: list[str] = []
    with at_checkpoint("spill.put", lambda name, *_: pieces.append(name)):
        receipt = project.run()
    assert pieces
    assert receipt.risk is not None
    assert (receipt.risk, receipt.rows) == (plenty.risk, plenty.rows)
    assert project.rows() == rows


@pytest.mark.parametrize(
    ("fields", "risk", "code"),
    [
        ({"os": {"type": "string", "optional": True, "do": "drop"}}, {}, "P140"),
        ({"os": {"type": "list", "optional": True, "do": "keep"}}, {}, "P018"),
        (VERSIONS, {"otherwise": "suppress"}, "P142"),
        (VERSIONS, {"quasi_identifiers": ["model"], "otherwise": "generalize"}, "P142"),
        (KEPT_VERSION, {"otherwise": "generalize"}, "P144"),
        (KEPT_VERSION, {"quasi_identifiers": ["nothing"]}, "P010"),
        (KEPT_VERSION, {"quasi_identifiers": []}, "P006"),
        (KEPT_VERSION, {"sensitive": ["os"]}, "P018"),
        (KEPT_VERSION, {"require": {"l": 2}}, "P018"),
        (KEPT_VERSION, {"require": {"k": 0}}, "P013"),
        (KEPT_VERSION, {"require": {"kk": 3}}, "P011"),
        (KEPT_VERSION, {"suppress_at_most": 0.1}, "P018"),
        (KEPT_VERSION, {"suppress_at_most": 2}, "P006"),
        (KEPT_VERSION, {"otherwise": "ignore"}, "P007"),
    ],
)
def test_faults_of_a_bound(project: Project, fields: dict[str, Any], risk: dict[str, Any], code: str) -> None:
    bounded(project, fields, **risk)
    project.records(check_ins(("17", 4)))
    with pytest.raises(PolicyError) as caught:
        project.run()
    assert code in {finding.code for finding in caught.value.findings}


def test_a_date_that_was_published_without_the_bound_counts_with_the_others(project: Project) -> None:
    bounded(project)
    project.pipeline(**NO_TABLES)
    project.records(
        [{**row, "event_time": "2026-11-23T10:00:00Z"} for row in check_ins(("17", 3), ("18", 1))], day=BEFORE
    )
    project.run(BEFORE)
    bounded(project)
    project.records(check_ins(("17", 4)))
    with pytest.raises(RefusedError, match="all dates in force together miss the bound on disclosure risk: k"):
        project.run(DAY)
    project.records(check_ins(("17", 4), ("18", 3)))
    assert project.run(DAY).rows.written == 14


def test_dates_that_differ_miss_a_distance_that_each_of_them_meets(project: Project) -> None:
    state = {"state": {"type": "string", "optional": True, "do": "keep"}}
    bounded(project, {**KEPT_VERSION, **state}, sensitive=["state"], require={"k": 2, "t": 0.1})
    project.records(
        [{**row, "event_time": "2026-11-23T10:00:00Z"} for row in check_ins(("17", 4), state="ok")], day=BEFORE
    )
    project.run(BEFORE)
    project.records(check_ins(("18", 4), first=10, state="bad"))
    with pytest.raises(RefusedError, match="together miss the bound on disclosure risk: t"):
        project.run(DAY)


def test_the_plan_shows_the_figures_of_the_last_run_of_each_date(project: Project) -> None:
    bounded(project)
    project.records(check_ins(("17", 4), ("18", 3)))
    assert published_risk(project.folder, at=AT, keys=project.keys) == {}
    project.run()
    risk = published_risk(project.folder, at=AT, keys=project.keys)
    plan = preview_plan(minimize.make_plan(project.folder), risk=risk)
    assert plan.to_json()["risk"] == {DAY: {"k": 3, "suppressed": 0}}
    paragraphs = [line.text for line in plan.lines() if isinstance(line, Paragraph)]
    assert paragraphs[-1] == f"{DAY}: k 3"


def test_figures_of_another_bound_settle_nothing_for_all_dates_together(project: Project) -> None:
    carriers = {"carrier": {"type": "string", "optional": True, "do": "keep"}}
    bounded(project, {**KEPT_VERSION, **carriers})
    project.records(
        [{**row, "carrier": row["device_id"], "event_time": "2026-11-23T10:00:00Z"} for row in check_ins(("17", 4))],
        day=BEFORE,
    )
    project.run(BEFORE)
    bounded(project, {**KEPT_VERSION, **carriers}, quasi_identifiers=["os", "carrier"])
    project.records(check_ins(("17", 4), carrier="x"))
    with pytest.raises(RefusedError, match="all dates in force together miss"):
        project.run(DAY)


def test_a_date_that_was_run_again_without_a_bound_has_no_figures(project: Project) -> None:
    bounded(project)
    project.records([{**row, "event_time": "2026-11-23T10:00:00Z"} for row in check_ins(("17", 4))], day=BEFORE)
    project.run(BEFORE)
    project.pipeline(**NO_TABLES)
    unique = check_ins(("17", 1), ("18", 1), ("19", 1), ("20", 1))
    project.records([{**row, "event_time": "2026-11-23T10:00:00Z"} for row in unique], day=BEFORE)
    project.run(BEFORE)
    bounded(project)
    project.records(check_ins(("17", 4)))
    with pytest.raises(RefusedError, match="all dates in force together miss"):
        project.run(DAY)


def test_removing_every_record_is_no_success(project: Project) -> None:
    bounded(project, require={"k": 1000}, otherwise="suppress", suppress_at_most=1)
    project.records(check_ins(("17", 4)))
    with pytest.raises(RefusedError, match="every record would be removed"):
        project.run()
