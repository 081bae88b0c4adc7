"""Third parties as files: typed, with every fault at once, judged by lint, and rendered as the list that a tenant reads."""

from __future__ import annotations

from minimize.recipients.folder import Recipients, find_recipients, load_recipients
from minimize.recipients.lint import lint
from minimize.recipients.load import load_recipient, recipient_from
from minimize.recipients.model import Contract, Function, Recipient, Shared
from minimize.recipients.subprocessors import Subprocessor, Subprocessors

__all__ = [
    "Contract",
    "Function",
    "Recipient",
    "Recipients",
    "Shared",
    "Subprocessor",
    "Subprocessors",
    "find_recipients",
    "lint",
    "load_recipient",
    "load_recipients",
    "recipient_from",
]
