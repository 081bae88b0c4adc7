"""Draft a policy and a pipeline for data (`minimize init`), write the files, and accept proposals.

A draft is written from a model of the drafted file: the fields with their proposals, and the parts of a record. To accept
proposals, the file is read into that model again. Lines that are neither a proposal nor the field below it stay as they are.

proposals.py  a technique for each field, by the evidence in its values
pinned_levels.py  levels that a search chose, written into a policy
values.py     the fields of a source and their types, and kinds of values
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Final, Self

from minimize.arrow.pointers import Pointer
from minimize.drafting.proposals import Proposal, infer_types, propose_treatments
from minimize.drafting.values import MIN_RECORDS_OF_NAME, discover_frequent_fields, summarize_source
from minimize.errors import ConfigurationError, redact_errors
from minimize.forms import form_schema
from minimize.forms.values import DECIMAL_PATTERN, FIELD_TYPES, MAX_DECIMAL_DIGITS, NAME_PATTERN
from minimize.forms.yaml_nodes import (
    _YAML_CONSTANTS,
    FaultList,
    compose_mapping,
    key_text,
    parse_yaml,
    read_utf8,
    written_entries,
)
from minimize.policy.load import check_policy_text
from minimize.policy.model import Policy
from minimize.policy.names import field_pointer
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import suggested_role
from minimize.records import PIPELINE_FILE, POLICY_FILE
from minimize.results import WrittenFiles
from minimize.sources import FORMATS, format_by_name
from minimize.sources.file_discovery import find_files
from minimize.sources.files import is_uncompressed
from minimize.stores import (
    Location,
    PathText,
    absolute_location,
    durable_files,
    location_options,
    location_text,
    parse_location,
    relative_path,
)
from minimize.stores.path_patterns import DATE_PLACEHOLDER
from minimize.techniques.redact import has_hit
from minimize.text import did_you_mean

RECORD_PARTS: Final[Mapping[str, str]] = {
    "tenant": "whose settings apply",
    "subject": "the person or device",
    "time": "when it happened",
    "record": "which record it is",
}
"""The top-level keys that name a field by its part in a record, and what each means."""
_MAY_BE_ABSENT: Final = "not in all records; those without it would be quarantined"
"""The remark about a part whose field can be null, which `all` does not accept."""
_NO_FIELD: Final = "FIELD"
_PROPOSED: Final = "  # proposed: "
_ACCEPTED: Final = "  # accepted: "
_COMMENT: Final = "  # "


@dataclass(frozen=True, slots=True)
class DraftedPart:
    """A top-level key for a part of a record. It is a comment until it is accepted: records without the field are faulty."""

    name: str
    """`tenant`, `subject`, `time` or `record`."""
    text: str
    """The key, its value, and a remark."""
    is_open: bool = True

    @classmethod
    def of(cls, name: str, pointer: Pointer | None, *, may_be_absent: bool = False) -> Self:
        """The key with a field; with a placeholder if none is known. `may_be_absent`: it can have no value."""
        value = _NO_FIELD if pointer is None else key_text(pointer)
        return cls(name, f"{f'{name}: {value}':<37} # {_MAY_BE_ABSENT if may_be_absent else RECORD_PARTS[name]}")

    @property
    def may_be_absent(self) -> bool:
        """Whether the field can have no value, so that the part is accepted only by its name."""
        return self.text.endswith(_MAY_BE_ABSENT)

    def accept(self) -> Self:
        """The key in effect."""
        return replace(self, is_open=False)

    @property
    def lines(self) -> tuple[str, ...]:
        """Its line in the file."""
        return (f"# {self.text}" if self.is_open else self.text,)


@dataclass(frozen=True, slots=True)
class DraftedField:
    """What is written about a field, and what is proposed for it."""

    key: str
    """Its key, in the notation of YAML."""
    entries: Mapping[str, str]
    """Type, treatment and others, each value in the notation of YAML."""
    proposed: Mapping[str, str] = field(default_factory=dict)
    """The entries that are proposed; empty if there is no proposal."""
    comments: Sequence[str] = ()
    """The comments between the proposal and the field."""
    remark: str = ""
    """What follows the entries on their line."""
    is_accepted: bool = False

    @property
    def name(self) -> str:
        """The key without the quotes and escapes of YAML."""
        root = compose_mapping(f"{self.key}: x")
        return self.key if root is None else str(root.value[0][0].value)

    @property
    def is_open(self) -> bool:
        """Whether the proposal can be accepted: the field is still dropped, and none of its keys can be a value."""
        return bool(self.proposed) and self.entries.get("do") == "drop" and "keys" not in self.entries

    def accept(self) -> Self:
        """The field with the proposed entries."""
        kept = {key: value for key, value in self.entries.items() if key not in ("role", "do")}
        return replace(self, entries={**kept, **self.proposed}, is_accepted=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines in the file: the proposal, the comments and the entries."""
        mark = _ACCEPTED if self.is_accepted else _PROPOSED
        proposal = (mark + _flow_text(self.proposed),) if self.proposed else ()
        return (
            *proposal,
            *(_COMMENT + each for each in self.comments),
            f"  {self.key}: {_flow_text(self.entries)}{self.remark}",
        )


DraftBlock = str | DraftedPart | DraftedField
"""A line as it is, or a part of the model."""


def draft_text(blocks: Iterable[DraftBlock]) -> str:
    """The text of the file."""
    return "\n".join(line for block in blocks for line in ((block,) if isinstance(block, str) else block.lines))


def read_draft(text: str) -> Iterator[DraftBlock]:
    """The blocks of a file. A comment `proposed` belongs to the first line below it that is no comment."""
    above: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_PROPOSED):
            yield from above
            above = [line]
        elif above and line.startswith(_COMMENT):
            above.append(line)
        else:
            block = _read_field(above, line) if above else _read_part(line)
            yield from (*above, line) if block is None else (block,)
            above = []
    yield from above


def open_proposals(blocks: Iterable[DraftBlock]) -> list[DraftedPart | DraftedField]:
    """The blocks whose proposals can be accepted."""
    return [block for block in blocks if not isinstance(block, str) and block.is_open]


def _read_field(above: Sequence[str], line: str) -> DraftedField | None:
    proposed, outer = compose_mapping(above[0].removeprefix(_PROPOSED)), compose_mapping(line)
    if proposed is None or outer is None or not line.startswith("  "):
        return None
    ((key, entries),) = outer.value
    written = written_entries(entries, line)
    if not written:
        return None
    return DraftedField(
        line[key.start_mark.index : key.end_mark.index],
        written,
        written_entries(proposed, above[0].removeprefix(_PROPOSED)),
        [each.removeprefix(_COMMENT) for each in above[1:]],
        line[entries.end_mark.index :],
    )


def _read_part(line: str) -> DraftedPart | None:
    text = line.removeprefix("# ")
    root = compose_mapping(text) if text != line else None
    written = {} if root is None else written_entries(root, text)
    name = next(iter(written), "")
    return DraftedPart(name, text) if name in RECORD_PARTS and written[name] not in ("", _NO_FIELD) else None


def _flow_text(entries: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in entries.items())}}}"


_SCHEMA = "# yaml-language-server: $schema={schema}"
_GUESSED = "A comment after a field is a guess from its name."
_PROPOSALS_REMARK = "A proposal takes effect when it is accepted, by hand or with: minimize policy accept DIR FIELD."
_POLICY_HEAD = """\
# Drafted from the data. Every field is dropped; keep only what a purpose needs, in the coarsest form that serves it.
# {remark} Then: minimize lint, minimize plan.
policy: {name}
version: 1
owner: nobody@example.com               # who is responsible for this policy
purposes: [operations]                  # or customer_support, service_maintenance"""
_RETENTION = "# retention: 30d                         # counts from `time`"
_RECORD_FIELD_NAMES = {
    "tenant": r"(tenant|account|customer|org(ani[sz]ation)?)_?id",
    "subject": r"(device|user|person|subject|installation)_?(id|guid|uuid)",
    "time": r"(event|record|created|occurred)_?(time|timestamp|at)|time(stamp)?|ts",
    "record": r"(event|record|message)_?(id|guid|uuid)",
}


def draft_policy_text(
    schema: Sequence[tuple[str, str]],
    name: str,
    proposals: Mapping[Pointer, Proposal] | None = None,
    editor: str | None = None,
    parts: Mapping[str, Pointer] | None = None,
    absent: Collection[Pointer] = (),
) -> str:
    """The text of a policy in which every field is dropped, ready to edit. It loads without faults.

    schema     leaves of the data, as pointers (or columns) with the policy's word for their type
    name       the name of the policy
    proposals  the proposals for the fields; None for comments that guess the role of each field from its name
    editor     the path of the JSON Schema for editors
    parts      the fields that are tenant, subject, time and record; by default guessed from their names
    absent     the fields that too many records do not have

    >>> print(draft_policy_text([("/phone", "string")], "calls").splitlines()[-1])
      phone: {type: string, do: drop}  # identifier?
    """
    leaves = nameable_fields(schema)
    guesses = guess_record_fields(leaves) if parts is None else parts
    remark = _GUESSED if proposals is None else _PROPOSALS_REMARK
    blocks: list[DraftBlock] = [
        *([] if editor is None else [_SCHEMA.format(schema=editor)]),
        _POLICY_HEAD.format(name=valid_name(name), remark=remark),
        *(DraftedPart.of(word, guesses.get(word), may_be_absent=guesses.get(word) in absent) for word in RECORD_PARTS),
        _RETENTION,
        "fields:",
        *(drafted_field(pointer, type_, (proposals or {}).get(pointer)) for pointer, type_ in leaves.items()),
    ]
    return draft_text(blocks) + "\n"


def nameable_fields(schema: Sequence[tuple[str, str]]) -> dict[Pointer, str]:
    """The fields that a policy can name, with their types."""
    return {pointer: type_ for key, type_ in schema if (pointer := field_pointer(key)) is not None}


def guess_record_fields(leaves: Mapping[Pointer, str]) -> dict[str, Pointer]:
    """The fields that are `tenant`, `subject`, `time` and `record`, guessed from their names."""
    pointers_by_word = {
        word: [each for each, type_ in leaves.items() if _is_record_field(word, each, type_)]
        for word in _RECORD_FIELD_NAMES
    }
    return {word: pointers[0] for word, pointers in pointers_by_word.items() if pointers}


def can_be_declared(pointer: Pointer, type_: str) -> bool:
    """Whether a policy can declare this field: its name is not `date`, and its type is supported."""
    return pointer.top != "date" and type_text(type_) is not None


def valid_name(text: str) -> str:
    """The nearest valid name of a policy or pipeline for a text.

    >>> valid_name("2026 check-ins")
    'p_2026_check-ins'
    """
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:60]
    good = re.fullmatch(NAME_PATTERN, words) and words.lower() not in _YAML_CONSTANTS
    return words if good else f"p_{words}".rstrip("_")


def _is_record_field(word: str, pointer: Pointer, type_: str) -> bool:
    if pointer.stars or (word == "time" and type_ not in ("timestamp", "date")):
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(pointer.parts[-1])).lower()
    return re.fullmatch(_RECORD_FIELD_NAMES[word], snake) is not None


def drafted_field(pointer: Pointer, type_: str, proposal: Proposal | None = None) -> DraftBlock:
    """A dropped field with its proposal, or with a guess at its role; a comment for a field that cannot be declared."""
    key, word = key_text(pointer), type_text(type_)
    if pointer.top == "date":
        return f"  # {key}: `date` is reserved for the partition; rename the field in the source"
    if word is None:
        return f"  # {key}: a policy has no type for {_label(type_)}; dropped, as are all fields without an entry"
    entries = {"type": word, "do": "drop"} | ({"keys": "drop"} if type_ == "map" else {})
    if proposal is not None:
        return DraftedField(key, entries, proposal.entries, proposal.remarks)
    role = suggested_role(pointer)
    return DraftedField(key, entries, remark=f"  # {role}?" if role else "")


def type_text(type_: str) -> str | None:
    """The type as written in the file; None if no field may have it."""
    digits = re.fullmatch(DECIMAL_PATTERN, type_)
    if digits:
        return f'"{type_}"' if 1 <= int(digits[1]) <= MAX_DECIMAL_DIGITS and int(digits[2]) <= int(digits[1]) else None
    return type_ if type_ in FIELD_TYPES and type_ != "decimal" else None


def _label(type_: str) -> str:
    """The type's name, one word."""
    return re.sub(r"[^\w,()]+", " ", type_).strip()


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"[A-Za-z_@$][A-Za-z0-9_@$. :-]{0,63}")
_OMITTED: Final = (
    "  # fields left out, because their names look like values or few records have them (they are dropped): {}\n"
)
SCHEMA_FOLDER: Final = ".schema"
"""The folder of the JSON Schemas."""
_WARN_ABOVE: Final = 0.01
"""Share of records in quarantine from which on a run of a drafted pipeline fails."""
_PIPELINE = """# yaml-language-server: $schema={schema}
pipeline: {name}
policy: policy.yaml
purpose: operations
source: {{path: {path}, format: {format}}}
output: out
records: {{must_be: pseudonymized, encrypt: identified}}
quarantine: {{warn_above: {warn_above}}}
"""


@redact_errors
def init_pipeline(data: PathText, folder: PathText) -> list[Path]:
    """Writes a policy in which every field of the data is dropped, with a proposal above each field, and a pipeline for it.

    Takes a file, or a folder of files of one format, laid out by date or not. Proposals are made from names, types, and
    counts over the first records; they contain no value. Returns the paths of policy and pipeline; their JSON Schemas are in
    a folder next to them. Existing files are never replaced. Raises SourceError if there is no data, ConfigurationError
    if a file exists.
    """
    target, source = Path(folder), source_pattern(data)
    name = valid_name(target.absolute().name)
    policy = _drafted_policy(source, name)
    return write_new_files(target, {POLICY_FILE: policy, PIPELINE_FILE: pipeline_text(source, name)})


@redact_errors
def init(data: PathText, folder: PathText | None = None, *, accepted: Collection[str] = ()) -> WrittenFiles:
    """Drafts a policy and a pipeline for data, and accepts proposals. Without a folder, `data` is the folder of a draft.

    Raises the exceptions of `init_pipeline` and `accept_proposals`.
    """
    target = data if folder is None else folder
    files = [] if folder is None else init_pipeline(data, folder)
    taken = accept_proposals(Path(target), accepted) if accepted else []
    if taken:
        next_step = f"next: `minimize lint {target}`, `minimize plan {target} --preview 3`"
        return WrittenFiles(files, {"accepted": taken}, [f"accepted {', '.join(taken)}", next_step])
    review = f"review {target}/policy.yaml, run `minimize policy accept {target} FIELD`"
    return WrittenFiles(files, {"accepted": taken}, [f"next: {review}, then `minimize lint {target}`"])


def pipeline_text(source: str, name: str) -> str:
    """The text of a pipeline that reads this source under the policy in the same folder."""
    schema = f"{SCHEMA_FOLDER}/pipeline.json"
    return _PIPELINE.format(
        schema=schema, name=name, path=json.dumps(source), format=_source_format(source), warn_above=_WARN_ABOVE
    )


def _source_format(source: str) -> str:
    """The name of a source's format, by the suffix of its path or of its first file with a known one; else the first format."""
    named = format_by_name(parse_location(source))
    if named:
        return named
    files = (path for group in find_files(source, Path.cwd()).files.values() for path in group)
    return next(filter(None, map(format_by_name, files)), next(iter(FORMATS)))


def write_new_files(target: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes new files into a folder, and the JSON Schemas of both kinds. Existing files are never replaced.

    Returns the paths. Raises ConfigurationError if a file exists, OutputError if the operating system refuses to write.
    """
    files = {target / name: text for name, text in texts.items()}
    existing = [path for path in files if path.exists()]
    if existing:
        raise ConfigurationError(f"{existing[0]} already exists; nothing was written", hint="Choose another folder.")
    durable_files.with_output_errors(_write_all_or_none, target, {**_schemas(target), **files})
    return list(files)


def _drafted_policy(source: str, name: str) -> str:
    format_ = FORMATS[_source_format(source)]
    fields, rare = discover_frequent_fields(source, MIN_RECORDS_OF_NAME)
    schema = [(key, word) for key, word in fields if not looks_like_a_value(key, has_columns=format_.has_columns)]
    left_out = len(fields) - len(schema) + rare
    leaves = {each: word for each, word in nameable_fields(schema).items() if can_be_declared(each, word)}
    looks = summarize_source(source, leaves)
    types = infer_types(leaves, looks, format_.text_types)
    parts = guess_record_fields(types)
    proposals = propose_treatments(leaves, looks, parts, types)
    absent = {each for each, look in looks.items() if look.nulls > _WARN_ABOVE * (look.values + look.nulls)}
    text = draft_policy_text(schema, name, proposals, f"{SCHEMA_FOLDER}/policy.json", parts, absent)
    return text + (_OMITTED.format(left_out) if left_out else "")


def looks_like_a_value(key: str, *, has_columns: bool) -> bool:
    """Whether a name in the data may be a personal value, so that it must not be written to a file.

    `has_columns`: names are columns of whole files, so that a name without the form of one is more likely to be one.

    >>> looks_like_a_value("ann@example.com", has_columns=True), looks_like_a_value("/apps/*/name", has_columns=False)
    (True, False)
    """
    pointer = field_pointer(key)
    parts = [str(part) for part in (() if pointer is None else pointer.parts) if isinstance(part, str)]
    shaped = has_columns or all(_NAME.fullmatch(part) for part in parts)
    return not shaped or any(map(has_hit, parts))


def _schemas(target: Path) -> dict[Path, str]:
    kinds = {"policy": form_schema(Policy, "minimize policy"), "pipeline": form_schema(Pipeline, "minimize pipeline")}
    return {target / SCHEMA_FOLDER / f"{kind}.json": json.dumps(body, indent=2) + "\n" for kind, body in kinds.items()}


def _write_all_or_none(target: Path, files: Mapping[Path, str]) -> None:
    """Writes all files or none, because a remaining file would block the next attempt."""
    (target / SCHEMA_FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        for path, text in files.items():
            durable_files.write_file(path, text.encode())
    except OSError:
        for path in files:
            for file in (path, path.with_name(path.name + ".tmp")):
                file.unlink(missing_ok=True)
        raise


def source_pattern(location: PathText) -> str:
    """The source path of a pipeline for this data. For a folder: files with the suffix of its first file, by date if possible."""
    data = absolute_location(parse_location(location))
    source_files = find_files(location_text(data), Path.cwd())
    first = next((path for path in source_files.files.get(None, ()) if format_by_name(path)), None)
    if first is None or not data.is_dir():
        return location_text(data)
    pattern = "/".join(
        [str(data), *_dated_folders(relative_path(first, data).parts[:-1]), "**", f"*{_file_suffix(first)}"]
    )
    return pattern + location_options(data)


def _dated_folders(parts: Sequence[str]) -> list[str]:
    """The folders down to the one with a date in its name, as a pattern; empty if there is no such folder."""
    dated = next((number for number, part in enumerate(parts) if _DAY.search(part)), None)
    return [] if dated is None else [*("*" for _ in parts[:dated]), _DAY.sub(DATE_PLACEHOLDER, parts[dated], count=1)]


def _file_suffix(path: Location) -> str:
    """The suffix of a file, including that of its compression."""
    return "".join(PurePath(path.name).suffixes[-1 if is_uncompressed(path) else -2 :])


ALL: Final = "all"


@redact_errors
def accept_proposals(folder: Path, names: Collection[str]) -> list[str]:
    """Accepts the proposals for these fields (or `all`) in a folder's policy.

    The name `time`, for example, accepts a field of that name and the proposal for the event time. The line of a field must
    still drop it. `all` omits a tenant, subject, time or record that too many records do not have. Returns the accepted names.
    Raises ConfigurationError if a name has no proposal, PolicyError if the policy would have faults; then nothing is written.
    """
    path = Path(folder) / POLICY_FILE
    text = _read_policy_text(path)
    blocks = list(read_draft(text))
    offered = open_proposals(blocks)
    proposals = dict.fromkeys(each.name for each in offered)
    certain = (each.name for each in offered if isinstance(each, DraftedField) or not each.may_be_absent)
    chosen_names = list(dict.fromkeys([*(certain if ALL in names else ()), *(name for name in names if name != ALL)]))
    missing = [name for name in chosen_names if name not in proposals]
    if missing:
        hint = _missing_proposal_hint(missing[0], text, proposals)
        raise ConfigurationError(
            f"there is no open proposal for {', '.join(f'`{name}`' for name in missing)}; none was accepted", hint=hint
        )
    accepted = (
        block if isinstance(block, str) or not block.is_open or block.name not in chosen_names else block.accept()
        for block in blocks
    )
    changed = draft_text(accepted)
    check_policy_text(changed, path)
    durable_files.with_output_errors(durable_files.write_file, path, changed.encode())
    return chosen_names


def _missing_proposal_hint(name: str, text: str, proposals: Collection[str]) -> str:
    """A hint for a name without a proposal: similar names, unless the policy has a field of this name."""
    root = parse_yaml(text, FaultList())
    content = {} if root is None else root.to_data()
    fields = content.get("fields") if isinstance(content, dict) else None
    if isinstance(fields, dict) and name in fields:
        return "Check its line in the policy: the proposal was accepted, the line was edited, or there was none."
    return did_you_mean(name, proposals) or "Look for `# proposed:` in the policy, which marks the open proposals."


def _read_policy_text(path: Path) -> str:
    faults = FaultList(str(path))
    content = read_utf8(path, faults)
    if content is None:
        hint = "Run `minimize init DATA DIR`, which writes one."
        raise ConfigurationError(f"there is no policy to read at {path}", hint=hint, findings=faults.found)
    return content.decode("utf-8")
