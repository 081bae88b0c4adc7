"""One policy of ours and the manifest's: ours first, case by case, and nobody's pseudonyms leave under their own names."""

from __future__ import annotations

from typing import Any

from minimize.governance.sharing.recipient_policy import (
    RecipientKeys,
    RecipientPolicy,
    compose_policy,
    recipient_key_name,
)
from minimize.governance.sharing.released_output import InputPolicy
from minimize.policy.describe import treatment_text
from tests.governance.sharing.sender import POLICY, Sender, changed


def made(sender: Sender, wanted: list[str] | None = None) -> RecipientPolicy:
    function = sender.recipient.function("sync")
    assert function is not None
    return compose_policy(InputPolicy(sender.policy, {}), function, sender.recipient, wanted)


def keys_of(found: RecipientPolicy, key: str) -> list[list[str]]:
    """The keys of each step of a field."""
    steps = found.policy.fields[key].do
    return [] if isinstance(steps, str) else [sorted(step.key_names) for step in steps]


def with_field(sender: Sender, key: str, field: dict[str, Any]) -> Sender:
    return sender.with_(policy_=changed(POLICY, f"fields.{key}", field))


def test_each_case_is_followed_by_the_manifest_s_steps(sender: Sender) -> None:
    cases = [{"if": {"serial": "s-1"}, "do": "keep"}, {"if": {"serial": "s-2"}, "do": {"mask": {"keep_last": 1}}}]
    field = made(with_field(sender, "model", {"type": "string", "cases": cases, "otherwise": "drop"})).policy.fields[
        "model"
    ]
    assert [treatment_text(case.do) for case in field.cases] == ["keep", "mask (keep_last 1)"]
    assert field.otherwise == "drop"


def test_what_links_gets_the_recipient_s_own_name_last(sender: Sender) -> None:
    assert keys_of(made(sender), "device_id") == [["device"], ["device@vendor"]]


def test_a_manifest_that_renames_itself_is_not_followed_by_another_name(sender: Sender) -> None:
    keyed = sender.vendor_with("functions.sync.fields.device_id.do", {"pseudonymize": {"key": "other"}})
    assert keys_of(made(keyed), "device_id") == [["device"], ["other@vendor"]]


def test_a_field_that_stays_need_not_be_in_the_data(sender: Sender) -> None:
    stays = made(sender).policy.fields["note"]
    assert (stays.do, stays.optional) == ("drop", True)


def test_a_field_that_was_not_asked_for_is_no_reason(sender: Sender) -> None:
    found = made(sender, ["model"])
    assert found.sent_fields == ("model",)
    assert [*found.withheld_reasons(["model"])] == []


def test_a_recipient_s_keys_are_derived_from_ours_and_from_nobody_else_s(sender: Sender) -> None:
    keys = RecipientKeys(sender.keys)
    made_ = {
        keys.bytes_of(name)
        for name in (
            "device",
            recipient_key_name("device", "a"),
            recipient_key_name("device", "b"),
            recipient_key_name("other", "a"),
        )
    }
    assert len(made_) == 4
    assert keys.version_of(recipient_key_name("device", "a")) == sender.keys.version_of("device")
