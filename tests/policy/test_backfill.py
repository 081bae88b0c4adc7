"""Backfill files: typed, with every fault at its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.runs.backfill import Backfill, load_backfill

HEAD = "backfill: b\npipeline: p\nreason: the bins were wrong\n"


def loaded(folder: Path, text: str) -> Backfill:
    file = folder / "b.yaml"
    file.write_text(text)
    return load_backfill(file)


def faults(folder: Path, text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(PolicyError) as caught:
        loaded(folder, text)
    return [(finding.code, finding.line) for finding in caught.value.findings]


def test_dates_and_spans_are_days_in_order_each_once(tmp_path: Path) -> None:
    found = loaded(tmp_path, HEAD + "dates: [2026-11-09, {from: 2026-11-01, to: 2026-11-03}, 2026-11-02]\n")
    assert [day.day for day in found.run_dates] == [1, 2, 3, 9]
    assert found.policy == "now"


def test_one_span_needs_no_list(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, HEAD + "dates: {from: 2026-10-30, to: 2026-11-02}\n").run_dates) == 4


def test_dates_are_left_out(tmp_path: Path) -> None:
    found = loaded(tmp_path, HEAD + "dates: {from: 2026-11-01, to: 2026-11-03}\nexcept: [2026-11-02]\npolicy: then\n")
    assert found.run_dates == (date(2026, 11, 1), date(2026, 11, 3))
    assert found.policy == "then"


def test_the_pipeline_is_found_from_the_files_folder(tmp_path: Path) -> None:
    assert loaded(tmp_path, HEAD + "dates: 2026-11-01\n").pipeline_path == tmp_path / "p"


def test_the_reference_in_receipts_follows_the_bytes(tmp_path: Path) -> None:
    one = loaded(tmp_path, HEAD + "dates: 2026-11-01\n").ref
    other = loaded(tmp_path, HEAD + "dates: 2026-11-02\n").ref
    assert one.name == other.name == "b"
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backfill: b\npipeline: p\ndates: 2026-11-01\n", [("P005", 1)]),
        (HEAD + "dates: tomorrow\n", [("P006", 4)]),
        (HEAD + "dates: {from: 2026-11-01}\n", [("P005", 4)]),
        (HEAD + "dates: {from: 2026-11-03, to: 2026-11-01}\n", [("P006", 4)]),
        (HEAD + "dates: {from: 2026-11-03, to: 9999-11-01}\n", [("P006", 4)]),
        (HEAD + "dates: 2026-11-01\nexcept: 2026-11-01\n", [("P006", 4)]),
        (HEAD + "dates: 2026-11-01\npolicy: before\n", [("P007", 5)]),
        (HEAD + "dates: 2026-11-01\nsettings: then\n", [("P004", 5)]),
        (HEAD.replace("the bins were wrong", '" "') + "dates: 2026-11-01\n", [("P006", 3)]),
        (HEAD.replace("backfill: b", "backfill: a/b") + "dates: 2026-11-01\n", [("P015", 1)]),
    ],
)
def test_faults_have_their_line(tmp_path: Path, text: str, expected: list[tuple[str, int]]) -> None:
    assert faults(tmp_path, text) == expected


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="the file does not exist"):
        load_backfill(tmp_path / "nowhere.yaml")
