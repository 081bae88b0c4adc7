"""Attacks on the published records of an output, and the comparison of its releases."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from minimize.disclosure_risk.attacks.base import SuccessRate
from minimize.errors import ConfigurationError, OutputError
from minimize.keys.keyring import add_key
from minimize.pages import Table
from minimize.review.published_attacks import OutputAttacks, OutputDifferences, attack_output, compare_releases
from tests.project import AT, BEFORE, DAY, Project, enter, event, new_project

EMPLOYEES = 60
QUASI = ("model", "site")
FIELDS: dict[str, Any] = {
    "model": {"type": "string", "role": "quasi", "do": "keep"},
    "site": {"type": "string", "role": "quasi", "do": "keep"},
    "illness": {"type": "string", "role": "sensitive", "do": "keep"},
    "latitude": None,
}


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, lasting=True)
    project.policy(FIELDS)
    project.pipeline(aggregates=None, settings=None)
    return project


def checkin(number: int, **changes: Any) -> dict[str, Any]:
    return event(
        number,
        **{
            "device_id": f"device-{number}",
            "tenant_id": "north",
            "model": "AB"[number % 2],
            "site": "east",
            "illness": "planted" if number % 3 else "other",
            "event_time": f"{DAY}T10:00:00Z",
            **changes,
        },
    )


def attacked(project: Project, **options: Any) -> OutputAttacks:
    return attack_output(project.out, keys=project.keys, **options)


def compared(project: Project, **options: Any) -> OutputDifferences:
    return compare_releases(project.out, keys=project.keys, **options)


def risks(attacks: OutputAttacks) -> dict[str, float | None]:
    return {each.name: each.risk for each in attacks.attacks}


def test_the_fields_come_from_the_roles_of_the_policy(project: Project) -> None:
    project.records(map(checkin, range(EMPLOYEES)))
    project.run()
    attacks = attacked(project)
    assert (attacks.quasi_identifiers, attacks.sensitive) == (("event_time", "model", "site"), ("illness",))
    assert (attacks.person, attacks.dates, attacks.records) == ("device_id", (DAY,), EMPLOYEES)
    assert risks(attacks)["singling_out"] == 0
    assert attacks.attacks[1].attack == SuccessRate(2, EMPLOYEES)


def test_a_unique_site_is_found(project: Project) -> None:
    """The same output leaks if each device has a site of its own, and does not if all have the same."""
    project.records(checkin(number, site=f"site-{number}") for number in range(EMPLOYEES))
    project.run()
    attacks = attacked(project)
    assert risks(attacks) == {"singling_out": 1, "linkage": 1, "inference": 1}
    assert risks(attacked(project, quasi_identifiers=["model"]))["singling_out"] == 0


def test_several_records_of_a_device_are_one_data_subject(project: Project) -> None:
    records = [checkin(number // 5, event_id=f"e{number}", site=f"site-{number % 5}") for number in range(EMPLOYEES)]
    project.records(records)
    project.run()
    attacks = attacked(project, quasi_identifiers=["site"])
    assert attacks.attacks[0].attack == SuccessRate(0, EMPLOYEES // 5)
    by_record = attacked(project, quasi_identifiers=["device_id"])
    assert by_record.person is None


def test_no_value_is_shown(project: Project) -> None:
    project.records(checkin(number, site=f"secret-{number}") for number in range(EMPLOYEES))
    project.run()
    attacks = attacked(project)
    lines = [str(line.rows) if isinstance(line, Table) else str(line) for line in attacks.lines()]
    shown = json.dumps(attacks.to_json()) + repr(attacks) + "\n".join(lines)
    assert not any(value in shown for value in ("planted", "secret-", "device-"))
    assert "knows  event_time, model, site" in shown


def test_fields_that_are_not_released_are_refused(project: Project) -> None:
    project.policy({**FIELDS, "/tags/*": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records([checkin(number, tags=["a"]) for number in range(EMPLOYEES)])
    project.run()
    assert "/tags/*" not in attacked(project).quasi_identifiers
    for name in ("/tags/*", "event_id", "modle"):
        with pytest.raises(ConfigurationError, match=f"{re.escape(name)} is not released with one value per record"):
            attacked(project, quasi_identifiers=[name])


def test_without_quasi_identifiers_there_is_nothing_to_attack(project: Project) -> None:
    plain = {name: {"type": "string", "do": "keep"} for name in QUASI}
    project.policy({**FIELDS, **plain, "event_time": {"type": "timestamp", "do": "keep"}})
    project.records(map(checkin, range(EMPLOYEES)))
    project.run()
    with pytest.raises(ConfigurationError, match="no released field is a quasi-identifier"):
        attacked(project)


def test_dates_are_chosen(project: Project) -> None:
    for day, size in ((BEFORE, 10), (DAY, EMPLOYEES)):
        project.records(map(checkin, range(size)), day)
    project.run()
    assert attacked(project).dates == (BEFORE, DAY)
    assert attacked(project, dates=[BEFORE]).records == 10
    with pytest.raises(OutputError, match="no records"):
        attacked(project, dates=["2020-01-01"])


def test_who_is_missing_on_the_next_date_is_isolated(project: Project) -> None:
    project.records((checkin(number, event_time=f"{BEFORE}T09:00:00Z") for number in range(EMPLOYEES)), BEFORE)
    project.records(map(checkin, range(1, EMPLOYEES)))
    project.run()
    (comparison,) = compared(project).compared
    assert (comparison.earlier, comparison.later, comparison.relation) == (BEFORE, DAY, "dates")
    assert comparison.result.attack == SuccessRate(1, 1)


def test_an_earlier_release_whose_files_are_removed_is_listed(project: Project) -> None:
    project.records(map(checkin, range(EMPLOYEES)))
    first = project.run()
    project.records(map(checkin, range(1, EMPLOYEES)))
    project.run()
    differences = compared(project)
    assert differences.compared == ()
    (removed,) = differences.not_compared
    assert (removed.run, removed.date, removed.records, removed.records_in_force) == (
        first.run_id,
        DAY,
        EMPLOYEES,
        EMPLOYEES - 1,
    )
    assert any("nothing to compare" in str(line) for line in differences.lines())


def test_an_earlier_release_whose_files_are_left_is_compared(project: Project) -> None:
    project.records(map(checkin, range(EMPLOYEES)))
    project.run()
    copy = shutil.copytree(project.out, project.folder / "copy")
    project.records(map(checkin, range(1, EMPLOYEES)))
    project.run()
    for path in copy.rglob("*.parquet"):
        place = project.out / path.relative_to(copy)
        if not place.exists():
            shutil.copy(path, place)
    (comparison,) = compared(project).compared
    assert comparison.relation == "replaced"
    assert comparison.result.attack == SuccessRate(1, 1)


def test_pseudonyms_of_two_key_versions_are_not_mixed(project: Project) -> None:
    project.records(map(checkin, range(EMPLOYEES)), BEFORE)
    project.run(BEFORE)
    add_key(project.keys, "device", now=AT)
    project.records(map(checkin, range(EMPLOYEES)))
    project.run(DAY)
    with pytest.raises(OutputError, match="several key versions"):
        attacked(project)
    assert attacked(project, dates=[DAY]).records == EMPLOYEES
