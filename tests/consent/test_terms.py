from __future__ import annotations

from pathlib import Path

import pytest

from minimize.consent import current_terms
from minimize.consent.terms import ConsentTerms, parse_terms
from minimize.errors import PolicyError
from minimize.recipients import load_recipient
from tests.pipelines.shipped import RECIPIENTS
from tests.project import write_yaml
from tests.world import SHARED_FIELDS, sync, vendor, vendor_file


def test_the_terms_hold_what_leaves_and_nothing_else() -> None:
    terms = current_terms(vendor(), "sync")
    assert list(terms.forms) == ["app_id", "device_id", "token"]
    assert terms.forms["token"] == "pass_through"


def test_terms_come_back_from_their_text() -> None:
    terms = current_terms(load_recipient(RECIPIENTS / "google.yaml"), "android_management")
    assert parse_terms(terms.text) == terms


def test_equal_terms_have_one_digest_in_any_order_of_fields() -> None:
    turned = vendor(functions=sync(fields=dict(reversed(SHARED_FIELDS.items()))))
    assert current_terms(turned, "sync").digest == current_terms(vendor(), "sync").digest


def test_descriptive_keys_of_a_field_are_no_part_of_the_terms() -> None:
    told = {**SHARED_FIELDS, "app_id": {"do": "keep", "about": "something else", "example": "other"}}
    assert current_terms(vendor(functions=sync(fields=told)), "sync") == current_terms(vendor(), "sync")


def test_a_hierarchy_is_its_file_and_not_its_name(tmp_path: Path) -> None:
    fields = {"model": {"generalize": {"hierarchy": "models.csv", "level": 1}}}
    path = write_yaml(tmp_path / "vendor.yaml", vendor_file(functions=sync(fields=fields)))
    digests = []
    for maker in ("one", "other"):
        (tmp_path / "models.csv").write_text(f"a1,{maker},*\n")
        digests.append(current_terms(load_recipient(path), "sync").digest)
    assert digests[0] != digests[1]


def test_a_function_that_is_not_there_gets_a_hint() -> None:
    with pytest.raises(PolicyError, match="Did you mean `sync`"):
        current_terms(vendor(), "snyc")
    with pytest.raises(PolicyError, match="Add the function"):
        current_terms(vendor(functions={}), "sync")


def test_an_agreement_to_groups_is_none_to_records() -> None:
    fields = {"events": {"type": "integer", "do": "keep"}}
    groups = current_terms(vendor(functions=sync(aggregate="fleet", fields=fields)), "sync")
    records = current_terms(vendor(functions=sync(fields=fields)), "sync")
    assert groups.coverage_gap(records, ["events"]) == records.coverage_gap(groups, ["events"]) == "other_fields"


def test_terms_recorded_with_an_earlier_word_cover_those_with_the_current_one() -> None:
    current = ConsentTerms("outbound", "processor", "operations", 1, {"model": "keep"})
    earlier = parse_terms(current.text.replace("processor", "agent"))
    assert (earlier, earlier.coverage_gap(current, ["model"])) == (current, None)
