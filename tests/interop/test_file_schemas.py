"""JSON Schemas of files: sound, documented, and in agreement with the loaders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from minimize.forms import examine_mapping
from minimize.interop.convert import FILE_FORMS, FILE_KINDS, file_schema
from tests.world import CONTRACT, access_file, assignment, sync, vendor_file

SCHEMAS = {kind: file_schema(kind) for kind in FILE_KINDS}
SOUND: Mapping[str, Mapping[str, Any]] = {
    "recipient": vendor_file(
        functions=sync(
            fields={
                "a": "keep",
                "/b/*": {"do": ["redact"], "values": ["x"], "optional": True},
                "c": {"type": "decimal(9,2)"},
            }
        ),
        contract={**CONTRACT, "deletes_within": "2w"},
    ),
    "subprocessors": {"subprocessors": [{"name": "Desk", "from": "2026-01-01", "until": "2026-07-01", "about": "x"}]},
    "access": access_file(
        assignment("analyst", "ann", groups=("support",), purposes=["operations"]),
        people={"Ann": ["ann"]},
        groups={"support": ["sam"], "insights": "external"},
        roles={"mine": {"copy": "analyst", "allow": ["settings/read"], "views": {"d": {"c": "presence"}}}},
        conflicts=[["mine", "operator"]],
        grants={"default": "4h", "break_glass": {"maximum": "30m"}},
    ),
    "contracts": {"contracts": [{"tenant": "n", "recipient": "vendor", **CONTRACT, "deletes_within": "2w"}]},
    "fixtures": {
        "attacks": {
            "records": ["crowd"],
            "quasi_identifiers": ["model"],
            "sensitive": ["state"],
            "person": "device_id",
            "at_most": {"singling_out": 0.05, "linkage": 0.1, "inference": 0.1},
        }
    },
    "contacts": {"contacts": [{"tenant_id": "n", "role": "privacy", "name": "Pia", "address": "pia@example.com"}]},
}
BETWEEN_PARTS = {"P002", "P008", "P009", "P014", "P018", "P101", "K005"}
"""Faults between parts of a file, and of names that depend on the configuration, which a schema does not know."""


def is_between_parts(code: str) -> bool:
    return (
        code in BETWEEN_PARTS
        or code[0] == "T"
        or code in {f"U{number:03}" for number in (3, 5, 6, 7, 8, 10, 11, 12, 13)}
    )


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_valid(kind: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[kind])


def described(part: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    target = parts.get(part.get("$ref", "").rpartition("/")[2], {})
    return any("description" in each for each in (part, target, *part.get("anyOf", ())))


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_every_key_is_described(kind: str) -> None:
    parts = SCHEMAS[kind].get("$defs", {})
    for form in (SCHEMAS[kind], *parts.values()):
        for key, part in form.get("properties", {}).items():
            assert described(part, parts), key


def paths(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    below = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, item in below:
        yield from paths(item, (*path, key))


VALUES: tuple[Any, ...] = (None, True, 0, 1, 1.5, "", "x", "a b", "all", "30d", [], ["x"], [1], [["x"]], {}, {"x": 1})


def replaced(document: Mapping[str, Any], path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> Any:
    changed = json.loads(json.dumps(document))
    part = changed
    for key in path[:-1]:
        part = part[key]
    change(part, path[-1])
    return changed


def mutations(kind: str) -> st.SearchStrategy[Any]:
    """The sound document of a kind with another value at one place, without one place, or with one more key."""

    def change(path: tuple[str | int, ...], value: Any) -> Any:
        def apply(part: Any, key: Any) -> None:
            if value == "removed":
                del part[key]
            elif value == "renamed" and isinstance(part, dict):
                part["renamed"] = part.pop(key)
            else:
                part[key] = deepcopy(value)

        return replaced(SOUND[kind], path, apply)

    return st.builds(change, st.sampled_from([*paths(SOUND[kind])]), st.sampled_from([*VALUES, "removed", "renamed"]))


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_document_is_accepted_by_both(kind: str) -> None:
    assert examine_mapping(FILE_FORMS[kind], SOUND[kind])[1] == []
    Draft202012Validator(SCHEMAS[kind]).validate(json.loads(json.dumps(SOUND[kind])))


@pytest.mark.parametrize("kind", SOUND)
def test_schema_and_loader_agree(kind: str) -> None:
    validator = Draft202012Validator(SCHEMAS[kind])

    @given(mutations(kind))
    def agree(document: Any) -> None:
        codes = [each.code for each in examine_mapping(FILE_FORMS[kind], document)[1]]
        assert validator.is_valid(document) == all(map(is_between_parts, codes)), codes

    agree()
