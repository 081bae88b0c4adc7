from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import PolicyError
from minimize.recipients.load import load_subprocessors
from tests.project import write_yaml

DESK = {"name": "Desk", "from": "2026-01-01", "until": "2026-07-01"}


def test_a_name_is_listed_from_its_first_day_to_before_its_last(tmp_path: Path) -> None:
    listed = load_subprocessors(write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": [DESK]}))
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1)]
    assert [listed.is_listed("Desk", day) for day in days] == [False, True, True, False]


def test_a_name_may_come_back(tmp_path: Path) -> None:
    again = {"name": "Desk", "from": "2026-09-01"}
    listed = load_subprocessors(write_yaml(tmp_path / "subprocessors.yaml", {"subprocessors": [DESK, again]}))
    assert [listed.is_listed("Desk", date(2026, month, 1)) for month in (6, 8, 9)] == [True, False, True]


def test_without_a_file_no_subprocessor_is_listed(tmp_path: Path) -> None:
    assert not load_subprocessors(tmp_path / "subprocessors.yaml").is_listed("Desk", date(2026, 2, 1))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"subprocessors": "Desk"}, "P006"),
        ({}, "P005"),
        ({"subprocessors": [{"name": "Desk"}]}, "P005"),
        ({"subprocessors": [{**DESK, "until": "2025-01-01"}]}, "T005"),
        ({"subprocessors": [DESK], "more": 1}, "P004"),
    ],
)
def test_a_list_with_a_fault_is_no_list(tmp_path: Path, body: dict[str, Any], code: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_subprocessors(write_yaml(tmp_path / "subprocessors.yaml", body))
    assert [one.code for one in caught.value.findings] == [code]
