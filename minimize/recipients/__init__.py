"""Recipients (GDPR Art. 4(9)): third parties described in files, checked by lint, and rendered as pages for tenants.

model.py    the form of a recipient's file: contract, functions, fields
load.py     recipient files, the list of subprocessors, and the file of contracts
inbound.py  faults and risks of a recipient's file, and of a pipeline that receives from a recipient
rules.py    rules that forbid sending or receiving
pages.py    pages for tenants, and results of commands
"""

from __future__ import annotations

from minimize.recipients.inbound import lint_recipients
from minimize.recipients.load import (
    Recipients,
    Subprocessor,
    Subprocessors,
    find_recipients,
    load_configured_recipients,
    load_recipient,
    load_recipients,
    recipient_from,
)
from minimize.recipients.model import Contract, Function, Recipient, SharedField

__all__ = [
    "Contract",
    "Function",
    "Recipient",
    "Recipients",
    "SharedField",
    "Subprocessor",
    "Subprocessors",
    "find_recipients",
    "lint_recipients",
    "load_configured_recipients",
    "load_recipient",
    "load_recipients",
    "recipient_from",
]
