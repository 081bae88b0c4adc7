"""Dates run anew by a file: under the policy of now or then, always today's settings, and no date twice."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.datasets.ledger_check import WRONG_KEYRING
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError, PolicyError, RefusedError
from minimize.receipts import sha256_text
from minimize.runs.backfill import BackfillResult
from tests.calls import backfill
from tests.project import BEFORE, DAY, LASTING, SETTINGS, Builds, Project, events

EMPTY = "2026-11-22"
ROUGH: dict[str, Any] = {"type": "double", "do": {"bin": {"width": 50}}}


def ran_content(project: Project) -> None:
    """Two dates that were run under a first policy, which then became coarser."""
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    for day, first in ((BEFORE, 0), (DAY, 100)):
        project.records(events(20, first), day=day)
        project.run(date=day, at=None)
    project.policy({"battery": ROUGH}, version=4, **LASTING)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project) -> Project:
    return builds.fill(project, ran_content)


def says(project: Project, **changes: Any) -> Path:
    body = {"backfill": "coarser", "pipeline": ".", "reason": "bins were too fine", "dates": [BEFORE, DAY]}
    file = project.folder / "backfill.yaml"
    file.write_text(json.dumps(body | changes))
    return file


def filled(project: Project, file: Path, **options: Any) -> BackfillResult:
    return backfill(file, output=project.out, keys=project.keys, **options)


def widths(project: Project, day: str) -> set[float]:
    return {row["battery"] % 50 for row in project.rows(dates=day)}


def test_each_date_is_run_again_with_a_receipt_that_names_the_backfill(ran: Project) -> None:
    done = filled(ran, says(ran))
    assert [receipt.dates for receipt in done.receipts] == [(BEFORE,), (DAY,)]
    assert {receipt.backfill.name for receipt in done.receipts if receipt.backfill} == {"coarser"}
    assert widths(ran, BEFORE) == widths(ran, DAY) == {0.0}
    assert len(ran.rows()) == 40
    minimize.verify(ran.out, keys=ran.keys)


def test_the_backfill_file_is_stored_with_each_receipt(ran: Project) -> None:
    file = says(ran)
    for receipt in filled(ran, file).receipts:
        assert (ran.out / "runs" / receipt.run_id / "backfill.yaml").read_bytes() == file.read_bytes()


def test_the_same_backfill_does_no_date_twice(ran: Project) -> None:
    file = says(ran)
    filled(ran, file)
    again = filled(ran, file)
    assert set(again.dates.values()) == {"done"}
    assert not again.receipts


def test_a_backfill_stopped_between_two_dates_continues_with_the_second(ran: Project) -> None:
    file = says(ran)
    second = ran.folder / "data" / DAY / "a.ndjson.gz"
    whole = second.read_bytes()
    second.write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(minimize.MinimizeError):
        filled(ran, file)
    second.write_bytes(whole)
    done = filled(ran, file)
    assert done.dates == {date.fromisoformat(BEFORE): "done", date.fromisoformat(DAY): "due"}
    assert [receipt.dates for receipt in done.receipts] == [(DAY,)]


def test_a_date_whose_files_changed_since_is_due_again(ran: Project) -> None:
    file = says(ran)
    filled(ran, file)
    ran.records(events(2, 300), day=DAY, name="late")
    assert [receipt.dates for receipt in filled(ran, file).receipts] == [(DAY,)]


def test_a_changed_file_is_another_backfill(ran: Project) -> None:
    filled(ran, says(ran))
    assert len(filled(ran, says(ran, reason="bins were too fine, again")).receipts) == 2


def test_dates_that_are_excluded_or_have_no_input_are_left_alone(ran: Project) -> None:
    done = filled(ran, says(ran, dates={"from": EMPTY, "to": DAY}, **{"except": [DAY]}))
    assert done.dates == {date.fromisoformat(EMPTY): "no input", date.fromisoformat(BEFORE): "due"}
    assert [(each.code, each.message) for each in done.log_messages] == [
        ("W043", f"{EMPTY}: the source has no file of this date")
    ]
    assert widths(ran, DAY) != {0.0}


def test_under_the_policy_of_then_only_todays_settings_are_new(ran: Project) -> None:
    before = {row["battery"] for row in ran.rows(dates=BEFORE)}
    assert {row["latitude"] for row in ran.rows(dates=BEFORE)} != {None}
    off = "north,,location,off,admin,2026-01-02T00:00:00Z,2026-01-02T00:00:00Z\n"
    (ran.folder / "settings.csv").write_text(SETTINGS + off)
    done = filled(ran, says(ran, policy="then"))
    assert {receipt.policy.version for receipt in done.receipts} == {3}
    assert {row["battery"] for row in ran.rows(dates=BEFORE)} == before
    assert {row["latitude"] for row in ran.rows(dates=BEFORE)} == {None}
    minimize.verify(ran.out, keys=ran.keys)


def test_then_is_before_the_backfill_itself(ran: Project) -> None:
    file = says(ran, policy="then")
    filled(ran, file)
    ran.records(events(2, 300), day=DAY, name="late")
    assert [receipt.policy.version for receipt in filled(ran, file).receipts] == [3]


def test_a_date_that_never_ran_has_no_policy_of_then(ran: Project) -> None:
    with pytest.raises(PolicyError) as caught:
        filled(ran, says(ran, dates=[EMPTY, DAY], policy="then"))
    assert [finding.code for finding in caught.value.findings] == ["P019"]


def test_a_stored_policy_that_does_not_match_its_receipt_is_not_used(ran: Project) -> None:
    for path in ran.out.glob("runs/*/policy.yaml"):
        path.write_text(path.read_text().replace('"version": 3', '"version": 9'))
    with pytest.raises(ConfigurationError, match="does not match its receipt"):
        filled(ran, says(ran, policy="then"))


@pytest.mark.parametrize("rest", ["as it was", "linked again"])
def test_a_policy_that_was_changed_with_its_receipt_is_not_followed(ran: Project, rest: str) -> None:
    first, last = load_receipts(ran.out)
    policy, receipt = (ran.out / "runs" / first.run_id / name for name in ("policy.yaml", "receipt.json"))
    policy.write_text(policy.read_text().replace('"version": 3', '"version": 9'))
    receipt.write_text(receipt.read_text().replace(first.policy.digest, sha256_text(policy.read_bytes())))
    if rest == "linked again":
        file = ran.out / "runs" / last.run_id / "receipt.json"
        body = json.loads(file.read_text()) | {"previous": load_receipts(ran.out)[0].digest}
        file.write_text(json.dumps({key: value for key, value in body.items() if key != "signature"}))
    with pytest.raises(RefusedError) as caught:
        filled(ran, says(ran, policy="then"))
    assert caught.value.code == WRONG_KEYRING


def test_one_may_look_without_running(ran: Project) -> None:
    looked = filled(ran, says(ran), dry_run=True)
    assert set(looked.dates.values()) == {"due"}
    assert widths(ran, DAY) != {0.0}


def test_a_source_without_dates_has_none_to_fill(project: Project) -> None:
    project.pipeline(aggregates=None, source={"path": "data/**", "format": "ndjson"})
    with pytest.raises(ConfigurationError, match="lists dates"):
        filled(project, says(project))
