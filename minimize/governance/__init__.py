"""What becomes of data after a run, and who answers for it.

    recipients/   third parties as files: what may go to them or come from them, for what, under which contract
    retention/    what must go from outputs, and when: by age, and after what happened to tenants and subjects
    access/       who may do what: roles as a file, grants for an incident, and the one function that decides
    consent/      what tenants agreed to, over time
    sharing/      what leaves for a third party or comes from it, recorded, and called back

A room imports those below it, never the reverse.
"""
