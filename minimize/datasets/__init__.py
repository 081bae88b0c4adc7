"""Published outputs as everyone reads them: their files, the runs that wrote them, and their subjects.

published_output.py   a published output, and everything that is asked about one of its files
affected_subjects.py  tenants and subjects that an event concerns in a file
record_age.py         age of records: bounds of the event times of a file
reader.py             `read` and `files`; recovery before reading, receipts, files in force and their rows
writing_run.py        the run that wrote a file, with its policy and pipeline
pipelines.py          the pipeline of an output, with its settings and regions, found by its receipts
ledger_check.py       whether the ledger and the keyring in effect are those of the receipts of an output
lifecycle_events.py   events of tenants and subjects: model, event files, events of the ledger
inventory.py          per-tenant inventory of the files that a rewrite removes, encrypted and stored with its receipt
erasure_list.py       erased subjects of an output, encrypted and stored with its receipt
"""

from __future__ import annotations
