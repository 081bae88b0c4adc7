"""Rewrites the records of an output once, as a deletion does, and leaves every row: what a deletion cannot do without.

Run by `deleting`, in a process of its own. Nothing is published: the new files are given up where a receipt would be made.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from minimize.keys import Keyring, find_kms
from minimize.output.publish import open_output
from minimize.receipts import Receipt, files_in_force, new_run_id
from minimize.records import Stage
from minimize.removal.rewrite import rewrite_files
from minimize.removal.rewrite_receipt import RewriteResult


class Enough(Exception):
    """The files are written, and nobody wants them."""


def main(output: str, keys: str) -> None:
    """Takes the output folder and the keyring's file."""
    keyring, folder = Keyring.load(keys), Path(output)
    with open_output(folder, create=False) as opened:
        stages: dict[str, Stage] = {
            file.path: lambda batch: batch for file in files_in_force(opened.receipts())["records"]
        }
        try:
            kms = find_kms(keyring, folder)
            rewrite_files(opened, new_run_id(datetime.now(UTC)), stages, _enough, keys=keyring, kms=kms)
        except Enough:
            sys.stdout.write(f"{len(stages)} files were rewritten\n")


def _enough(_: RewriteResult) -> Receipt:
    raise Enough


if __name__ == "__main__":
    main(*sys.argv[1:])
