"""Retention: removal of published data by age, by lifecycle event and by today's policy.

event_admin.py            recording, withdrawing and listing events in the ledger
retention_rules.py        requirements of today's policy for a file of an older policy
removal_decision.py       removals and replacements in one file, batch by batch
removal_plan.py           due files, the plan, open deadlines
rerunnable_dates.py       dates that can be run again from their source
restricted_records.py     records moved into sealed files by `subject restrict`, and back by `subject lift`
expire.py                 `expire`
effective_settings.py     today's settings and consents for the records of a file
retract.py                `retract`: today's policy applied to published output
"""

from __future__ import annotations
