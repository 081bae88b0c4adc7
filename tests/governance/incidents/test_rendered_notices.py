"""Notices as pages."""

from __future__ import annotations

from typing import Any

from minimize.governance.incidents.exposure import EXPOSURE_KINDS
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.notice import (
    CONSEQUENCES,
    LINKED_BY_KEY,
    NATURE,
    Notice,
    article33,
)
from minimize.pages import html_page, markdown_page
from tests.governance.incidents.test_incident_state import incident, step

TENANT: dict[str, Any] = {
    "tenant_id": "north",
    "subjects": {"count": 1200, "exact": False},
    "rows": 5000,
    "form": "pseudonymized",
    "kinds": [{"column": "user_name", "category": "pseudonymized", "form": "encrypted", "technique": "keep"}],
    "period": {"from": None, "to": "2026-11-24T23:00:00Z"},
    "recipients": [{"recipient": "vendor"}],
}


def notice(this: Incident | None = None, **changes: Any) -> Notice:
    return Notice(this or incident(), TENANT | changes, 2, "privacy@example.com")


def test_every_part_is_on_both_pages() -> None:
    for page in (markdown_page(notice().document), html_page(notice().document)):
        for word in (
            "What happened",
            "At most 1,200",
            "vendor",
            "Without them that data cannot be read",
            "privacy@example.com",
            "version 2",
        ):
            assert word in page


def test_a_recorded_consequence_replaces_the_default_text() -> None:
    said = notice(incident(step("measured", what="consequence", text="Nothing *at all*.")))
    assert "Nothing \\*at all\\*." in markdown_page(said.document)
    assert CONSEQUENCES["pseudonymized"] not in markdown_page(said.document)


def test_pseudonyms_with_an_exposed_key_do_not_identify_by_themselves() -> None:
    linked = {"column": "device_id", "category": "pseudonymized", "form": "identified", "technique": "pseudonymize"}
    name = {"column": "user_name", "category": "identified", "form": "identified", "technique": "keep"}
    assert notice(form="identified", kinds=[linked]).consequences == (LINKED_BY_KEY,)
    assert notice(form="identified", kinds=[linked, name]).consequences == (CONSEQUENCES["identified"],)


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    page = html_page(notice(tenant_id="<script>alert(1)</script>").document)
    assert not [word for word in ("<script", "<link", "src=", "url(", "@import") if word in page]


def test_groups_have_no_number_of_persons() -> None:
    assert article33(notice(subjects=None))["a"]["approximate_number_of_data_subjects"] is None
    assert "No individuals" in markdown_page(notice(subjects=None).document)


def test_there_are_words_for_everything_that_can_be_exposed() -> None:
    assert set(NATURE) == set(EXPOSURE_KINDS)


def kind(name: str, form: str = "pseudonymized", **texts: str) -> dict[str, str]:
    return {"column": name, "category": form, "form": form, "technique": "keep", **texts}


def test_kinds_of_data_are_called_as_people_call_them() -> None:
    kinds = [kind("model", about="the model of the device"), kind("os_version"), kind("imei", label="Serial <number>")]
    page = markdown_page(notice(kinds=kinds).document)
    assert "Data in pseudonymized form:\n\n- The model of the device\n- OS version\n- Serial \\<number\\>\n" in page
    assert "Serial &lt;number&gt;" in html_page(notice(kinds=kinds).document)


def test_what_identifies_individuals_comes_first() -> None:
    kinds = [kind(f"field_{number}") for number in range(500)] + [kind("user_name", "identified")]
    page = html_page(notice(form="identified", kinds=kinds).document)
    assert page.index("User name") < page.index("Field 0")
    assert '<p class="status bad">' in page
    assert "data that identifies individuals: user name" in page


def test_recommendations_are_shown_only_if_there_are_any() -> None:
    assert "Recommended actions" not in markdown_page(notice().document)
    advised = notice(incident(step("measured", what="action", text="Check your log.")))
    page = markdown_page(advised.document)
    assert "## Recommended actions\n\n- Check your log." in page
    assert "1 action recommended to you" in page
    assert article33(notice())["d"]["actions_for_the_tenant"] == []


def test_times_are_readable_and_upper_bounds_of_records_are_marked() -> None:
    page = markdown_page(notice(rows_exact=False).document)
    assert "to 2026-11-24 23:00 UTC" in page
    assert "in at most 5,000 records" in page
    assert article33(notice(rows_exact=False))["a"]["number_of_records_is_exact"] is False
