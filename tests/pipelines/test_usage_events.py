"""What usage events look like when they have passed: levels, and the end user's switch."""

from __future__ import annotations

from typing import Any

import pytest
from minimize_samples.world import TENANTS

from .shipped import Runs

ENHANCED, BASIC, FULL = TENANTS[:3]
OPTIONAL = {"sdk_action", "page_view", "page_action"}


@pytest.fixture(name="rows", scope="module")
def _rows(runs: Runs) -> list[dict[str, Any]]:
    return runs["usage_events"].rows()


def tenants_with(rows: list[dict[str, Any]], field: str) -> set[str]:
    return {row["tenant_id"] for row in rows if row[field] is not None}


def test_addresses_are_collected_at_the_full_level_only(rows: list[dict[str, Any]]) -> None:
    assert tenants_with(rows, "client_ip") == {FULL}
    assert tenants_with(rows, "page_url") == {FULL}


def test_no_output_has_a_name_or_an_address_of_mail(runs: Runs) -> None:
    assert not {"display_name", "user_email", "feedback"} & set(runs["usage_events"].table().schema.names)


def test_response_times_begin_at_the_enhanced_level(rows: list[dict[str, Any]]) -> None:
    assert tenants_with(rows, "response_time_ms") == {ENHANCED, FULL}


def test_errors_begin_at_the_basic_level_and_silence_is_required(rows: list[dict[str, Any]]) -> None:
    assert tenants_with(rows, "error_code") == {ENHANCED, BASIC, FULL}


def test_optional_events_are_there_only_of_users_who_turned_usage_on(rows: list[dict[str, Any]]) -> None:
    willing = {row["sdk_user_id"] for row in rows if row["event_type"] in OPTIONAL}
    everybody = {row["sdk_user_id"] for row in rows}
    assert 0 < len(willing) < len(everybody)


def test_features_are_named_only_where_usage_is_on(rows: list[dict[str, Any]]) -> None:
    willing = {row["sdk_user_id"] for row in rows if row["event_type"] in OPTIONAL}
    assert {row["sdk_user_id"] for row in rows if row["feature_name"] is not None} <= willing


def test_commands_are_there_where_the_developer_turned_the_kit_on(rows: list[dict[str, Any]]) -> None:
    assert tenants_with(rows, "command_name") == set(TENANTS[:5])


def test_pages_are_hosts(rows: list[dict[str, Any]]) -> None:
    assert {row["page_url"] for row in rows} <= {None, "portal.example"}


def test_gated_events_are_counted(runs: Runs) -> None:
    assert runs["usage_events"].receipt["gated_by"]["condition"] > 0
