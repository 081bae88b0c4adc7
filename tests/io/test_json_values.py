from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.ndjson.flat_reader import ColumnReader, KeyTexts, LineSelection, TypedColumn
from minimize.sources.projection import field_tree
from minimize.sources.record_checks import BoolMask

WORDS = {
    "s": "string",
    "at": "timestamp",
    "n": "integer",
    "x": "double",
    "ok": "boolean",
    "d": "decimal(4,2)",
    "raw": "binary",
    "l": "list",
    "/o/k": "string",
}
ROOT = field_tree(SourceRequest(tuple(DeclaredField(key, Pointer.parse(key), word) for key, word in WORDS.items())))


def values(*texts: str | None) -> KeyTexts:
    """Takes texts as they stand in a line, with their quotes; None where the key is not there."""
    there, quoted = (
        np.array([text is not None for text in texts]),
        np.array([(text or "")[:1] == '"' for text in texts]),
    )
    held = [(text or "").strip('"') for text in texts]
    return KeyTexts([pa.array(held[:2], pa.string()), pa.array(held[2:], pa.string())], there, quoted)


def kept(mask: BoolMask) -> LineSelection:
    return LineSelection.from_mask(mask, [min(2, len(mask)), max(0, len(mask) - 2)])


def read(name: str, *texts: str | None) -> tuple[pa.Array | None, list[bool]]:
    reading = ColumnReader(ROOT, frozenset({"never"}), np.ones(len(texts), bool))
    column = reading.column(name, values(*texts))
    return column and column.select(kept(np.ones(len(texts), bool))), reading.certain.tolist()


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("s", ['"x"', '"null"', "null", None, '""'], ["x", "null", None, None, ""]),
        ("n", ["1", "-7", "null", None, "0"], [1, -7, None, None, 0]),
        ("x", ["1", "0.5", "null", None, "-0"], [1.0, 0.5, None, None, 0.0]),
        ("ok", ["true", "false", "null", None], [True, False, None, None]),
        ("raw", ['"YQ=="', "null", None], [b"a", None, None]),
        ("other", ['"x"', "1", "true", "false", "null", None, '"null"'], [True, True, True, True, None, None, True]),
    ],
)
def test_texts_are_read_as_what_is_declared(name: str, texts: list[str | None], expected: list[object]) -> None:
    column, sure = read(name, *texts)
    assert column is not None
    column.validate(full=True)
    assert column.to_pylist() == expected
    assert all(sure)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("s", ["1", "true", "", "nul"]),
        ("at", ['"noon"', '"2026-02-30T00:00:00Z"', "1", ""]),
        ("n", ['"1"', '"null"', "1.5", "1e3", "9223372036854775808", "01", "", "true"]),
        ("x", ['"1"', "NaN", "1e3", ".5", "1.", "-", "", "9" * 400]),
        ("ok", ['"true"', "1", "True", "truefalse", ""]),
        ("d", ["1.234", "123.4", '"1.5"', "1e1", "true"]),
        ("raw", ['"%"', "1"]),
        ("l", ["1", '"x"', '"null"', "[]"]),
        ("o", ["1", '"x"', '"null"']),
        ("never", ["1", '"x"', '"null"', '""']),
        ("other", ["nul", "NaN", "01", "1e3", "", "truefalse"]),
    ],
)
def test_what_does_not_read_as_what_is_declared_is_in_doubt(name: str, texts: list[str | None]) -> None:
    _, sure = read(name, None, *texts, "null")
    assert sure == [True, *(False for _ in texts), True]


def test_decimals_are_exact() -> None:
    column, sure = read("d", "12.5", "7", None, "1.500")
    assert column is not None
    assert [value and str(value) for value in column.to_pylist()] == ["12.50", "7.00", None, "1.50"]
    assert all(sure)


@pytest.mark.parametrize("name", ["l", "o", "never"])
def test_where_a_container_may_be_or_nothing_there_is_no_column(name: str) -> None:
    column, sure = read(name, "null", None)
    assert column is None
    assert all(sure)


def test_a_text_that_nobody_reads_is_only_looked_at() -> None:
    unread = SourceRequest((DeclaredField("s", Pointer.parse("s"), "string", needed=False),))
    reading = ColumnReader(field_tree(unread), frozenset(), np.ones(3, bool))
    column = reading.column("s", values('"x"', None, "1"))
    assert column is not None
    assert column.select(kept(np.ones(3, bool))).to_pylist() == [True, None, None]
    assert reading.certain.tolist() == [True, True, False]


@pytest.mark.parametrize("left_out", [[], [0], [1, 2], [199], [57, 150], [*range(0, 200, 3)], [*range(200)]])
@pytest.mark.parametrize("name", ["s", "n"])
def test_lines_in_doubt_are_left_out(name: str, left_out: list[int]) -> None:
    texts = [None if line % 5 == 0 else str(line) for line in range(200)]
    sure = np.ones(200, bool)
    sure[left_out] = False
    reading = ColumnReader(ROOT, frozenset(), sure)
    column = reading.column(name, values(*(text if name == "n" or text is None else f'"{text}"' for text in texts)))
    assert column is not None
    found = column.select(kept(sure))
    found.validate(full=True)
    left = [text for line, text in enumerate(texts) if line not in left_out]
    assert found.to_pylist() == [text if name == "s" or text is None else int(text) for text in left]


def test_of_lines_that_are_left_out_nothing_stays_behind() -> None:
    sure = np.array([False, *[True] * 199])
    held = values(*(f'"{line}"' for line in ["secret", *range(199)]))
    found = TypedColumn(held, held.present).select(kept(sure))
    assert b"secret" not in found.buffers()[2].to_pybytes()
