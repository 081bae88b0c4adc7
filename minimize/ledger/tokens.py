"""How a subject stands in the ledger: a keyed token, the same for the same subject of the same tenant, and nothing else."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Final

from minimize.keys import Keyring

KEY: Final = "subject"
PURPOSE: Final = "ledger"
_TOKEN: Final = re.compile(rf"{KEY}/(\d{{1,9}}):[0-9a-f]{{64}}")


def subject_token(
    keys: Keyring, tenant: str, subject: str, version: int | None = None, field: str | None = None
) -> str:
    """The token of a subject: the key's id and HMAC-SHA-256 (RFC 2104) over tenant and subject, in hexadecimal digits.

    Takes a version of the `subject` key, to find what was told under an older one; else the newest; and the field that has such
    ids, where it is not the policy's subject: one id in two fields has two tokens. Raises KeyringError.
    """
    which = keys.version_of(KEY) if version is None else version
    return token_of(keys.subkey(KEY, purpose_of(field), which), which, tenant, subject)


def known_token(secrets: Mapping[int, bytes], tenant: str, subject: str, known: Collection[str]) -> str | None:
    """The token under which a subject is known already, whatever version of the key it was made with; None where it is not.

    Takes the secrets of the versions that occur (see `secrets_of`, `versions_in`), and the tokens of the tenant's subjects.
    """
    made = (token_of(secret, version, tenant, subject) for version, secret in secrets.items())
    return next((token for token in made if token in known), None)


def token_of(secret: bytes, version: int, tenant: str, subject: str) -> str:
    """The token under the secret of one version of the key."""
    return f"{KEY}/{version}:{digests_of(secret, tenant, [subject])[0].hex()}"


def digests_of(secret: bytes, tenant: str, subjects: Iterable[str]) -> list[bytes]:
    """What the tokens of a tenant's subjects hold, in their order: 32 bytes each."""
    before = f"[{encode_basestring_ascii(tenant)},"
    messages = (f"{before}{encode_basestring_ascii(subject)}]".encode("ascii") for subject in subjects)
    return [hmac.digest(secret, message, "sha256") for message in messages]


def secrets_of(keys: Keyring, versions: set[int], field: str | None = None) -> dict[int, bytes]:
    """What tokens are made with, by version of the key; those of ids of a field that is not the policy's subject by others.

    Raises KeyringError where the keyring has no such version.
    """
    return {version: keys.subkey(KEY, purpose_of(field), version) for version in sorted(versions)}


def purpose_of(field: str | None) -> str:
    """What the tokens of a field's ids are made for.

    >>> purpose_of(None), purpose_of("user_id")
    ('ledger', 'ledger/fields/user_id')
    """
    return PURPOSE if field is None else f"{PURPOSE}/fields/{field}"


def version_in(token: str) -> int | None:
    """The version of the key that a token was made with; None for what is no token.

    >>> version_in("subject/2:" + 64 * "0"), version_in("device-7")
    (2, None)
    """
    found = _TOKEN.fullmatch(token)
    return None if found is None else int(found[1])


def versions_in(tokens: Iterable[str]) -> set[int]:
    """The versions of the key that tokens were made with."""
    return {version for version in map(version_in, tokens) if version is not None}
