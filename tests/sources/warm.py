"""Imported once by the server that the killed processes are forked from, so that each need not start from nothing."""

from __future__ import annotations

import contextlib
from importlib import import_module

import pyarrow as pa

from minimize.errors import OutputError
from minimize.receipts import Receipt

pa.array([1])  # pyarrow imports pandas here, where it is installed
with contextlib.suppress(OutputError):
    Receipt.from_json("{}")

for room in ("minimize.cli.main", "minimize.cli.run", "minimize.runs.runner", "minimize.policy.load", "ruamel.yaml"):
    import_module(room)
