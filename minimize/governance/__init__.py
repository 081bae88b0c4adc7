"""Governance of published data: consent, access, sharing, retention, key rotation, data subjects, incidents.

    incidents/            what was exposed, which tenants it affects, and their notices
    subjects/             requests of data subjects: view, export, delete, correct
    crypto_shredding.py   destruction of master keys
    key_rotation.py       new versions of master keys, and files encrypted under them
    ledger_adoption.py    continuation of an output with another ledger
    retention/            what is removed from outputs: by age, by lifecycle event, by today's policy
    sharing/              disclosures to third parties and data received from them
    output_file.py        the run that wrote a file, its policy, and the event times of the file
    consent/              consents of tenants over time
    access/               roles, grants, and the decision on one request

A module imports only modules below it in this list.
"""

from __future__ import annotations
