"""How files name persons: who can be compared with whom."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.governance.incidents.exposed_columns import PersonIdentifiers
from minimize.policy.load import policy_from_mapping
from tests.project import FIELDS, POLICY

PSEUDONYM = {"pseudonymize": {"key": "device", "per": "tenant_id"}}


def persons(do: Any, key: str = "device/1", pointer: str = "device_id") -> PersonIdentifiers:
    fields = FIELDS | {"device_id": {"type": "string", "role": "identifier", "do": do}}
    field = pa.field("device_id", pa.string(), metadata={"minimize:key": key})
    where = {"device_id": Pointer.parse(pointer)}
    return PersonIdentifiers.for_policy(policy_from_mapping(POLICY | {"fields": fields}), where, pa.schema([field]))


def space(do: Any, key: str = "device/1") -> Any:
    return persons(do, key).space


def test_what_came_as_it_is_names_each_once() -> None:
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
def test_what_gives_several_persons_one_name_names_nobody(do: Any) -> None:
    assert persons(do) == PersonIdentifiers()


def test_a_subject_that_was_dropped_is_not_named() -> None:
    assert PersonIdentifiers.for_policy(policy_from_mapping(POLICY), {}, pa.schema([])) == PersonIdentifiers()
