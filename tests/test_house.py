"""The house's file is read once for all of its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.house import house_line


def test_a_word_is_what_the_file_says_now(tmp_path: Path) -> None:
    house = tmp_path / "minimize.yaml"
    house.write_text("ledger: one.db\n")
    assert house_line(house, "ledger") == "one.db"
    house.write_text("ledger: two.db\n")
    assert (house_line(house, "ledger"), house_line(house, "keys")) == ("two.db", None)


@pytest.mark.parametrize("text", ["a: [", "- a\n", "ledger: [a]\n", "\x00"])
def test_what_is_no_mapping_of_texts_is_no_text(tmp_path: Path, text: str) -> None:
    house = tmp_path / "minimize.yaml"
    house.write_text(text)
    for _ in range(2):
        with pytest.raises(ValueError, match="is no text"):
            house_line(house, "ledger")
