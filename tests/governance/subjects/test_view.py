"""What is held of somebody, as a page.
What is held of somebody, and with whom it was shared.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from minimize.errors import ConfigurationError, KeyringError, LedgerError
from minimize.governance.subjects import DataSubject, view_subjects
from minimize.governance.subjects.subject_page import view_page
from minimize.governance.subjects.view import SubjectView
from minimize.workspace import Workspace as Places
from tests.project import AT, BEFORE, Project, event, events


class Tags(HTMLParser):
    """The tags of a page, which must close in order, and what they name to be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")] + [tag] * (tag == "script")
        if tag not in ("meta", "!doctype", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(project: Project, subject: DataSubject, *without: str) -> str:
    project.records(events(40))
    project.run()
    found = view_subjects([subject], Places(project.out / "ledger.db", keys=project.keys), AT)
    return view_page(found, redacted=without)


def test_a_page_shows_form_and_end_of_retention_and_no_place(project: Project) -> None:
    project.policy(retention="30d")
    text = page(project, DataSubject("d3", "south"))
    assert "Data held about d3 of south" in text
    assert "replaced by a code (pseudonym)" in text
    assert "<dt>Kept until</dt>" in text
    assert str(project.out) not in text, "a page for the data subject shows no place on the server"
    assert "No disclosure to third parties is recorded." in text
    assert "deletion request" not in text
    tags = Tags()
    tags.feed(text)
    assert (tags.open, tags.fetched) == ([], [])


def test_a_page_escapes_subject_ids(project: Project) -> None:
    assert "<b>d3" not in page(project, DataSubject("<b>d3", "south"))


def test_a_page_has_what_art_15_asks_for(project: Project) -> None:
    project.records(events(40))
    project.run()
    found = view_subjects([DataSubject("d3", "south")], Places(project.out / "ledger.db", keys=project.keys), AT)
    stated = {
        "controller": "Example <Ltd>",
        "contact": "privacy@example.com",
        "dpo": "dpo@example.com",
        "source": "your device",
    }
    text = view_page(found, processing=stated)
    for term in ("Purpose", "Kind of data", "Kept until", "Source", "Controller", "Data protection officer"):
        assert f"<dt>{term}</dt>" in text
    assert "Example &lt;Ltd&gt;" in text
    assert "your device" in text
    assert "Rectification" in text
    assert "Erasure" in text
    assert "supervisory authority" in text
    assert '<p class="status good">' in text
    assert "controller not stated" in view_page(found)


def test_a_page_uses_labels_and_words(project: Project) -> None:
    project.policy(
        {
            "model": {"type": "string", "do": "keep", "label": "Model of <your> device"},
            "storage": {"type": "integer", "do": "keep", "unit": "bytes"},
            "wifi": {"type": "boolean", "do": "keep"},
        }
    )
    project.records([event(3, storage=64_000_000_000, wifi=True)])
    project.run()
    found = view_subjects([DataSubject("d3", "south")], Places(project.out / "ledger.db", keys=project.keys), AT)
    assert found[0].rows == 1
    text = view_page(found)
    assert "Model of &lt;your&gt; device" in text
    assert ">64 GB</td>" in text
    assert ">yes</td>" in text
    assert "truncate_time" not in text


def test_a_value_with_backticks_is_shown_as_it_is(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    project.records([event(3, model="`a` <i>")])
    project.run()
    found = view_subjects([DataSubject("d3", "south")], Places(project.out / "ledger.db", keys=project.keys), AT)
    assert "`a` &lt;i&gt;" in view_page(found)


def test_500_fields_and_an_output_without_ledger_have_a_page(project: Project) -> None:
    project.policy({f"field_{number}": {"type": "integer", "do": "keep"} for number in range(500)})
    project.records([{**event(3), **{f"field_{number}": number for number in range(500)}}])
    project.run()
    (project.out / "ledger.db").unlink()
    found = view_subjects([DataSubject("d3")], Places(keys=project.keys), AT, named=[project.out])
    text = view_page(found)
    assert text.count('<th scope="row"') >= 500
    assert "was not searched, because there is no ledger" in text


def test_a_column_that_is_left_out_is_nowhere_on_it(project: Project) -> None:
    assert "model" not in page(project, DataSubject("d3", "south"), "model")


def seen(project: Project, subject: DataSubject, **places: Any) -> SubjectView:
    (found,) = view_subjects(
        [subject], Places(**{"keys": project.keys, "ledger": project.out / "ledger.db", **places}), AT
    )
    return found


def test_a_view_shows_place_form_start_and_end_of_retention(project: Project) -> None:
    project.policy(retention="30d")
    project.records([event(3)])
    receipt = project.run()
    body = seen(project, DataSubject("d3", "south")).to_json(rows=1)
    (held,) = body["held"]
    when = datetime.fromisoformat(event(3)["event_time"]).replace(minute=0, second=0)
    end = when + timedelta(hours=1, microseconds=-1)
    assert (held["pipeline"], held["purpose"], held["rows"]) == ("checkins", "service_maintenance", 1)
    assert datetime.fromisoformat(held["since"]) == when
    assert datetime.fromisoformat(held["until"]) == end + timedelta(days=30)
    assert held["fields"]["event_time"] == "truncate_time"
    assert "event_id" not in held["fields"]
    assert held["collected_by"] == receipt.run_id
    assert held["records"][0]["event_time"] == when.astimezone(UTC)


def test_a_view_of_an_unknown_subject_is_empty(project: Project) -> None:
    project.records(events(20))
    project.run()
    body = seen(project, DataSubject("d99", "south")).to_json()
    assert (body["rows"], body["held"], body["shared"], body["not_searched"]) == (0, [], [], [])


def test_no_record_is_shown_unless_it_is_asked_for(project: Project) -> None:
    project.records(events(40))
    project.run()
    assert all(each["records"] == [] for each in seen(project, DataSubject("d3")).to_json()["held"])


def test_without_a_ledger_the_outputs_must_be_named(project: Project) -> None:
    project.records(events(20))
    project.run()
    (project.out / "ledger.db").unlink()
    with pytest.raises(LedgerError):
        view_subjects([DataSubject("d3")], Places(keys=project.keys), AT)
    (found,) = view_subjects([DataSubject("d3")], Places(keys=project.keys), AT, named=[project.out])
    assert found.rows > 0


def test_a_ledger_that_is_named_must_be_there(project: Project) -> None:
    project.records(events(20))
    project.run()
    with pytest.raises(LedgerError):
        view_subjects(
            [DataSubject("d3")], Places(keys=project.keys, ledger=project.folder / "none.db"), AT, named=[project.out]
        )


def test_a_subject_view_requires_a_keyring(project: Project) -> None:
    project.records(events(20))
    project.run()
    with pytest.raises(KeyringError):
        view_subjects([DataSubject("d3")], Places(), AT, named=[project.out])


USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}
PEOPLE = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(events(60))]


def test_a_given_form_is_found_in_any_identifying_field(project: Project) -> None:
    project.policy({"user": USER})
    project.records(PEOPLE)
    project.run()
    found = seen(project, DataSubject("u2", field="user"))
    (form,) = found.records[0].forms
    again = seen(project, DataSubject(form, is_form=True))
    assert (again.rows, again.records[0].keys) == (found.rows, ("user",))
    assert seen(project, DataSubject(form, "south", is_form=True)).rows < found.rows
    assert seen(project, DataSubject("nobody", is_form=True)).rows == 0


def test_other_identifiers_in_the_rows_of_a_subject_are_counted(project: Project) -> None:
    project.policy({"user": USER})
    project.records(PEOPLE)
    project.run()
    (held,) = seen(project, DataSubject("u2", field="user")).to_json()["held"]
    assert held["beside"] == {"device_id": len({(e["device_id"], e["tenant_id"]) for e in PEOPLE if e["user"] == "u2"})}


def test_a_view_reports_how_many_row_groups_it_read(project: Project) -> None:
    project.records(events(40))
    project.records(events(40), BEFORE)
    project.run()
    assert seen(project, DataSubject("d99", "south")).to_json()["row_groups"] == {"all": 2, "read": 0}
    assert seen(project, DataSubject("d3", "south")).to_json()["row_groups"] == {"all": 2, "read": 2}


def test_a_tenant_that_nothing_names_is_noticed(project: Project) -> None:
    project.records(events(20))
    project.run()
    assert seen(project, DataSubject("d3", "nroth")).is_unseen
    assert not seen(project, DataSubject("d99", "north")).is_unseen


def test_a_field_that_no_policy_has_is_a_fault(project: Project) -> None:
    project.records(events(20))
    project.run()
    with pytest.raises(ConfigurationError, match="Did you mean `model`"):
        seen(project, DataSubject("d3", field="modle"))
