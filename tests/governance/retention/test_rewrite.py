"""A plan carried out: one publication a policy, checked before and after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from minimize.errors import OutputError, RefusedError
from minimize.governance import rewrite
from minimize.governance.retention.removal_plan import RemovalPlan
from minimize.governance.rewrite import Rewrite
from minimize.output.reader import load_receipts
from minimize.runs import session
from tests.governance.retention.daily import START, Daily, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY


def carrying(project: Daily, hours: int) -> tuple[Rewrite, RemovalPlan]:
    at = RAN + hours * HOUR
    made = project.plan(at)
    return Rewrite("expire", project.out, made.pipeline, made.request.keys, at), made.plan()


def test_files_of_two_policies_are_two_publications(day: Daily) -> None:
    day.policy(version=2)
    day.collect(rows(START.date() + DAY), START.date() + DAY)
    day.run(START.date() + DAY, RAN + DAY)
    work, plan = carrying(day, 48)
    made = list(work.execute(plan.due))
    assert sorted(receipt.policy.version for receipt in made) == [1, 2]
    assert [receipt.sequence for receipt in load_receipts(day.out)] == [1, 2, 3, 4]
    day.verified()


def test_it_is_not_decided_again_as_of_an_earlier_time(day: Daily) -> None:
    work, plan = carrying(day, 2)
    list(work.execute(plan.due))
    earlier, _ = carrying(day, 1)
    with pytest.raises(RefusedError, match="already covers these dates"):
        list(earlier.execute(plan.due))
    assert len(load_receipts(day.out)) == 2


def test_a_file_that_is_still_there_after_it_was_replaced_is_told(day: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    work, plan = carrying(day, 1)
    (old,) = [each.file.path for each in plan.due]
    content = (day.out / old).read_bytes()
    real: Callable[..., None] = session.record_published

    def left(*given: object) -> None:
        real(*given)
        (day.out / old).parent.mkdir(exist_ok=True)
        (day.out / old).write_bytes(content)

    monkeypatch.setattr(rewrite, "record_published", left)
    with pytest.raises(OutputError, match="1 files still exist"):
        list(work.execute(plan.due))
