"""Sharing with third parties. No data leaves or is received without a manifest, a contract and the tenant's consent.

outbound.py          `share` and `share explain`: plan.py resolves and plans, payload.py makes the payload,
                     disclosures.py records and lists disclosures
recipient_fields.py  data for a recipient: fields, forms, the recipient's own keys, functions that a pipeline can feed
released_output.py   the policy for output of a run: conditions, settings and aggregates evaluated again
consent_filter.py    records of consenting tenants; export_file.py writes the payload to a file
connector.py         pass-through secrets for the recipient's call
inbound.py           `receive` for data in memory, `receive_dates` for a pipeline
recalls.py           data that a recipient must delete; withdrawal and expiry of a consent
"""

from __future__ import annotations

from minimize.governance.sharing.disclosures import (
    DisclosureLog,
    ShareSummary,
    find_disclosure,
    list_disclosures,
    show_disclosure,
    show_disclosures,
)
from minimize.governance.sharing.inbound import receive, receive_dates
from minimize.governance.sharing.outbound import ShareExplanation, explain_share, share
from minimize.governance.sharing.payload import digest_table, disclosure_token
from minimize.governance.sharing.recalls import (
    EndedConsent,
    ExpiredConsents,
    Recall,
    confirm_recalls,
    end_consent,
    expire_consents,
    list_recalls,
    recall_list,
    request_recalls,
    show_recalls,
)
from minimize.governance.sharing.recipient_fields import EligibleFunction, eligible_functions

__all__ = [
    "DisclosureLog",
    "EligibleFunction",
    "EndedConsent",
    "ExpiredConsents",
    "Recall",
    "ShareExplanation",
    "ShareSummary",
    "confirm_recalls",
    "digest_table",
    "disclosure_token",
    "eligible_functions",
    "end_consent",
    "expire_consents",
    "explain_share",
    "find_disclosure",
    "list_disclosures",
    "list_recalls",
    "recall_list",
    "receive",
    "receive_dates",
    "request_recalls",
    "share",
    "show_disclosure",
    "show_disclosures",
    "show_recalls",
]
