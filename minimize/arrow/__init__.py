"""Operations on Arrow columns, independent of policies and files.

pointers      JSON Pointers to (nested) columns
nested        leaves of nested columns: extract them, repeat masks for them, assemble them again
scrub         columns without hidden bytes, before data leaves the process
dictionaries  dictionary-encoded columns and integer codes: distinct values, new entries, combinations of columns
codes         codes of integers and values that stay the same from batch to batch
interner      codes of texts that stay the same from batch to batch
hashing       texts as machine words, hashed and compared for whole columns
interchange   results as pandas, Polars, DuckDB or pyarrow objects
types         the types that a policy names, and text parsed as them
columns       columns of records as numbers
"""

from __future__ import annotations
