from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.checkpoints import at_checkpoint
from minimize.sources.files import LineBlock
from minimize.sources.ndjson import arrow_reader as module
from minimize.sources.ndjson.arrow_reader import MAX_COLUMNS, MAX_KEYS, LinesParser, ParserOptions
from minimize.sources.ndjson.line_scan import scan_lines

TYPES = pa.schema([("n", pa.int64()), ("s", pa.string()), ("d", pa.decimal128(6, 2))])


def parsed(lines: list[bytes], block_bytes: int = 1 << 20) -> list[int]:
    scanned = scan_lines(LineBlock(0, b"\n".join(lines)))
    parser = LinesParser(ParserOptions(TYPES, block_bytes=block_bytes))
    found = list(parser.tables(scanned, np.arange(len(lines))))
    assert all(table.num_rows == len(rows) for table, rows in found)
    rows = [row for _, rows in found for row in rows.tolist()]
    assert rows == sorted(rows)
    return rows


def with_bad(bad: dict[int, bytes], size: int = 40) -> list[bytes]:
    return [bad.get(row, b'{"n":1,"s":"x"}') for row in range(size)]


@pytest.mark.parametrize(
    "line", [b'{"n":"x"}', b'{"n":1,"n":1}', b'{"n":1,}', b'{"n":1.5}', b'{"n":9223372036854775808}', b'{"d":"1.5"}']
)
def test_the_lines_that_are_refused_are_left_out_and_no_others(line: bytes) -> None:
    assert parsed(with_bad({0: line, 7: line, 8: line, 39: line})) == [
        row for row in range(40) if row not in (0, 7, 8, 39)
    ]


@pytest.mark.parametrize("value", [b"1.5", b" 1.5", b"-1e3", b"9223372036854775808"])
def test_a_number_that_does_not_fit_is_found_by_its_text(value: bytes) -> None:
    rows = parsed(with_bad({7: b'{"n":%s}' % value, 21: b'{"n":2.5}', 30: b'{"s":"1.5"}'}))
    assert {*range(40)} - {*rows} <= {7, 21, 30}
    assert not {7, 21} & {*rows}


def test_lines_that_are_refused_without_a_row_or_a_number_are_found_by_halving() -> None:
    lines = [b'{"n":1,"s":"%s"}' % (b"x" * 500)] * 200
    lines[7], lines[21] = b'{"u":[null,"x"]}', b'{"d":1.234}'
    rows = parsed(lines)
    assert not {7, 21} & {*rows}
    assert len(rows) > 180


def test_lines_with_a_key_of_another_kind_are_left_out() -> None:
    found = parsed(with_bad({3: b'{"u":1}', 9: b'{"u":"x"}', 12: b'{"u":1}'}, 80))
    assert found == [row for row in range(80) if row != 9]


def test_when_every_other_line_is_refused_none_is_parsed() -> None:
    assert parsed([b'{"n":1}', b'{"n":"x"}'] * 200) == []


def test_numbers_that_do_not_fit_are_looked_for_a_few_times() -> None:
    assert parsed([b'{"n":%d.5}' % number for number in range(200)]) == []


def test_no_lines_are_no_tables() -> None:
    scanned = scan_lines(LineBlock(0, b"{}"))
    assert list(LinesParser(ParserOptions(TYPES)).tables(scanned, np.zeros(0, np.int64))) == []


def tables(lines: list[bytes], parser: LinesParser) -> list[tuple[pa.Table, list[int]]]:
    scanned = scan_lines(LineBlock(0, b"\n".join(lines)))
    found = parser.tables(scanned, np.arange(len(lines)))
    return [(table, rows.tolist()) for table, rows in found]


def test_pieces_with_different_columns_are_one_table_in_order() -> None:
    lines = [b'{"n":1}', b'{"n":2,"u":1}', b'{"n":3,"v":{"k":1}}', b'{"n":4,"v":{"j":null}}', b'{"n":5,"u":null}']
    ((table, rows),) = tables(lines, LinesParser(ParserOptions(TYPES, block_bytes=8)))
    assert rows == [0, 1, 2, 3, 4]
    assert table["n"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["u"].to_pylist() == [None, 1, None, None, None]


def test_pieces_whose_undeclared_values_have_nothing_in_common_are_tables_of_their_own() -> None:
    lines = [b'{"n":1,"u":1}', b'{"n":2,"u":"x"}', b'{"n":3,"u":"y"}', b'{"n":3,"u":"z"}']
    found = tables(lines, LinesParser(ParserOptions(TYPES, block_bytes=8)))
    assert [rows for _, rows in found] == [[0], [2, 3]]


def test_a_line_that_is_refused_is_looked_for_in_its_piece_alone() -> None:
    lines = with_bad({7: b'{"n":"x"}', 21: b'{"n":1.5}', 22: b'{"n":'}, 60)
    assert parsed(lines, 100) == [row for row in range(60) if row not in (7, 21, 22)]


@pytest.mark.parametrize("values", [(b"1", b"1.5"), (b"true", b"null"), (b'"2026-11-24T00:00:00Z"', b'"noon"')])
def test_undeclared_columns_are_remembered_with_a_type_that_fits_most_values(
    values: tuple[bytes, bytes],
) -> None:
    parser = LinesParser(ParserOptions(TYPES))
    assert [rows for _, rows in tables([b'{"n":1,"u":[{"k":%s}]}' % values[0]], parser)] == [[0]]
    inferred: list[str] = []
    with at_checkpoint("columns.inferred", inferred.append):
        found = tables([b'{"n":1,"u":[{"k":%s},{}]}' % value for value in values], parser)
    assert ([rows for _, rows in found], inferred) == ([[0, 1]], [])


def test_a_column_that_changes_its_type_is_inferred_again() -> None:
    parser = LinesParser(ParserOptions(TYPES))
    for value in (b"1", b'"2026-11-24T00:00:00Z"', b"[1]"):
        lines = [b'{"n":1,"u":%s}' % value] * 300
        tables(lines, parser)
        assert [len(rows) for _, rows in tables(lines, parser)] == [300]


def test_lines_with_keys_of_their_own_are_left_out_before_each_is_a_column() -> None:
    parser = LinesParser(ParserOptions(TYPES))
    found = tables([b'{"n":1,"extra":{"k%d":1}}' % number for number in range(20_000)], parser)
    assert all(table.num_rows * len(table["extra"].type) <= module.MAX_CELLS for table, _ in found)
    assert all(len(table["extra"].type) <= MAX_COLUMNS for table, _ in found)


def test_keys_that_come_up_now_and_then_are_columns() -> None:
    parser = LinesParser(ParserOptions(TYPES))
    lines = [b'{"n":%d,"u":1%s}' % (n, b',"k%d":1' % n if n % 5_000 == 0 else b"") for n in range(20_000)]
    ((table, _),) = tables(lines, parser)
    assert table["n"].to_pylist() == [*range(20_000)]
    assert [table[f"k{n}"].null_count for n in range(0, 20_000, 5_000)] == [19_999] * 4
    assert {each.num_columns for each, _ in tables(lines, parser)} == {table.num_columns}


def test_a_line_with_very_many_keys_is_left_out() -> None:
    wide = b'{"n":1,%s}' % b",".join(b'"k%d":1' % number for number in range(MAX_KEYS))
    assert parsed([b'{"n":1}', wide, b'{"n":2}']) == [0, 2]


def test_a_table_has_no_more_values_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 5_000)
    lines = [b'{"n":1,"k%d":1}' % (number % 100) for number in range(1_000)]
    found = tables(lines, LinesParser(ParserOptions(TYPES)))
    assert len(found) > 1
    assert sum(table.num_rows for table, _ in found) == 1_000
    assert all(table.num_rows * table.num_columns <= 5_000 for table, _ in found)
