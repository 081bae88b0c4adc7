"""What administrators do in the console."""

from __future__ import annotations

from minimize_samples.datasets.administration import ACTIONS, CONSOLE_PAGES, CONTROLS

from ..made import records, settings

RECORDS = records("console_usage")


def test_every_page_control_and_action_is_there() -> None:
    for field, pool in (("page", CONSOLE_PAGES), ("control", CONTROLS), ("action", ACTIONS)):
        assert {record[field] for record in RECORDS} == set(pool)


def test_only_a_search_has_a_text_which_can_hold_a_name() -> None:
    assert all(("search_text" in record) == (record["action"] == "search") for record in RECORDS)
    names = {record["user_display_name"] for record in records("device_inventory") if "user_id" in record}
    assert names & {record["search_text"] for record in RECORDS if "search_text" in record}


def test_its_settings_are_levels_of_tenants() -> None:
    assert {(row.setting, row.subject) for row in settings("console_usage")} == {("level", "")}
