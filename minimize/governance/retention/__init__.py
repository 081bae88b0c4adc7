"""Retention: removal of published data by age, by lifecycle event and by today's policy.

lifecycle_events.py       events of tenants and subjects: model, event files, events of the ledger
event_admin.py            recording, withdrawing and listing events in the ledger
identifier_forms.py       the forms of an identifier in a column
affected_subjects.py      tenants and subjects that an event concerns in a file
retention_rules.py        requirements of today's policy for a file of an older policy
removal_decision.py       removals and replacements in one file, batch by batch
removal_plan.py           due files, the plan, open deadlines
rerunnable_dates.py       dates that can be run again from their source
recompute_aggregates.py   aggregates after a removal of records
expire.py                 `expire`
effective_settings.py     today's settings and consents for the records of a file
retract.py                `retract`: today's policy applied to published output
"""

from __future__ import annotations
