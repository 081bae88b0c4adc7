"""Finding subjects: beside each file of records a list of who is in it, that only the keyring can read.

Per file `index/…/<name>.index` holds, sorted, the first 8 bytes of a keyed hash of each released value of the subject's
column, and in which row groups it is; sealed in blocks, so that finding a few reads a few. It lies outside the data roots,
so that other engines do not come across it. A prefix that two values share sends a reader to a row group in vain; a value
that is there is always found.
"""
