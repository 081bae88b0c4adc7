"""Releases of a date over the history of an output: what a run publishes after tables were removed or made otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import minimize
from minimize.removal.expire import expire
from tests.commands import command
from tests.project import AT, DAY, Project, event

TABLE: dict[str, Any] = {
    "group_by": {},
    "measures": {"devices": {"count_distinct": "device_id"}},
    "suppress": {"below": 3},
    "per_subject": {"rows": 30},
}
NOISY = {"total": {**TABLE, "noise": {"releases": 1}}}
EXACT = {
    "total": {**{name: part for name, part in TABLE.items() if name != "per_subject"}, "exact": {"because": "a test"}}
}


def publish(project: Project, devices: int) -> minimize.Receipt:
    project.records([event(number, device_id=f"d{number}", tenant_id="north") for number in range(devices)])
    return project.run(ledger=project.folder / "own.db")


def remove_tables(project: Project) -> None:
    options: dict[str, Any] = {"keys": project.keys, "ledger": project.folder / "own.db", "allow_shrink": True}
    expire(project.out, at=AT + timedelta(minutes=1), tables=True, yes=True, **options)
    assert project.rows("total") == []


def tables(receipt: minimize.Receipt) -> int:
    return receipt.outputs["total"].rows


def later(project: Project, devices: int) -> minimize.Receipt:
    project.records([event(number, device_id=f"d{number}", tenant_id="north") for number in range(devices)])
    return project.run(at=AT + timedelta(minutes=2), ledger=project.folder / "own.db", allow_shrink=True)


def test_a_removed_table_with_noise_is_made_again_from_the_same_data_only(project: Project) -> None:
    project.pipeline(aggregates=NOISY)
    first = publish(project, 40)
    remove_tables(project)
    assert tables(later(project, 41)) == 0
    again = later(project, 40)
    assert again.outputs["total"].releases == first.outputs["total"].releases
    assert tables(again) == 1
    minimize.verify(project.out, keys=project.keys, ledger=project.folder / "own.db")


def test_a_removed_exact_table_is_not_published_again(project: Project) -> None:
    project.pipeline(aggregates=EXACT)
    assert tables(publish(project, 40)) == 1
    remove_tables(project)
    receipt = later(project, 40)
    assert (tables(receipt), receipt.stays) == (0, {"total": (DAY,)})
    minimize.verify(project.out, keys=project.keys, ledger=project.folder / "own.db")


def test_an_exact_table_in_force_is_not_replaced_by_one_with_noise(project: Project) -> None:
    project.pipeline(aggregates=EXACT)
    publish(project, 40)
    project.pipeline(aggregates=NOISY)
    assert tables(later(project, 41)) == 0
    assert [row["devices"] for row in project.rows("total")] == [40]
    minimize.verify(project.out, keys=project.keys, ledger=project.folder / "own.db")


def test_after_the_exact_table_was_removed_one_with_noise_is_published(project: Project) -> None:
    project.pipeline(aggregates=EXACT)
    publish(project, 40)
    remove_tables(project)
    project.pipeline(aggregates=NOISY)
    assert tables(later(project, 41)) == 1
    minimize.verify(project.out, keys=project.keys, ledger=project.folder / "own.db")


def test_a_run_of_unchanged_files_makes_no_table_older(project: Project) -> None:
    project.pipeline(aggregates=EXACT)
    publish(project, 40)
    again = publish(project, 40)
    assert again.stays == {"total": (DAY,)}
    words = ("--keys", project.keys, "--ledger", project.folder / "own.db")
    text = command("report", project.out, *words).out
    assert "total" in text
    assert "data that came later" not in text
