"""Whom a request is about."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.governance.subjects.requests import DataSubject, collect_subjects, load_subjects


def test_subjects_are_named_once_each_in_their_order() -> None:
    assert collect_subjects(["b", "a", "b"], "north") == (DataSubject("b", "north"), DataSubject("a", "north"))


def test_a_tenant_alone_is_the_whole_tenant() -> None:
    (whole,) = collect_subjects([], "north")
    assert whole.is_tenant
    assert whole.tenant == "north"


def test_a_file_in_which_nobody_stands_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("subject,tenant_id\n")
    with pytest.raises(ConfigurationError, match="nobody is named"):
        collect_subjects([], file=tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "subject,tenant_id,field\nd1,north,\n,south,\nu1,,user_id\n"),
        (
            "a.ndjson",
            '{"subject": "d1", "tenant_id": "north"}\n\n{"tenant_id": "south"}\n{"subject": "u1", "field": "user_id"}\n',
        ),
    ],
)
def test_a_file_names_devices_users_and_tenants(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = (DataSubject("d1", "north"), DataSubject(None, "south"), DataSubject("u1", None, "user_id"))
    assert load_subjects(tmp_path / name) == found


def test_parquet_names_them_alike(tmp_path: Path) -> None:
    pq.write_table(pa.table({"subject": ["d1", None], "tenant_id": ["north", "south"]}), tmp_path / "a.parquet")
    assert load_subjects(tmp_path / "a.parquet") == (DataSubject("d1", "north"), DataSubject(None, "south"))


def test_a_header_alone_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject\n")
    assert load_subjects(tmp_path / "a.csv") == ()


def test_what_a_row_does_not_say_is_what_was_given(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\nd1,\nd2,south\n")
    found = load_subjects(tmp_path / "a.csv", "north", "serial")
    assert found == (DataSubject("d1", "north", "serial"), DataSubject("d2", "south", "serial"))


def test_a_row_that_names_nobody_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\nd1,\n,\n")
    with pytest.raises(PolicyError) as told:
        load_subjects(tmp_path / "a.csv")
    assert [(each.code, each.line) for each in told.value.findings] == [("Q002", 3)]


@pytest.mark.parametrize("content", [b"who,when\na,b\n", b"\xff\xfe", b'subject\n"d1\n'])
def test_a_file_that_holds_no_subjects_is_refused_without_a_word_of_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(PolicyError) as told:
        load_subjects(tmp_path / "a.csv")
    assert told.value.findings[0].code == "Q001"
    assert "d1" not in str(told.value)


def test_nobody_is_printed() -> None:
    assert "d1" not in repr(DataSubject("d1", "north"))
