"""In which forms a subject stands in the outputs of a project."""

from __future__ import annotations

from datetime import timedelta

from minimize.governance.retention.affected_subjects import form_tokens
from minimize.governance.retention.event_admin import tokenized_forms
from minimize.governance.retention.identifier_forms import AS_RECEIVED
from minimize.keys import Keyring, add_key
from tests.governance.retention.daily import START, Daily, rows

DAY = timedelta(days=1)
RAN = START + DAY


def told(project: Daily) -> dict[str, tuple[str, ...]]:
    return tokenized_forms([("d1", "east")], [project.out], RAN, Keyring.load(project.keys))[0].forms


def test_a_subject_is_told_as_it_came_and_in_the_form_of_the_files(day: Daily) -> None:
    pseudonym = next(row["device_id"] for row in day.rows() if "east-d1" in row["note"])
    keys = Keyring.load(day.keys)
    found = told(day)
    assert found[AS_RECEIVED] == form_tokens(keys, "east", ["d1"])
    assert form_tokens(keys, "east", [pseudonym]) in found.values()
    assert len(found) == 2


def test_with_a_new_key_or_policy_it_is_told_in_the_form_of_files_to_come_too(day: Daily) -> None:
    add_key(day.keys, "device", now=RAN)
    assert len(told(day)) == 3
    day.policy({"device_id": {"type": "string", "role": "identifier", "do": {"tokenize": {"key": "device"}}}})
    assert len(told(day)) == 3


def test_of_what_rotates_every_period_is_told(project: Daily) -> None:
    do = {"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "week"}}
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": do}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    assert len(told(project)) == 1 + 5  # of thirty days: the weeks that they touch


def test_an_output_without_its_subject_tells_nothing_more(project: Daily) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    assert set(told(project)) == {AS_RECEIVED}


def test_an_output_that_cannot_be_looked_at_is_missed_and_an_empty_one_is_not(day: Daily) -> None:
    keys = Keyring.load(day.keys)
    (day.folder / "pipeline.yaml").unlink()
    (found,) = tokenized_forms([("d1", "east")], [day.out, day.folder / "nothing"], RAN, keys)
    assert found.unreachable == (str(day.out),)
    assert set(found.forms) == {AS_RECEIVED}
    assert "d1" not in repr(found)
