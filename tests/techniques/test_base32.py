from __future__ import annotations

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.pseudonymize import FEW_HASHES, base32_letters, letters_as_texts


@given(st.lists(st.binary(min_size=20, max_size=20)))
def test_it_agrees_with_the_standard_library(values: list[bytes]) -> None:
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 20)
    made = letters_as_texts(base32_letters(rows))
    made.validate(full=True)
    assert made.to_pylist() == [base64.b32encode(value).decode().lower() for value in values]


def test_many_rows_at_once_agree_with_the_standard_library_too() -> None:
    values = [bytes([first, second, 3, 4, 5]) for first in range(20) for second in (0, 128, 255)]
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 5)
    assert len(rows) >= FEW_HASHES
    assert letters_as_texts(base32_letters(rows)).to_pylist() == [
        base64.b32encode(value).decode().lower() for value in values
    ]
