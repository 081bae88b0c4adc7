"""A pipeline that receives keeps no more than the manifest of the function lets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import Finding
from minimize.policy.load import policy_from_mapping
from minimize.recipients import recipient_from
from minimize.recipients.inbound import check_policy
from tests.inbound import KEPT, RECEIVED, SOURCE, Inbound, hook, new_inbound
from tests.project import enter, without_none
from tests.world import vendor_file

KEEP: dict[str, Any] = {"type": "string", "do": "keep"}
VERSION: dict[str, Any] = RECEIVED["fields"]["os_version"]


def found(
    fields: dict[str, Any], manifest: dict[str, Any] | None = None, **policy: Any
) -> list[tuple[str, str | None]]:
    """The codes of what is wrong, and the fields, where some fields of the policy are changed."""
    declared = without_none({**RECEIVED["fields"], **fields})
    sent = {**KEPT, **(manifest or {})}
    function = recipient_from(vendor_file(functions=hook(fields=sent), contract=None)).functions["hook"]
    judged = policy_from_mapping(without_none({**RECEIVED, "fields": declared, **policy}))
    return [(finding.code, finding.field) for finding in check_policy(judged, function)]


def test_a_policy_that_matches_the_manifest_is_sound() -> None:
    assert found({}) == []


def test_a_field_may_be_left_out_or_dropped() -> None:
    assert found({"os_version": None, "unlock": None, "udid": {**RECEIVED["fields"]["udid"], "do": "drop"}}) == []


def test_steps_may_follow_those_of_the_manifest() -> None:
    assert found({"os_version": {**VERSION, "do": [{"truncate_version": {"parts": 2}}, {"truncate_version": 1}]}}) == []


def test_a_field_kept_by_the_manifest_may_be_reduced() -> None:
    assert found({"state": {"type": "string", "do": {"mask": {"keep_last": 1}}}}, {"state": {"do": "keep"}}) == []


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"os_version": {**VERSION, "do": "keep"}}, "T034"),
        ({"os_version": {**VERSION, "do": {"truncate_version": {"parts": 3}}}}, "T034"),
        ({"os_version": {**VERSION, "do": [{"mask": {"keep_last": 1}}, {"truncate_version": 2}]}}, "T034"),
        ({"os_version": {**VERSION, "do": "drop", "in_aggregates": {"mask": {"keep_last": 1}}}}, "T034"),
        (
            {"os_version": {**VERSION, "do": None, "cases": [{"if": {"os_version": "14"}, "do": "keep"}]}},
            "T034",
        ),
        ({"owner": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 1}}}}, "T033"),
        ({"unlock": {"type": "string", "do": "drop"}}, "T035"),
        ({"owner": {"type": "string", "do": "drop"}}, "T035"),
        ({"surprise": KEEP}, "T032"),
        ({"surprise": {"from": ["os_version", "owner"], "do": "drop"}}, "T036"),
    ],
)
def test_a_field_beyond_the_manifest_is_named(field: dict[str, Any], code: str) -> None:
    (name,) = field
    assert found({name: without_none(field[name])}) == [(code, name)]


def test_keys_of_a_map_are_no_field_of_the_message() -> None:
    tags = {"/tags": {"type": "map", "do": "drop", "keys": "keep"}, "/tags/*": KEEP}
    assert ("T032", "/tags/~keys") in found(tags, {"/tags/*": {"do": "keep"}})


@pytest.mark.parametrize(
    ("do", "codes"),
    [
        ({"pseudonymize": {"key": "device", "per": "tenant_id"}}, []),
        ({"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "month"}}, []),
        ({"pseudonymize": {"key": "other"}}, [("T034", "udid")]),
        ({"pseudonymize": {"key": "device", "link": "devices"}}, [("T034", "udid")]),
        ({"tokenize": {"key": "device"}}, [("T034", "udid")]),
    ],
)
def test_a_pseudonym_may_be_another_for_each_tenant(do: Any, codes: list[Any]) -> None:
    assert found({"udid": {**RECEIVED["fields"]["udid"], "do": do}}) == codes


LISTED: dict[str, Any] = {"state": {"do": "keep", "values": ["on", "off"]}}


@pytest.mark.parametrize(
    ("do", "codes"),
    [
        ({"map": {"values": {"on": "on", "off": "off"}}}, []),
        ({"map": {"values": {"on": "on"}, "otherwise": "off"}}, []),
        ({"map": {"values": {"on": "on"}, "otherwise": "other"}}, [("T034", "state")]),
        ("keep", [("T034", "state")]),
        ([{"map": {"values": {"on": "on"}}}, {"mask": {"keep_last": 1}}], [("T034", "state")]),
        ("drop", []),
    ],
)
def test_a_field_whose_values_are_listed_keeps_no_others(do: Any, codes: list[Any]) -> None:
    assert found({"state": {"type": "string", "do": do}}, LISTED) == codes


def test_a_field_that_is_spelled_as_a_pointer_is_the_same() -> None:
    assert found({"os_version": None, "/os_version": VERSION}) == []


def test_a_policy_without_a_tenant_is_named() -> None:
    assert found({"tenant_id": None}, tenant=None) == [("T030", None)]


def test_the_subject_is_a_field_of_the_message() -> None:
    assert found({"email": {**KEEP, "role": "identifier"}}, subject="email") == [("T032", "email")]


def test_a_record_that_the_transport_adds_is_dropped() -> None:
    assert found({"message_id": {**KEEP, "role": "identifier"}}) == [("T032", "message_id")]


def test_the_sender_does_not_choose_the_event_time() -> None:
    sent = {"sent_at": {"type": "timestamp", "role": "quasi", "do": "keep"}}
    assert found(sent, sent, time="sent_at") == [("T031", "sent_at"), ("T032", "received_at")]


def test_the_event_time_is_no_day() -> None:
    assert found({"received_at": {"type": "date", "role": "quasi", "do": "keep"}}) == [("T031", "received_at")]


SHORT: dict[str, Any] = {"truncate_version": 2}


@pytest.mark.parametrize(
    "field",
    [
        {"os_version": {**VERSION, "do": None, "cases": [{"if": {"owner": "x"}, "do": SHORT}], "otherwise": SHORT}},
        {"os_version": {**VERSION, "do": None, "cases": [{"if": {"unlock": "x"}, "do": SHORT}]}},
        {"os_version": {**VERSION, "do": None, "cases": [{"if": {"message_id": "x"}, "do": SHORT}]}},
        {"os_version": {**VERSION, "collect_if": {"owner": "x"}}},
        {"udid": {**RECEIVED["fields"]["udid"], "do": {"pseudonymize": {"key": "device", "per": "owner"}}}},
    ],
)
def test_a_field_does_not_read_one_that_the_manifest_drops(field: dict[str, Any]) -> None:
    (name,) = field
    assert found({name: without_none(field[name])}) == [("T033", name)]


def test_a_measured_age_does_not_read_a_time_that_the_manifest_drops() -> None:
    born = {"type": "timestamp", "do": "drop"}
    aged = {"type": "timestamp", "do": "drop", "in_aggregates": {"age": {"unit": "days", "at": "born"}}}
    manifest = {"seen": {"type": "timestamp", "do": "keep"}, "born": born}
    assert found({"seen": aged, "born": born}, manifest) == [("T033", "seen")]


def test_a_technique_reads_what_that_of_the_manifest_reads() -> None:
    do = {"pseudonymize": {"key": "device", "per": "owner"}}
    fields = {"udid": {**RECEIVED["fields"]["udid"], "do": do}}
    assert found(fields, {"udid": {**KEPT["udid"], "do": do}}) == []


def test_the_records_condition_of_a_policy_does_not_read_a_secret() -> None:
    assert found({}, records={"collect_if": {"unlock": "x"}}) == [("T033", None)]


@pytest.fixture(name="inbound")
def _inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    enter(tmp_path, monkeypatch)
    return new_inbound(tmp_path)


def linted(inbound: Inbound) -> list[Finding]:
    return [each for each in minimize.lint(inbound.folder, keys=inbound.keys) if each.code.startswith("T")]


def test_lint_finds_nothing_in_a_sound_pipeline(inbound: Inbound) -> None:
    assert linted(inbound) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"recipient": "vendr"}, "no recipient `vendr`"),
        ({"function": "hok"}, "no inbound function hok"),
    ],
)
def test_lint_finds_a_sender_or_a_function_that_there_is_not(
    inbound: Inbound, source: dict[str, Any], said: str
) -> None:
    inbound.pipeline(source={**SOURCE, **source})
    (finding,) = linted(inbound)
    assert (finding.code, finding.severity) == ("T038", "error")
    assert said in finding.message
    assert finding.file is not None
    assert finding.file.endswith("pipeline.yaml")


def test_lint_finds_an_outbound_function(inbound: Inbound) -> None:
    inbound.vendor(functions=hook(direction="outbound"))
    assert [each.code for each in linted(inbound)] == ["T038"]


def test_lint_finds_a_policy_without_tenant_or_time(inbound: Inbound) -> None:
    inbound.policy({"tenant_id": None, "received_at": None}, tenant=None, time=None, retention=None)
    assert [(each.code, each.severity) for each in linted(inbound)] == [("T030", "error"), ("T031", "error")]


def test_lint_finds_a_pipeline_of_another_purpose(inbound: Inbound) -> None:
    inbound.policy(purposes=["operations", "customer_support"])
    inbound.pipeline(purpose="customer_support")
    assert [each.code for each in linted(inbound)] == ["T037"]


def test_a_plan_is_refused_as_a_run_is(inbound: Inbound) -> None:
    inbound.policy({"owner": {**RECEIVED["fields"]["owner"], "do": "keep"}})
    with pytest.raises(minimize.MinimizeError) as caught:
        minimize.make_plan(inbound.folder)
    assert [each.code for each in caught.value.findings] == ["T033"]


COUNTED: dict[str, Any] = {"group_by": {"tenant": "tenant_id"}, "measures": {"n": "count"}}


@pytest.mark.parametrize(
    ("pipeline", "reader"),
    [
        ({"records": {"collect_if": {"owner": "x"}}}, "records.collect_if"),
        ({"records": {"deduplicate": {"by": ["owner"], "per": "day"}}}, "records.deduplicate"),
        ({"aggregates": {"a": {**COUNTED, "suppress": {"below": 10, "counting": "owner"}}}}, "aggregates.a.suppress"),
    ],
)
def test_lint_finds_a_pipeline_that_reads_what_the_manifest_drops(
    inbound: Inbound, pipeline: dict[str, Any], reader: str
) -> None:
    inbound.pipeline(**pipeline)
    (finding,) = linted(inbound)
    assert (finding.code, finding.severity) == ("T033", "error")
    assert f"`{reader}` reads `owner`" in finding.message
    assert str(finding.file).endswith("pipeline.yaml")


def test_messages_that_arrive_twice_may_be_left_out_by_their_id(inbound: Inbound) -> None:
    inbound.pipeline(records={"deduplicate": {"by": ["message_id"], "per": "day"}})
    assert linted(inbound) == []


def test_a_run_whose_condition_reads_a_secret_is_refused(inbound: Inbound) -> None:
    inbound.pipeline(records={"collect_if": {"unlock": "secret-0"}})
    inbound.consent("give", "north")
    with pytest.raises(minimize.MinimizeError) as caught:
        inbound.receive()
    assert [each.code for each in caught.value.findings] == ["T033"]
