"""Nothing leaves for a third party without a manifest, a contract and a consent.

handing.py    `share`: asked.py resolves, planning.py plans, act.py makes, records and hands over
standing.py   what must hold before any tenant is asked; composing.py one policy of ours and the manifest's
consented.py  the records of tenants that agreed; payload.py what leaves, counted; files.py as a file
receiving.py  `receive`: what third parties send, by the inbound manifest
recalling.py  what a recipient has to delete; telling.py what was shared, and why
"""

from __future__ import annotations

from minimize.governance.sharing.account import Account
from minimize.governance.sharing.digests import digest_of
from minimize.governance.sharing.handing import share
from minimize.governance.sharing.owners import token_of
from minimize.governance.sharing.recalling import Recall, confirm_recalls, recalls_of, request_recalls
from minimize.governance.sharing.receiving import receive
from minimize.governance.sharing.telling import Why, disclosure, logged, unsigned, why

__all__ = [
    "Account",
    "Recall",
    "Why",
    "confirm_recalls",
    "digest_of",
    "disclosure",
    "logged",
    "recalls_of",
    "receive",
    "request_recalls",
    "share",
    "token_of",
    "unsigned",
    "why",
]
