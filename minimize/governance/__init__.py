"""Governance of published data: consent, access, sharing, lifecycle events, data subjects, incidents.

incidents/           exposed data, affected tenants, and their notices
subjects/            requests of data subjects: view, export, correct, restrict, delete
sharing/             disclosures to third parties and data received from them
events.py            lifecycle events: record, withdraw, list
contracts.py         contracts of tenants with independent controllers: record, end, show
functions.py         functions of third parties that a tenant turns on, and their prerequisites
function_request.py  the request to a recipient to turn on a function
consent.py           consents: request, give, refuse, withdraw, show
settings.py          collection settings in the ledger
locate.py            location of a lost device, for at most a day
grants.py            requests, approvals, break-glass access, reviews, and adoption of a changed access file
access_file.py       risky choices in an access file; a first access file, with an account per built-in role
access_explain.py    lists of roles and assignments, and the reasons why a request is allowed or denied
audit.py             the commands of the audit log
ledger_adoption.py   continuation of an output with another ledger
republication.py     another release of exact statistics, permitted by two persons
known_outputs.py     the outputs that a request reaches
evidence.py          evidence of what a tenant decided, and references to records elsewhere, which acts cite
incident_steps.py    the status of an incident that a grant depends on
declared_names.py    names that the policies of a configuration declare
notify.py            the operator's command that delivers a message
"""

from __future__ import annotations
