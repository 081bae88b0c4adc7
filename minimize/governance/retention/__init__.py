"""What must go from outputs, and when: retention, tenants that closed, subjects that left, devices that changed hands.

events.py      what happened to tenants and subjects, from a file; the ledger keeps them, too
clock.py       the oldest instant that a released time may stand for
rules.py       what today's policy wants of a file that was written under another
sure.py        where a condition surely holds, by what a file shows
forms.py       how a subject stands in a file: as a pseudonym, a token, or as it came
orders.py      rules and events for one file; look.py masks of a batch, remains.py the stage that leaves the rest
due.py         which files hold something due, by statistics, index and the few columns that decide
expire.py      the plan, and the rewriting with a receipt of its own kind
"""
