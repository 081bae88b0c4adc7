"""What must go from outputs, and when: retention, tenants that closed, subjects that left, devices that changed hands.

events.py      what happened to tenants and subjects, from a file; recording.py, kept.py: in the ledger, and back
known.py       in which forms a subject stands in outputs; tokens.py finds it there by tokens of them
clock.py       the oldest instant that a released time may stand for
rules.py       what today's policy wants of a file that was written under another
sure.py        where a condition surely holds, by what a file shows
forms.py       how a subject stands in a file: as a pseudonym, a token, or as it came
ordered.py     rules and events for one file; look.py masks of a batch, remains.py the stage that leaves the rest
due.py         which files hold something due, by statistics, index and the few columns that decide
anew.py        aggregates behind which records went: recompute.py a date, lately.py a day that waited for late rows
expire.py      the plan, and the rewriting with a receipt of its own kind; retract.py today's policy and settings
unaffected.py  the dates that a retraction leaves alone, by their receipts; sources.py those that can be run anew
"""
