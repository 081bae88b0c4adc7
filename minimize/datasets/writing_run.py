"""The run that wrote a file of an output: its receipt, policy and pipeline.

Attachments of a receipt are checked against its digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from minimize.config import Config
from minimize.datasets.inventory import INVENTORY_FILE
from minimize.errors import OutputError
from minimize.forms import read_form
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml
from minimize.policy.aggregate_forms import rollup_name
from minimize.policy.condition import Condition
from minimize.policy.load import load_policy, read_pipeline, read_policy
from minimize.policy.model import Policy
from minimize.policy.names import PolicyReading, declared_names
from minimize.policy.pipeline import Pipeline, PipelineReading, RecordsModel
from minimize.receipts import Receipt, sha256_text
from minimize.receipts.chain import READING_KINDS
from minimize.receipts.shown_counts import SEALED_COUNTS_FILE
from minimize.records import PIPELINE_FILE, POLICY_FILE, RUNS
from minimize.stores import Location, local_copy

RETENTION_POLICY_FILE: Final = "retention.yaml"
"""Today's policy, stored with a receipt that applied its retention to files that keep their original policy."""
RETENTION_PIPELINE_FILE: Final = "retention_pipeline.yaml"
"""Today's pipeline, stored with the same receipt, if aggregates have or had their own retention."""
_OWN_ATTACHMENTS: Final = (INVENTORY_FILE, SEALED_COUNTS_FILE)
"""Attachments that are sealed for one receipt."""
_RUN_ATTACHMENTS: Final = (RETENTION_POLICY_FILE, RETENTION_PIPELINE_FILE, "backfill.yaml", *_OWN_ATTACHMENTS)
"""Attachments about the change that the receipt records, not about the files."""


@dataclass(frozen=True, slots=True)
class PolicyCache:
    """Loaded policies, each parsed once. `purposes` are additional purposes, `config` a configuration that is not read again."""

    purposes: tuple[str, ...] = ()
    config: Config | None = field(default=None, repr=False, compare=False)
    policies: dict[tuple[object, ...], Policy] = field(default_factory=dict, repr=False)

    def policy(self, same: tuple[object, ...], path: Location, purpose: str) -> Policy:
        """The policy of a file. Raises PolicyError."""
        if same not in self.policies:
            with local_copy(path.parent) as folder:
                self.policies[same] = load_policy(folder / path.name, (*self.purposes, purpose), config=self.config)
        return self.policies[same]


@dataclass(frozen=True)
class WritingRun:
    """The receipt that wrote a file, in its output folder."""

    output: Location
    receipt: Receipt
    policies: PolicyCache = field(default_factory=PolicyCache, repr=False)

    @property
    def rewrite_group(self) -> tuple[object, ...]:
        """The policy, pipeline and purpose that receipts must share for their files to be rewritten together."""
        files = {name: digest for name, digest in self.receipt.files.items() if name not in _RUN_ATTACHMENTS}
        return (self.receipt.purpose, self.receipt.policy.digest, *sorted(files.items()))

    @cached_property
    def policy(self) -> Policy:
        """The policy under which its files were written. Raises PolicyError, OutputError."""
        self._content(POLICY_FILE, self.receipt.policy.digest)
        return self.policies.policy(self.rewrite_group, self._folder / POLICY_FILE, self.receipt.purpose)

    @cached_property
    def pipeline(self) -> Mapping[str, Any]:
        """The content of its pipeline file."""
        return {key: node.to_data() for key, node in self._nodes(PIPELINE_FILE).entries.items()}

    @cached_property
    def loaded_pipeline(self) -> Pipeline:
        """Its pipeline with its policy. Raises OutputError if the stored files do not match the receipt or have faults."""
        names = {POLICY_FILE: self.receipt.policy.digest, PIPELINE_FILE: self.receipt.files.get(PIPELINE_FILE, "")}
        for name, digest in names.items():
            self._content(name, digest)
        with local_copy(self._folder) as folder:
            reading = PipelineReading(FaultList(), folder, (self.receipt.purpose,))
            reading.policy = read_policy(self._nodes(POLICY_FILE), reading, {"digest": names[POLICY_FILE]})
            loaded = {"path": folder / PIPELINE_FILE, "digest": names[PIPELINE_FILE]}
            pipeline = read_pipeline(self._nodes(PIPELINE_FILE), reading, loaded)
        if pipeline is None or reading.faults.found:
            raise OutputError(f"the policy of {self.receipt.run_id} cannot be read", findings=reading.faults.found)
        return pipeline

    @cached_property
    def record_condition(self) -> Condition | None:
        """The condition of its pipeline on whole records, in addition to those of its policy; None if it has none."""
        records = self._nodes(PIPELINE_FILE).get("records")
        if records is None or not records.is_mapping:
            return None
        reading = PolicyReading(FaultList(), names=declared_names(self._nodes(POLICY_FILE)))
        model = read_form(RecordsModel, records, reading)
        return None if model is None else model.collect_if

    def _nodes(self, name: str) -> YamlNode:
        """The nodes of an attachment; an empty mapping if it is missing."""
        content = self.attachments.get(name, b"")
        return parse_yaml(content.decode("utf-8-sig"), FaultList()) or YamlNode({})

    def group_fields(self, name: str) -> Iterator[tuple[str, str, str | None]]:
        """The group columns of an aggregate, each with its field and the unit of a time."""
        for column, group_field in self._groups_by_table().get(name, {}).items():
            ((key, unit),) = group_field.items() if isinstance(group_field, dict) else ((group_field, None),)
            yield str(column), str(key), unit

    def _groups_by_table(self) -> dict[str, Mapping[str, Any]]:
        """The groups of each aggregate and of each roll-up."""
        tables: dict[str, Mapping[str, Any]] = {}
        for name, aggregate in (self.pipeline.get("aggregates") or {}).items():
            groups = aggregate.get("group_by") or {}
            tables[name] = groups
            for columns in aggregate.get("rollups") or ():
                rollup_groups = {column: key for column, key in groups.items() if column in columns}
                tables[rollup_name(name, rollup_groups)] = rollup_groups
        return tables

    @cached_property
    def attachments(self) -> dict[str, bytes]:
        """The attachments of the receipt, by name. Raises OutputError if they do not match its digests."""
        digests = {**self.receipt.files, POLICY_FILE: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in digests.items() if name not in _RUN_ATTACHMENTS}

    @property
    def all_attachments(self) -> dict[str, bytes]:
        """The same with attachments about the recorded change, except sealed ones. Raises OutputError."""
        digests = {**self.receipt.files, POLICY_FILE: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in digests.items() if name not in _OWN_ATTACHMENTS}

    @property
    def _folder(self) -> Location:
        return self.output / RUNS / self.receipt.run_id

    def _content(self, name: str, digest: str) -> bytes:
        path = self._folder / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256_text(content) != digest:
            raise OutputError(
                f"{RUNS}/{self.receipt.run_id}/{name} does not match its receipt",
                hint="Run `minimize verify` to check all files.",
            )
        return content


def source_read_times(receipts: Iterable[Receipt]) -> dict[str | None, datetime]:
    """Per batch date (None for an output without dates), when its current records were read from their source.

    A later rewrite reads no source. The earlier of the two times in a receipt counts.
    """
    times_by_date: dict[str | None, datetime] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        if receipt.kind in READING_KINDS or receipt.from_ == "source":
            times_by_date |= dict.fromkeys(receipt.dates or (None,), min(receipt.at, receipt.finished))
    return times_by_date


def receipts_by_path(receipts: Iterable[Receipt]) -> dict[str, Receipt]:
    """The receipt that wrote each file, by path."""
    by_path: dict[str, Receipt] = {}
    for receipt in receipts:
        files = [file for output in receipt.outputs.values() for file in output.files]
        by_path |= {file.path: receipt for file in (*files, *(receipt.restricted or ()))}
    return by_path
