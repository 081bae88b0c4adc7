from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.techniques import Context, treat
from minimize.techniques.tokenize import Tokenize
from tests.project import CHECKOUT

Run = Callable[..., list[Any]]
TOKENS = Tokenize(key="support")
PER = Tokenize(key="support", per="tenant")


def test_the_cipher_is_that_of_rfc_5297() -> None:
    """Appendix A.1, deterministic authenticated encryption."""
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    header = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    plain = bytes.fromhex("112233445566778899aabbccddee")
    sealed = "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    assert AESSIV(key).encrypt(plain, [header]).hex() == sealed


def test_a_token_is_the_one_that_the_guide_computes(context: Context) -> None:
    page = (CHECKOUT / "docs/reference/ledger.md").read_text().partition("A token of `tokenize`")[2]
    printed = page.split("```")[3].removeprefix("text\n").strip()

    class Keys:
        def bytes_of(self, name: str, version: int | None = None) -> bytes:
            return bytes(range(32))

        def version_of(self, name: str) -> int:
            return 1

    place = Context("phone_number", context.at, Keys(), {"tenant": pa.array(["acme"])})
    assert PER.apply(pa.array(["+33612345678"]), place).values.to_pylist() == [printed]


def test_the_keyring_gives_the_values_back(context: Context) -> None:
    values = pa.array(["+33612345678", "", "é\u0000\x80", None, "x" * 100])
    tokens = TOKENS.apply(values, context).values
    assert not set(tokens.to_pylist()[:3]) & set(values.to_pylist()[:3])
    assert TOKENS.detokenize(tokens, context).values.to_pylist() == values.to_pylist()


def test_equal_values_have_equal_tokens_within_field_and_tenant(run: Run, context: Context) -> None:
    one, again, other = run(PER, ["a", "a", "a"], tenant=["t1", "t1", "t2"])
    elsewhere = TOKENS.apply(pa.array(["a"]), replace(context, field="g")).values.to_pylist()
    assert one == again
    assert len({one, other, *run(TOKENS, ["a"]), *elsewhere}) == 4


def test_the_length_shows_in_blocks_only(run: Run) -> None:
    assert len({len(token) for token in run(TOKENS, ["", "a", "a" * 15])}) == 1


def test_a_foreign_token_does_not_open(context: Context) -> None:
    [token] = TOKENS.apply(pa.array(["a"]), context).values.to_pylist()
    forged = [token[:-1] + ("A" if token[-1] != "A" else "Q"), "no token", "", "é", token[:3] + "!" + token[3:]]
    opened = TOKENS.detokenize(pa.array([*forged, token, None]), context)
    assert opened.values.to_pylist() == [None] * 5 + ["a", None]
    assert opened.untreated is not None
    assert opened.untreated.to_pylist() == [True] * 5 + [False, False]
    assert TOKENS.detokenize(pa.array([token]), replace(context, field="g")).values.to_pylist() == [None]
    assert Tokenize(key="other").detokenize(pa.array([token]), context).values.to_pylist() == [None]
    assert TOKENS.detokenize(pa.array([token]), context, version=2).values.to_pylist() == [None]


def test_a_null_tenant_cannot_be_treated(run: Run, untreated: Run) -> None:
    assert run(PER, ["a", None], tenant=pa.nulls(2, pa.string())) == [None, None]
    assert untreated(PER, ["a", None], tenant=pa.nulls(2, pa.string())) == [True, False]


def test_without_a_keyring_there_is_no_way(context: Context) -> None:
    with pytest.raises(KeyringError):
        TOKENS.detokenize(pa.array(["a"]), replace(context, keys=None))


def test_a_dictionary_stays_one(context: Context) -> None:
    treated = treat(TOKENS, pa.array(["a", "b", "a"]).dictionary_encode(), context)
    assert len(treated.values.dictionary) == 2


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_there_and_back(context: Context, texts: list[str]) -> None:
    tokens = TOKENS.apply(pa.array(texts, pa.string()), context).values
    assert TOKENS.detokenize(tokens, context).values.to_pylist() == texts
