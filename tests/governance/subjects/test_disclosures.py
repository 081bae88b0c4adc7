"""With whom a subject was shared."""

from __future__ import annotations

from minimize.governance.subjects.disclosures import SubjectDisclosure, load_disclosures
from minimize.governance.subjects.disclosures import disclosures_of as shares
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, Sender


def told(shared: Sender, subject: DataSubject, *forms: str) -> list[SubjectDisclosure]:
    with open_ledger(find_ledger(shared.ledger)) as book:
        return list(shares(load_disclosures(book), subject, ["north", "south", "west"], shared.keys, forms))


def test_disclosures_of_a_subject_are_listed(shared: Sender) -> None:
    (act,) = told(shared, DataSubject("d-1", "north"))
    assert (act.recipient, act.function, act.purpose, act.shared_at) == ("vendor", "sync", "operations", NOW)
    assert set(act.fields) == {"device_id", "event_time", "model"}
    assert act.to_json()["until"] == "2026-12-25T08:00:00Z"


def test_a_tenant_without_consent_has_no_disclosure(shared: Sender) -> None:
    assert told(shared, DataSubject("d-4", "west")) == []


def test_the_same_id_of_another_tenant_is_another_subject(shared: Sender) -> None:
    assert told(shared, DataSubject("d-1", "south")) == []
    assert len(told(shared, DataSubject("d-1"))) == 1


def test_a_whole_tenant_was_part_of_every_act_with_rows_of_it(shared: Sender) -> None:
    shared.share()
    assert len(told(shared, DataSubject(None, "south"))) == 2


def test_disclosures_from_an_output_are_found_by_the_subjects_form_there(shared: Sender) -> None:
    assert told(shared, DataSubject("unknown", "north")) == []
    assert len(told(shared, DataSubject("unknown", "north"), "d-3")) == 1
