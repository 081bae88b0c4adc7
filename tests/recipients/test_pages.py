from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from minimize.pages import html_page, markdown_page
from minimize.recipients import load_recipient, load_recipients
from minimize.recipients.pages import (
    example_array,
    example_text,
    function_sections,
    recipient_document,
    recipient_status,
    treated_example,
)
from tests.pipelines.shipped import RECIPIENTS
from tests.world import sync, vendor


def shown(**field: Any) -> tuple[str, str]:
    found = vendor(contract=None, functions=sync(fields={"a": field})).functions["sync"].fields["a"]
    return example_text(found), treated_example(found)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"do": "keep", "example": "x"}, ("x", "x")),
        ({"type": "integer", "do": {"bin": {"width": 10}}, "example": 87}, ("87", "80")),
        ({"type": "boolean", "do": "keep", "example": False}, ("false", "false")),
        (
            {"type": "date", "do": {"truncate_time": {"to": "month"}}, "example": "2026-10-05"},
            ("2026-10-05", "2026-10-01"),
        ),
        (
            {"type": "timestamp", "do": {"truncate_time": {"to": "day"}}, "example": "2026-11-24T10:12:41Z"},
            ("2026-11-24T10:12:41Z", "2026-11-24T00:00:00Z"),
        ),
        ({"do": [{"truncate_version": 2}, {"mask": {"keep_first": 2}}], "example": "14.4.1"}, ("14.4.1", "14****")),
    ],
)
def test_an_example_is_treated_as_a_value_is(field: dict[str, Any], told: tuple[str, str]) -> None:
    assert shown(**field) == told


@pytest.mark.parametrize(
    "field",
    [
        {"do": "drop"},
        {"role": "secret", "do": "pass_through"},
        {"do": {"pseudonymize": {"key": "k"}}},
        {"do": {"tokenize": {"key": "k"}}},
        {"type": "integer", "do": "keep"},
    ],
)
def test_an_example_that_is_dropped_keyed_or_invalid_is_not_shown(field: dict[str, Any]) -> None:
    assert shown(**field, example="x")[1] == ""


def test_a_result_that_depends_on_the_time_of_the_run_is_not_shown() -> None:
    assert shown(type="date", do={"age": {"unit": "years"}}, example="2020-01-01") == ("2020-01-01", "")


def test_without_an_example_there_is_nothing() -> None:
    assert shown(do="keep") == ("", "")


def test_every_shipped_example_is_of_its_type() -> None:
    known = load_recipients(RECIPIENTS)
    fields = [
        field
        for name in known.names()
        for function in known.load(name).functions.values()
        for field in function.fields.values()
    ]
    assert [field.key for field in fields if field.example is not None and example_array(field) is None] == []
    assert {field.key for field in fields if field.example is None} == {
        field.key for field in fields if field.role == "secret"
    }


EVIL = "<script>alert('x')</script> | `a` *b*\nnext"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_each_field_has_its_example_its_use_and_its_form() -> None:
    lines = markdown_page(recipient_document(vendor())).splitlines()
    assert "| app_id | com.example.mail | com.example.mail | identifies the app | unchanged |" in lines
    (device,) = (line for line in lines if line.startswith("| device_id |"))
    assert device.startswith("| device_id |  |  | names the device | replaced by a code (pseudonym)")
    assert "| token |  |  | reaches the device | passed through; never stored, logged or counted |" in lines
    assert "| owner |  |  | no purpose needs it | not passed on |" in lines


def test_purpose_text_and_contract_are_above_the_table() -> None:
    text = markdown_page(recipient_document(vendor()))
    assert "Purpose: operations." in text
    assert "Which apps a device has goes to the vendor. (version 1 of this text)" in text
    assert (
        "The offered contract: C-1, from 2026-01-01 until 2027-01-01; the recipient keeps the data for 30 days." in text
    )


def test_a_table_names_the_form_in_which_a_field_is_sent_or_stored() -> None:
    sent, received = function_sections(load_recipient(RECIPIENTS / "google.yaml"))
    assert (sent.headings[2], received.headings[2]) == ("as sent", "as stored")


def test_without_a_contract_the_list_states_it() -> None:
    assert "No contract permits sending data to this recipient." in markdown_page(
        recipient_document(vendor(contract=None))
    )


def test_the_lines_of_google_are_grouped() -> None:
    (out, back) = function_sections(load_recipient(RECIPIENTS / "google.yaml"))
    assert sum(line[0].startswith("device data: ") for line in out.lines) == 11
    assert out.paragraphs[-1] == "Prerequisites: google_account."
    assert len(back.lines) == 7


def test_an_underscore_is_escaped_where_it_would_become_markup() -> None:
    fields = {"a_b": {"do": "keep", "about": "_mark_ a_b"}}
    assert r"| a_b | \_mark\_ a_b | unchanged |" in markdown_page(
        recipient_document(vendor(functions=sync(fields=fields)))
    )


def test_the_page_of_the_on_premises_product_states_that_nothing_is_sent_and_what_is_received() -> None:
    text = markdown_page(recipient_document(load_recipient(RECIPIENTS / "configmgr.yaml")))
    assert "No data is sent to this recipient, and the data below is received from it." in text
    assert "Site summary: received from this recipient" in text
    assert "| contact_email |" in text


def test_the_page_names_the_one_permission_of_a_function() -> None:
    text = markdown_page(recipient_document(load_recipient(RECIPIENTS / "jamf.yaml")))
    assert "granted by an administrator of the tenant: update_device_attributes." in text.replace("\\_", "_")


def test_the_content_of_a_file_becomes_no_markup() -> None:
    fields = {"a": {"do": "keep", "about": EVIL, "example": EVIL}}
    evil = vendor(about=EVIL, functions=sync(fields=fields, text=EVIL))
    assert set(Tags(html_page(recipient_document(evil))).found) == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "main",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "strong",
        "span",
        "code",
        "colgroup",
        "col",
    }
    row = next(line for line in markdown_page(recipient_document(evil)).splitlines() if line.startswith("| a |"))
    assert row.replace(r"\|", "").count("|") == 6
    assert "<script>" not in markdown_page(recipient_document(evil)).replace(r"\<", "")


def test_an_aggregate_is_described_as_one() -> None:
    said = sync(aggregate="fleet", fields={"events": {"type": "integer", "do": "keep"}})
    assert "Only counts and statistics of groups, never single records: fleet." in markdown_page(
        recipient_document(vendor(functions=said))
    )


def test_the_end_of_the_relationship_and_the_deletion_period_are_stated() -> None:
    text = markdown_page(recipient_document(load_recipient(RECIPIENTS / "apple.yaml")))
    assert "At the end of the relationship: the token is disabled here, and the account is deleted at Apple." in text
    assert "and deletes data on request within 30 days." in text


def test_the_page_fetches_nothing_and_is_made_for_dark_screens_and_paper() -> None:
    page = html_page(recipient_document(load_recipient(RECIPIENTS / "apple.yaml")))
    assert not [word for word in ("http:", "https://fonts", "src=", "@import", "<script") if word in page]
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_listed_values_optional_fields_and_protocol_versions_are_printed() -> None:
    lines = markdown_page(recipient_document(load_recipient(RECIPIENTS / "apple.yaml"))).splitlines()
    (status,) = (line for line in lines if line.startswith("| profile_status | assigned"))
    assert status.endswith("| unchanged; only empty, assigned, pushed, removed |")
    (support,) = (line for line in lines if line.startswith("| support_email_address"))
    assert "(optional, protocol 2 and later)" in support


@pytest.mark.parametrize(
    ("authorized", "told"),
    [
        (None, "needs your authorization for each function"),
        ([], "you have not authorized"),
        (["push"], "you have authorized 1 of 9 functions"),
    ],
)
def test_a_page_begins_with_what_a_recipient_gets_and_whether_it_is_authorized(
    authorized: list[str] | None, told: str
) -> None:
    status = recipient_status(load_recipient(RECIPIENTS / "apple.yaml"), authorized)
    assert status.headline == "Apple receives 27 data items for 3 functions and sends 60 data items for 6 functions"
    assert list(status.items) == ["independent controller", told]


def test_a_field_of_a_shared_row_has_its_own_name_and_a_label_replaces_it() -> None:
    (push,) = (
        each for each in function_sections(load_recipient(RECIPIENTS / "apple.yaml")) if each.title.startswith("push:")
    )
    assert [row[0] for row in push.table.rows] == ["Token", "PushMagic"]
    assert "example" not in push.table.head, "a column that is empty in every row is left out"
    fields = {"a_b": {"do": "keep", "label": "Name of the <app>"}}
    assert "Name of the &lt;app&gt;" in html_page(recipient_document(vendor(functions=sync(fields=fields))))


def test_both_sides_of_an_end_are_printed_for_google() -> None:
    said = "Android enterprise management is disabled in the console, and the Google account is deleted at Google."
    assert said in markdown_page(recipient_document(load_recipient(RECIPIENTS / "google.yaml")))


def test_a_contract_with_an_agent_is_the_organization_s_own_and_that_with_another_is_offered() -> None:
    agent = markdown_page(recipient_document(vendor(standing="agent", subprocessor="Helper")))
    assert "Contract C-1, from 2026-01-01" in agent
    assert "tenant's own contract" not in agent
    other = markdown_page(recipient_document(vendor()))
    assert "Data is exchanged only under the tenant's own contract with this recipient." in other
    assert "The offered contract: C-1, from 2026-01-01" in other
