"""Where people stand, and whether a rule finds them there."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from minimize.governance.subjects import Coverage, coverage
from minimize.switching import House as Places
from tests.job.house import DAY, House, events

room = import_module("minimize.governance.subjects.coverage")
USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}
PEOPLE = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(events(60))]
BY_USER = {
    "per_user": {"group_by": {"who": "user"}, "measures": {"events": "count"}, "suppress": {"below": 2}},
}


def found(house: House) -> Coverage:
    return coverage(Places(house.out / "ledger.db", keys=house.keys))


def columns(each: Coverage) -> set[tuple[str, str, str | None]]:
    return {(target.name, target.column, target.rule) for target in each.targets}


def ran(house: House, **fields: Any) -> House:
    house.policy({"user": USER, **fields})
    house.brings(PEOPLE)
    house.run()
    return house


def test_every_key_of_somebody_is_found_by_the_subject_of_its_rows(house: House) -> None:
    every = found(ran(house))
    assert columns(every) == {
        ("records", "device_id", "subject"),
        ("records", "user", "rows of device_id; --as user"),
    }
    assert every.uncovered == ()


def test_a_key_in_records_that_dropped_their_subject_is_out_of_reach(house: House) -> None:
    ran(house, device_id={"type": "string", "role": "identifier", "do": "drop"})
    (target,) = found(house).uncovered
    assert (target.name, target.column) == ("records", "user")
    assert "and not device_id" in target.why
    assert (target.finding.code, target.finding.severity, target.finding.field) == ("Q003", "error", "user")


def test_a_pseudonym_is_a_key_whatever_role_its_field_has(house: House) -> None:
    fields = {"user": {**USER, "role": "plain"}, "device_id": {"type": "string", "role": "identifier", "do": "drop"}}
    assert [each.column for each in found(ran(house, **fields)).uncovered] == ["user"]


def test_a_group_of_an_aggregate_that_names_somebody_is_out_of_reach(house: House) -> None:
    house.pipeline(aggregates=BY_USER)
    (target,) = found(ran(house)).uncovered
    assert (target.name, target.column) == ("per_user", "who")


def test_what_was_written_counts_and_not_what_would_be_written_today(house: House) -> None:
    ran(house, device_id={"type": "string", "role": "identifier", "do": "drop"})
    house.policy({"user": USER})
    assert [each.column for each in found(house).uncovered] == ["user"]
    house.run(date=DAY)
    assert found(house).uncovered == ()


def test_only_a_pipeline_that_is_named_is_looked_at(house: House) -> None:
    ran(house)
    assert coverage(Places(house.out / "ledger.db"), pipeline="another").targets == ()


@pytest.mark.parametrize("version", [1, None])
def test_what_was_handed_over_is_found_by_the_tokens_beside_it(
    house: House, monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    ran(house)
    body = {"policy": {"name": "checkins"}, "fields": {"user": "pseudonymize", "model": "keep"}}
    act = SimpleNamespace(body=body, disclosure="an-act", recipient="vendor")
    monkeypatch.setattr(room, "acts", lambda _: [(act, SimpleNamespace(key_version=version))])
    (target,) = [each for each in found(house).targets if each.name == "vendor"]
    assert (target.where, target.column, target.rule) == ("an-act", "user", "recall" if version else None)
