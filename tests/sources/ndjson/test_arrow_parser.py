""""""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.sources.files import LineBlock
from minimize.sources.ndjson.arrow_parser import (
    MAX_INFERRED_CELLS,
    MAX_INFERRED_KEYS,
    MIN_INFERRED_COLUMNS,
    InferredColumns,
    ParserOptions,
    TooManyRefused,
    parse_tables,
)
from minimize.sources.ndjson.line_scan import scan_lines

TYPES = pa.schema([("n", pa.int64()), ("s", pa.string()), ("d", pa.decimal128(6, 2))])


def parsed(lines: list[bytes], told: ParserOptions | None = None) -> list[int]:
    scanned = scan_lines(LineBlock(0, b"\n".join(lines)))
    found = list(parse_tables(scanned, np.arange(len(lines)), told or ParserOptions(TYPES, min_split_bytes=1)))
    assert all(table.num_rows == len(rows) for table, rows in found)
    return sorted(row for _, rows in found for row in rows.tolist())


def with_bad(bad: dict[int, bytes], size: int = 40) -> list[bytes]:
    return [bad.get(row, b'{"n":1,"s":"x"}') for row in range(size)]


@pytest.mark.parametrize(
    "line", [b'{"n":"x"}', b'{"n":1,"n":1}', b'{"n":1,}', b'{"n":1.5}', b'{"n":9223372036854775808}', b'{"d":"1.5"}']
)
def test_the_lines_that_are_refused_are_left_out_and_no_others(line: bytes) -> None:
    assert parsed(with_bad({0: line, 7: line, 8: line, 39: line})) == [
        row for row in range(40) if row not in (0, 7, 8, 39)
    ]


def test_lines_that_are_refused_without_a_row_are_found_by_halving() -> None:
    assert parsed(with_bad({7: b'{"u":[null,"x"]}', 21: b'{"d":1.234}'})) == [
        row for row in range(40) if row not in (7, 21)
    ]


def test_lines_with_a_key_of_several_kinds_are_left_out_from_the_first_of_another_kind_on() -> None:
    found = parsed(with_bad({3: b'{"u":1}', 9: b'{"u":"x"}', 12: b'{"u":1}'}, 80))
    assert found == [row for row in range(80) if row not in (9, 12)]


def test_many_lines_with_a_key_of_several_kinds_are_too_many() -> None:
    with pytest.raises(TooManyRefused):
        parsed([b'{"u":1}', b'{"u":"x"}'] * 20)


def test_where_other_keys_are_ignored_their_kinds_do_not_matter() -> None:
    assert parsed([b'{"u":1}', b'{"u":"x"}'] * 20, ParserOptions(TYPES, "ignore")) == [*range(40)]


def test_when_every_other_line_is_refused_there_are_too_many() -> None:
    with pytest.raises(TooManyRefused):
        parsed([b'{"n":1}', b'{"n":"x"}'] * 20)


def test_no_lines_are_no_tables() -> None:
    scanned = scan_lines(LineBlock(0, b"{}"))
    assert list(parse_tables(scanned, np.zeros(0, np.int64), ParserOptions(TYPES))) == []


def test_pieces_are_one_table_in_order_whatever_columns_each_of_them_has() -> None:
    lines = [b'{"n":1}', b'{"n":2,"u":1}', b'{"n":3,"v":{"k":1}}', b'{"n":4,"v":{"j":null}}', b'{"n":5,"u":null}']
    ((table, rows),) = parse_tables(
        scan_lines(LineBlock(0, b"\n".join(lines))), np.arange(5), ParserOptions(TYPES, block_bytes=8)
    )
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert table["n"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["u"].to_pylist() == [None, 1, None, None, None]


def test_pieces_whose_undeclared_values_have_nothing_in_common_are_tables_of_their_own() -> None:
    lines = [b'{"n":1,"u":1}', b'{"n":2,"u":"x"}', b'{"n":3,"u":"y"}']
    found = list(
        parse_tables(scan_lines(LineBlock(0, b"\n".join(lines))), np.arange(3), ParserOptions(TYPES, block_bytes=8))
    )
    assert [rows.tolist() for _, rows in found] == [[0], [1, 2]]


def test_a_line_that_is_refused_is_looked_for_in_its_piece_alone() -> None:
    lines = with_bad({7: b'{"n":"x"}', 21: b'{"n":1.5}', 22: b'{"n":'}, 60)
    assert parsed(lines, ParserOptions(TYPES, min_split_bytes=1, block_bytes=100)) == [
        row for row in range(60) if row not in (7, 21, 22)
    ]


def inferring(lines: list[bytes], inferred: InferredColumns) -> list[pa.Table]:
    scanned = scan_lines(LineBlock(0, b"\n".join(lines)))
    return [table for table, _ in parse_tables(scanned, np.arange(len(lines)), ParserOptions(TYPES), inferred)]


def test_lines_with_keys_of_their_own_are_too_many_before_each_is_a_column() -> None:
    with pytest.raises(TooManyRefused):
        inferring([b'{"n":1,"extra":{"k%d":1}}' % number for number in range(20_000)], InferredColumns())


def test_keys_that_come_up_now_and_then_are_columns_of_the_lines_around_them_at_first() -> None:
    inferred = InferredColumns()
    lines = [b'{"n":%d,"u":1%s}' % (n, b',"k%d":1' % n if n % 5_000 == 0 else b"") for n in range(20_000)]
    (table,) = inferring(lines, inferred)
    assert table["n"].to_pylist() == [*range(20_000)]
    assert [table[f"k{n}"].null_count for n in range(0, 20_000, 5_000)] == [19_999] * 4
    assert {each.num_columns for each in inferring(lines, inferred)} == {table.num_columns}


def test_a_column_that_changes_its_type_is_inferred_again() -> None:
    inferred = InferredColumns()
    numbers, texts = ([b'{"n":1,"u":%s}' % value] * 3_000 for value in (b"1", b'"2026-11-24T00:00:00Z"'))
    for lines, count in ((numbers, 3_000), (texts, 3_000), (numbers + texts, 6_000), (texts, 3_000)):
        assert sum(table.num_rows for table in inferring(lines, inferred)) == count


def test_a_line_with_very_many_keys_is_left_out() -> None:
    wide = b'{"n":1,%s}' % b",".join(b'"k%d":1' % number for number in range(MAX_INFERRED_KEYS))
    assert parsed([b'{"n":1}', wide, b'{"n":2}']) == [0, 2]


def test_a_table_has_no_more_values_than_it_may() -> None:
    names = [b'"k%d":1' % number for number in range(MIN_INFERRED_COLUMNS // 4)]
    lines = [b'{"n":1,%s}' % names[number % len(names)] for number in range(3 * MAX_INFERRED_CELLS // len(names))]
    found = inferring(lines, InferredColumns())
    assert len(found) > 1
    assert all(table.num_rows * table.num_columns <= 2 * MAX_INFERRED_CELLS for table in found)
