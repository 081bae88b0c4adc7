"""Output folders: published in one step, recovered after a crash, read, indexed by subject.

folder          names, receipts and identity of an output folder
paths           rules for names of outputs, dates and runs, and for what may be next to them
lock            one process at a time
publish         open an output, stage files, publish them with a receipt
recovery        commit record, roll forward and roll back, on disk and in a bucket
sink            Parquet files of released batches
partitions      partition folders (Hive), and records whose values cannot name one
quarantine      rejected records: codes and pointers, never values
worker_files    files that other processes write for a run
stored_file     one file of an output, read back
reader          receipts, files in force and their rows
subject_index   the encrypted index of a file's subjects: keys, form, writer
subject_search  files and rows of some subjects
working_folder  temporary folders, and the removal of abandoned ones
"""

from __future__ import annotations
