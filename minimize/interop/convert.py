"""Import documents as policies in which every field is dropped, and export policies, plans and receipts.

JSON Schemas (2020-12) of the files that are written by hand, for editors and for the reference.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.access.model import AccessRules
from minimize.arrow.pointers import Pointer
from minimize.config import config_schema
from minimize.drafting import (
    RECORD_PARTS,
    SCHEMA_FOLDER,
    DraftBlock,
    DraftedField,
    DraftedPart,
    can_be_declared,
    draft_text,
    guess_record_fields,
    pipeline_text,
    source_pattern,
    type_text,
    valid_name,
    write_new_files,
)
from minimize.drafting.proposals import DROP, FieldEvidence, Proposal, propose_for_field, technique_for, treatment_for
from minimize.drafting.values import ValueSummary
from minimize.errors import ConfigurationError, redact_errors
from minimize.forms import Form, form_schema
from minimize.forms.yaml_nodes import key_text, quote_yaml
from minimize.governance.incidents.contacts import Contacts
from minimize.interop import FORMATS, export_formats, import_formats
from minimize.interop.documents import (
    DescribedColumn,
    DescribedDataset,
    DocumentReader,
    DocumentWriter,
    ExportRequest,
    read_document,
)
from minimize.output.folder import has_runs
from minimize.policy.fixture_forms import FixtureFile
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.recipients.load import Subprocessors, TenantContracts
from minimize.recipients.model import Recipient
from minimize.records import PIPELINE_FILE, POLICY_FILE
from minimize.results import JsonResult, Line, WrittenFiles
from minimize.runs.backfill import Backfill
from minimize.stores import PathText, parse_location
from minimize.text import did_you_mean, load_object
from minimize.workspace import Workspace

_DROPPED_ROLES: Final = frozenset({"secret", "free_text", "sensitive"})
"""Roles for which only `drop` is proposed."""
_HEAD: Final = """\
# yaml-language-server: $schema={schema}
# Drafted from {source}. Every field is dropped. Keep only what a purpose needs, in the least precise form that serves it.
# Proposals take effect when you accept them, in this file or with: minimize policy accept DIR FIELD.
# Then run: minimize lint, minimize plan.
"""


def imported_policy_text(described: DescribedDataset, source: str) -> str:
    """The text of the policy. It loads without faults for every document.

    Takes the described dataset and the name of its format. Raises ConfigurationError if no field can be declared.
    """
    columns = {each.pointer: each for each in described.columns if can_be_declared(each.pointer, each.type)}
    if not columns:
        raise ConfigurationError("the document describes no field that a policy can declare")
    blocks: list[DraftBlock] = [*_head(described, columns), "fields:"]
    proposals = _proposals(described, columns)
    for pointer, column in columns.items():
        is_map = column.type == "map" and any(each != pointer and each.within(pointer) for each in columns)
        entries, proposal = _entries(column, keyed_by_values=is_map), proposals[pointer]
        blocks.append(DraftedField(key_text(pointer), entries, proposal.entries, proposal.remarks))
    blocks += [
        f"  # {quote_yaml(name)}: {why}; dropped, like every undeclared field"
        for name, why in described.left_out.items()
    ]
    if described.never:
        blocks += ["never:", *(f"  - {quote_yaml(pointer.forbidden_text)}" for pointer in described.never)]
    return _HEAD.format(schema=f"{SCHEMA_FOLDER}/policy.json", source=source) + draft_text(blocks) + "\n"


def _head(described: DescribedDataset, columns: Mapping[Pointer, DescribedColumn]) -> Iterator[DraftBlock]:
    for remark in described.remarks:
        yield from textwrap.wrap(_one_line(remark), 118, initial_indent="# ", subsequent_indent="#   ")
    yield f"policy: {valid_name(described.name)}"
    yield f"version: {described.version}"
    yield f"owner: {quote_yaml(described.owner)}" if described.owner else "owner: nobody@example.com"
    yield f"purposes: [{', '.join(described.purposes or ('operations',))}]"
    guesses = guess_record_fields({pointer: column.type for pointer, column in columns.items()})
    for word in RECORD_PARTS:
        field, guess = described.parts.get(word), guesses.get(word)
        if field is not None:
            yield f"{word}: {key_text(Pointer.parse(field))}"
        else:
            yield DraftedPart.of(word, guess, may_be_absent=guess is not None and columns[guess].is_nullable)
    if described.retention is not None:
        yield f"{'' if 'time' in described.parts else '# '}retention: {described.retention}"


def _proposals(described: DescribedDataset, columns: Mapping[Pointer, DescribedColumn]) -> dict[Pointer, Proposal]:
    guesses = guess_record_fields({pointer: column.type for pointer, column in columns.items()})
    words = {pointer: word for word, pointer in guesses.items()}
    tenant = guesses.get("tenant")
    proposals: dict[Pointer, Proposal] = {}
    for pointer, column in columns.items():
        per = key_text(tenant) if tenant is not None and tenant != pointer else None
        look = ValueSummary(1, 0, 1, {column.kind: 1.0} if column.kind else {})
        proposals[pointer] = _combined_proposal(
            column, FieldEvidence(pointer, column.type, look, words.get(pointer), per)
        )
    return proposals


def _combined_proposal(column: DescribedColumn, evidence: FieldEvidence) -> Proposal:
    """The proposal for a field, with role and treatment of the document if it states them."""
    guess = propose_for_field(evidence)
    reasons = (*((column.reason,) if column.reason else ()), *guess.reasons)
    do = guess.do if column.do is None else column.do
    if column.role in _DROPPED_ROLES or guess.role == "secret":
        do = DROP
    elif column.role == "identifier" and technique_for("identifier").name not in do:
        do = DROP if column.do is None else treatment_for("identifier", evidence)
    return replace(guess, role=column.role or guess.role, do=do, reasons=reasons)


def _entries(column: DescribedColumn, *, keyed_by_values: bool) -> dict[str, str]:
    entries = {
        "type": type_text(column.type),
        "role": column.role,
        "required": "true" if column.required else None,
        "about": quote_yaml(column.about) if column.about else None,
        "unit": quote_yaml(column.unit) if column.unit else None,
        "do": DROP,
        "keys": DROP if keyed_by_values else None,
    }
    return {key: value for key, value in entries.items() if value}


def _one_line(remark: str) -> str:
    """A remark without characters that would end its line."""
    return "".join(char if char.isprintable() else " " for char in remark)


@dataclass(frozen=True, slots=True)
class ImportedPolicy(JsonResult):
    """The text of an imported policy."""

    policy: str

    def lines(self) -> Iterator[Line]:
        """The lines of the policy."""
        yield from self.policy.rstrip("\n").split("\n")


@redact_errors
def import_policy(kind: str, file: PathText, *, choice: str | None = None) -> ImportedPolicy:
    """A policy for the dataset that a document describes: every field dropped, proposals above them.

    Takes a format of `import_formats`, the document's file, and the name of one of several datasets. Raises ConfigurationError,
    PolicyError if the document cannot be read.
    """
    if kind not in import_formats():
        raise ConfigurationError("unknown format for an import", hint=did_you_mean(kind, import_formats()))
    row = FORMATS[kind]
    read: DocumentReader = load_object(row.reads or "")
    return ImportedPolicy(imported_policy_text(read(read_document(Path(file)), choice), row.about))


@redact_errors
def import_into(
    kind: str,
    file: PathText,
    folder: PathText,
    *,
    choice: str | None = None,
    data: PathText | None = None,
) -> WrittenFiles:
    """Write the policy, and a pipeline for the data if given, into a folder. Never overwrites."""
    texts = {POLICY_FILE: import_policy(kind, file, choice=choice).policy}
    if data is not None:
        texts[PIPELINE_FILE] = pipeline_text(source_pattern(data), valid_name(Path(folder).absolute().name))
    following = f"next: review the policy, then run `minimize policy accept {folder} FIELD`"
    return WrittenFiles(write_new_files(Path(folder), texts), {"format": FORMATS[kind].about}, (following,))


@redact_errors
def export_document(kind: str, request: ExportRequest) -> str:
    """The text of a document in another format.

    Takes a format of `export_formats`, and the request. Raises ConfigurationError, PolicyError, RefusedError.
    """
    if has_runs(parse_location(request.path)):
        Workspace(output=request.path, pipeline=request.pipeline, shown=(request.path,)).require("run/read")
    if kind not in export_formats():
        raise ConfigurationError("unknown format for an export", hint=did_you_mean(kind, export_formats()))
    write: DocumentWriter = load_object(FORMATS[kind].writes or "")
    return write(request)


CONFIGURATION: Final = "configuration"
FILE_FORMS: Final[Mapping[str, type[Form]]] = MappingProxyType(
    {
        "policy": Policy,
        "pipeline": Pipeline,
        "backfill": Backfill,
        "recipient": Recipient,
        "subprocessors": Subprocessors,
        "contracts": TenantContracts,
        "access": AccessRules,
        "contacts": Contacts,
        "fixtures": FixtureFile,
    }
)
"""The form of each kind of file. `minimize.yaml` is not a form, because every command reads it."""
FILE_KINDS: Final = (*FILE_FORMS, CONFIGURATION)


def file_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file.

    >>> file_schema("contacts")["required"]
    ['contacts']
    """
    return config_schema() if kind == CONFIGURATION else form_schema(FILE_FORMS[kind], f"minimize {kind}")
