from __future__ import annotations

from collections.abc import Callable

import pytest

from minimize.errors import Finding
from minimize.policy.model import Policy

PolicyIn = Callable[[str], Policy]
FaultsIn = Callable[[str], list[Finding]]


def test_a_field_in_two_spellings_is_a_fault(faults_in: FaultsIn) -> None:
    found = faults_in("fields:\n  a: {type: string}\n  /a: {type: string}\n")
    assert [(fault.code, fault.field, fault.line) for fault in found] == [("P002", "/a", 6)]


def test_a_released_field_cannot_stand_below_a_released_one(faults_in: FaultsIn) -> None:
    found = faults_in("fields:\n  apps: {type: list, do: size}\n  /apps/*/name: {type: string, do: keep}\n")
    assert [(fault.code, fault.field) for fault in found] == [("P018", "/apps/*/name")]


@pytest.mark.parametrize(
    "fields",
    [
        "device: {type: struct, do: keep}\n  /device/serial: {type: string, do: drop, required: true}",
        "apps: {type: list, do: keep}",
        "labels: {type: map, cases: [{if: {os: x}, do: size}], otherwise: keep}\n  os: {type: string, do: drop}",
        "apps: {type: list, do: drop, in_aggregates: keep}",
        "apps: {type: list, do: drop}\n  whole: {from: [apps], do: keep}",
    ],
)
def test_a_container_is_not_kept_whole(faults_in: FaultsIn, fields: str) -> None:
    assert "P018" in [fault.code for fault in faults_in(f"fields:\n  {fields}\n")]


@pytest.mark.parametrize("way", ["size", "presence", "[size, {bin: {width: 10}}]", "drop"])
def test_a_container_may_be_reduced_to_presence_or_size(policy_in: PolicyIn, way: str) -> None:
    assert list(policy_in(f"fields:\n  apps: {{type: list, do: {way}}}\n").fields) == ["apps"]


def test_a_dropped_container_hides_nobody(policy_in: PolicyIn) -> None:
    policy = policy_in("fields:\n  labels: {type: map, do: drop}\n  /labels/*: {type: string, do: keep}\n")
    assert list(policy.fields) == ["labels", "/labels/*"]


@pytest.mark.parametrize("never", ["/contacts", "/contacts/*"])
def test_what_must_never_arrive_cannot_be_kept(faults_in: FaultsIn, never: str) -> None:
    found = faults_in(f"never: [{never}]\nfields:\n  /contacts/*/name: {{type: string, do: keep}}\n")
    assert [fault.code for fault in found] == ["P018"]


def test_the_event_time_is_a_time(faults_in: FaultsIn) -> None:
    assert [fault.code for fault in faults_in("time: t\nfields:\n  t: {type: string}\n")] == ["P017"]


def test_a_secret_makes_no_field(faults_in: FaultsIn) -> None:
    text = "fields:\n  s: {type: double, role: secret}\n  c: {from: [s], do: keep}\n"
    assert [fault.code for fault in faults_in(text)] == ["P014"]


def test_a_derived_field_makes_no_other(faults_in: FaultsIn) -> None:
    text = "fields:\n  a: {type: double}\n  b: {from: [a], do: keep}\n  c: {from: [b], do: keep}\n"
    assert [fault.code for fault in faults_in(text)] == ["P018"]


def test_a_derived_field_is_nobodys_subject(faults_in: FaultsIn) -> None:
    text = "subject: b\nfields:\n  a: {type: double}\n  b: {from: [a], do: keep}\n"
    assert [(fault.code, fault.line) for fault in faults_in(text)] == [("P018", 4)]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{pseudonymize: {key: k, per: tenant}}", None),
        ("{pseudonymize: {key: k, per: tennt}}", "P010"),
        ("{pseudonymize: {key: k, per: /tenant}}", "P010"),
        ("{pseudonymize: {key: k, per: /list/*/x}}", "P018"),
        ("{pseudonymize: {key: k, rotate: month}}", "P017"),
        ("{pseudonymize: {key: k, rotate: fortnight}}", "P013"),
        ("{pseudonymize: {per: tenant}}", "P013"),
    ],
)
def test_what_a_step_reads_must_be_there(faults_in: FaultsIn, policy_in: PolicyIn, step: str, code: str | None) -> None:
    text = (
        "fields:\n  tenant: {type: string, do: keep}\n  /list/*/x: {type: string}\n"
        f"  f: {{type: string, do: {step}}}\n"
    )
    if code is None:
        assert policy_in(text).fields["f"].do != "drop"
    else:
        assert [(fault.code, fault.field, fault.line) for fault in faults_in(text)] == [(code, "f", 7)]


def test_a_step_that_asks_for_the_time_is_fine_where_the_policy_names_one(policy_in: PolicyIn) -> None:
    text = (
        "time: t\nfields:\n  t: {type: timestamp}\n  f: {type: string, do: {pseudonymize: {key: k, rotate: month}}}\n"
    )
    assert policy_in(text).time == "t"
