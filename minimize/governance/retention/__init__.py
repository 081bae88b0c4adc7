"""Retention: removal of published data by age, by lifecycle event and by today's policy.

lifecycle_events.py       events of tenants and subjects: model, event files, events of the ledger
event_admin.py            recording, withdrawing and listing events in the ledger
identifier_forms.py       the forms that an identifier takes in a column
affected_subjects.py      whose records an event concerns in a file
retention_rules.py        what today's policy requires of a file of an older policy
verdict.py                what is removed or replaced in one batch
file_instructions.py      the instructions for one file
removal_plan.py           due files, the plan, open deadlines
sources.py                dates that can be run again from their source
recompute_aggregates.py   aggregates after records were removed
execute.py                execution of a plan, and its receipt
expire.py                 `expire`
reevaluate.py             today's policy, settings and consents for one batch
retract.py                `retract`
"""

from __future__ import annotations
