from __future__ import annotations

import sys
import unicodedata
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.identifiers import (
    HIDDEN,
    WHITE_SPACE,
    canonical_account,
    canonical_column,
    canonical_id,
    canonical_text,
    canonical_word,
    is_invisible,
    is_missing_id,
)

TYPES = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
PADDING = st.text(st.sampled_from(" \t\xa0\u2003\u200b\u200d\ufeff\xad"), max_size=2)
WORDS = st.one_of(
    st.sampled_from(
        [
            "B-1",
            "b-1",
            "B\0-1",
            "B\u200b1",
            "a\x7fb",
            "é",
            "e\u0301",
            "É",
            "straße",
            "STRASSE",
            "ǅ",
            "İ",
            "ﬀ",
            "",
            "a b",
            "x\x1f",
            "0",
            "ſ",
            "\u212a",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
IDS = st.builds(lambda before, word, after: before + word + after, PADDING, WORDS, PADDING)


def is_removed(letter: str) -> bool:
    return letter.isspace() or is_hidden(letter)


def is_hidden(letter: str) -> bool:
    listed = any(low <= ord(letter) <= high for low, high in RANGES)
    return listed or unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")


RANGES = (
    *((code, code) for code in (0x34F, 0x2065, 0x2800, 0x3164, 0xFFA0)),
    *((0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF)),
    (0x13430, 0x1343F),
)
"""Default_Ignorable_Code_Point beyond the General_Category Cf, the blank Braille pattern, and the format characters of Unicode 15
that the tables of Python 3.11 lack."""


def reference(text: str | None, fold: bool) -> str | None:
    """The definition, letter by letter."""
    if text is None:
        return None
    text = unicodedata.normalize("NFC", text)
    while text and is_removed(text[0]):
        text = text[1:]
    while text and is_removed(text[-1]):
        text = text[:-1]
    return (unicodedata.normalize("NFC", text.casefold()) if fold else text) or None


@given(
    st.lists(st.none() | IDS, max_size=12), st.sampled_from(TYPES), st.booleans(), st.integers(0, 3), st.integers(0, 3)
)
def test_columns_have_the_canonical_form_of_the_definition(
    ids: list[str | None], type_: pa.DataType, fold: bool, before: int, after: int
) -> None:
    column = pa.array(["outside "] * before + ids + [" outside"] * after, pa.string()).cast(pa.string())
    column = (column.dictionary_encode() if pa.types.is_dictionary(type_) else column.cast(type_)).slice(
        before, len(ids)
    )
    found = canonical_column(column, fold=fold)
    found.validate(full=True)
    assert found.type == column.type
    assert found.to_pylist() == [reference(each, fold) for each in ids]
    assert canonical_column(found, fold=fold).to_pylist() == found.to_pylist()


@given(IDS, st.booleans())
def test_a_text_has_the_canonical_form_of_the_definition(text: str, fold: bool) -> None:
    assert (canonical_text(text, fold=fold) or None) == reference(text, fold)
    canonical = reference(text, False)
    assert is_missing_id(text) == (canonical is None or any(map(is_hidden, canonical)))


def test_hidden_characters_are_those_of_the_definition() -> None:
    letters = "".join(map(chr, range(sys.maxunicode + 1)))
    listed = {chr(code) for low, high in RANGES for code in range(low, high + 1)}
    hidden = listed | {letter for letter in letters if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")}
    assert set(HIDDEN.findall(letters)) == hidden
    assert all(map(is_invisible, hidden))
    assert not any(map(canonical_text, hidden | WHITE_SPACE))


@pytest.mark.parametrize(
    "letter",
    ["\0", "\x7f", "\x85", *(chr(code) for ends in RANGES for code in ends), *"\u200b\u2028\u2029\ufeff\ufff9\ufffb"],
)
@pytest.mark.parametrize("type_", TYPES)
def test_an_invisible_character_is_removed_at_the_ends_and_no_id_has_one_inside(
    letter: str, type_: pa.DataType
) -> None:
    column = pa.array([f"{letter}B-1{letter}", f"B{letter}-1", "B-1"], pa.string())
    column = column.dictionary_encode() if pa.types.is_dictionary(type_) else column.cast(type_)
    assert canonical_text(f"{letter}B-1{letter}") == "B-1"
    assert canonical_column(column).to_pylist() == ["B-1", f"B{letter}-1", "B-1"]
    assert canonical_column(column, visible=True).to_pylist() == ["B-1", None, "B-1"]
    assert [is_missing_id(each) for each in (f"B{letter}-1", f"B-1{letter}")] == [True, False]


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), max_size=5), st.booleans())
def test_clean_columns_are_given_back_as_they_are(words: list[str], encoded: bool) -> None:
    column = pa.array(words, pa.string())
    column = column.dictionary_encode() if encoded else column
    assert canonical_column(column) is column


def test_blanks_are_those_of_python() -> None:
    assert {letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()} == WHITE_SPACE


@pytest.mark.parametrize("column", [pa.array([1, None, 3]), pa.array([b"a ", None]), pa.array([1.5]), pa.nulls(2)])
def test_other_types_are_given_back_as_they_are(column: pa.Array) -> None:
    assert canonical_column(column, fold=True) is column


MARKS = "\u0301\u0316"
"""Two marks whose order a normal form changes."""


@pytest.mark.parametrize("marks", [MARKS, "\u0f73", "\uff9e\u0301", "\u0344"])
@pytest.mark.parametrize("visible", [True, False])
def test_the_time_for_a_long_row_of_marks_does_not_grow_with_its_square(marks: str, visible: bool) -> None:
    """Without a limit, each of these takes minutes."""
    long = "a" + marks * 50_000
    found = canonical_column(pa.array([long, "B-1"]), visible=visible, fold=True).to_pylist()
    assert (found[0] is None, found[1]) == (visible, "b-1")
    assert is_missing_id(long)
    assert HIDDEN.search(canonical_word(long)) is not None


@pytest.mark.parametrize(("marks", "is_missing"), [(30, False), (31, True)])
def test_an_id_has_at_most_thirty_marks_in_a_row(marks: int, is_missing: bool) -> None:
    text = "b" + "\u0316" * marks
    assert is_missing_id(text) == is_missing
    assert canonical_text(canonical_text(text)) == canonical_text(text)
    assert canonical_word(canonical_word(text)) == canonical_word(text)
    assert canonical_text(text + " a" + "\u0301" * 30).count("\u034f") == is_missing


def test_empty_bytes_are_missing() -> None:
    assert canonical_column(pa.array([b"", b"a"])).to_pylist() == [None, b"a"]


def test_entries_of_a_dictionary_that_become_equal_are_one() -> None:
    found = canonical_column(pa.array(["a", "a ", None, " a", "b"]).dictionary_encode())
    assert found.dictionary.to_pylist() == ["a", "b"]
    assert found.to_pylist() == ["a", "a", None, "a", "b"]


def test_a_column_that_is_not_utf8_is_left_to_its_reader() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff ")])
    assert canonical_column(broken) is broken


def test_a_missing_id_stays_missing() -> None:
    found: Any = canonical_id(None)
    assert found is None
    assert canonical_id(" a") == "a"


@pytest.mark.parametrize(
    "written",
    [
        "rob@example.com",
        "Rob@Example.COM",
        " rob@example.com\u00a0",
        "rob@example.com\u200b",
        "r\u00adob@example.com",
        "rob\u034f@example.com",
        "rob\ufe0f@example.com",
        "\u3164rob@example.com\u2800",
        "rob\x00@example.com",
        "\uff52\uff4f\uff42\uff20example.com",
    ],
)
def test_an_account_has_one_form(written: str) -> None:
    assert canonical_account(written) == "rob@example.com"


def test_accounts_that_look_different_stay_different() -> None:
    assert len(set(map(canonical_account, ("rob", "rob2", "r ob", "r.ob", "ro\u00df", "r\u043eb")))) == 6


@given(st.text())
def test_the_form_of_an_account_is_its_own_form(text: str) -> None:
    form = canonical_account(text)
    assert canonical_account(form) == form
    assert canonical_account(f" {text}\u200b") == form
    assert not any(map(is_invisible, form))
