from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.base32 import base32


@given(st.lists(st.binary(min_size=20, max_size=20)))
def test_it_agrees_with_the_standard_library(values: list[bytes]) -> None:
    texts = base32(b"".join(values), 20)
    texts.validate(full=True)
    assert texts.to_pylist() == [base64.b32encode(value).decode().lower() for value in values]
