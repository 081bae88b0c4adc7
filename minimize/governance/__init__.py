"""What becomes of data after a run, and who answers for it.

    recipients/   third parties as files: what may go to them or come from them, for what, under which contract
    retention/    what must go from outputs, and when: by age, and after what happened to tenants and subjects
    consent/      what tenants agreed to, over time
    sharing/      what leaves for a third party or comes from it, recorded, and called back

A room imports those below it, never the reverse.
"""
