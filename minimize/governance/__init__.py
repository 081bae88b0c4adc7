"""What becomes of data after a run, and who answers for it.

    recipients/   third parties as files: what may go to them or come from them, for what, under which contract
    consent/      what tenants agreed to, over time

A room imports those below it, never the reverse.
"""
