"""A policy in a notebook: what a reviewer asks of it stands in its tables, and nothing in them is markup."""

from __future__ import annotations

import re
from typing import Any

from minimize.policy.load import policy_from_mapping

BODY: dict[str, Any] = {
    "policy": "checkins",
    "version": 3,
    "purposes": ["service_maintenance", "customer_support"],
    "tenant": "tenant_id",
    "time": "event_time",
    "retention": "30d",
    "never": ["/contacts"],
    "features": {"location": {"about": "position of a lost device", "retention": "24h"}},
    "fields": {
        "tenant_id": {"type": "string", "do": "keep"},
        "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
        "owner_type": {"type": "string", "do": "keep"},
        "latitude": {"type": "double", "feature": "location", "do": {"round": {"to": 0.1}}, "about": "<script>"},
        "phone": {
            "type": "string",
            "purposes": ["customer_support"],
            "cases": [{"if": {"owner_type": "corporate"}, "do": "keep"}],
            "otherwise": {"mask": {"keep_last": 4}},
        },
    },
}


def plain(html: str) -> str:
    return re.sub(r" style='[^']*'", "", html)


def test_it_shows_the_head_of_the_policy() -> None:
    shown = plain(policy_from_mapping(BODY)._repr_html_())
    assert "<p>checkins version 3, for service_maintenance, customer_support</p>" in shown
    assert "<p>tenant: tenant_id; time: event_time; kept for 30d</p>" in shown
    assert "<p>must not arrive: /contacts</p>" in shown


def test_it_shows_the_treatment_and_condition_of_each_field() -> None:
    shown = plain(policy_from_mapping(BODY)._repr_html_())
    assert "<td>event_time</td><td>timestamp</td><td>quasi</td><td>truncate_time (to hour)</td><td></td>" in shown
    assert "<td>round (to 0.1)</td><td>feature location is on</td>" in shown
    assert (
        "<td>if owner_type is corporate: keep; else mask (keep_last 4)</td><td>only for customer_support</td>" in shown
    )
    assert "<td>location</td><td>position of a lost device</td><td>1d</td><td></td>" in shown


def test_it_shows_that_each_subject_turns_a_feature_on() -> None:
    features = {"location": {"holders": ["admin"], "per_subject": True}}
    shown = plain(policy_from_mapping(BODY | {"features": features})._repr_html_())
    assert "<td>admin; each subject also by its own setting</td>" in shown


def test_a_text_of_the_policy_is_no_markup() -> None:
    shown = policy_from_mapping(BODY)._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_policy_without_retention_is_shown_as_such() -> None:
    said = ("policy", "version", "purposes")
    bare = {key: BODY[key] for key in said} | {"fields": {"owner_type": BODY["fields"]["owner_type"]}}
    shown = policy_from_mapping(bare)._repr_html_()
    assert "no retention" in shown
    assert "features" not in shown
