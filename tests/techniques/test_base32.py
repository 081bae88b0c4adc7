from __future__ import annotations

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.base32 import letters, texts


@given(st.lists(st.binary(min_size=20, max_size=20)))
def test_it_agrees_with_the_standard_library(values: list[bytes]) -> None:
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(-1, 20)
    made = texts(letters(rows))
    made.validate(full=True)
    assert made.to_pylist() == [base64.b32encode(value).decode().lower() for value in values]
