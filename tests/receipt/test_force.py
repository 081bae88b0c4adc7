from __future__ import annotations

from minimize.receipts import (
    FileRef,
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    WrittenOutput,
    check_file_history,
    files_in_force,
    quarantine_files_in_force,
)

from .make import small

DAY1 = ReceiptFile("records/date=2026-11-24/a-0.parquet", 3, "sha256:a")
DAY2 = ReceiptFile("records/date=2026-11-25/b-0.parquet", 4, "sha256:b")
AGAIN = ReceiptFile("records/date=2026-11-24/c-0.parquet", 2, "sha256:c")


def _writes(sequence: int, *files: ReceiptFile, replaces: tuple[FileRef, ...] = (), name: str = "records") -> Receipt:
    output = WrittenOutput("pseudonymized", sum(file.rows for file in files), files=files)
    return small(sequence, outputs={name: output}, replaces=replaces)


def _ref(file: ReceiptFile) -> FileRef:
    return FileRef(file.path, file.digest)


def test_runs_of_different_dates_stand_side_by_side() -> None:
    assert files_in_force([_writes(1, DAY1), _writes(2, DAY2)]) == {"records": [DAY1, DAY2]}


def test_a_run_of_the_same_date_replaces_its_files() -> None:
    receipts = [_writes(1, DAY1), _writes(2, DAY2), _writes(3, AGAIN, replaces=(_ref(DAY1),))]
    assert files_in_force(receipts) == {"records": [AGAIN, DAY2]}


def test_the_sequence_decides_never_the_order_given() -> None:
    receipts = [_writes(3, AGAIN, replaces=(_ref(DAY1),)), _writes(2, DAY2), _writes(1, DAY1)]
    assert files_in_force(receipts) == {"records": [AGAIN, DAY2]}


def test_what_is_removed_is_gone_and_its_name_stays() -> None:
    removal = small(2, kind="delete", removes=(_ref(DAY1),))
    assert files_in_force([_writes(1, DAY1), removal]) == {"records": []}


def test_every_output_has_its_own_set() -> None:
    fleet = ReceiptFile("fleet/date=2026-11-24/a.parquet", 1, "sha256:f")
    assert files_in_force([_writes(1, DAY1), _writes(2, fleet, name="fleet")]) == {"records": [DAY1], "fleet": [fleet]}


def test_quarantine_is_replaced_with_its_date() -> None:
    first = ReceiptFile("quarantine/date=2026-11-24/a.parquet", 1, "sha256:q")
    second = ReceiptFile("quarantine/date=2026-11-24/c.parquet", 2, "sha256:r")
    receipts = [
        small(1, quarantine=QuarantineEntry(1, {"malformed": 1}, (first,))),
        small(2, quarantine=QuarantineEntry(2, {"malformed": 2}, (second,)), replaces=(_ref(first),)),
    ]
    assert quarantine_files_in_force(receipts) == [second]
    assert quarantine_files_in_force(receipts[:1]) == [first]


def test_a_whole_history_has_no_findings() -> None:
    assert check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(_ref(DAY1),))]) == []


def test_replacing_what_does_not_stand_is_found() -> None:
    assert [f.code for f in check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(_ref(DAY2),))])] == [
        "V006"
    ]


def test_replacing_a_file_of_another_digest_is_found() -> None:
    stale = FileRef(DAY1.path, "sha256:other")
    assert [f.code for f in check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(stale,))])] == ["V006"]


def test_a_file_name_that_is_used_again_is_found() -> None:
    receipts = [_writes(1, DAY1), _writes(2, DAY1, replaces=(_ref(DAY1),))]
    assert [f.code for f in check_file_history(receipts)] == ["V006"]
