"""What a house processes, told from what it enforces: a data catalogue, and the record of processing (GDPR Art. 30).

`gather` reads policies, pipelines, recipients and receipts; `datasets` and `activities` make entries of them, which `markdown`
renders and `writing` puts down. Nothing depends on the day, and no value of a record is looked at.
"""
