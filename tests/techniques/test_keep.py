from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques import Context
from minimize.techniques.keep import Keep
from minimize.techniques.keep_host import KeepHost


def test_the_array_is_the_same(context: Context) -> None:
    values = pa.array(["a", None])
    assert Keep().apply(values, context).values is values


@given(values=st.lists(st.none() | st.text() | st.just("*")))
def test_every_value_and_every_null_stays(context: Context, values: list[str | None]) -> None:
    assert Keep().apply(pa.array(values, pa.string()), context).values.to_pylist() == values


def test_keep_leaves_everything() -> None:
    assert Keep.residual == "original"


Run = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://ann:pw@Mail.Example.com:8443/inbox?id=7#top", "mail.example.com"),
        ("http://example.com", "example.com"),
        ("//cdn.example.com/x", "cdn.example.com"),
        ("ftp://192.0.2.1/a", "192.0.2.1"),
        ("http://[2001:DB8:0::1]:80/", "2001:db8::1"),
        ("http://a@b@example.com/", "example.com"),
        ("https://example.com?x=http://other.example", "example.com"),
        ("https://example.com\\@evil.example/", "example.com"),
        ("https://bücher.example/", "bücher.example"),
    ],
)
def test_the_host_without_user_port_and_path(run: Run, url: str, host: str) -> None:
    assert run(KeepHost(), [url]) == [host]


@pytest.mark.parametrize(
    "text",
    ["", "Ann", "example.com", "mailto:ann@example.com", "http://", "http:///path", "https://two words/",
     "http://[::zz]/", "http://a..b/", "http://host:port/", "file:///home/ann/x"],
)  # fmt: skip
def test_a_text_without_a_host_cannot_be_treated(run: Run, untreated: Run, text: str) -> None:
    assert run(KeepHost(), [text]) == [None]
    assert untreated(KeepHost(), [text]) == [True]


@given(
    st.from_regex(r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){1,3}", fullmatch=True), st.from_regex(r"[ -~]{0,20}", fullmatch=True)
)
def test_nothing_after_the_host_is_left(run: Run, host: str, rest: str) -> None:
    assert run(KeepHost(), [f"https://{host}/{rest}"]) == [host]
