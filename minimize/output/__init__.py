"""Output folders: published in one step, recovered after a crash, indexed by subject.

folder          names, receipts and identity of an output folder; rules for names in it; partition folders (Hive)
publish         open an output, stage files in temporary folders, publish them with a receipt
commit          the step that publishes, on disk and in a bucket; completed or undone after a crash
sink            Parquet files of released batches, also those of worker processes; rejected records
restricted      sealed records of restricted subjects
stored_file     read one file of an output
subject_index   the encrypted index of a file's subjects: keys, format, writer
subject_search  files and rows of some subjects
"""

from __future__ import annotations
