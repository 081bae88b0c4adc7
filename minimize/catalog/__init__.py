"""What a house processes, told from what it enforces: a data catalogue, and the record of processing (GDPR Art. 30).

`gather` reads policies, pipelines, recipients and receipts; `datasets` and `activities` make entries of them, which `markdown`
renders and `writing` puts down. A contract counts only on days on which it is in force; all else is the same every day. No
value of a record is read.
"""
