"""Governance of published data: consent, access, sharing, retention, key rotation, data subjects, incidents.

    incidents/            exposed data, affected tenants, and their notices
    subjects/             requests of data subjects: view, export, correct, restrict, delete
    key_rotation.py       new versions of master keys, files encrypted under them, destruction of versions
    ledger_adoption.py    continuation of an output with another ledger
    retention/            removal from outputs by age, by lifecycle event and by today's policy
    contracts.py          contracts of tenants with independent recipients: record, end, show
    functions.py          functions of third parties that a tenant turns on, and their prerequisites
    sharing/              disclosures to third parties and data received from them
    consent.py            consents: request, give, refuse, withdraw, show
    locate.py             location of a lost device, for at most a day
    access/               roles, grants, and the decision on one request
    settings.py           collection settings in the ledger
    workspace.py          ledger, output, pipeline and keyring of a command
    rewrite.py            the only way to change published files: a verdict per file, portions of whole dates
    rewrite_receipt.py    the receipt of a rewrite
    verdict.py            the verdict of a rewrite on one batch
    output_file.py        known outputs, and everything that is asked about one of their files
    writing_run.py        the run that wrote a file, with its policy and pipeline
    affected_subjects.py  tenants and subjects that an event concerns in a file
    identifier_forms.py   the forms of an identifier in a column
    incident_steps.py     steps of incidents, and the status of an incident that a grant depends on
    lifecycle_events.py   events of tenants and subjects: model, event files, events of the ledger
    event_times.py        bounds of the event times of a file
    references.py         references to records elsewhere, which acts cite

A module imports only modules below it in this list.
"""

from __future__ import annotations
