"""Which fields stand for somebody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.policy.fields import identifying_fields, is_dropped, overlapping_fields, steps_of, treatments_of
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy

PolicyIn = Callable[[str], Policy]
FaultsIn = Callable[[str], list[Finding]]


def field(text: str) -> str:
    return f"fields:\n  f: {text}\n  other: {{type: string}}\n"


def codes(found: list[Finding]) -> list[str]:
    return [fault.code for fault in found]


def test_a_field_without_do_and_cases_is_dropped(policy_in: PolicyIn) -> None:
    f = policy_in(field("{type: string}")).fields["f"]
    assert (f.do, f.role, is_dropped(f)) == ("drop", "plain", True)


def test_a_field_knows_its_key_and_line(policy_in: PolicyIn) -> None:
    f = policy_in(field("{type: string}")).fields["f"]
    assert (f.key, f.line) == ("f", 5)


def test_values_outside_all_cases_are_dropped_unless_otherwise_is_given(policy_in: PolicyIn) -> None:
    f = policy_in(field("{type: string, cases: [{if: {other: a}, do: keep}]}")).fields["f"]
    assert [way if isinstance(way, str) else way[0].name for way in treatments_of(f)] == ["keep", "drop"]


def test_a_field_is_not_dropped_where_one_case_keeps_it(policy_in: PolicyIn) -> None:
    f = policy_in(field("{type: string, cases: [{if: {other: a}, do: drop}], otherwise: keep}")).fields["f"]
    assert not is_dropped(f)


def test_a_dropped_field_may_be_for_aggregates(policy_in: PolicyIn) -> None:
    f = policy_in(field("{type: double, do: drop, in_aggregates: {clip: {min: 0, max: 9}}}")).fields["f"]
    assert (is_dropped(f), [step.name for step in steps_of(f)]) == (True, ["clip"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("string", "string"),
        ('"decimal(10, 2)"', "decimal(10,2)"),
        ('"decimal(38,38)"', "decimal(38,38)"),
        ("map", "map"),
    ],
)
def test_types_are_the_words_of_the_list(policy_in: PolicyIn, written: str, meant: str) -> None:
    assert policy_in(field(f"{{type: {written}}}")).fields["f"].type == meant


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{type: strng}", "P007"),
        ("{type: decimal}", "P007"),
        ('{type: "decimal(39,2)"}', "P006"),
        ('{type: "decimal(2,3)"}', "P006"),
        ('{type: "decimal(0,0)"}', "P006"),
        ("{do: keep}", "P005"),
        ("{type: string, do: }", "P006"),
        ("{type: string, role: quasy}", "P007"),
        ("{type: string, required: yes}", "P006"),
        ("{type: string, level: basic}", "P010"),
        ("{type: string, feature: location}", "P010"),
        ("{type: string, feature: [a]}", "P006"),
        ("{type: string, purposes: [operatons]}", "P008"),
        ("{type: string, purposes: [ads]}", "P009"),
        ("{type: string, purposes: operations}", "P006"),
        ("{type: string, cases: []}", "P006"),
        ("{type: string, cases: [{if: {other: a}, do: keep}], do: keep}", "P018"),
        ("{type: string, do: keep, otherwise: drop}", "P018"),
        ("{type: string, do: keep, from: [nothing]}", "P010"),
        ("{type: string, do: keep, from: []}", "P006"),
        ("{type: string, do: keep, in_aggregates: drop}", "P006"),
        ("keep", "P006"),
        ("{type: string, doo: keep}", "P004"),
    ],
)
def test_a_fault_of_a_field_has_its_key_and_line(faults_in: FaultsIn, text: str, code: str) -> None:
    assert [(fault.code, fault.field, fault.line) for fault in faults_in(field(text))] == [(code, "f", 5)]


def test_a_decimal_torn_apart_by_a_flow_mapping_gets_the_hint_to_quote_it(faults_in: FaultsIn) -> None:
    assert 'Quote it: type: "decimal(10,2)".' in [fault.hint for fault in faults_in(field("{type: decimal(10,2)}"))]


@pytest.mark.parametrize(
    "text",
    [
        "{type: string, role: secret, do: keep}",
        "{type: string, role: secret, do: {mask: {keep_last: 2}}}",
        "{type: string, role: secret, cases: [{if: {other: a}, do: keep}]}",
        "{type: string, role: secret, cases: [{if: {other: a}, do: drop}], otherwise: keep}",
        "{type: string, role: secret, do: drop, in_aggregates: presence}",
    ],
)
def test_a_secret_may_only_be_dropped(faults_in: FaultsIn, text: str) -> None:
    assert codes(faults_in(field(text))) == ["P014"]


def test_a_secret_that_is_dropped_is_fine(policy_in: PolicyIn) -> None:
    assert is_dropped(policy_in(field("{type: string, role: secret, do: drop}")).fields["f"])


@pytest.mark.parametrize("key", ["/", "//a", "/*/a", '""', "/a~3"])
def test_a_key_that_is_no_pointer_is_a_fault(faults_in: FaultsIn, key: str) -> None:
    assert codes(faults_in(f"fields:\n  {key}: {{type: string}}\n")) == ["P015"]


@pytest.mark.parametrize("key", ["date", "/date", "/date/day"])
def test_a_field_named_as_the_partition_is_a_fault(faults_in: FaultsIn, key: str) -> None:
    assert codes(faults_in(f"fields:\n  {key}: {{type: string}}\n")) == ["P015"]


def test_a_nested_date_is_no_column_of_that_name(policy_in: PolicyIn) -> None:
    assert "/device/date" in policy_in("fields:\n  /device/date: {type: date}\n").fields


def test_a_derived_field_needs_no_type(policy_in: PolicyIn) -> None:
    f = policy_in("fields:\n  a: {type: double}\n  c: {from: [/a], do: keep}\n").fields["c"]
    assert (f.type, f.from_) == ("struct", ("a",))


def test_inputs_from_another_list_are_a_fault(faults_in: FaultsIn) -> None:
    text = "fields:\n  /a/*/x: {type: double}\n  c: {from: [/a/*/x], do: keep}\n"
    assert codes(faults_in(text)) == ["P018"]


def test_overlaps_are_pairs_of_a_field_and_one_below_it() -> None:
    keys = ["a", "/a/b", "/a/*/c", "d", "/e/f"]
    assert list(overlapping_fields({Pointer.parse(key): key for key in keys})) == [("a", "/a/b"), ("a", "/a/*/c")]


@pytest.mark.parametrize(
    "text", ["{type: date, do: {age: {unit: days, at: other}}}", "{from: [other, other], do: presence}"]
)
def test_a_step_reads_a_field_of_the_right_type_and_a_derived_one_is_made_from_several(
    faults_in: FaultsIn, text: str
) -> None:
    assert codes(faults_in(field(text))) == ["P018"]


PSEUDONYM = {"pseudonymize": {"key": "device"}}


@pytest.mark.parametrize(
    ("role", "do", "is_key"),
    [
        ("identifier", "keep", True),
        ("identifier", PSEUDONYM, True),
        ("plain", PSEUDONYM, True),
        ("quasi", {"tokenize": {"key": "device"}}, True),
        ("plain", "keep", False),
        ("identifier", "drop", False),
        ("identifier", {"mask": {"keep_last": 4}}, False),
        ("identifier", [PSEUDONYM, {"mask": {"keep_last": 4}}], False),
    ],
)
def test_a_field_is_a_key_where_its_values_name_one_person_or_device(role: str, do: Any, *, is_key: bool) -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"]}
    policy = policy_from_mapping({**said, "fields": {"a": {"type": "string", "role": role, "do": do}}})
    assert list(identifying_fields(policy)) == ["a"] * is_key


def test_the_subject_is_an_identifying_field_under_any_role() -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"], "subject": "a"}
    assert list(
        identifying_fields(policy_from_mapping({**said, "fields": {"a": {"type": "string", "do": "keep"}}}))
    ) == ["a"]
