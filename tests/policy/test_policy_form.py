from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.policy.condition import FieldEquals
from minimize.policy.load import load_policy
from minimize.policy.model import Policy

PolicyIn = Callable[[str], Policy]
FaultsIn = Callable[[str], list[Finding]]


def test_a_field_in_two_spellings_is_a_fault(faults_in: FaultsIn) -> None:
    found = faults_in("fields:\n  a: {type: string}\n  /a: {type: string}\n")
    assert [(fault.code, fault.field, fault.line) for fault in found] == [("P002", "/a", 6)]


def test_a_released_field_cannot_be_inside_another_released_field(faults_in: FaultsIn) -> None:
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


def test_a_dropped_container_does_not_hide_its_declared_parts(policy_in: PolicyIn) -> None:
    policy = policy_in("fields:\n  labels: {type: map, do: drop}\n  /labels/*: {type: string, do: keep}\n")
    assert list(policy.fields) == ["labels", "/labels/*"]


@pytest.mark.parametrize("never", ["/contacts", "/contacts/*"])
def test_a_forbidden_field_cannot_be_kept(faults_in: FaultsIn, never: str) -> None:
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
def test_fields_read_by_a_step_must_exist(
    faults_in: FaultsIn, policy_in: PolicyIn, step: str, code: str | None
) -> None:
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


FIELDS = "fields:\n  a: {type: string, do: keep}\n"


def test_the_head_is_typed(policy_in: PolicyIn) -> None:
    policy = policy_in("owner: me\nretention: 2w\nlevels: [required, full]\nnever: [/sms/*, password]\n" + FIELDS)
    assert (policy.policy, policy.version, policy.owner) == ("p", 1, "me")
    assert policy.purposes == ("operations", "customer_support")
    assert policy.retention == timedelta(days=14)
    assert policy.levels == ("required", "full")
    assert policy.never == (Pointer.parse("/sms/*"), Pointer.parse_forbidden("password"))


def test_features_have_holders_and_retention(policy_in: PolicyIn) -> None:
    policy = policy_in("features:\n  a: {about: x, retention: 24h, holders: [user]}\n  b:\n" + FIELDS)
    assert policy.features["a"].retention == timedelta(days=1)
    assert (policy.features["a"].holders, policy.features["b"].holders) == (("user",), ())


def test_a_field_named_in_the_head_is_spelled_as_it_is_declared(policy_in: PolicyIn) -> None:
    assert policy_in("tenant: /a\n" + FIELDS).tenant == "a"


def test_whole_records_may_be_gated(policy_in: PolicyIn) -> None:
    policy = policy_in("features: {f: {}}\nrecords: {feature: f, collect_if: {a: x}}\n" + FIELDS)
    assert (policy.records.feature, policy.records.collect_if) == ("f", FieldEquals("a", ("x",)))


def test_lines_of_the_file_are_at_hand(policy_in: PolicyIn) -> None:
    policy = policy_in("retention: 30d\n" + FIELDS)
    assert (policy.lines["retention",], policy.lines["fields", "a"]) == (4, 6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("retention: 0d", "P006"),
        ("retention: 30", "P006"),
        ("retention:", "P006"),
        ("levels: basic", "P006"),
        ("levels: [a, 1]", "P006"),
        ("levels: [a, a]", "P002"),
        ("features: [a]", "P006"),
        ("features: {a: 3}", "P006"),
        ("features: {level: {}}", "P015"),
        ("features: {a b: {}}", "P015"),
        ("features: {a: {holders: [root]}}", "P007"),
        ("features: {a: {per_subject: 1}}", "P006"),
        ("features: {a: {retention: forever}}", "P006"),
        ("never: contacts", "P006"),
        ("never: [/*]", "P006"),
        ("records: {feature: f}", "P010"),
        ("records: {collect_if: {b: 1}}", "P010"),
        ("records: 3", "P006"),
        ("tenant: b", "P010"),
        ("subject: [a]", "P006"),
        ("owner: 3", "P006"),
        ("digest: x", "P004"),
    ],
)
def test_a_fault_of_the_head_has_its_line(faults_in: FaultsIn, text: str, code: str) -> None:
    assert [(fault.code, fault.line) for fault in faults_in(text + "\n" + FIELDS)] == [(code, 4)]


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ("", ["P005", "P005", "P005"]),
        ("policy: a b\nversion: 1\npurposes: [operations]", ["P015"]),
        ("policy: p\nversion: 0\npurposes: [operations]", ["P006"]),
        ("policy: p\nversion: true\npurposes: [operations]", ["P006"]),
        ("policy: p\nversion: 1.5\npurposes: [operations]", ["P006"]),
        ("policy: p\nversion: '1'\npurposes: [operations]", ["P006"]),
        ("policy: p\nversion: 1\npurposes: []", ["P006"]),
        ("policy: p\nversion: 1\npurposes: [operations, data_sale]", ["P009"]),
        ("policy: p\nversion: 1\npurposes: [operations, oprations]", ["P008"]),
    ],
)
def test_name_version_and_purposes_must_be_there(write: Callable[..., str], head: str, codes: list[str]) -> None:
    path = write("policy.yaml", head + "\n" + FIELDS)
    with pytest.raises(Exception, match="policy") as caught:
        load_policy(path)
    assert [fault.code for fault in getattr(caught.value, "findings", ())] == codes


@pytest.mark.parametrize("text", ["fields: {}", "fields: [a]", "fields: {a: }"])
def test_fields_must_be_there(faults_in: FaultsIn, text: str) -> None:
    assert [fault.code for fault in faults_in(text)] == ["P006"]


def test_a_field_inside_a_list_cannot_be_the_subject(faults_in: FaultsIn) -> None:
    text = "subject: /a/*/b\nfields:\n  /a/*/b: {type: string}\n"
    assert [fault.code for fault in faults_in(text)] == ["P018"]
