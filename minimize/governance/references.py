"""References: names of records elsewhere, such as a case or a client's consent record, that acts in the ledger cite."""

from __future__ import annotations

from typing import Final

from minimize.errors import ConfigurationError
from minimize.techniques.redact import has_hit

LONGEST_REFERENCE: Final = 200
"""Maximum length of a reference, in characters."""
_PERSONAL: Final = ("email", "phone", "ip", "mac", "imei", "card", "iban")


def checked_reference(text: str, option: str) -> str:
    """The reference without spaces around it.

    Raises ConfigurationError for a blank or long one, and for one that contains an address or a number of a person, because the
    ledger keeps references.
    """
    found = text.strip()
    if not found or len(found) > LONGEST_REFERENCE or not found.isprintable():
        raise ConfigurationError(
            f"{option} is not a reference",
            hint=f"Pass the name of the record, of at most {LONGEST_REFERENCE} characters.",
        )
    if has_hit(found, _PERSONAL):
        raise ConfigurationError(
            f"{option} contains personal data",
            hint="Pass the number of a case or record, without an address or phone number.",
        )
    return found
