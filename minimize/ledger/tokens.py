"""How a subject stands in the ledger: a keyed token, the same for the same subject of the same tenant, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from minimize.keys import Keyring

KEY: Final = "subject"
PURPOSE: Final = "ledger"


def subject_token(keys: Keyring, tenant: str, subject: str, version: int | None = None) -> str:
    """The token of a subject: the key's id and HMAC-SHA-256 (RFC 2104) over tenant and subject, in hexadecimal digits.

    Takes a version of the `subject` key, to find what was told under an older one; else the newest. Raises KeyringError.
    """
    which = keys.version_of(KEY) if version is None else version
    message = json.dumps([tenant, subject], ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return f"{KEY}/{which}:{hmac.new(keys.subkey(KEY, PURPOSE, which), message, hashlib.sha256).hexdigest()}"
