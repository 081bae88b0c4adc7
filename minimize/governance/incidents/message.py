"""Message to the contacts of one tenant, as a file that mail programs open (RFC 5322)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as message_format
from typing import Final

from minimize.governance.incidents.notice import Notice
from minimize.receipts.parts import sha256_text

NOTICE_LANGUAGE: Final = "en"
"""The language of notices, as in BCP 47."""
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS_PATTERN: Final = rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
"""A pattern of addresses that fit into a header unquoted: a dot-atom at a domain, in ASCII (RFC 5322, section 3.4.1)."""


def notice_message(notice: Notice, addresses: Sequence[str], text: str, html: str) -> str:
    """The message with a notice as text and as HTML."""
    return contact_message(notice.title, notice.contact, addresses, text, html)


def contact_message(title: str, contact: str, addresses: Sequence[str], text: str, html: str) -> str:
    """The message with a page as text and as HTML. The sender is the address in `contact`, if any.

    The names of contacts are not part of it.
    """
    message = EmailMessage(policy=message_format)
    sender = re.search(ADDRESS_PATTERN, contact)
    if sender is not None:
        message["From"] = sender[0]
    message["To"] = [Address(addr_spec=each) for each in addresses]
    message["Subject"] = " ".join(title.split())
    message["Content-Language"] = NOTICE_LANGUAGE
    message["X-Unsent"] = "1"  # mail programs open it as a draft
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"notice-{sha256_text((text + html).encode()).rpartition(':')[2][:32]}")
    return message.as_string()


def message_digest(message: str) -> str:
    """The digest of the body of a message. The headers, which have the addresses, are not part of it.

    >>> message_digest("To: a@example.com\\n\\nHello") == message_digest("To: b@example.com\\n\\nHello")
    True
    """
    return sha256_text(message.partition("\n\n")[2].encode())
