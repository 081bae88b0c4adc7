"""Work on Arrow columns that knows neither policies nor files.

pointers          JSON Pointers to (nested) columns
nested            leaves of nested columns: take them out, spread masks, assemble them again
scrub             columns without hidden bytes, before data leaves the process
dictionaries      dictionary-encoded columns and integer codes: distinct values, new entries, combinations of columns
value_dictionary  codes of values that stay the same from batch to batch
interner          codes of texts that stay the same from batch to batch
hashing           texts as machine words, hashed and compared for whole columns
interchange       results as pandas, Polars, DuckDB or pyarrow objects
"""

from __future__ import annotations
