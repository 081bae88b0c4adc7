"""Nothing leaves for a third party without a manifest, a contract and a consent.

handing.py    `share`: asked.py resolves, planning.py plans, act.py makes, records and hands over
composing.py  one policy of ours and the manifest's
released.py   what a run has released, as a policy sees it; again.py, switches.py what is asked of it again; grouped.py aggregates
feeding.py    which functions a pipeline can feed, without records
consented.py  the records of tenants that agreed; payload.py what leaves, counted; files.py as a file
committing.py the act taken down before anything is handed over; accounting.py what it comes to
connecting.py secrets that pass through, for one call
receiving.py  what third parties send: `receive` in memory, `receive_dates` as a pipeline
recalling.py  what a recipient has to delete; withdrawing.py both sides of a withdrawal; telling.py what was shared, and why
"""

from __future__ import annotations

from minimize.governance.sharing.account import Account
from minimize.governance.sharing.digests import digest_of
from minimize.governance.sharing.feeding import Fed, functions_fed
from minimize.governance.sharing.handing import share
from minimize.governance.sharing.owners import token_of
from minimize.governance.sharing.recall import Recall, list_for
from minimize.governance.sharing.recalling import confirm_recalls, recalls_of, request_recalls
from minimize.governance.sharing.receiving import receive, receive_dates
from minimize.governance.sharing.telling import Why, disclosure, logged, unsigned, why
from minimize.governance.sharing.withdrawing import Ended, expire_consents, withdraw

__all__ = [
    "Account",
    "Ended",
    "Fed",
    "Recall",
    "Why",
    "confirm_recalls",
    "digest_of",
    "disclosure",
    "expire_consents",
    "functions_fed",
    "list_for",
    "logged",
    "recalls_of",
    "receive",
    "receive_dates",
    "request_recalls",
    "share",
    "token_of",
    "unsigned",
    "why",
    "withdraw",
]
