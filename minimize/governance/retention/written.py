"""Who wrote a file, and under which policy: what stands beside a receipt goes along with the files that are rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from minimize.errors import OutputError
from minimize.io.history import RUNS
from minimize.job.leaving import LEFT
from minimize.job.pending import READING
from minimize.policy.faults import Faults
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.policy.yaml import parse
from minimize.receipt import Receipt, sha256_text
from minimize.stores import Place, fetched

POLICY: Final = "policy.yaml"
PIPELINE: Final = "pipeline.yaml"
RETENTION: Final = "retention.yaml"
"""The policy of today, beside a receipt that applied its retention to files that keep the policy of then."""
AGGREGATES: Final = "retention_pipeline.yaml"
"""The pipeline of today, next to the same receipt, if aggregates have retentions of their own, now or then."""
_OF_THE_RUN: Final = (RETENTION, AGGREGATES, "backfill.yaml", LEFT)
"""What stands beside a receipt about the change that it tells of, not about the files."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Policies as they are read, each once. `purposes` are those that the house adds."""

    purposes: tuple[str, ...] = ()
    known: dict[tuple[object, ...], Policy] = field(default_factory=dict, repr=False)

    def policy(self, same: tuple[object, ...], path: Place, purpose: str) -> Policy:
        """The policy of a file. Raises PolicyError."""
        if same not in self.known:
            with fetched(path.parent) as folder:
                self.known[same] = load_policy(folder / path.name, (*self.purposes, purpose))
        return self.known[same]


@dataclass(frozen=True)
class Written:
    """The receipt that wrote a file, in its output folder."""

    output: Place
    receipt: Receipt
    reading: Reading = field(default_factory=Reading, repr=False)

    @property
    def same(self) -> tuple[object, ...]:
        """What receipts have in common whose files may be rewritten together: policy, pipeline, purpose."""
        files = {name: digest for name, digest in self.receipt.files.items() if name not in _OF_THE_RUN}
        return (self.receipt.purpose, self.receipt.policy.digest, *sorted(files.items()))

    @cached_property
    def policy(self) -> Policy:
        """The policy that its files were written under. Raises PolicyError, OutputError."""
        self._content(POLICY, self.receipt.policy.digest)
        return self.reading.policy(self.same, self._folder / POLICY, self.receipt.purpose)

    @cached_property
    def pipeline(self) -> Mapping[str, Any]:
        """What its pipeline's file says."""
        root = parse(self.attachments[PIPELINE].decode("utf-8-sig"), Faults()) if PIPELINE in self.attachments else None
        return {} if root is None else {key: node.plain() for key, node in root.entries.items()}

    @cached_property
    def attachments(self) -> dict[str, bytes]:
        """The bytes that stand beside the receipt, by name. Raises OutputError where they are not those that it tells."""
        said = {**self.receipt.files, POLICY: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in said.items() if name not in _OF_THE_RUN}

    @property
    def everything(self) -> dict[str, bytes]:
        """The same with what stands there about the change that the receipt tells of, but for what left. Raises OutputError."""
        said = {**self.receipt.files, POLICY: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in said.items() if name != LEFT}

    @property
    def _folder(self) -> Place:
        return self.output / RUNS / self.receipt.run_id

    def _content(self, name: str, digest: str) -> bytes:
        path = self._folder / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256_text(content) != digest:
            raise OutputError(
                f"{RUNS}/{self.receipt.run_id}/{name} is not what its receipt tells",
                hint="`minimize verify` checks all files",
            )
        return content


def times_read(receipts: Iterable[Receipt]) -> dict[str | None, datetime]:
    """Per batch date (None for an output without dates) when the records that stand were read from their source.

    What rewrites files afterwards reads no source. The earlier of the two times that a receipt has counts.
    """
    found: dict[str | None, datetime] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        if receipt.kind in READING or receipt.from_ == "source":
            found |= dict.fromkeys(receipt.dates or (None,), min(receipt.at, receipt.finished))
    return found


def writers(receipts: Iterable[Receipt]) -> dict[str, Receipt]:
    """Per path of a file the receipt that wrote it."""
    return {file.path: receipt for receipt in receipts for output in receipt.outputs.values() for file in output.files}
