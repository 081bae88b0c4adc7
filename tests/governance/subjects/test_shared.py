"""With whom a subject was shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.shared import Shared, acts, shared
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, Sender, sent
from tests.project import Builds


def told(shop: Sender, subject: Subject, *forms: str) -> list[Shared]:
    with open_ledger(find_ledger(shop.ledger)) as book:
        return list(shared(acts(book), subject, ["north", "south", "west"], shop.keys, forms))


@pytest.fixture(name="shop")
def _shop(builds: Builds, tmp_path: Path) -> Sender:
    builds.copy(sent, tmp_path)
    return Sender(tmp_path)


def test_the_acts_that_name_a_subject_are_told(shop: Sender) -> None:
    (act,) = told(shop, Subject("d-1", "north"))
    assert (act.recipient, act.function, act.purpose, act.at) == ("vendor", "sync", "operations", NOW)
    assert set(act.fields) == {"device_id", "event_time", "model"}
    assert act.as_json()["until"] == "2026-12-25T08:00:00Z"


def test_whose_tenant_did_not_agree_was_not_shared(shop: Sender) -> None:
    assert told(shop, Subject("d-4", "west")) == []


def test_the_same_id_of_another_tenant_is_somebody_else(shop: Sender) -> None:
    assert told(shop, Subject("d-1", "south")) == []
    assert len(told(shop, Subject("d-1"))) == 1


def test_a_whole_tenant_was_part_of_every_act_with_rows_of_it(shop: Sender) -> None:
    shop.share()
    assert len(told(shop, Subject(None, "south"))) == 2


def test_what_was_shared_from_an_output_is_told_by_the_form_it_has_there(shop: Sender) -> None:
    assert told(shop, Subject("unknown", "north")) == []
    assert len(told(shop, Subject("unknown", "north"), "d-3")) == 1
