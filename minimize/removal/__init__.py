"""Removal of published data by age, by lifecycle event and by today's policy; rewrites of published files.

expire.py           `expire`
retract.py          `retract`: today's policy applied to published output
keys.py             new versions of master keys, files encrypted under them, destruction of versions
rerun.py            dates that can be run again from their source
sealing.py          records moved into sealed files by `subject restrict`, and back by `subject lift`
plan.py             due files, the plan, open deadlines
decision.py         removals and replacements in one file, batch by batch
facts.py            requirements of today's policy, settings and consents for the records of a file of an older policy
rewrite.py          the only way to change published files: a verdict per file, portions of whole dates
rewrite_receipt.py  the receipt of a rewrite
verdict.py          the verdict of a rewrite on one batch
"""

from __future__ import annotations
