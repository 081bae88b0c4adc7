"""`tokenize`: encryption that the keyring can reverse."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

import pyarrow as pa
from pydantic import Field

from minimize.arrow.dictionaries import take_values, to_python
from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    expand_entries,
    untreated_mask,
)
from minimize.techniques.keyed_hash import (
    ScopedValues,
    ScopePart,
    companion_part,
    length_prefixed,
    required_keys,
    scope_values,
)
from minimize.techniques.parameters import SETTING_TIGHTENS, KeyName, Names

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

BLOCK_BYTES = 16


class Tokenize(Technique):
    """Encryption with AES-SIV: equal values have equal tokens within a field and `per`, and the keyring can reverse them.

    Takes text, gives text (base64url without padding). The encryption key is derived from the named key. Field and `per` are
    authenticated with the value, so that a token is different in another field or `per` and cannot be reversed there. The length
    of the value is visible in steps of 16 bytes. Null stays null; a null `per` cannot be treated. The residual is
    reversible.
    Source: RFC 5297 (AES-SIV), RFC 5869 (HKDF), RFC 4648 §5.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> class Keys:
    ...     def bytes_of(self, name, version=None):
    ...         return bytes(32)
    >>> context, technique = Context("f", datetime.now(UTC), Keys()), Tokenize(key="support")
    >>> tokens = technique.apply(pa.array(["+33612345678", None]), context).values
    >>> [len(token) if token else None for token in tokens.to_pylist()]
    [43, None]
    >>> technique.detokenize(tokens, context).values.to_pylist()
    ['+33612345678', None]
    """

    name: ClassVar[str] = "tokenize"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "reversible"
    source: ClassVar[str] = "RFC 5297"
    about: ClassVar[str] = "encrypted with AES-SIV, reversible through the keyring only"
    safeguard: ClassVar[str] = "tokenization: reversible only with the keyring (AES-SIV)"

    key: KeyName
    per: Annotated[str | None, Names.FIELD, SETTING_TIGHTENS] = Field(None, min_length=1)

    def phrase(self) -> str:
        """Who can reverse it."""
        return "encrypted; only a secret key can reverse it"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The tokens. Raises KeyringError if the key is missing."""
        scoped, words = self._map_distinct(values, context, _seal_value, None)
        return TechniqueResult(take_values(words, scoped.codes), scoped.untreated)

    def apply_encoded(self, values: pa.DictionaryArray, context: Context) -> TechniqueResult:
        """The tokens of a dictionary's entries, dictionary-encoded."""
        scoped, words = self._map_distinct(values, context, _seal_value, None)
        return TechniqueResult(expand_entries(TechniqueResult(words), scoped.codes).values, scoped.untreated)

    def detokenize(self, tokens: pa.Array, context: Context, version: int | None = None) -> TechniqueResult:
        """The values behind tokens of this field, of one key version (default: the newest).

        A token that was not made for this field, key and `per` cannot be treated. Raises KeyringError.
        """
        scoped, words = self._map_distinct(tokens, context, _open_token, version)
        lost = words.is_null().to_pylist()
        values = take_values(words, scoped.codes)
        unopened = untreated_mask(lost, scoped.codes)
        return TechniqueResult(values, scoped.untreated if unopened is None else unopened)

    def _map_distinct(
        self,
        values: pa.Array,
        context: Context,
        transform: Callable[[AESSIV, str, list[bytes]], str | None],
        version: int | None,
    ) -> tuple[ScopedValues, pa.StringArray]:
        """Applies a function of the cipher to each distinct value of each scope."""
        parts: tuple[ScopePart, ...] = () if self.per is None else (companion_part(context, self.per),)
        scoped = scope_values(values, parts)
        cipher = _field_cipher(required_keys(context).bytes_of(self.key, version))
        scopes = [
            [length_prefixed(context.field.encode(), b"per" if parts else b"", *scope)] for scope in scoped.scopes
        ]
        words = to_python(scoped.values)
        results = [
            None if words[word] is None else transform(cipher, words[word], scopes[scope])
            for word, scope in zip(scoped.pairs[0].tolist(), scoped.pairs[1].tolist(), strict=True)
        ]
        return scoped, pa.array(results, pa.string())


def _field_cipher(key: bytes) -> AESSIV:
    """AES-SIV with 512 bits derived from the key for this use only."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESSIV(HKDF(SHA256(), 64, salt=None, info=b"minimize tokenize 1").derive(key))


def _seal_value(cipher: AESSIV, value: str, scope: list[bytes]) -> str:
    sealed = cipher.encrypt(_pad_to_block(value.encode()), scope)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open_token(cipher: AESSIV, token: str, scope: list[bytes]) -> str | None:
    from cryptography.exceptions import InvalidTag

    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        opened = cipher.decrypt(sealed, scope) if len(sealed) > BLOCK_BYTES else b""
    except (InvalidTag, binascii.Error, ValueError):
        return None
    return opened.rstrip(b"\0")[:-1].decode() if opened else None


def _pad_to_block(value: bytes) -> bytes:
    """ISO/IEC 7816-4: a one bit, then zeros up to a whole block."""
    return value + b"\x80" + bytes(-(len(value) + 1) % BLOCK_BYTES)
