"""Tenants and subjects that are shown stand in their canonical form, and are counted by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.identifiers import canonical_text
from minimize.verification import check
from minimize.verification.values import canonical_id, canonical_ids

from .make import OutputWriter, column, policy

KEEP = {"type": "string", "do": "keep"}
IDS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \xa0\u200b\u0301e\u2003"), max_size=8)


@pytest.fixture
def writer(tmp_path: Path) -> OutputWriter:
    return OutputWriter(tmp_path)


def shown(writer: OutputWriter, *ids: str, **changes: Any) -> list[tuple[str, str]]:
    """What is found in records that show these tenants, each in one row."""
    table = pa.table([pa.array(ids)], schema=pa.schema([column(pa.string(), "keep", "org")]))
    writer.run(policy({"org": KEEP}, **changes), {"records": table})
    found = check(writer.output, keys=writer.keyring)
    return [(each.code, each.severity) for each in found if each.code != "V008"]


@given(IDS)
def test_its_own_reading_agrees_with_the_package(text: str) -> None:
    assert canonical_id(text) == canonical_text(text)


@pytest.mark.parametrize("head", ["tenant", "subject"])
@pytest.mark.parametrize("padded", ["acme ", "\u00a0acme", "acme\u200b", "cafe\u0301"])
def test_an_id_that_is_not_canonical_is_a_warning(writer: OutputWriter, head: str, padded: str) -> None:
    assert shown(writer, "north", padded, **{head: "org"}) == [("V038", "warning")]


def test_canonical_ids_are_fine(writer: OutputWriter) -> None:
    assert shown(writer, "acme", "caf\u00e9", "a b", tenant="org") == []


def test_other_columns_may_have_any_form(writer: OutputWriter) -> None:
    assert shown(writer, "acme ") == []


def test_invalid_utf8_is_left_to_other_rules() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff ")])
    assert canonical_ids(broken) is broken
