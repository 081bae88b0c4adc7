"""What a column tells whoever has it, once keys are known.
How files name persons: who can be compared with whom.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.governance.incidents.exposure import (
    EXPOSED_FORMS,
    CompromisedKeys,
    PersonIdentifiers,
    encrypting_keys,
    most_revealing,
    technique_keys,
    uses_keys,
)
from minimize.policy.load import policy_from_mapping
from tests.project import FIELDS, POLICY

MASTERS = ("encrypt.footer/1", "encrypt.identified/1", "encrypt.pseudonymized/2")


def column(category: str = "pseudonymized", technique: str = "pseudonymize", key: str = "device/1") -> pa.Field:
    said = {"minimize:category": category, "minimize:technique": technique, "minimize:key": key}
    return pa.field("x", pa.string(), metadata={name: value for name, value in said.items() if value})


@pytest.mark.parametrize("category", ["identified", "pseudonymized", "aggregated"])
def test_without_keys_a_column_has_the_form_of_its_category(category: str) -> None:
    assert CompromisedKeys().column(column(category), ()).form == category


@pytest.mark.parametrize(("keys", "form"), [("device/1", "identified"), ("device/2", "pseudonymized")])
def test_a_compromised_pseudonym_key_makes_a_column_identified(keys: str, form: str) -> None:
    assert CompromisedKeys(frozenset({keys})).column(column(), ()).form == form


def test_a_reversed_date_shift_identifies_no_person() -> None:
    assert CompromisedKeys(frozenset({"device/1"})).column(column(technique="shift_dates"), ()).form == "pseudonymized"


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        ((), "encrypted"),
        (("encrypt.identified/1",), "encrypted"),
        (("encrypt.pseudonymized/1",), "encrypted"),
        (("device/1",), "encrypted"),
        (("encrypt.pseudonymized/2",), "pseudonymized"),
        (("encrypt.pseudonymized/2", "device/1"), "identified"),
    ],
)
def test_an_encrypted_column_is_opened_only_by_its_own_master_key(keys: tuple[str, ...], form: str) -> None:
    assert CompromisedKeys(frozenset(keys)).column(column(), MASTERS).form == form


def test_data_read_through_the_server_was_decrypted() -> None:
    assert CompromisedKeys(is_decrypted=True).column(column(), MASTERS).form == "pseudonymized"


def test_a_tenant_has_master_keys_of_its_own() -> None:
    assert encrypting_keys("identified", ["encrypt.identified.t-north/3"]) == {"encrypt.identified.t-north/3"}


def test_a_key_reaches_columns_made_with_it_or_encrypted_under_it() -> None:
    assert uses_keys(column(), (), ["device/1"])
    assert uses_keys(column(key=""), MASTERS, ["encrypt.pseudonymized/2"])
    assert not uses_keys(column(), MASTERS, ["device/2", "encrypt.identified/1"])


def test_a_nested_column_was_made_with_the_keys_of_all_its_leaves() -> None:
    nested = pa.field("x", pa.string(), metadata={"minimize:key/a": "device/1", "minimize:key/b": "user/2,device/1"})
    assert technique_keys(nested) == {"device/1", "user/2"}


def test_the_most_revealing_form_is_chosen() -> None:
    assert most_revealing(EXPOSED_FORMS) == "identified"
    assert most_revealing(form for form in ("aggregated", "encrypted")) == "aggregated"


PSEUDONYM = {"pseudonymize": {"key": "device", "per": "tenant_id"}}


def persons(do: Any, key: str = "device/1", pointer: str = "device_id") -> PersonIdentifiers:
    fields = FIELDS | {"device_id": {"type": "string", "role": "identifier", "do": do}}
    field = pa.field("device_id", pa.string(), metadata={"minimize:key": key})
    where = {"device_id": Pointer.parse(pointer)}
    return PersonIdentifiers.for_policy(policy_from_mapping(POLICY | {"fields": fields}), where, pa.schema([field]))


def space(do: Any, key: str = "device/1") -> Any:
    return persons(do, key).space


def test_an_unchanged_identifier_names_each_person_once() -> None:
    assert space("keep").exact


def test_pseudonyms_of_one_key_version_can_be_compared() -> None:
    assert space(PSEUDONYM) == space(PSEUDONYM)
    assert space(PSEUDONYM).exact
    assert space(PSEUDONYM) != space(PSEUDONYM, "device/2")


def test_pseudonyms_that_rotate_give_one_person_several_names() -> None:
    assert not space({"pseudonymize": {"key": "device", "per": "tenant_id", "rotate": "day"}}).exact


def test_fields_that_are_linked_have_names_in_common() -> None:
    assert "|" in space({"pseudonymize": {"key": "device", "link": "hardware"}}).id
    assert space({"pseudonymize": {"key": "device", "link": "hardware"}}) != space({"pseudonymize": {"key": "device"}})


@pytest.mark.parametrize("do", [{"mask": {"keep_last": 2}}, ["keep", {"top": {"keep": 2, "other": "x"}}]])
def test_a_technique_that_merges_persons_identifies_none(do: Any) -> None:
    assert persons(do) == PersonIdentifiers()


def test_a_subject_that_was_dropped_is_not_named() -> None:
    assert PersonIdentifiers.for_policy(policy_from_mapping(POLICY), {}, pa.schema([])) == PersonIdentifiers()
